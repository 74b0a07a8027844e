"""
What a scrape costs the proxy, beside HAProxy's one request of the same body;
and how fast it is.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from statistics import median

from benchmarks.body import Body
from benchmarks.comparison import Comparison, compare
from benchmarks.haproxy import haproxy
from benchmarks.load import Load, throughHAProxy, throughProxy
from benchmarks.programs import freePort
from benchmarks.setting import Setting
from benchmarks.table import Section, spread


def compareProxy(
    setting: Setting, size: int, atOnce: int, withChunks: bool = True
) -> Comparison:
    """
    Measure a proxy and HAProxy in turn.

    @param withChunks: whether to measure targets that send chunks, too.
    """
    core = setting.cores.measured
    port, origin = freePort(), freePort()
    plain, chunked = Body(size), Body(size, isChunked=True)
    address = f"--web.listen-address=127.0.0.1:{port}"
    with (
        setting.pushProx.proxy(address, core=core) as ours,
        haproxy(core, origin) as (theirs, [theirPort]),
    ):
        ours.listening(port)
        kinds: dict[str, Callable[[], AbstractContextManager[Load]]] = {
            "plain": lambda: throughProxy(ours, port, atOnce, plain),
            "haproxy": lambda: throughHAProxy(theirs, theirPort, origin, atOnce, plain),
        }
        if withChunks:
            kinds["chunked"] = lambda: throughProxy(ours, port, atOnce, chunked)
        return compare(setting, size, atOnce, kinds)


def scrape(setting: Setting) -> list[Section]:
    """
    Measure scrapes of all sizes.
    """
    comparisons = [
        compareProxy(setting, size, atOnce)
        for size in setting.effort.sizes
        for atOnce in setting.effort.atOnce
    ]
    rows = []
    for one in comparisons:
        rows.append(one.row("plain"))
        rows.append(one.row("chunked", ", chunked"))
    cpu = Section(
        "CPU of the proxy per scrape",
        ["us", "HAProxy us", "ratio"],
        rows,
        [one.raw() for one in comparisons],
        [
            "One scrape is a poll, a scrape and a push. HAProxy forwards the same body"
            " once.",
            f"Medians [and spread] of {setting.effort.pairs} pairs, measured in turn.",
        ],
    )
    few = min(setting.effort.atOnce)
    return [cpu, _speed([one for one in comparisons if one.atOnce == few])]


def _speed(comparisons: list[Comparison]) -> Section:
    rows = []
    for one in comparisons:
        runs = one.runs["plain"]
        latencies = sorted(took for run in runs for took in run.latencies)
        rows.append(
            [
                one.name,
                spread([run.scrapes / run.elapsed for run in runs], ".0f"),
                f"{median(latencies) * 1000:.1f}",
                f"{latencies[int(len(latencies) * 0.99)] * 1000:.1f}",
                f"{median(run.share for run in runs):.0%}",
                f"{median(run.loadShare for run in runs):.0%}",
            ]
        )
    return Section(
        "Scrapes per second on one core",
        ["scrapes/s", "p50 ms", "p99 ms", "proxy's CPU", "load's share"],
        rows,
        rows,
        [
            "The load has the other core, and had something to do for its share of"
            " the time."
        ],
    )
