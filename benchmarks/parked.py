"""
What many clients cost a proxy that has nothing for them: memory for each parked
poll, and the rush after a restart.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from benchmarks.auth import tokenOf, tokensAndRoles
from benchmarks.certificates import KINDS, makeCertificate
from benchmarks.crowd import Waiters, allowFiles, clientContext
from benchmarks.loop import Loop
from benchmarks.ours import connectedClients
from benchmarks.programs import Program, Unmeasurable, freePort
from benchmarks.setting import Setting
from benchmarks.table import Section
from benchmarks.wire import bearer, pollRequest

#: Polls that are parked before memory is looked at, so that what a proxy sets up
#: once is not counted.
_FIRST = 20


@attrs.frozen
class Way:
    """
    One way for clients to connect.

    @ivar certificate: the kind of the proxy's; L{None} for plain HTTP.
    @ivar hasTokens: whether each client says who it is, by a token of its own.
    """

    certificate: str | None = None
    hasTokens: bool = False

    @property
    def name(self) -> str:
        """
        What to call it.
        """
        tokens = ", a token each" if self.hasTokens else ""
        return f"TLS, {self.certificate}{tokens}" if self.certificate else "in plain"


WAYS = (Way(), *map(Way, KINDS), Way("ECDSA P-256", hasTokens=True))


@attrs.frozen
class Rush:
    """
    What it took the clients to come back.

    @ivar elapsed: seconds from when the proxy listened until all were parked.
    @ivar cpu: seconds of CPU that the proxy took for that.
    @ivar loadShare: how much of a core the load took.
    """

    elapsed: float
    cpu: float
    loadShare: float


def parked(setting: Setting) -> list[Section]:
    """
    Measure parked polls in plain and over TLS, and the way back after a restart.
    """
    count = setting.effort.clients
    allowFiles(count)
    memory: dict[str, float] = {}
    rushes: dict[str, Rush] = {}
    with TemporaryDirectory() as folder:
        for way in WAYS:
            name = way.name
            memory[name], rushes[name] = _park(setting, count, way, Path(folder))
            setting.say(
                f"{name}: {memory[name]:.0f} bytes,"
                f" {count} back in {rushes[name].elapsed:.1f} s"
            )
    return [
        Section(
            f"Memory per parked poll, of {count}",
            ["kB"],
            [[name, f"{size / 1000:.1f}"] for name, size in memory.items()],
            memory,
        ),
        Section(
            f"{count} clients back after a restart",
            ["s", "CPU s", "ms each", "load's share"],
            [
                [
                    name,
                    f"{rush.elapsed:.1f}",
                    f"{rush.cpu:.1f}",
                    f"{rush.cpu / count * 1000:.2f}",
                    f"{rush.loadShare:.0%}",
                ]
                for name, rush in rushes.items()
            ],
            {name: attrs.asdict(rush) for name, rush in rushes.items()},
            ["From when the proxy listens until all polls are parked."],
        ),
    ]


def _park(setting: Setting, count: int, way: Way, folder: Path) -> tuple[float, Rush]:
    """
    @return: bytes of memory for each parked poll, and the way back.
    """
    core = setting.cores.measured
    plainPort = port = freePort()
    flags = [f"--web.listen-address=127.0.0.1:{plainPort}"]
    context = None
    if way.certificate is not None:
        port = freePort()
        flags.append(makeCertificate(way.certificate, folder).listen(port))
        context = clientContext()
    names = [b"client-%d" % number for number in range(count)]
    if way.hasTokens:
        web = folder / "web.yml"
        web.write_text(tokensAndRoles(names))
        flags.append(f"--web.config.file={web}")
    requests = [
        pollRequest(port, name, bearer(tokenOf(name)) if way.hasTokens else b"")
        for name in names
    ]
    loop = Loop()
    waiters = Waiters(loop, port, context)
    try:
        with setting.pushProx.proxy(*flags, core=core) as proxy:
            proxy.listening(port)
            waiters.call(requests[:_FIRST])
            _untilParked(loop, waiters, _FIRST, proxy, plainPort)
            before = proxy.memory.private
            waiters.call(requests[_FIRST:])
            _untilParked(loop, waiters, count, proxy, plainPort)
            memory = (proxy.memory.private - before) / (count - _FIRST)
        loop.run(lambda: not waiters.waiting, "polls to break off")
        with setting.pushProx.proxy(*flags, core=core) as proxy:
            proxy.listening(port)
            spent, idle, began = proxy.cpu, loop.idle, time.monotonic()
            back, waiters.outside = waiters.outside, []
            waiters.call(back)
            _untilParked(loop, waiters, count, proxy, plainPort)
            elapsed = time.monotonic() - began
            rush = Rush(elapsed, proxy.cpu - spent, 1 - (loop.idle - idle) / elapsed)
        return memory, rush
    finally:
        loop.close()


def _untilParked(
    loop: Loop, waiters: Waiters, count: int, proxy: Program, port: int
) -> None:
    """
    Wait until so many polls are parked, and see that the proxy says so too.

    @param port: where its metrics are.
    """
    loop.run(lambda: waiters.waiting == count, f"{count} parked polls")
    proxy.untilIdle()
    if connectedClients(port) != count:
        raise Unmeasurable(f"not all of {count} polls are parked")
