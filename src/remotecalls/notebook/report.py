"""What a check found, as text and as HTML.

A report is the same in every run: it holds no times, addresses or identifiers, so that a notebook
which shows one can be compared with its committed output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from remotecalls.notebook.showing import in_html, prose_in_html

Verdict = Literal["passed", "not yet", "not written yet"]

_GOOD = "var(--rc-good, var(--jp-success-color0, #1b5e20))"
_BAD = "var(--rc-bad, var(--jp-error-color0, #b71c1c))"
_LINE = "var(--rc-line, var(--jp-border-color2, #bdbdbd))"


@dataclass(frozen=True)
class Tried:
    """One attempt, in words.

    Attributes:
        call: what was tried, for example ``decode(b"\\x00\\x02ok")``.
        passed: whether it came out as expected.
        came_back: what it returned, or how it failed; empty for a passed attempt.
        expected: what was expected; empty for a passed attempt.
        message: what the difference means and what to look at; empty for a passed attempt.
    """

    call: str
    passed: bool
    came_back: str = ""
    expected: str = ""
    message: str = ""


@dataclass(frozen=True)
class Report:
    """What one check of one exercise found.

    Attributes:
        exercise: the exercise's name; empty if it does not exist.
        title: its title.
        verdict: whether the answer passed.
        tried: the attempts up to the first that failed.
        message: what to say when there was no attempt to speak of.
        printed: what the answer wrote to standard output, cut to a few lines.
        next_step: what the reader can do now.
    """

    exercise: str
    title: str
    verdict: Verdict
    tried: tuple[Tried, ...] = ()
    message: str = ""
    printed: str = ""
    next_step: str = ""

    @property
    def passed(self) -> bool:
        """Whether the answer passed."""
        return self.verdict == "passed"

    def __bool__(self) -> bool:
        """Return whether the answer passed."""
        return self.passed

    def __str__(self) -> str:
        """Return the report as text."""
        return "\n".join(self._lines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the report as HTML, readable with and without the style of the book."""
        color = _GOOD if self.passed else _BAD
        parts = [
            f'<div class="rc-report" style="border-left: 4px solid {color}; '
            'padding: 0.2em 0 0.2em 0.8em">',
            f"<p><strong>{in_html(self._headline())}</strong></p>",
        ]
        if self.message:
            parts.append(f"<p>{prose_in_html(self.message)}</p>")
        if self.tried:
            parts.append("<ul>" + "".join(_item(one) for one in self.tried) + "</ul>")
        if self.printed:
            parts.append(f"<p>Your code printed:</p><pre>{in_html(self.printed)}</pre>")
        if self.next_step:
            parts.append(f"<p>{prose_in_html(self.next_step)}</p>")
        parts.append("</div>")
        return "".join(parts)

    def _headline(self) -> str:
        count = sum(one.passed for one in self.tried)
        attempts = "attempt" if count == 1 else "attempts"
        detail = f" ({count} {attempts} passed)" if self.tried else ""
        name = f"{self.title} [{self.exercise}]" if self.exercise else self.title
        return f"{name}: {self.verdict}{detail}"

    def _lines(self) -> list[str]:
        lines = [self._headline()]
        if self.message:
            lines.append(f"  {self.message}")
        for one in self.tried:
            lines.append(f"  {'ok     ' if one.passed else 'not yet'}  {one.call}")
            if not one.passed:
                lines.append(f"             came back  {one.came_back}")
                lines.append(f"             expected   {one.expected}")
                lines.append(f"           {one.message}")
        if self.printed:
            lines.append("  Your code printed:")
            lines.extend(f"    {line}" for line in self.printed.splitlines())
        if self.next_step:
            lines.append(f"  {self.next_step}")
        return lines


def _item(one: Tried) -> str:
    if one.passed:
        return f"<li>ok: <code>{in_html(one.call)}</code></li>"
    return (
        f"<li>not yet: <code>{in_html(one.call)}</code>"
        f'<table style="border: 1px solid {_LINE}"><tbody>'
        f'<tr><th scope="row">came back</th><td><code>{in_html(one.came_back)}</code></td></tr>'
        f'<tr><th scope="row">expected</th><td><code>{in_html(one.expected)}</code></td></tr>'
        f"</tbody></table><p>{prose_in_html(one.message)}</p></li>"
    )
