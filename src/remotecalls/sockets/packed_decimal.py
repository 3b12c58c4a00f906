"""Packed decimal: two digits a byte, and the sign in the last four bits.

`12.30` in a field of nine digits is `00 00 01 23 0C`. The processor adds such numbers as they
stand, exactly, and the decimal point is nowhere in the bytes: the program's declaration has it.

Source: IBM z/Architecture Principles of Operation (SA22-7832), chapter 8, "Decimal Instructions".
COBOL calls it COMP-3.
"""

from __future__ import annotations

PLUS, MINUS = 0xC, 0xD
POSITIVE = frozenset({0xA, 0xC, 0xE, 0xF})
NEGATIVE = frozenset({0xB, 0xD})


class PackedDecimalError(ValueError):
    """The bytes are no packed decimal number, or the number does not fit.

    On the machine itself the first is a data exception, known by the name of its interrupt: S0C7.
    """


def packed_size(digits: int) -> int:
    """How many bytes a number of so many digits takes."""
    return digits // 2 + 1


def pack(value: int, digits: int) -> bytes:
    """Write a whole number with its preferred sign, C or D.

    Args:
        value: the number, without its decimal point.
        digits: how many digits the field has.

    Raises:
        PackedDecimalError: the number has more digits.
    """
    written = str(abs(value))
    if len(written) > digits:
        raise PackedDecimalError(f"{value} has more than {digits} digits")
    nibbles = written.zfill(2 * packed_size(digits) - 1) + f"{MINUS if value < 0 else PLUS:x}"
    return bytes.fromhex(nibbles)


def unpack(data: bytes) -> int:
    """Read a whole number. Any of the six sign codes is accepted, as the processor does.

    Raises:
        PackedDecimalError: a digit is above 9, or the sign below A.
    """
    digits, sign = data.hex().upper()[:-1], int(data[-1:].hex()[-1:] or "0", 16)
    for place, digit in enumerate(digits):
        if not digit.isdecimal():
            raise PackedDecimalError(f"byte {place // 2} holds {digit} where a digit stands")
    if sign not in POSITIVE | NEGATIVE:
        raise PackedDecimalError(f"byte {len(data) - 1} ends in {sign:X}, which is no sign")
    value = int(digits or "0")
    return -value if sign in NEGATIVE else value
