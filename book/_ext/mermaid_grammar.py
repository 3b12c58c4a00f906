"""Check a Mermaid text line by line before it is drawn.

The renderer skips whatever it does not understand: a diagram with a misspelled arrow would be drawn
without it, and nobody would notice. So each line must be one this grammar knows. It covers the
three kinds of diagram the book draws; the syntax is Mermaid's own (https://mermaid.js.org/syntax/).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass


class MermaidError(ValueError):
    """A line that does not parse.

    Attributes:
        line: its number within the text, from 1.
    """

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Kind:
    """One kind of diagram: its first line, its other lines, and the words it shows."""

    header: re.Pattern[str]
    line: Callable[[str], list[str] | None]


_ID = r"[A-Za-z_][\w-]*?"
_SHAPES = (
    r"\[\((?P<cylinder>[^()\[\]]+)\)\]",
    r"\(\[(?P<stadium>[^()\[\]]+)\]\)",
    r"\[\[(?P<subroutine>[^\[\]]+)\]\]",
    r"\(\((?P<circle>[^()]+)\)\)",
    r"\{\{(?P<hexagon>[^{}]+)\}\}",
    r"\[\"(?P<quoted>[^\"]+)\"\]",
    r"\[(?P<box>[^\[\]()]+)\]",
    r"\((?P<round>[^()\[\]]+)\)",
    r"\{(?P<diamond>[^{}]+)\}",
)
_NODE = re.compile(rf"(?P<id>{_ID})(?:{'|'.join(_SHAPES)})?(?=\s|$|&|-|=|<|:)(?::::\w+)?")
_ARROW = re.compile(
    r"\s*(?:<?(?:-{2,}|={2,}|-\.+-)[>ox]?)(?:\|(?P<piped>[^|]+)\|)?\s*"
    r"|\s*<?--\s+(?P<inline>[^->|]+?)\s+-->\s*"
)
_AND = re.compile(r"\s*&\s*")


def _flowchart(line: str) -> list[str] | None:
    if re.fullmatch(r"end|direction (TB|TD|BT|LR|RL)|(classDef|class|style|linkStyle) .+", line):
        return []
    if group := re.fullmatch(rf"subgraph (?:{_ID}\s*\[(.+)\]|(.+))", line):
        return [group[1] or group[2]]
    words: list[str] = []
    position = 0
    expects_node = True
    while position < len(line):
        if expects_node:
            node = _NODE.match(line, position)
            if node is None:
                return None
            labels = [text for name, text in node.groupdict().items() if text and name != "id"]
            words += labels
            position = node.end()
        else:
            joint = _AND.match(line, position) or _ARROW.match(line, position)
            if joint is None or joint.end() == position:
                return None
            words += [text for text in joint.groupdict().values() if text]
            position = joint.end()
        expects_node = not expects_node
    return None if expects_node else words


_WHO = r"[A-Za-z_]\w*"


def _sequence(line: str) -> list[str] | None:
    patterns = (
        rf"(?:participant|actor) (?:{_WHO}) as (.+)",
        rf"(?:participant|actor) ({_WHO})",
        rf"{_WHO}\s*(?:-->>|->>|-->|->|--x|-x|--\)|-\))[+-]?\s*{_WHO}\s*:\s*(.+)",
        rf"[Nn]ote (?:over|left of|right of) {_WHO}(?:\s*,\s*{_WHO})?\s*:\s*(.+)",
        r"(?:loop|alt|else|opt|par|and|critical|break)(?: (.+))?",
        rf"(?:activate|deactivate) {_WHO}()|end()|autonumber()",
    )
    for pattern in patterns:
        if found := re.fullmatch(pattern, line):
            return [text for text in found.groups() if text]
    return None


def _state(line: str) -> list[str] | None:
    name = r"(?:\[\*\]|[A-Za-z_]\w*)"
    patterns = (
        rf"{name}\s*-->\s*{name}(?:\s*:\s*(.+))?",
        r"state \"([^\"]+)\" as [A-Za-z_]\w*",
        r"state [A-Za-z_]\w* \{()|\}()|direction (?:TB|BT|LR|RL)()",
        r"[A-Za-z_]\w*\s*:\s*(.+)",
    )
    for pattern in patterns:
        if found := re.fullmatch(pattern, line):
            return [text for text in found.groups() if text]
    return None


KINDS = (
    Kind(re.compile(r"(?:graph|flowchart) (?:TB|TD|BT|LR|RL)"), _flowchart),
    Kind(re.compile(r"sequenceDiagram"), _sequence),
    Kind(re.compile(r"stateDiagram(?:-v2)?"), _state),
)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip().rstrip(";")
        if stripped and not stripped.startswith("%%"):
            yield number, stripped


def shown_words(text: str) -> list[str]:
    """Return every label that the drawing must show.

    Args:
        text: a flowchart, a sequence diagram or a state diagram.

    Raises:
        MermaidError: a line does not parse, or the diagram is of another kind.
    """
    lines = _lines(text)
    number, header = next(lines, (1, ""))
    kind = next((kind for kind in KINDS if kind.header.fullmatch(header)), None)
    if kind is None:
        raise MermaidError(
            number,
            f"{header!r} does not begin a diagram. Begin with 'flowchart LR' (or TB, BT, RL), "
            "'sequenceDiagram' or 'stateDiagram-v2'.",
        )
    words: list[str] = []
    for number, line in lines:
        labels = kind.line(line)
        if labels is None:
            raise MermaidError(number, f"this line does not parse: {line!r}")
        words += [part.strip().strip('"') for label in labels for part in _breaks(label)]
    return words


def _breaks(label: str) -> list[str]:
    return [part for part in re.split(r"<br\s*/?>|\\n", label) if part.strip()]
