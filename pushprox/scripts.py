"""
The console scripts: C{pushprox-proxy FLAGS} is C{twistd --nodaemon
pushprox-proxy FLAGS}, so that a unit file of the Go programs needs a new path
and nothing else. C{pushprox-token NAME} makes a token.

Knows how C{twistd} is called; nothing of what the programs do.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TextIO

from twisted.scripts import twistd

from pushprox.credentials import digestOf, makeToken

# What YAML takes for a name, without quotes. A null is none.
_PLAIN = re.compile(r"(?!(?:null|Null|NULL)\Z)[A-Za-z0-9_][A-Za-z0-9_.-]*")


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


def token(
    argv: list[str] = sys.argv,
    out: TextIO = sys.stdout,
    notes: TextIO = sys.stderr,
) -> None:
    """
    Make a token for whoever has this name.

    @param out: where the token goes, and nothing else: to its owner, and to
        nobody else.
    @param notes: where the line goes that lets it in.
    @raise SystemExit: if no name is given, or one that needs quotes.
    """
    if len(argv) != 2 or not _PLAIN.fullmatch(argv[1]):
        raise SystemExit("Usage: pushprox-token NAME > FILE")
    made = makeToken()
    out.write(f"{made}\n")
    digest = digestOf(made.encode("ascii")).decode("ascii")
    notes.write(
        "# for the proxy's web config file, in the section pushprox, under tokens:\n"
        f"{argv[1]}: {digest}\n"
    )


def _underTwistd(plugin: str, argv: list[str], run: Callable[[], None]) -> None:
    """
    @param argv: the command line, which is rewritten in place: C{twistd}
        reads L{sys.argv}.
    """
    argv[1:] = ["--nodaemon", plugin, *argv[1:]]
    run()
