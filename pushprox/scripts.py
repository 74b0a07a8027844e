"""
The console scripts: C{pushprox-proxy FLAGS} is C{twistd --nodaemon
pushprox-proxy FLAGS}, so that a unit file of the Go programs needs a new path
and nothing else.

Knows how C{twistd} is called; nothing of what the programs do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from twisted.scripts import twistd


def proxy(argv: list[str] = sys.argv, run: Callable[[], None] = twistd.run) -> None:
    """
    Run the proxy.
    """
    _underTwistd("pushprox-proxy", argv, run)


def client(argv: list[str] = sys.argv, run: Callable[[], None] = twistd.run) -> None:
    """
    Run the client.
    """
    _underTwistd("pushprox-client", argv, run)


def _underTwistd(plugin: str, argv: list[str], run: Callable[[], None]) -> None:
    """
    @param argv: the command line, which is rewritten in place: C{twistd}
        reads L{sys.argv}.
    """
    argv[1:] = ["--nodaemon", plugin, *argv[1:]]
    run()
