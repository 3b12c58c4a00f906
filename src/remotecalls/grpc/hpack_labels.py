"""Labels for the compressed headers of HTTP/2.

Both ends keep a table of the headers that were sent before, for as long as the connection lasts, so
a header of one byte can stand for one of fifty. Whoever labels the bytes has to keep it, too. The
library `hpack` does; what it does not tell is which bytes a header comes from.

Source: RFC 7541.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hpack import Decoder
from hpack.exceptions import HPACKError

from remotecalls.grpc.joined import Joined, Labels
from remotecalls.wire.dissect import Kind, show_value
from remotecalls.wire.dissection import cut

LONGEST_INTEGER = 4
LARGEST_TABLE = 65_536

MEANINGS = {
    ":path": "the method that is called",
    "grpc-timeout": "the time that the call has left",
    "grpc-status": "how the call ended: 0 is OK",
    "grpc-message": "the same for a person",
    "grpc-status-details-bin": "google.rpc.Status; in base64, or after a zero as it is",
    "te": "the sender understands trailers",
    "content-type": "a gRPC message is in DATA",
}


def _decoder() -> Decoder:
    decoder = Decoder()
    # How large it may be, the receiver has said: in the other direction, which is not here.
    decoder.max_allowed_table_size = LARGEST_TABLE
    return decoder


@dataclass
class HeaderTable:
    """The table of one direction of one connection.

    Attributes:
        lost: why no later header can be read, or empty.
    """

    decoder: Decoder = field(default_factory=_decoder)
    lost: str = ""


def label_headers(
    labels: Labels, block: Joined, table: HeaderTable, *, complete: bool
) -> dict[str, str]:
    """Label the header block in joined frames.

    Args:
        labels: where.
        block: the fragments of the block.
        table: of the connection; it learns what the block says.
        complete: whether the whole block is here.

    Returns:
        The headers, by name; the last of a name wins.
    """
    found: dict[str, str] = {}
    at = 0
    size = len(block.data)
    while at < size and not table.lost:
        try:
            end = field_end(block.data, at)
            decoded = list(table.decoder.decode(block.data[at:end], raw=True))
        except IndexError:
            break  # it goes on beyond the block
        except (ValueError, HPACKError) as error:
            table.lost = f"HPACK: {error or type(error).__name__}"
            break
        if decoded:
            name, value = (bytes(each).decode("latin-1") for each in decoded[0][:2])
            found[name] = value
            meaning = "; ".join(filter(None, [MEANINGS.get(name, ""), _encoding(block.data[at])]))
            shown = cut(f"{name}: {value if value.isprintable() else show_value(value)}")
            labels.add_joined(block, at, end, "header", shown, meaning, Kind.KEY)
        else:
            limit = _integer(block.data, at, 5)[0]
            meaning = "bytes that the table may hold from here on"
            labels.add_joined(block, at, end, "table size", str(limit), meaning, Kind.LENGTH)
        at = end
    for start, end in block.spans(at, size):
        if table.lost:
            labels.add_opaque(start, end, table.lost)
        elif complete:
            labels.add_opaque(start, end, "the last header of the block does not end")
        else:
            labels.add_incomplete(start, end, "header", None)
    return found


def begins_a_response(block: bytes) -> bool:
    """Whether a header block begins with `:status`, as an answer does and trailers do not."""
    at = 0
    try:
        while block[at] & 0xE0 == 0x20:  # a table size
            at = field_end(block, at)
        return 0x88 <= block[at] <= 0x8E or block[at] in {0x08, 0x18, 0x48}
    except (IndexError, ValueError):
        return False


def field_end(data: bytes, at: int) -> int:
    """Where the header that begins at an offset of a block ends (RFC 7541, section 6).

    Raises:
        IndexError: it goes on beyond the block.
        ValueError: a number in it is too long.
    """
    first = data[at]
    if first & 0x80:
        return _integer(data, at, 7)[1]
    if first & 0xE0 == 0x20:
        return _integer(data, at, 5)[1]
    index, at = _integer(data, at, 6 if first & 0x40 else 4)
    if index == 0:
        at = _string_end(data, at)
    return _string_end(data, at)


def _encoding(first: int) -> str:
    if first & 0x80:
        return "a place in the table"
    if first & 0x40:
        return "spelled out, and put into the table"
    return "spelled out, and never put into a table" if first & 0x10 else "spelled out"


def _integer(data: bytes, at: int, bits: int) -> tuple[int, int]:
    """The number with a prefix of so many bits, and the offset after it (section 5.1)."""
    limit = (1 << bits) - 1
    value = data[at] & limit
    at += 1
    if value < limit:
        return value, at
    for place in range(LONGEST_INTEGER):
        byte = data[at]
        at += 1
        value += (byte & 0x7F) << 7 * place
        if not byte & 0x80:
            return value, at
    raise ValueError("a number has more bytes than any header needs")


def _string_end(data: bytes, at: int) -> int:
    length, at = _integer(data, at, 7)
    if at + length > len(data):
        raise IndexError("the text goes on beyond the block")
    return at + length
