"""What became of messages that nobody handled."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was not handled.

    Attributes:
        target: the actor that it was for.
        message: its name.
        reason: why it was not handled.
    """

    target: str
    message: str
    reason: str


class DeadLetters:
    """The last of them, and how many there have been.

    Attributes:
        count: of all, also of those that are not kept any more.
    """

    def __init__(self, kept: int = 1_000) -> None:
        self.count = 0
        self._kept: deque[DeadLetter] = deque(maxlen=kept)

    def add(self, letter: DeadLetter) -> None:
        """Keep one more, and forget the oldest if there are many."""
        self.count += 1
        self._kept.append(letter)

    def __iter__(self) -> Iterator[DeadLetter]:
        return iter(tuple(self._kept))
