"""Small things that a lab shows: notes, task cards, source code."""

from __future__ import annotations

from dataclasses import dataclass

from remotecalls.notebook.checking import Exercise
from remotecalls.notebook.showing import in_html, prose_in_html


@dataclass(frozen=True)
class Note:
    """A sentence or two."""

    text: str

    def __repr__(self) -> str:
        """Return the text."""
        return self.text

    def _repr_html_(self) -> str:
        """Return the text as a paragraph."""
        return f"<p>{prose_in_html(self.text)}</p>"


@dataclass(frozen=True)
class TaskCard:
    """What an exercise asks, and what it costs."""

    exercise: Exercise

    def __repr__(self) -> str:
        """Return the card as text."""
        one = self.exercise
        task = f"\n  {one.task}" if one.task else ""
        return f"Exercise {one.name} ({one.kind}): {one.title}{task}\n  {self._cost()}"

    def _repr_html_(self) -> str:
        """Return the card as HTML."""
        one = self.exercise
        task = f"<p>{prose_in_html(one.task)}</p>" if one.task else ""
        return (
            f"<p><strong>Exercise {in_html(one.name)} ({one.kind}): {in_html(one.title)}</strong>"
            f"</p>{task}<p>{in_html(self._cost())}</p>"
        )

    def _cost(self) -> str:
        lines = "1 line" if self.exercise.lines == 1 else f"{self.exercise.lines} lines"
        return f"About {self.exercise.minutes} minutes; our solution has {lines} of code."


@dataclass(frozen=True)
class Transcript:
    """Source code with a sentence above it."""

    headline: str
    source: str

    def __repr__(self) -> str:
        """Return the source as text."""
        return f"{self.headline}\n\n{self.source.rstrip()}"

    def _repr_html_(self) -> str:
        """Return the source as HTML."""
        return f"<p>{in_html(self.headline)}</p><pre>{in_html(self.source.rstrip())}</pre>"
