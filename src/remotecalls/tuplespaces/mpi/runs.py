"""What is known of some ranks when they have ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


class RanksFailed(Exception):
    """A program did not end well on all of its ranks; the message says what they wrote."""


@dataclass(frozen=True)
class MpiRun:
    """A program that ran on some ranks.

    Attributes:
        program: its name.
        ranks: how many there were.
        exit_status: that of `mpiexec`; 0 if every rank ended well. MPICH gives the error code if
            a rank called `Abort`, and the number of the signal if a rank was killed by one, which
            may be a rank that MPICH itself killed because of another.
        outputs: the standard output of each rank.
        errors: the standard error of each rank.
        launcher: what `mpiexec` itself wrote, on both of its streams.
        seconds: how long it took, with the start of the processes.
    """

    program: str
    ranks: int
    exit_status: int
    outputs: tuple[str, ...]
    errors: tuple[str, ...]
    launcher: str
    seconds: float

    def check(self) -> MpiRun:
        """Return the run itself, if it ended well.

        Raises:
            RanksFailed: it did not.
        """
        if self.exit_status != 0:
            raise RanksFailed(
                f"{self.program} on {self.ranks} ranks ended with exit status "
                f"{self.exit_status}\n{self.told()}"
            )
        return self

    def records(self) -> list[list[dict[str, Any]]]:
        """Return what each rank reported: the lines of its output that are JSON objects.

        The programs of this package write one such line for each thing they have to say, see
        `reporting`.
        """
        return [
            [json.loads(line) for line in text.splitlines() if line.startswith("{")]
            for text in self.outputs
        ]

    def told(self) -> str:
        """Return what was written to standard error, by the ranks and by `mpiexec`."""
        lines = [
            f"  rank {rank}: {line}"
            for rank, text in enumerate(self.errors)
            for line in text.splitlines()
        ]
        lines += [f"  mpiexec: {line}" for line in self.launcher.splitlines() if line.strip("= ")]
        return "\n".join(lines)
