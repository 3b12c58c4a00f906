"""Whether what the clients of a run saw is linearizable, and the smallest piece that is not."""

from __future__ import annotations

from dataclasses import dataclass

from remotecalls.simulators.consistency.result import ConsistencyResult
from remotecalls.simulators.linearizability import (
    LINEARIZABLE,
    UNDECIDED,
    Fragment,
    check_registers,
    smallest_fragment,
)

STEP_LIMIT = 200_000
"""A page may wait for so many steps of a search. Values are unique, so that few are needed."""

_SENTENCES = {
    LINEARIZABLE: "Linearizable: there is an order that explains all of it.",
    UNDECIDED: "Not decided: the search for an order was given up.",
}


@dataclass(frozen=True)
class Judgement:
    """What the checker says of a history.

    Attributes:
        answer: "linearizable", "not linearizable" or "undecided".
        sentence: the answer as a sentence.
        fragment: if it is not linearizable, a part of it from which no operation can be removed.
    """

    answer: str
    sentence: str
    fragment: Fragment | None = None


def judge(result: ConsistencyResult) -> Judgement:
    """Decide about a run; each key is a register that is empty at first.

    A read that returns siblings returns one of them here, the first.
    """
    verdict = check_registers(result.history, step_limit=STEP_LIMIT)
    if verdict.answer in _SENTENCES:
        return Judgement(verdict.answer, _SENTENCES[verdict.answer])
    fragment = smallest_fragment(result.history)
    count = len(fragment.operations)
    return Judgement(
        verdict.answer, f"Not linearizable: no order explains these {count} operations.", fragment
    )
