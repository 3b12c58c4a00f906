"""The log of Jepsen's tests of etcd, of 2014, which the public checkers are tested with.

A line is an event: who, what, of which kind, with which value, for instance

    INFO  jepsen.util - 4	:invoke	:write	3
    INFO  jepsen.util - 4	:ok	:write	3
    INFO  jepsen.util - 0	:invoke	:cas	[3 1]
    INFO  jepsen.util - 0	:fail	:cas	[3 1]
    INFO  jepsen.util - 2	:invoke	:read	nil
    INFO  jepsen.util - 2	:info	:read	:timed-out

`:ok` means done, `:fail` means that nothing was changed, `:info` that nobody knows; after it the
process is never heard of again, and another one with a new number takes its place. There are no
times: the events stand in their order, and the number of the line is the time in microseconds.

Source: Kingsbury, Jepsen (github.com/jepsen-io/jepsen); Athalye, porcupine, `test_data/jepsen`
(github.com/anishathalye/porcupine).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from remotecalls.simulators.linearizability.history import (
    CAS,
    FAILED,
    OK,
    READ,
    UNKNOWN,
    HistoryError,
    Operation,
)

_EVENT = re.compile(
    r"INFO\s+jepsen\.util\s+-\s+(?P<process>\d+)\s+:(?P<event>invoke|ok|fail|info)\s+"
    r":(?P<kind>read|write|cas)\s+"
    r"(?P<value>nil|-?\d+|\[-?\d+\s+-?\d+\]|:[\w-]+)"
)
_OUTCOMES = {"ok": OK, "fail": FAILED, "info": UNKNOWN}


@dataclass(frozen=True)
class _Event:
    line: int
    text: str
    process: int
    event: str
    kind: str
    value: str

    def error(self, problem: str, remedy: str) -> HistoryError:
        return HistoryError(self.line, self.text, problem, remedy)

    def parsed(self) -> Any:
        """Return the value as it is kept in an operation; None for nil."""
        numbers = [int(number) for number in re.findall(r"-?\d+", self.value)]
        # `:timed-out` stands where nobody knows a value; no event of which we ask has one.
        shape = CAS if len(numbers) == 2 else "write" if numbers else self.value
        if shape not in {CAS: (CAS,), "write": ("write",), READ: ("write", "nil")}[self.kind]:
            raise self.error(
                f"{self.value} is no value of a {self.kind}",
                "A write has a number, a cas has [old new], a read has nil or a number.",
            )
        if shape == CAS:
            return tuple(numbers)
        return numbers[0] if numbers else None


def from_jepsen_log(text: str, key: str = "register") -> tuple[Operation, ...]:
    """Read a log of events of one register.

    Args:
        text: the whole file; an empty line is skipped.
        key: the name that the register is to have.

    Returns:
        The operations in the order of their calls. What has no return at the end is unknown.

    Raises:
        HistoryError: a line is no event, or does not fit those before it.
    """
    calls: list[_Event] = []
    ends: dict[int, _Event] = {}
    pending: dict[int, _Event] = {}
    gone: dict[int, _Event] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        event = _parse(number, line)
        if (last := gone.get(event.process)) is not None:
            raise event.error(
                f"process {event.process} was given up in line {last.line}",
                "After :info use a new process number.",
            )
        call = pending.pop(event.process, None)
        if event.event == "invoke":
            if call is not None:
                raise event.error(
                    f"process {event.process} still has its call of line {call.line}",
                    "A process calls again after :ok or :fail.",
                )
            event.parsed()
            calls.append(event)
            pending[event.process] = event
            continue
        if call is None:
            raise event.error(
                f"process {event.process} has called nothing", "Put its :invoke before this line."
            )
        _check(call, event)
        ends[call.line] = event
        if event.event == "info":
            gone[event.process] = event
    return tuple(_operation(call, ends.get(call.line), key) for call in calls)


def _parse(number: int, line: str) -> _Event:
    found = _EVENT.fullmatch(line.strip())
    if found is None:
        raise HistoryError(
            number,
            line,
            "no event of a register",
            "Expected: INFO  jepsen.util - PROCESS :invoke, :ok, :fail or :info, then :read, "
            ":write or :cas, then a value. Leave out what other parts of Jepsen have logged.",
        )
    event, kind, value = found["event"], found["kind"], found["value"]
    return _Event(number, line, int(found["process"]), event, kind, value)


def _check(call: _Event, end: _Event) -> None:
    """See that the end is one of this call."""
    is_same = call.kind == end.kind
    if is_same and (end.event == "ok" or not end.value.startswith(":")):
        is_same = call.kind == READ or call.parsed() == end.parsed()
    if not is_same:
        raise end.error(
            f"process {end.process} called :{call.kind} {call.value} in line {call.line}",
            "Let the end of a call have its kind and its value.",
        )


def _operation(call: _Event, end: _Event | None, key: str) -> Operation:
    outcome = UNKNOWN if end is None else _OUTCOMES[end.event]
    told = end if end is not None and outcome == OK else call
    return Operation(
        process=call.process,
        key=key,
        kind=call.kind,
        value=told.parsed(),
        called_us=call.line,
        returned_us=None if end is None or outcome == UNKNOWN else end.line,
        outcome=outcome,
    )
