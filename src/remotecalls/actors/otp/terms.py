"""Erlang terms and the Python values that stand for them.

    atom                 `Atom("ok")`; `true` and `false` are `True` and `False`
    the atom `nil`       `None` (Elixir's convention; Erlang itself gives `nil` no meaning)
    integer, any size    `int`
    binary               `bytes`; a `str` is sent as the binary of its UTF-8
    tuple, map           `tuple`, `dict`
    list                 `list`; a string in double quotes is a list of its code points
    process identifier   `Pid`
    reference            `Reference`

A float, a fun, a port, an improper list, a bit string that is no whole number of bytes, and a map
with a key that Python cannot hash have no value here: `Untranslatable` says so. Amounts of money go
as integers anyway. Python takes `True` and 1 for the same key of a map; Erlang does not.

The codec is erldistpy's. Source: "External Term Format", ERTS User's Guide.
"""

from __future__ import annotations

import re
import struct
from typing import TypeAlias

# erldistpy has no type information. Nothing but this module imports its codec.
from erldistpy.etf import (  # type: ignore[import-untyped]
    Atom,
    ETFError,
    Pid,
    Reference,
    decode_term,
)
from erldistpy.etf import encode as encode_term

from remotecalls.actors.otp.errors import Untranslatable

Term: TypeAlias = object
"""One of the values above."""

PLAIN_ATOM = re.compile(r"[a-z][\w@]*", re.ASCII)
"""What an atom looks like that Erlang writes without quotes."""

__all__ = ["Atom", "Pid", "Reference", "Term", "decode", "describe", "encode", "why"]


def encode(term: Term) -> bytes:
    """The external form of a term.

    Raises:
        Untranslatable: some value in it has no term.
    """
    try:
        return bytes(encode_term(term))
    except (ETFError, RecursionError) as error:
        raise Untranslatable(
            f"{error}: send atoms, integers, bytes, text, tuples, lists and maps"
        ) from error


def decode(data: bytes, offset: int = 0) -> tuple[Term, int]:
    """Read one term that begins at an offset.

    Returns:
        The term, and where the bytes after it begin.

    Raises:
        Untranslatable: the bytes are no term, or some term in it has no value.
    """
    try:
        term, after = decode_term(data, offset)
    except (ETFError, RecursionError, struct.error, IndexError, TypeError, ValueError) as error:
        raise Untranslatable(f"a term from the node cannot be read here: {error}") from error
    return term, int(after)


def describe(term: Term) -> str:
    """A term on one line, as Erlang writes it."""
    match term:
        case Atom():
            return str(term.name) if PLAIN_ATOM.fullmatch(term.name) else f"'{term.name}'"
        case bool():
            return str(term).lower()
        case None:
            return "nil"
        case bytes():
            text = term.decode(errors="replace")
            return f'<<"{text}">>' if text.isprintable() else f"<<{','.join(map(str, term))}>>"
        case tuple():
            return "{" + ",".join(map(describe, term)) + "}"
        case list() if term and all(isinstance(each, int) and 32 <= each < 127 for each in term):
            return '"' + "".join(map(chr, term)) + '"'
        case list():
            return "[" + ",".join(map(describe, term)) + "]"
        case dict():
            pairs = (f"{describe(key)} => {describe(value)}" for key, value in term.items())
            return "#{" + ",".join(pairs) + "}"
        case Pid():
            return f"<{term.node.name}.{term.id}.{term.serial}>"
        case _:
            return str(term)


def why(reason: Term) -> str:
    """The reason of an end on one line, without the stack that an error comes with."""
    match reason:
        case (Atom(name="EXIT"), inner):
            return why(inner)
        case (error, [(Atom(), Atom(), *_), *_]):
            return describe(error)
        case _:
            return describe(reason)
