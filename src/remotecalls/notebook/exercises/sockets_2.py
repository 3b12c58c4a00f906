"""The exercises of `labs/sockets-2.ipynb`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from remotecalls.notebook.exercises import (
    Answer,
    Attempt,
    Exercise,
    attempt,
    matches,
    raises,
)
from remotecalls.sockets.packed_decimal import pack

# ---------------------------------------------------------------- predict


def check_predicted_packed(answer: Answer) -> Iterator[Attempt]:
    """Pack the amounts, as the binding does, and compare."""
    yield attempt(
        "three texts, one for each amount",
        lambda: len(answer()),
        3,
        "Return a list of three texts such as '00 00 01 23 0c'.",
    )
    for number, (words, cents) in enumerate([("0.05", 5), ("-5.00", -500), ("1234567.89", 0)]):
        expected = pack(cents or 123_456_789, 9).hex(" ")
        yield attempt(
            f"{words} in a field S9(7)V99 COMP-3",
            partial(text_of, answer, number),
            expected,
            "Nine digits and a sign are ten half bytes: five bytes. The point is not stored, and "
            "the sign comes last, C for plus and D for minus.",
        )


def text_of(answer: Answer, number: int) -> str:
    """One of the texts that the answer returns."""
    return str(answer()[number]).lower()


# ---------------------------------------------------------------- complete


def unpack_hex(unpack: Answer, text: str) -> object:
    """Unpack bytes that are written in hexadecimal."""
    return unpack(bytes.fromhex(text))


def check_unpack(unpack: Answer) -> Iterator[Attempt]:
    """Numbers of several lengths and signs, and bytes that are no number."""
    for text, value in [
        ("00 00 01 23 0c", 1230),
        ("00 00 00 50 0d", -500),
        ("7c", 7),
        ("99 99 99 99 9c", 999_999_999),
    ]:
        yield attempt(
            f"unpack(bytes.fromhex({text!r}))",
            partial(unpack_hex, unpack, text),
            value,
            "Every half byte but the last is a decimal digit; hex() writes each as one character.",
        )
    yield attempt(
        "a number signed F, as an unsigned field has it",
        lambda: unpack(bytes.fromhex("01 2f")),
        12,
        "A, C, E and F are plus, B and D are minus: the processor takes all six.",
    )
    for text, why in [
        ("40 40 40 40 40", "five blanks, the classic data exception: its sign is 0"),
        ("00 0a 01 23 0c", "a digit above 9"),
        ("00 00 01 23 04", "a last half byte that is no sign"),
    ]:
        yield attempt(
            f"unpack(bytes.fromhex({text!r})), {why}",
            partial(unpack_hex, unpack, text),
            raises(ValueError),
            "Raise ValueError. A wrong number would be booked to somebody's account.",
        )


# ---------------------------------------------------------------- build


def check_once(once_class: Answer) -> Iterator[Attempt]:
    """Repetitions, several clients, late packets, and a bound."""

    def fresh() -> tuple[Answer, list[str]]:
        done: list[str] = []

        def execute(request: str) -> str:
            done.append(request)
            return f"done {len(done)}: {request}"

        return once_class(execute), done

    once, done = fresh()
    yield attempt(
        'handle("ada", 1, "pay 5")',
        lambda: once.handle("ada", 1, "pay 5"),
        "done 1: pay 5",
        "A call that is new is executed, and its reply returned.",
    )
    yield attempt(
        "the same datagram again: the reply",
        lambda: once.handle("ada", 1, "pay 5"),
        "done 1: pay 5",
        "The client repeats itself because the reply was lost: give it the same reply.",
    )
    yield attempt(
        "the same datagram again: how often it was executed",
        lambda: len(done),
        1,
        "A repetition must not be executed. Compare its number with the client's last.",
    )
    yield attempt(
        'handle("ada", 2, "pay 5"): the same words, and a new number',
        lambda: once.handle("ada", 2, "pay 5"),
        "done 2: pay 5",
        "The number says that it is another call. Two equal payments can both be meant.",
    )
    yield attempt(
        'handle("grace", 1, "pay 7"): another client',
        lambda: once.handle("grace", 1, "pay 7"),
        "done 3: pay 7",
        "Each client counts its own calls.",
    )
    yield attempt(
        'handle("ada", 1, "pay 5") once more, overtaken by number 2',
        lambda: once.handle("ada", 1, "pay 5"),
        None,
        "A late packet of an earlier call: its client has gone on. Execute nothing.",
    )
    yield attempt(
        "executed so far",
        lambda: len(done),
        3,
        "The late packet was executed.",
    )
    many, _ = fresh()

    def replies_kept() -> int:
        for number in range(1, 2_001):
            many.handle("ada", number, "x" * 1_000)
        return sum(len(str(value)) for value in vars(many).values())

    yield attempt(
        "characters kept after 2,000 calls of one client, each of 1,000",
        replies_kept,
        matches("under 10,000", lambda size: size < 10_000),
        "A client has one call at a time, so its last reply is all that can be asked for again.",
    )


EXERCISES = (
    Exercise(
        name="predict-packed",
        title="Three amounts in packed decimal",
        kind="predict",
        minutes=10,
        lines=2,
        task=(
            "How do 0.05, -5.00 and 1234567.89 stand in a field S9(7)V99 COMP-3? "
            "Return a list of three texts of hexadecimal digits, such as '00 00 01 23 0c'."
        ),
        hints=(
            "Write the amount without its point, in nine digits with zeros in front.",
            "Put the sign behind the digits, and take two at a time.",
        ),
        check=check_predicted_packed,
    ),
    Exercise(
        name="unpack",
        title="Read packed decimal",
        kind="complete",
        minutes=15,
        lines=9,
        task=(
            "unpack(data) returns the whole number that the bytes hold. It raises ValueError if a "
            "digit is above 9 or the last half byte is none of the signs A to F."
        ),
        hints=(
            "data.hex() has a character for each half byte: all but the last are digits.",
            "int() of a text that is not all digits raises ValueError already; the sign is yours.",
        ),
        check=check_unpack,
    ),
    Exercise(
        name="once",
        title="At most once",
        kind="build",
        minutes=15,
        lines=13,
        task=(
            "Once(execute) has handle(client, number, request): a new call is executed and its "
            "reply returned; a repetition gets the same reply; an earlier number gets None."
        ),
        hints=(
            "Keep for each client the number of its last call and the reply to it.",
            "Compare: equal is a repetition, smaller is late, larger is new.",
        ),
        check=check_once,
    ),
)
