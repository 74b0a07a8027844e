"""
Runs of what is compared, of ours and of HAProxy mostly, made in turn, so that what
else the machine does meanwhile befalls all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from statistics import median
from typing import Any

import attrs

from benchmarks.load import Load, Run
from benchmarks.setting import Setting
from benchmarks.table import bytesText, spread


@attrs.frozen
class Comparison:
    """
    @ivar runs: by kind; those at one place in the lists followed one another.
    @ivar base: the kind that the others are compared with.
    """

    size: int
    atOnce: int
    runs: dict[str, list[Run]]
    base: str = "haproxy"

    @property
    def name(self) -> str:
        """
        What to call it.
        """
        return f"{bytesText(self.size)}, {self.atOnce} at once"

    def ratios(self, kind: str) -> list[float]:
        """
        @return: the CPU of each run as a multiple of that of the base.
        """
        pairs = zip(self.runs[kind], self.runs[self.base], strict=True)
        return [ours.cpu / theirs.cpu for ours, theirs in pairs]

    def row(self, kind: str, more: str = "") -> list[str]:
        """
        @param more: to say of the kind.
        @return: for a table: CPU of the kind and of the base, in microseconds,
            and the ratio.
        """
        return [
            self.name + more,
            f"{self.cpu(kind) * 1e6:.0f}",
            f"{self.cpu(self.base) * 1e6:.0f}",
            spread(self.ratios(kind), ".1f"),
        ]

    def cpu(self, kind: str) -> float:
        """
        @return: CPU for each scrape, in seconds.
        """
        return median(run.cpu for run in self.runs[kind])

    def raw(self) -> dict[str, Any]:
        """
        @return: for JSON.
        """
        return attrs.asdict(self, filter=lambda field, _: field.name != "latencies")


def compare(
    setting: Setting,
    size: int,
    atOnce: int,
    kinds: Mapping[str, Callable[[], AbstractContextManager[Load]]],
    base: str = "haproxy",
) -> Comparison:
    """
    Let each load in its turn do as many scrapes as take about as long as is
    asked for.

    @param base: the kind that the others are compared with.
    """
    runs: dict[str, list[Run]] = {kind: [] for kind in kinds}
    counts = {}
    for kind, through in kinds.items():
        with through() as load:
            counts[kind] = load.calibrate(setting.effort.seconds)
    for _ in range(setting.effort.pairs):
        for kind, through in kinds.items():
            with through() as load:
                load.scrape(atOnce)
                runs[kind].append(load.scrape(counts[kind]))
    comparison = Comparison(size, atOnce, runs, base)
    ours = next(kind for kind in kinds if kind != base)
    setting.say(f"{comparison.name}: {spread(comparison.ratios(ours), '.1f')}")
    return comparison
