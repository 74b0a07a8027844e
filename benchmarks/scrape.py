"""
What a scrape costs the proxy, beside HAProxy's one request of the same body.
"""

from __future__ import annotations

from statistics import median
from typing import Any

import attrs

from benchmarks.haproxy import haproxy
from benchmarks.programs import freePort
from benchmarks.scraping import Body, Run, throughHAProxy, throughProxy
from benchmarks.setting import Setting
from benchmarks.table import Section, bytesText, middle, spread

SIZES = (10_000, 200_000, 2_000_000)
AT_ONCE = (16, 200)


@attrs.frozen
class Comparison:
    """
    Runs of the proxy and of HAProxy, made in turn: those at one place in the
    three lists followed one another.

    @ivar plain: of the proxy, with targets that tell the length of their body.
    @ivar chunked: of the proxy, with targets that send chunks.
    """

    size: int
    atOnce: int
    plain: list[Run] = attrs.field(factory=list)
    chunked: list[Run] = attrs.field(factory=list)
    haproxy: list[Run] = attrs.field(factory=list)

    @property
    def name(self) -> str:
        """
        What to call it.
        """
        return f"{bytesText(self.size)}, {self.atOnce} at once"

    def ratios(self, runs: list[Run]) -> list[float]:
        """
        @return: each run's CPU as a multiple of HAProxy's.
        """
        pairs = zip(runs, self.haproxy, strict=True)
        return [ours.cpu / theirs.cpu for ours, theirs in pairs]


def compare(
    setting: Setting, size: int, atOnce: int, withChunks: bool = True
) -> Comparison:
    """
    Measure a proxy and HAProxy in turn.

    @param withChunks: whether to measure chunked bodies as well.
    """
    comparison = Comparison(size, atOnce)
    core = setting.cores.measured
    port, origin = freePort(), freePort()
    address = f"--web.listen-address=127.0.0.1:{port}"
    plain, chunked = Body(size), Body(size, isChunked=True)
    with (
        setting.pushProx.proxy(address, core=core) as proxy,
        haproxy(origin, core) as (other, otherPort),
    ):
        proxy.listening(port)
        counts: dict[str, int] = {}
        for turn in range(-1, setting.pairs):
            for kind, runs, body in (
                ("plain", comparison.plain, plain),
                ("haproxy", comparison.haproxy, plain),
                ("chunked", comparison.chunked, chunked),
            ):
                if kind == "chunked" and not withChunks:
                    continue
                through = (
                    throughHAProxy(other, otherPort, origin, atOnce, body)
                    if kind == "haproxy"
                    else throughProxy(proxy, port, atOnce, body)
                )
                with through as load:
                    if turn < 0:
                        counts[kind] = load.calibrate(setting.seconds)
                    else:
                        load.scrape(2 * atOnce)
                        runs.append(load.scrape(counts[kind]))
    return comparison


def scrape(setting: Setting) -> list[Section]:
    """
    Measure scrapes of all sizes.
    """
    comparisons = []
    for size in SIZES:
        for atOnce in AT_ONCE:
            if setting.isQuick and atOnce > AT_ONCE[0]:
                continue
            comparisons.append(compare(setting, size, atOnce))
            ratio = spread(comparisons[-1].ratios(comparisons[-1].plain), ".1f")
            setting.say(f"{comparisons[-1].name}: {ratio} of HAProxy")
    return [_cpu(comparisons), _speed(comparisons)]


def _cpu(comparisons: list[Comparison]) -> Section:
    rows = []
    for one in comparisons:
        for runs, more in ((one.plain, ""), (one.chunked, ", chunked")):
            rows.append(
                [
                    one.name + more,
                    middle([run.cpu * 1e6 for run in runs], ".0f"),
                    middle([run.cpu * 1e6 for run in one.haproxy], ".0f"),
                    spread(one.ratios(runs), ".1f"),
                ]
            )
    return Section(
        "CPU of the proxy per scrape",
        ["us", "HAProxy us", "ratio"],
        rows,
        [attrs.asdict(one, filter=_withoutLatencies) for one in comparisons],
        [
            "A scrape is a poll, a scrape and a push; HAProxy forwards its body once,"
            " as one request.",
            f"Medians [and spread] of {len(comparisons[0].plain)} pairs, measured in"
            " turn.",
        ],
    )


def _withoutLatencies(attribute: attrs.Attribute[Any], _: object) -> bool:
    return attribute.name != "latencies"


def _speed(comparisons: list[Comparison]) -> Section:
    rows = []
    raw = []
    for one in comparisons:
        if one.atOnce != AT_ONCE[0]:
            continue
        rates = [run.scrapes / run.elapsed for run in one.plain]
        latencies = sorted(took for run in one.plain for took in run.latencies)
        p50 = median(latencies)
        p99 = latencies[int(len(latencies) * 0.99)]
        share = median(run.share for run in one.plain)
        loadShare = median(run.loadShare for run in one.plain)
        rows.append(
            [
                one.name,
                spread(rates, ".0f"),
                f"{p50 * 1000:.1f}",
                f"{p99 * 1000:.1f}",
                f"{share:.0%}",
                f"{loadShare:.0%}",
            ]
        )
        raw.append(
            {
                "size": one.size,
                "atOnce": one.atOnce,
                "rates": rates,
                "p50": p50,
                "p99": p99,
                "share": share,
                "loadShare": loadShare,
            }
        )
    return Section(
        "Scrapes a second on one core",
        ["scrapes/s", "p50 ms", "p99 ms", "proxy CPU", "load CPU"],
        rows,
        raw,
        [
            "The load is not what limits: it takes less of its core than the proxy"
            " does of its own.",
        ],
    )
