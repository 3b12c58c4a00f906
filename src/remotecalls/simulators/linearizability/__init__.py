"""Checkers of linearizability, and what to look at when the answer is no.

`check_registers` decides in a moment for registers with reads and writes; `check` decides for any
sequential `Model`, as far as its limit of steps goes. `smallest_fragment` shows what of a history
is wrong, and the oracles say how stale reads were and where sessions went backward.
"""

from remotecalls.simulators.linearizability.fragment import Fragment, smallest_fragment, without
from remotecalls.simulators.linearizability.history import (
    HistoryError,
    Operation,
    from_json_lines,
    to_json_lines,
)
from remotecalls.simulators.linearizability.jepsen import from_jepsen_log
from remotecalls.simulators.linearizability.models import CasRegister, Model, Queue, Set
from remotecalls.simulators.linearizability.oracles import (
    BackwardRead,
    Staleness,
    UnreadOwnWrite,
    backward_reads,
    staleness,
    unread_own_writes,
    unwritten_reads,
)
from remotecalls.simulators.linearizability.registers import check_registers, search_registers
from remotecalls.simulators.linearizability.search import check
from remotecalls.simulators.linearizability.verdict import (
    LINEARIZABLE,
    NOT_LINEARIZABLE,
    STEP_LIMIT,
    UNDECIDED,
    Verdict,
    effect_times_us,
)

__all__ = [
    "LINEARIZABLE",
    "NOT_LINEARIZABLE",
    "STEP_LIMIT",
    "UNDECIDED",
    "BackwardRead",
    "CasRegister",
    "Fragment",
    "HistoryError",
    "Model",
    "Operation",
    "Queue",
    "Set",
    "Staleness",
    "UnreadOwnWrite",
    "Verdict",
    "backward_reads",
    "check",
    "check_registers",
    "effect_times_us",
    "from_jepsen_log",
    "from_json_lines",
    "search_registers",
    "smallest_fragment",
    "staleness",
    "to_json_lines",
    "unread_own_writes",
    "unwritten_reads",
    "without",
]
