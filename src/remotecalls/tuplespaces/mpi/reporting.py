"""How a rank says what it found: a line of JSON on its standard output."""

from __future__ import annotations

import json
import sys


def report(**values: object) -> None:
    """Write one line, at once, so that it is there when the rank is killed a moment later."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()
