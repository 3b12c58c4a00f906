"""What an operation may be, and the files that histories are kept in."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from small_histories import OF_A_SET, READS_AND_WRITES, WITH_CAS, histories

from remotecalls.simulators.linearizability import (
    CasRegister,
    HistoryError,
    Operation,
    check,
    from_jepsen_log,
    from_json_lines,
    to_json_lines,
)

WRITE = Operation(3, "x", "write", 1, 10, 25)


# ---------------------------------------------------------------- one operation


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "increment"}, r"kind is 'increment'\. Use one of read, write, cas"),
        ({"outcome": "maybe"}, r"outcome is 'maybe'\. Use one of ok, failed, unknown"),
        ({"outcome": "unknown"}, r"returned_us is 25 and the outcome unknown\. Leave"),
        ({"returned_us": None}, r"returned_us is empty and the outcome ok\. Give the time"),
        ({"returned_us": None, "outcome": "failed"}, r"empty and the outcome failed\. Give"),
        ({"returned_us": 9}, r"returned_us is 9, before called_us, 10\. Take both"),
        ({"kind": "cas"}, r"value of a cas is 1\. Give a pair: the old and the new"),
        ({"kind": "cas", "value": (1, 2, 3)}, r"\(1, 2, 3\)\. Give a pair"),
        ({"kind": "contains"}, r"Give a pair: what was asked for and the answer"),
        ({"value": [1]}, r"value is \[1\], which cannot be hashed\. Use text"),
    ],
)
def test_an_operation_whose_fields_do_not_fit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(WRITE, **changes)


def test_an_operation_says_what_it_is() -> None:
    assert str(WRITE) == "write x 1 by 3 (10..25 us)"
    unknown = Operation(3, "x", "cas", (1, 2), 10, None, "unknown")
    assert str(unknown) == "cas x 1 -> 2 by 3 (10.. us, unknown)"


# ---------------------------------------------------------------- JSON lines


def test_a_file_by_hand() -> None:
    text = (
        '{"process": 3, "key": "x", "kind": "write", "value": 1, '
        '"called_us": 10, "returned_us": 25, "outcome": "ok"}\n'
        "\n"
        '{"outcome": "unknown", "process": 4, "key": "x", "kind": "cas", "value": [1, null], '
        '"called_us": 30, "returned_us": null}'
    )
    history = from_json_lines(text)
    assert history == (WRITE, Operation(4, "x", "cas", (1, None), 30, None, "unknown"))
    assert to_json_lines(history).splitlines()[0] == text.splitlines()[0]


@settings(max_examples=100, deadline=None)
@given(histories((*READS_AND_WRITES, *WITH_CAS, *OF_A_SET), keys="xy"))
def test_what_is_written_is_read(history: list[Operation]) -> None:
    text = to_json_lines(history)
    assert from_json_lines(text) == tuple(history)
    assert len(text.splitlines()) == len(history)


def test_a_line_separator_in_a_value_ends_no_line() -> None:
    history = (dataclasses.replace(WRITE, value="one\u2028two\nthree\x85"),)
    assert from_json_lines(to_json_lines(history)) == history


LINE = json.loads(to_json_lines([WRITE]))


@pytest.mark.parametrize(
    ("line", "problem", "remedy"),
    [
        ("{", "no JSON", "Write an object a line"),
        (json.dumps(LINE).replace("1,", "NaN,", 1), "NaN is no number", "Write an object a line"),
        ("[1]", "not the members of an operation", "Give exactly these: process, key, kind"),
        (json.dumps(LINE | {"node": 1}), "not the members of an operation", "Give exactly"),
        (json.dumps({"process": 1}), "not the members of an operation", "Give exactly"),
        (json.dumps(LINE | {"process": "p1"}), 'process is "p1"', "Give a whole number"),
        (json.dumps(LINE | {"process": True}), "process is true", "Give a whole number"),
        (json.dumps(LINE | {"key": 5}), "key is 5", "Give text"),
        (json.dumps(LINE | {"called_us": 1.5}), "called_us is 1.5", "Give whole microseconds"),
        (json.dumps(LINE | {"returned_us": "now"}), 'returned_us is "now"', "or null"),
        (json.dumps(LINE | {"kind": "increment"}), "kind is 'increment'", "Use one of read"),
        (json.dumps(LINE | {"kind": "cas", "value": 1}), "value of a cas is 1", "Give a pair"),
        (json.dumps(LINE | {"value": {"a": 1}}), "cannot be hashed", "Use text"),
        (json.dumps(LINE | {"returned_us": 1}), "before called_us", "the same clock"),
    ],
)
def test_a_bad_line_is_named_with_its_number(line: str, problem: str, remedy: str) -> None:
    text = to_json_lines([WRITE]) + "\n" + line
    with pytest.raises(HistoryError) as error:
        from_json_lines(text)
    assert error.value.line == 3
    assert error.value.text == line
    assert problem in error.value.problem
    assert remedy in error.value.remedy
    assert str(error.value).startswith("line 3: ")
    assert str(error.value).endswith(f"The line: {line}")


def test_what_json_has_nothing_for_is_not_written() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        to_json_lines([dataclasses.replace(WRITE, value=float("inf"))])
    with pytest.raises(TypeError, match="frozenset"):
        to_json_lines([dataclasses.replace(WRITE, value=frozenset())])


# ---------------------------------------------------------------- Jepsen

LOG = """\
INFO  jepsen.util - 0\t:invoke\t:read\tnil
INFO  jepsen.util - 0\t:ok\t:read\tnil
INFO  jepsen.util - 4\t:invoke\t:write\t3
INFO  jepsen.util - 1\t:invoke\t:cas\t[3 0]
INFO  jepsen.util - 4\t:ok\t:write\t3

INFO  jepsen.util - 1   :ok     :cas    [3 0]
INFO  jepsen.util - 2  :invoke  :cas    [4 1]
INFO  jepsen.util - 3\t:invoke\t:write\t2
INFO  jepsen.util - 2  :fail  :cas    [4 1]
INFO  jepsen.util - 0\t:invoke\t:read\tnil
INFO  jepsen.util - 0\t:fail\t:read\t:timed-out
INFO  jepsen.util - 3\t:info\t:write\t:timed-out
INFO  jepsen.util - 8\t:invoke\t:cas\t[0 2]
INFO  jepsen.util - 0\t:invoke\t:read\tnil
INFO  jepsen.util - 0\t:ok\t:read\t2
"""

EVENTS = (
    Operation(0, "register", "read", None, 1, 2),
    Operation(4, "register", "write", 3, 3, 5),
    Operation(1, "register", "cas", (3, 0), 4, 7),
    Operation(2, "register", "cas", (4, 1), 8, 10, "failed"),
    Operation(3, "register", "write", 2, 9, None, "unknown"),
    Operation(0, "register", "read", None, 11, 12, "failed"),
    Operation(8, "register", "cas", (0, 2), 14, None, "unknown"),
    Operation(0, "register", "read", 2, 15, 16),
)


def test_a_log_by_hand() -> None:
    assert from_jepsen_log(LOG) == EVENTS
    assert from_jepsen_log(LOG.replace("\n", "\r\n")) == EVENTS
    assert from_jepsen_log(LOG, "y")[0].key == "y"
    assert check(EVENTS, CasRegister()).is_linearizable


def test_a_log_that_is_not_linearizable() -> None:
    wrong = LOG.replace(":ok\t:read\t2", ":ok\t:read\t3")
    assert not check(from_jepsen_log(wrong), CasRegister()).is_linearizable


START = "INFO  jepsen.util - "


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("WARN jepsen.core - out of memory", "no event of a register"),
        (f"{START}9 :invoke :delete 1", "no event of a register"),
        (f"{START}9 :invoke :write three", "no event of a register"),
        (f"{START}9 :invoke :write 3 4", "no event of a register"),
        (f"{START}9 :invoke :write nil", "nil is no value of a write"),
        (f"{START}9 :invoke :write [1 2]", "[1 2] is no value of a write"),
        (f"{START}9 :invoke :cas 1", "1 is no value of a cas"),
        (f"{START}9 :invoke :read :timed-out", ":timed-out is no value of a read"),
        (f"{START}9 :ok :write 3", "process 9 has called nothing"),
        (f"{START}0 :ok :read 2", "process 0 has called nothing"),
        (f"{START}8 :invoke :write 3", "process 8 still has its call of line 14"),
        (f"{START}8 :ok :write 2", "process 8 called :cas [0 2] in line 14"),
        (f"{START}8 :ok :cas [0 3]", "process 8 called :cas [0 2] in line 14"),
        (f"{START}8 :ok :cas :timed-out", ":timed-out is no value of a cas"),
        (f"{START}3 :invoke :write 3", "process 3 was given up in line 13"),
        (f"{START}3 :ok :write 2", "process 3 was given up in line 13"),
    ],
)
def test_a_bad_event_is_named_with_its_number(line: str, problem: str) -> None:
    with pytest.raises(HistoryError) as error:
        from_jepsen_log(LOG + line)
    assert error.value.problem == problem
    assert error.value.line == 17
    assert error.value.text == line
    assert error.value.remedy.endswith(".")
