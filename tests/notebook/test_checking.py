"""A check survives whatever a reader hands in, and says what happened."""

from __future__ import annotations

import asyncio
import itertools
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from remotecalls.notebook import guarded
from remotecalls.notebook.cards import Note
from remotecalls.notebook.checking import Exercise, run_check
from remotecalls.notebook.exercises import (
    Answer,
    Attempt,
    Check,
    Mismatch,
    attempt,
    in_thread,
    matches,
    raises,
    take,
)
from remotecalls.notebook.report import Report


def exercise(check: Check, seconds: float = 0.3) -> Exercise:
    return Exercise("trial", "A trial", 10, 1, ("one", "two"), check, seconds=seconds)


def check_with(answer: object, expected: object, seconds: float = 0.3) -> Report:
    """Check `answer()` against a value, with the message "Look again."."""

    def check(given: Answer) -> Iterator[Attempt]:
        yield attempt("answer()", lambda: given(), expected, "Look again.")

    return run_check(exercise(check, seconds), answer)


def test_the_right_answer_passes_and_the_report_lists_the_attempts() -> None:
    report = check_with(lambda: 2, 2)
    assert report.passed
    assert str(report) == "A trial [trial]: passed (1 attempt passed)\n  ok       answer()"


def test_a_wrong_answer_says_what_was_tried_what_came_back_and_what_was_expected() -> None:
    report = check_with(lambda: [1, 2], [1])
    assert str(report).splitlines() == [
        "A trial [trial]: not yet (0 attempts passed)",
        "  not yet  answer()",
        "             came back  [1, 2]",
        "             expected   [1] (list)",
        "           Look again.",
        '  Next: lab.hint("trial")',
    ]
    html = report._repr_html_()
    assert "<code>[1, 2]</code>" in html
    assert "Look again." in html


def test_the_first_failing_attempt_ends_the_check_and_closes_its_fixtures() -> None:
    events = []

    def check(given: Answer) -> Iterator[Attempt]:
        try:
            yield attempt("first", lambda: 1, 1, "")
            yield attempt("second", lambda: 1, 2, "The second.")
            yield attempt("third", lambda: events.append("third"), None, "")
        finally:
            events.append("closed")

    report = run_check(exercise(check), object())
    assert [one.passed for one in report.tried] == [True, False]
    assert report.tried[-1].message == "The second."
    assert events == ["closed"]


def test_a_stub_is_not_written_yet() -> None:
    def stub() -> int:
        raise NotImplementedError

    for answer in (stub, lambda: ..., ...):
        report = check_with(answer, 1)
        assert report.verdict == "not written yet"
        assert not report


def raise_inside() -> object:
    return {}["missing"]


def leave() -> object:
    sys.exit(3)


@pytest.mark.parametrize(
    ("answer", "came_back"),
    [
        (raise_inside, "KeyError: 'missing' (your line {line}: return {{}}[\"missing\"])"),
        (leave, "SystemExit: 3 (your line {line}: sys.exit(3))"),
        (7, "TypeError: 'int' object is not callable"),
        (lambda needed: needed, "TypeError: "),
    ],
)
def test_an_exception_is_reported_with_its_line(
    answer: Callable[[], object], came_back: str
) -> None:
    first = getattr(getattr(answer, "__code__", None), "co_firstlineno", 0)
    report = check_with(answer, 1)
    assert report.tried[-1].came_back.startswith(came_back.format(line=first + 1))
    assert report.tried[-1].message == "Look again."


def loop_for_ever() -> object:
    while True:
        pass


def loop_that_catches_everything() -> object:
    caught = 0
    while caught < 3:
        try:
            while True:
                pass
        except:  # noqa: E722
            caught += 1
    return None


@pytest.mark.parametrize("answer", [loop_for_ever, loop_that_catches_everything])
def test_an_endless_loop_is_stopped_at_the_deadline(answer: Callable[[], object]) -> None:
    began = time.monotonic()
    report = check_with(answer, 1)
    assert time.monotonic() - began < 1.5
    assert report.tried[-1].came_back.startswith("nothing within the deadline (your line ")
    assert "Does a loop have no end" in report.tried[-1].message
    assert not [thread for thread in threading.enumerate() if thread.name == "answer"]


def test_a_call_that_cannot_be_stopped_is_left_behind_and_named() -> None:
    ours, theirs = socket.socketpair()

    def wait_for_bytes() -> bytes:
        return ours.recv(4)

    report = check_with(wait_for_bytes, b"")
    assert "your line" in report.tried[-1].came_back
    assert "return ours.recv(4)" in report.tried[-1].came_back
    assert "could not be stopped" in report.tried[-1].message
    theirs.close()  # the call returns, and the exception that was left in the thread ends it
    ours.close()
    for thread in threading.enumerate():
        if thread.name == "answer":
            thread.join(timeout=2)
            assert not thread.is_alive()


def test_an_answer_that_eats_memory_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(given: Answer) -> Iterator[Attempt]:
        yield attempt("list(answer())", lambda: list(given()), [], "")

    monkeypatch.setattr(guarded.watch, "__kwdefaults__", {"memory": 64 << 20})
    monkeypatch.setattr(guarded.run, "__kwdefaults__", {"seconds": 5.0, "memory": 64 << 20})
    report = run_check(
        exercise(check, seconds=20), lambda: (bytes(10_000) for _ in itertools.count())
    )
    assert report.tried[-1].came_back.startswith("nothing: out of memory")
    assert "append without an end" in report.tried[-1].message


def test_huge_values_are_cut() -> None:
    report = check_with(lambda: b"x" * 10_000_000, b"")
    assert report.tried[-1].came_back.endswith("... (10,000,000 bytes)")
    report = check_with(lambda: list(range(1_000_000)), [])
    assert report.tried[-1].came_back.endswith("11, ... (1,000,000 items)]")
    assert len(str(report)) < 600


def test_a_flood_of_prints_is_cut_and_shown() -> None:
    def chatter() -> int:
        for number in range(100_000):
            print("line", number)
        return 2

    report = check_with(chatter, 1, seconds=5)
    assert report.printed.splitlines() == [*(f"line {n}" for n in range(5)), "..."]
    assert "Your code printed:" in str(report)


class Liar:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    def __repr__(self) -> str:
        raise RuntimeError("no text")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("actual", "expected", "came_back"),
    [
        (True, 1, "True"),
        (1.0, 1, "1.0"),
        (bytearray(b"a"), b"a", "bytearray(b'a')"),
        ("a", b"a", "'a'"),
        (None, [], "None"),
        (Liar(), 1, "<Liar whose __repr__ raises RuntimeError>"),
        (object(), 1, "<object object>"),
        ((1,), [1], "(1,)"),
    ],
)
def test_wrong_types_do_not_pass(actual: object, expected: object, came_back: str) -> None:
    report = check_with(lambda: actual, expected)
    assert not report.passed
    assert report.tried[-1].came_back == came_back


def test_expecting_an_exception() -> None:
    def refuse() -> None:
        raise ValueError("length 5000000000 is too large")

    assert check_with(refuse, raises(ValueError, "too large")).passed
    assert not check_with(refuse, raises(TypeError)).passed
    assert not check_with(refuse, raises(ValueError, "negative")).passed
    report = check_with(lambda: 1, raises(ValueError, "negative"))
    assert report.tried[-1].expected == "ValueError is raised, with 'negative' in its message"


def test_expecting_a_condition() -> None:
    even = matches("an even number", lambda value: value % 2 == 0)
    assert check_with(lambda: 4, even).passed
    assert not check_with(lambda: 3, even).passed
    assert not check_with(lambda: "text", even).passed


def test_a_message_may_depend_on_what_came_back() -> None:
    def words(value: object) -> str:
        return "That is little-endian." if value == b"\x05\x00" else "Two bytes, please."

    def check(given: Answer) -> Iterator[Attempt]:
        yield attempt("encode(5)", lambda: given(5), b"\x00\x05", words)

    little = run_check(exercise(check), lambda n: n.to_bytes(2, "little"))
    assert little.tried[-1].message == "That is little-endian."
    assert run_check(exercise(check), bytes).tried[-1].message == "Two bytes, please."


def test_a_mismatch_may_be_raised_by_the_check() -> None:
    def check(given: Answer) -> Iterator[Attempt]:
        yield attempt("answer()", lambda: given(), 1, "")
        raise Mismatch("bytes on the wire", b"ab", b"a", "One byte too many.")

    report = run_check(exercise(check), lambda: 1)
    assert report.tried[-1].call == "bytes on the wire"
    assert report.tried[-1].came_back == "b'ab'"
    assert report.tried[-1].message == "One byte too many."


def test_an_answer_that_stops_the_check_itself_is_reported() -> None:
    def check(given: Answer) -> Iterator[Attempt]:
        decoder = given()
        yield attempt("feed", lambda: decoder.feed(b""), [], "")

    for answer in (loop_for_ever, raise_inside):
        report = run_check(exercise(check), answer)
        assert report.tried[-1].call == "the next step of the check"
        assert "your line" in report.tried[-1].came_back


def test_a_check_without_an_attempt_is_an_error_of_its_author() -> None:
    def check(given: Answer) -> Iterator[Attempt]:
        yield from ()

    with pytest.raises(ValueError, match="yields no attempt"):
        run_check(exercise(check), len)


def test_async_answers_of_ordinary_checks_are_awaited() -> None:
    async def answer() -> int:
        await asyncio.sleep(0)
        return 2

    assert check_with(answer, 2).passed


def test_an_async_answer_that_waits_for_ever_is_stopped() -> None:
    async def answer() -> None:
        await asyncio.Event().wait()

    report = check_with(answer, None)
    assert "(your line" in report.tried[-1].came_back
    assert "await asyncio.Event().wait()" in report.tried[-1].came_back
    assert "Does a loop have no end, or wait" in report.tried[-1].message
    assert not [thread for thread in threading.enumerate() if thread.name == "answer"]


async def test_a_check_runs_while_a_loop_runs_in_the_calling_thread() -> None:
    async def answer() -> int:
        await asyncio.sleep(0)
        return 2

    assert check_with(answer, 2).passed
    assert (await_echo(ask_right)).passed


# ------------------------------------------------------------------ checks with a loop of their own


async def ask_right(port: int, line: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(line)
    answer = await reader.readline()
    writer.close()
    return answer


async def ask_without_newline(port: int, line: bytes) -> bytes:
    return await ask_right(port, line.rstrip())


async def ask_and_spin(port: int, line: bytes) -> bytes:
    while True:
        pass


async def ask_and_raise(port: int, line: bytes) -> bytes:
    raise TimeoutError("my own")


def ask_blocking(port: int, line: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(line)
        return connection.recv(100)


def ask_blocking_for_ever(port: int, line: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        return connection.recv(100)


def await_echo(answer: Answer) -> Report:
    closed = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await reader.read()
        writer.close()
        await writer.wait_closed()

    async def check(given: Answer) -> AsyncIterator[Attempt]:
        try:
            async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
                port = server.sockets[0].getsockname()[1]
                blocking = not asyncio.iscoroutinefunction(given)
                yield attempt(
                    "ask",
                    lambda: (
                        in_thread(lambda: given(port, b"hi\n"))
                        if blocking
                        else given(port, b"hi\n")
                    ),
                    b"hi\n",
                    "Look again.",
                )
        finally:
            closed.append(True)

    report = run_check(exercise(check), answer)
    # From Python 3.12 on, leaving the server waits for a client that never hangs up; also then the
    # fixtures are closed.
    assert closed == [True]
    return report


def test_asynchronous_checks_serve_the_answer() -> None:
    assert await_echo(ask_right).passed
    assert await_echo(ask_blocking).passed


@pytest.mark.parametrize(
    ("answer", "came_back"),
    [
        (ask_without_newline, "nothing within the deadline (your line "),
        (ask_and_spin, "nothing within the deadline (your line "),
        (ask_and_raise, "TimeoutError: my own (your line "),
        (ask_blocking_for_ever, "nothing within the deadline"),
    ],
)
def test_asynchronous_checks_stop_what_hangs(answer: Answer, came_back: str) -> None:
    began = time.monotonic()
    report = await_echo(answer)
    assert report.tried[-1].came_back.startswith(came_back)
    assert time.monotonic() - began < 4


def test_take_ends_an_endless_iterable() -> None:
    assert take(itertools.count(), 3) == [0, 1, 2]
    assert take([1]) == [1]


def test_a_report_is_equal_in_every_process() -> None:
    script = (
        "from remotecalls.notebook.showing import show\n"
        "print(show({b'x': {'a', 'b', 'c', 'd'}, 'o': object(), 'f': frozenset('xyz')}))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": str(seed), "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in (1, 2, 3)
    }
    assert len(outputs) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Not A Name"}, "lower-case words"),
        ({"hints": ("one",)}, "two hints"),
        ({"minutes": 3}, "5 to 20"),
    ],
)
def test_exercises_are_refused_early(change: dict[str, object], message: str) -> None:
    fields: dict[str, object] = {
        "name": "ok",
        "title": "t",
        "minutes": 10,
        "lines": 1,
        "hints": ("one", "two"),
        "check": lambda answer: iter(()),
    }
    with pytest.raises(ValueError, match=message):
        Exercise(**{**fields, **change})  # type: ignore[arg-type]


def test_code_in_a_sentence_is_shown_as_code_and_stays_escaped() -> None:
    shown = Note("Write `f(x) -> list[<T>]`: it *is* `g`, not `h")._repr_html_()
    assert shown == (
        "<p>Write <code>f(x) -&gt; list[&lt;T&gt;]</code>: it *is* <code>g</code>, not `h</p>"
    )
