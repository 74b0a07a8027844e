"""
A picture of what a scrape costs, over the size of its body.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from benchmarks.comparison import Comparison
from benchmarks.programs import Unmeasurable
from benchmarks.scrape import compareProxy
from benchmarks.setting import Setting
from benchmarks.table import bytesText

#: Sizes of bodies, in bytes.
SIZES = (
    *(digit * 10**zeros for zeros in (3, 4, 5) for digit in (1, 2, 5)),
    *(1_000_000, 2_000_000, 4_000_000, 8_000_000),
)

#: More is not needed for a point.
_PAIRS = 3
_SECONDS = 0.3


def newFigure() -> Any:
    """
    @return: an empty figure of matplotlib, which nothing else here needs.
    @raise Unmeasurable: if there is no matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise Unmeasurable("--plot needs matplotlib: pip install matplotlib") from None
    return Figure(figsize=(7, 4.5), layout="constrained")


def plot(setting: Setting, figure: Any, file: Path) -> None:
    """
    Measure bodies of many sizes, and draw.

    @param figure: of matplotlib, empty.
    @param file: whose name says in which format it is to be.
    """
    effort = attrs.evolve(
        setting.effort,
        pairs=min(_PAIRS, setting.effort.pairs),
        seconds=min(_SECONDS, setting.effort.seconds),
    )
    setting = attrs.evolve(setting, effort=effort)
    comparisons = [
        compareProxy(setting, size, effort.atOnce[0], withChunks=False)
        for size in SIZES
    ]
    _draw(figure, comparisons)
    # Without a date, so that a file changes only with what it shows.
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)


def _draw(figure: Any, comparisons: list[Comparison]) -> None:
    axes = figure.add_subplot()
    sizes = [one.size for one in comparisons]
    for kind, name, color in (
        ("plain", "PushProx: poll, scrape and push", "tab:blue"),
        ("haproxy", "HAProxy: one plain request", "tab:gray"),
    ):
        runs = [[run.cpu * 1e6 for run in one.runs[kind]] for one in comparisons]
        axes.fill_between(
            sizes, list(map(min, runs)), list(map(max, runs)), color=color, alpha=0.2
        )
        middle = [one.cpu(kind) * 1e6 for one in comparisons]
        axes.plot(sizes, middle, marker="o", markersize=3, color=color, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([1e3, 1e4, 1e5, 1e6, 8e6])
    axes.set_xticklabels(map(bytesText, (1e3, 1e4, 1e5, 1e6, 8e6)))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("size of the body")
    axes.set_ylabel("CPU of the proxy, in microseconds")
    atOnce = comparisons[0].atOnce
    axes.set_title(f"{atOnce} at once; medians, least and most", fontsize=10)
    axes.grid(which="major", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
