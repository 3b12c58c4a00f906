"""Who is left out in `balancing`: a proxy that counts the errors in a row of each server.

It follows Envoy's outlier detection, of which the consecutive errors are one kind:

* After so many errors in a row a server is ejected. One answer, and the count begins anew.
* It is not ejected if more than the largest share of the servers would be out. Then, too, the count
  begins anew.
* The first ejection lasts the base time, the next one twice that, and so on. A look, which happens
  at regular times, brings a server back whose time is over. At each look that finds it back for an
  interval or more, the next ejection gets shorter by the base time.

Left out: the other kinds of detection, `always_eject_one_host`, the upper limit of an ejection and
its jitter, the time that the news takes from Envoy's main thread to its workers (at worst a second,
by `update_merge_window`, if there was other news shortly before), and panic: Envoy sends to all
servers again when fewer than half of them are in, which one that fails of two or more cannot bring
about.

Source: Envoy, "Outlier detection" (architecture overview), and `outlier_detection_impl.cc`.
"""

from __future__ import annotations

from dataclasses import dataclass

from remotecalls.simulators.balancing_parameters import BalancingParameters
from remotecalls.simulators.balancing_result import Ejected


@dataclass
class _Record:
    errors_in_a_row: int = 0
    multiplier: int = 0
    out_until_us: int = 0


class OutlierDetection:
    """What one proxy remembers of the servers behind it.

    Attributes:
        ejections: in order.
        overflows: how often a server had errors enough and stayed, because of the largest share.
    """

    def __init__(self, parameters: BalancingParameters) -> None:
        """Know nothing bad of anybody."""
        self.ejections: list[Ejected] = []
        self.overflows = 0
        self._parameters = parameters
        self._records = [_Record() for _ in range(parameters.servers)]

    def is_out(self, server: int, now_us: int) -> bool:
        """Whether nobody may be sent there now."""
        return now_us < self._records[server].out_until_us

    def answered(self, server: int, now_us: int, *, ok: bool, known: int) -> None:
        """Count an answer, and eject the server if it is one error too many.

        Args:
            server: who answered.
            now_us: the time.
            ok: whether it was no error.
            known: how many servers the proxy knows of, with those that are out.
        """
        if self.is_out(server, now_us):
            return  # A call from before the ejection; the server comes back with a count of zero.
        record = self._records[server]
        record.errors_in_a_row = 0 if ok else record.errors_in_a_row + 1
        rule = self._parameters.eject_after
        if not rule or record.errors_in_a_row < rule:
            return
        record.errors_in_a_row = 0
        out = sum(self.is_out(number, now_us) for number in range(len(self._records)))
        if 100 * (out + 1) > self._parameters.eject_at_most_percent * known:
            self.overflows += 1
        else:
            self._eject(server, record, now_us)

    def _eject(self, server: int, record: _Record, now_us: int) -> None:
        every_us = self._parameters.look_every_us
        # It came back at a look, so these are the looks that found it back for an interval or more.
        looks = (now_us - record.out_until_us) // every_us
        record.multiplier = max(record.multiplier - looks, 0) + 1
        over_us = now_us + self._parameters.eject_for_us * record.multiplier
        record.out_until_us = -(-over_us // every_us) * every_us
        self.ejections.append(Ejected(server, now_us, record.out_until_us))
