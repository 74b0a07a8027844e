"""
What many clients cost a proxy that has nothing for them: memory for each parked
poll, and the rush after a restart.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from benchmarks.certificates import KINDS, makeCertificate
from benchmarks.crowd import Waiters, allowFiles, clientContext
from benchmarks.loop import Loop
from benchmarks.ours import connectedClients
from benchmarks.programs import Program, Unmeasurable, freePort
from benchmarks.setting import Setting
from benchmarks.table import Section
from benchmarks.wire import pollRequest

#: Polls that are parked before memory is looked at, so that what a proxy sets up
#: once is not counted.
_FIRST = 20


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
        for kind in ("plain", *KINDS):
            memory[kind], rushes[kind] = _park(setting, count, kind, Path(folder))
            setting.say(
                f"{kind}: {memory[kind]:.0f} bytes,"
                f" {count} back in {rushes[kind].elapsed:.1f} s"
            )
    names = {
        kind: "in plain" if kind == "plain" else f"TLS, {kind}"
        for kind in ("plain", *KINDS)
    }
    return [
        Section(
            f"Memory per parked poll, of {count}",
            ["kB"],
            [[names[kind], f"{size / 1000:.1f}"] for kind, size in memory.items()],
            memory,
        ),
        Section(
            f"{count} clients back after a restart",
            ["s", "CPU s", "ms each", "load's share"],
            [
                [
                    names[kind],
                    f"{rush.elapsed:.1f}",
                    f"{rush.cpu:.1f}",
                    f"{rush.cpu / count * 1000:.2f}",
                    f"{rush.loadShare:.0%}",
                ]
                for kind, rush in rushes.items()
            ],
            {kind: attrs.asdict(rush) for kind, rush in rushes.items()},
            ["From when the proxy listens until all polls are parked."],
        ),
    ]


def _park(setting: Setting, count: int, kind: str, folder: Path) -> tuple[float, Rush]:
    """
    @param kind: of certificate, or C{"plain"}.
    @return: bytes of memory for each parked poll, and the way back.
    """
    core = setting.cores.measured
    plainPort = port = freePort()
    flags = [f"--web.listen-address=127.0.0.1:{plainPort}"]
    context = None
    if kind != "plain":
        port = freePort()
        flags.append(makeCertificate(kind, folder).listen(port))
        context = clientContext()
    requests = [pollRequest(port, b"client-%d" % number) for number in range(count)]
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
