"""One replica: what it has of each key, and what it keeps for others."""

from __future__ import annotations

from collections.abc import Mapping

from remotecalls.simulators.consistency.versions import Copies, Versions


class Replica:
    """A store of copies that never goes back: whatever comes is merged with what is there.

    Attributes:
        store: the copies of each key that was ever written.
        hints: copies kept for another replica, by that replica and the key.
    """

    def __init__(self, versions: Versions) -> None:
        self.store: dict[int, Copies] = {}
        self.hints: dict[tuple[int, int], Copies] = {}
        self._versions = versions

    def read(self, key: int) -> Copies:
        """Return what there is of a key."""
        return self.store.get(key, ())

    def write(self, key: int, copies: Copies) -> None:
        """Take in copies of a key."""
        self.store[key] = self._versions.merge(self.read(key), copies)

    def write_all(self, store: Mapping[int, Copies]) -> None:
        """Take in what another replica has."""
        for key, copies in store.items():
            self.write(key, copies)

    def keep_hint(self, owner: int, key: int, copies: Copies) -> None:
        """Keep copies that are meant for another replica."""
        kept = self.hints.get((owner, key), ())
        self.hints[owner, key] = self._versions.merge(kept, copies)
