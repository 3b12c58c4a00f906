"""JSON merge patch (RFC 7396), whole: the algorithm has nine lines."""

from __future__ import annotations

from typing import Any


def merge_patch(target: Any, patch: Any) -> Any:
    """What a document becomes under a patch. Neither is changed.

    A member with the value null is taken away, so a patch cannot set a member to null; and a list
    is replaced as a whole, so it cannot change one element.
    """
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result
