"""
The command line: C{python -m benchmarks --help}.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from benchmarks.clientcost import clientCost
from benchmarks.handshake import handshake
from benchmarks.haproxy import haproxyVersion
from benchmarks.parked import parked
from benchmarks.programs import Cores, PushProx, Unmeasurable
from benchmarks.scrape import scrape
from benchmarks.setting import FULL, QUICK, SMOKE, Setting

MEASUREMENTS = {
    "scrape": scrape,
    "client": clientCost,
    "handshake": handshake,
    "parked": parked,
}


def arguments() -> argparse.Namespace:
    """
    @return: what the command line says.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        choices=MEASUREMENTS,
        metavar="NAME",
        help="measure only this; may be given more than once: "
        + ", ".join(MEASUREMENTS),
    )
    parser.add_argument(
        "--quick",
        action="store_const",
        dest="effort",
        const=QUICK,
        default=FULL,
        help="be content with less: about a minute in all",
    )
    parser.add_argument(
        "--smoke",
        action="store_const",
        dest="effort",
        const=SMOKE,
        help="only see that everything works: the numbers say nothing",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the numbers")
    parser.add_argument(
        "--tree", type=Path, default=Path.cwd(), help="measure the code of this tree"
    )
    parser.add_argument(
        "--python", default=sys.executable, help="run the programs with this Python"
    )
    return parser.parse_args()


def main() -> None:
    """
    Measure, and print the table.

    @raise SystemExit: with one line, if that is not possible.
    """
    given = arguments()
    # So that what was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    cores = Cores.ofThisMachine()
    setting = Setting(PushProx(given.python, given.tree), cores, given.effort)
    try:
        what = f"{setting.pushProx.versions()}, {haproxyVersion()}"
        # The load is this process.
        os.sched_setaffinity(0, {cores.load})
        sections = [
            section
            for name in given.only or MEASUREMENTS
            for section in MEASUREMENTS[name](setting)
        ]
    except Unmeasurable as error:
        raise SystemExit(f"benchmarks: {error}") from None
    print(what)
    for section in sections:
        print("", *section.lines(), sep="\n")
    if given.json:
        numbers = {section.title: section.raw for section in sections}
        given.json.write_text(json.dumps({"what": what, **numbers}, indent=1))


if __name__ == "__main__":
    main()
