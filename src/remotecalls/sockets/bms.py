"""A screen as the macros and the copybook of CICS's Basic Mapping Support.

What a programmer of CICS wrote by hand: each field's position and length, a mark in column 72 where
the statement goes on, and the rest from column 16.

Source: CICS Application Programming Reference, BMS macros (SC34-7401).
"""

from __future__ import annotations

from collections.abc import Iterator

from remotecalls.sockets.screen import COLUMNS, ROWS, Attribute, Field, ScreenMap, Text

CONTINUES_AT = 15
MARK_AT = 71


def to_bms(screen: ScreenMap, name: str) -> str:
    """The map as assembler macros.

    Args:
        screen: the compiled screen.
        name: of the map set and the map, at most seven letters.
    """
    statements = [
        _statement(f"{name}S", "DFHMSD", ["TYPE=&SYSPARM", "MODE=INOUT", "LANG=COBOL",
                                          "CTRL=FREEKB", "TIOAPFX=YES"]),
        _statement(name, "DFHMDI", [f"SIZE=({ROWS},{COLUMNS})"]),
    ]  # fmt: skip
    pieces: list[Text | Field] = [*screen.texts, *screen.fields]
    pieces.sort(key=lambda each: (each.row, each.column))
    for piece in pieces:
        if isinstance(piece, Text):
            words = piece.content.replace("'", "''").replace("&", "&&")
            operands = [f"POS=({piece.row},{piece.column})", f"LENGTH={len(piece.content)}",
                        f"INITIAL='{words}'"]  # fmt: skip
            statements.append(_statement("", "DFHMDF", operands))
        else:
            statements.extend(_field(screen, piece))
    statements.append(_statement("", "DFHMSD", ["TYPE=FINAL"]))
    return "\n".join([*statements, f"{'':9}END", ""])


def _field(screen: ScreenMap, field: Field) -> Iterator[str]:
    words = ["PROT" if Attribute.PROTECTED in field.attributes else "UNPROT"]
    words += ["NUM"] * (Attribute.NUMERIC in field.attributes)
    words += ["BRT"] * (Attribute.BRIGHT in field.attributes)
    attributes = ",".join(words)
    operands = [f"POS=({field.row},{field.column})", f"LENGTH={field.length}"]
    yield _statement(field.name.upper(), "DFHMDF", [*operands, f"ATTRB=({attributes})"])
    end = screen.stop_of(field)
    if end is not None:  # a field of no length ends it: what follows is protected
        stop = [f"POS=({field.row},{end})", "LENGTH=0", "ATTRB=ASKIP"]
        yield _statement("", "DFHMDF", stop)


def _statement(label: str, operation: str, operands: list[str]) -> str:
    """One macro, an operand a line, with its mark where another line follows."""
    text = f"{label:<8} {operation:<6} "
    lines: list[str] = []
    for number, operand in enumerate(operands):
        start = text if number == 0 else " " * CONTINUES_AT
        ends = number == len(operands) - 1
        rest = f"{start}{operand}" + ("" if ends else ",")
        while len(rest) > MARK_AT:  # a long text goes on in column 16 of the next line
            lines.append(f"{rest[:MARK_AT]}X")
            rest = " " * CONTINUES_AT + rest[MARK_AT:]
        lines.append(rest if ends else f"{rest:<{MARK_AT}}X")
    return "\n".join(lines)


def to_copybook(screen: ScreenMap, name: str) -> str:
    """The symbolic map: what a COBOL program moves its values into.

    For each field its length as typed (L), its flag (F), and its content (I).
    """
    lines = [f"       01  {name}I.", "           02  FILLER PIC X(12)."]
    for field in screen.fields:
        label = field.name.upper()
        lines += [
            f"           02  {label}L COMP PIC S9(4).",
            f"           02  {label}F PIC X.",
            f"           02  {label}I PIC X({field.length}).",
        ]
    return "\n".join([*lines, ""])
