"""
What a scrape costs the client, beside HAProxy's one request of the same body.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from statistics import median

from benchmarks.body import Body
from benchmarks.comparison import Comparison, compare
from benchmarks.haproxy import haproxy
from benchmarks.load import Assignments, Load, throughHAProxy
from benchmarks.loop import Loop
from benchmarks.programs import freePort
from benchmarks.setting import Setting
from benchmarks.table import Section

#: Bytes of the largest body that is of interest here.
LARGEST = 200_000


def clientCost(setting: Setting) -> list[Section]:
    """
    Measure scrapes by way of one client, which has a proxy and a target in the
    load.
    """
    effort = setting.effort
    comparisons = [
        _compareClient(setting, size, effort.atOnce[0])
        for size in effort.sizes
        if size <= LARGEST
    ]
    runs = [run for one in comparisons for run in one.runs["client"]]
    return [
        Section(
            "CPU of the client per scrape",
            ["us", "HAProxy us", "ratio"],
            [one.row("client") for one in comparisons],
            [one.raw() for one in comparisons],
            [
                "One scrape is a poll, a request to the target, and a push.",
                f"The client took {median(run.share for run in runs):.0%} of its core;"
                " the load, which has the other, had something to do"
                f" {median(run.loadShare for run in runs):.0%} of the time.",
            ],
        )
    ]


def _compareClient(setting: Setting, size: int, atOnce: int) -> Comparison:
    core = setting.cores.measured
    port, origin = freePort(), freePort()
    body = Body(size)
    flags = (
        f"--proxy-url=http://127.0.0.1:{port}/",
        "--fqdn=localhost",
        "--metrics-addr=",
    )
    loop = Loop()
    try:
        with (
            setting.pushProx.client(*flags, core=core) as ours,
            haproxy(core, origin) as (theirs, [theirPort]),
        ):
            # One for all turns: a client whose proxy was away comes back later.
            load = Assignments(loop, ours, atOnce, body, port)
            kinds: dict[str, Callable[[], AbstractContextManager[Load]]] = {
                "client": lambda: nullcontext(load),
                "haproxy": lambda: throughHAProxy(
                    theirs, theirPort, origin, atOnce, body
                ),
            }
            return compare(setting, size, atOnce, kinds)
    finally:
        loop.close()
