"""
The command line: C{python -m benchmarks --help}.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.auth import auth
from benchmarks.bigbodies import bigBodies
from benchmarks.clientcost import clientCost
from benchmarks.handshake import handshake
from benchmarks.haproxy import haproxyVersion
from benchmarks.ours import PushProx
from benchmarks.parked import parked
from benchmarks.plot import newFigure, plot
from benchmarks.programs import Cores, Unmeasurable
from benchmarks.rest import rest
from benchmarks.scrape import scrape
from benchmarks.setting import FULL, QUICK, SMOKE, Setting
from benchmarks.table import Section

MEASUREMENTS: dict[str, Callable[[Setting], list[Section]]] = {
    "scrape": scrape,
    "auth": auth,
    "client": clientCost,
    "handshake": handshake,
    "parked": parked,
    "bodies": bigBodies,
    "rest": rest,
}

#: Seconds after which to give up, whatever is going on.
_LIMIT = 1200


def arguments() -> argparse.Namespace:
    """
    @return: what the command line says.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure what PushProx costs, beside HAProxy in the same run.",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=MEASUREMENTS,
        metavar="NAME",
        help=f"measure only this, of {', '.join(MEASUREMENTS)}; may be given more"
        " than once",
    )
    efforts = parser.add_mutually_exclusive_group()
    efforts.add_argument(
        "--quick", action="store_true", help="a first look, in about a minute"
    )
    efforts.add_argument(
        "--smoke",
        action="store_true",
        help="only see that everything works: the numbers say nothing",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write all the numbers"
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw CPU over the size of bodies, as SVG or PNG: two minutes more",
    )
    parser.add_argument(
        "--tree",
        type=Path,
        default=Path.cwd(),
        metavar="DIR",
        help="measure what is in this directory, in place of this one",
    )
    parser.add_argument(
        "--python",
        default=sys.executable,
        metavar="FILE",
        help="run the programs with this Python",
    )
    return parser.parse_args()


def measure(given: argparse.Namespace) -> None:
    """
    Measure, and print the table part by part.

    @raise Unmeasurable: if that is not possible.
    """
    effort = SMOKE if given.smoke else QUICK if given.quick else FULL
    cores = Cores.ofThisMachine()
    setting = Setting(PushProx(given.python, given.tree), cores, effort)
    figure = newFigure() if given.plot else None
    what = (
        f"{setting.pushProx.versions()}, {haproxyVersion()},"
        f" Linux {platform.release()} on {os.cpu_count()} cores"
    )
    print(what, flush=True)
    # The load is this process; what it measures is bound to another core.
    os.sched_setaffinity(0, {cores.load})
    numbers: dict[str, Any] = {"what": what}
    for name in given.only or MEASUREMENTS:
        for section in MEASUREMENTS[name](setting):
            print("", *section.lines(), sep="\n", flush=True)
            numbers[section.title] = section.raw
    if given.plot:
        plot(setting, figure, given.plot)
    if given.json:
        given.json.write_text(json.dumps(numbers, indent=1))


def _giveUp(number: int, _: object) -> None:
    # By way of the contexts that end what was started.
    raise SystemExit(f"benchmarks: ended by {signal.Signals(number).name}")


def main() -> None:
    """
    @raise SystemExit: with one line, if there is nothing to measure.
    """
    given = arguments()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, _giveUp)
    signal.alarm(_LIMIT)
    try:
        measure(given)
    except Unmeasurable as error:
        raise SystemExit(f"benchmarks: {error}") from None


if __name__ == "__main__":
    main()
