"""
How much memory either program takes while big bodies pass to slow readers: a
real exporter, a client, a proxy, and scrapers that read in bursts.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import attrs

from benchmarks.exporter import BLOCK
from benchmarks.lines import connection
from benchmarks.loop import Loop
from benchmarks.ours import pair
from benchmarks.peers import Reply
from benchmarks.programs import Program, Unmeasurable, freePort
from benchmarks.setting import Setting
from benchmarks.table import Section, bytesText
from benchmarks.wire import scrapeRequest

#: Scrapers.
READERS = 8

#: Bytes that each may read between two pauses, and how long a pause is, in
#: seconds: 20 MB a second at most.
_BURST = 1_000_000
_PAUSE = 0.05

#: The most that the kernel keeps for a reader, in bytes.
_RECEIVE_BUFFER = 1 << 16

_BLOCKS = BLOCK * 3


class SlowReader(Reply):
    """
    A scraper that reads in bursts, and looks at every byte.

    @ivar isDone: whether all has come.
    """

    isDone = False

    def __init__(self, loop: Loop, port: int, request: bytes, size: int) -> None:
        """
        @param port: where the proxy is.
        @param size: of the body that is to come, in bytes.
        """
        super().__init__(loop, connection(port, _RECEIVE_BUFFER))
        self._size = size
        self._position = 0
        self._allowance = 0
        self.send(request)

    def allow(self, count: int) -> None:
        """
        Read on, so many bytes.
        """
        if not self.isDone:
            self._allowance = count
            self._loop.watch(self)

    def bodyReceived(self, piece: memoryview) -> None:
        """
        Compare it with what the exporter sends.
        """
        if not _BLOCKS.startswith(piece, self._position % len(BLOCK)):
            raise Unmeasurable("a big body is not the one that was sent")
        self._position += len(piece)
        self._allowance -= len(piece)
        if self._allowance <= 0:
            self._loop.watch(self, read=False)

    def messageReceived(self) -> None:
        """
        See that it is whole.
        """
        if self._position != self._size:
            raise Unmeasurable(f"{self._position} of {self._size} bytes have come")
        self.isDone = True


@attrs.frozen
class Growth:
    """
    How much more memory a program had at its peak than before, in bytes.
    """

    proxy: int
    client: int
    elapsed: float


def bigBodies(setting: Setting) -> list[Section]:
    """
    Measure the memory of both programs while big bodies pass.
    """
    size = setting.effort.bigBody
    growth = _pass(setting, size)
    megabytes = (growth.proxy / 1e6, growth.client / 1e6)
    setting.say("big bodies: proxy {:.1f} MB, client {:.1f} MB".format(*megabytes))
    return [
        Section(
            "Memory while big bodies pass to slow readers",
            ["proxy MB", "client MB"],
            [
                [
                    f"{READERS} bodies of {bytesText(size)}",
                    *(f"+{each:.1f}" for each in megabytes),
                ]
            ],
            attrs.asdict(growth),
            [
                "Peak of resident memory, over what it was before. Half of the bodies"
                " are chunked.",
                f"They took {growth.elapsed:.0f} s.",
            ],
        )
    ]


def _pass(setting: Setting, size: int) -> Growth:
    target = freePort()
    exporter = Program(
        "exporter",
        [sys.executable, "-m", "benchmarks.exporter", str(target)],
        Path(__file__).parents[1],
        setting.cores.load,
    )
    with exporter, pair(setting.pushProx) as (proxy, client, port):
        exporter.listening(target)
        # What the programs load once is not what is looked for.
        _read(port, target, 1000)
        before = proxy.memory.resident, client.memory.resident
        proxy.forgetPeak()
        client.forgetPeak()
        began = time.monotonic()
        _read(port, target, size)
        elapsed = time.monotonic() - began
        return Growth(proxy.peak - before[0], client.peak - before[1], elapsed)


def _read(port: int, target: int, size: int) -> None:
    """
    Let all readers read a body each, every other one in chunks.

    @param port: of the proxy.
    @param target: the exporter's port.
    """
    host = b"localhost:%d" % target
    loop = Loop()
    try:
        readers = [
            SlowReader(loop, port, scrapeRequest(host, path % size), size)
            for path in (b"/plain/%d", b"/chunked/%d") * (READERS // 2)
        ]
        latest = time.monotonic() + 200
        while not all(reader.isDone for reader in readers):
            if time.monotonic() > latest:
                raise Unmeasurable("big bodies take too long")
            for reader in readers:
                reader.allow(_BURST)
            loop.runFor(_PAUSE)
    finally:
        loop.close()
