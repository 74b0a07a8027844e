"""
What a TLS handshake costs the proxy, beside HAProxy's.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.certificates import KINDS, makeCertificate
from benchmarks.crowd import Visitors, clientContext
from benchmarks.haproxy import haproxy
from benchmarks.loop import Loop
from benchmarks.programs import Program, freePort
from benchmarks.setting import Setting
from benchmarks.table import Section, spread

_AT_ONCE = 16
_REQUEST = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n"


def handshake(setting: Setting) -> list[Section]:
    """
    Measure connections that bring one short request, in plain and over TLS: the
    handshake is the difference.
    """
    core = setting.cores.measured
    kinds = list(KINDS)
    ports = [freePort() for _ in ("plain", *kinds)]
    with TemporaryDirectory() as folder:
        made = [makeCertificate(kind, Path(folder)) for kind in kinds]
        flags = [f"--web.listen-address=127.0.0.1:{ports[0]}"]
        for certificate, port in zip(made, ports[1:], strict=True):
            flags.append(certificate.listen(port))
        with (
            setting.pushProx.proxy(*flags, core=core) as ours,
            haproxy(core, certificates=[each.both for each in made]) as (
                theirs,
                theirPorts,
            ),
        ):
            ours.listening(ports[-1])
            doors = [
                (_Door(ours, port, kind), _Door(theirs, theirPort, kind))
                for kind, port, theirPort in zip(
                    ("", *kinds), ports, theirPorts, strict=True
                )
            ]
            return [_measure(setting, doors[0], doors[1:])]


class _Door:
    """
    One port of one program.

    @ivar kind: of its certificate; empty for none.
    @ivar session: a TLS session that may be resumed, or L{None} if none is
        offered.
    """

    def __init__(self, program: Program, port: int, kind: str) -> None:
        self.kind = kind
        self._program = program
        self._port = port
        self._context = clientContext() if kind else None
        # The first ones find all that is set up once.
        self.session = self._visit(_AT_ONCE, None).latest
        if self.session is not None:
            tried = self._visit(_AT_ONCE, self.session)
            if tried.resumed < tried.answers:
                self.session = None

    def cpu(self, count: int, session: ssl.SSLSession | None = None) -> float:
        """
        @param session: to be resumed.
        @return: CPU of one visit, in seconds.
        """
        self._program.untilIdle()
        spent = self._program.cpu
        self._visit(count, session)
        self._program.untilIdle()
        return (self._program.cpu - spent) / count

    def _visit(self, count: int, session: ssl.SSLSession | None) -> Visitors:
        loop = Loop()
        try:
            visitors = Visitors(loop, self._port, self._context, session, _AT_ONCE)
            visitors.call([_REQUEST] * count)
            loop.run(lambda: visitors.answers == count, f"{count} visits")
            return visitors
        finally:
            loop.close()


def _measure(
    setting: Setting,
    plain: tuple[_Door, _Door],
    secure: list[tuple[_Door, _Door]],
) -> Section:
    """
    @param plain: the doors of ours and of HAProxy without TLS.
    @param secure: those with it.
    """
    count = setting.effort.handshakes
    connection = "Connection and request, in plain"
    costs: dict[str, list[tuple[float, float]]] = {connection: []}
    for _ in range(setting.effort.pairs):
        ours, theirs = (door.cpu(count) for door in plain)
        costs[connection].append((ours, theirs))
        for ourDoor, theirDoor in secure:
            for more in ("", ", resumed"):
                pairs = costs.setdefault(f"TLS on top, {ourDoor.kind}{more}", [])
                if not more:
                    full = ourDoor.cpu(count), theirDoor.cpu(count)
                    pairs.append((full[0] - ours, full[1] - theirs))
                elif ourDoor.session and theirDoor.session:
                    short = (
                        ourDoor.cpu(count, ourDoor.session),
                        theirDoor.cpu(count, theirDoor.session),
                    )
                    pairs.append((short[0] - ours, short[1] - theirs))
        setting.say("handshakes: a turn is done")
    return Section(
        "CPU of the proxy per handshake",
        ["us", "HAProxy us", "ratio"],
        [_row(name, pairs) for name, pairs in costs.items()],
        costs,
        ["Each connection brings one short request; a resumed one has met before."],
    )


def _row(name: str, pairs: list[tuple[float, float]]) -> list[str]:
    if not pairs:
        return [name, "not offered", "", ""]
    ours, theirs = (median(each) * 1e6 for each in zip(*pairs, strict=True))
    ratios = [our / their for our, their in pairs]
    return [name, f"{ours:.0f}", f"{theirs:.0f}", spread(ratios, ".1f")]
