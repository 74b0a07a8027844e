"""
The load: scrapes by way of our proxy, and of the same bodies as plain requests
by way of HAProxy.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs

from benchmarks.backends import Origin, ProxySide
from benchmarks.body import Body
from benchmarks.lines import Listener
from benchmarks.loop import Loop
from benchmarks.peers import Poll, Push, Scraper
from benchmarks.programs import Program, freePort


@attrs.frozen
class Credentials:
    """
    What the proxy asks for, as values of Authorization or Proxy-Authorization;
    nothing, if it asks for nothing.

    @ivar scraper: of who scrapes.
    @ivar client: of who polls and pushes under a name.
    """

    scraper: bytes = attrs.field(default=b"", repr=False)
    client: Callable[[bytes], bytes] = attrs.field(default=lambda name: b"", repr=False)


@attrs.frozen
class Run:
    """
    What a number of scrapes came to.

    @ivar scrapes: how many there were.
    @ivar cpu: CPU that the program took for each, in seconds.
    @ivar elapsed: seconds from the first one's start to the last one's end.
    @ivar share: how much of a core the program took meanwhile.
    @ivar loadShare: how much of its time the load had something to do. A load
        that often has nothing waits for the program, not the other way round.
    @ivar latencies: seconds, in the order in which the scrapes ended.
    """

    scrapes: int
    cpu: float
    elapsed: float
    share: float
    loadShare: float
    latencies: list[float] = attrs.field(repr=False)


class Load:
    """
    Scrapes without a pause, so many at once.
    """

    def __init__(self, loop: Loop, program: Program, atOnce: int) -> None:
        """
        @param program: whose CPU is read.
        """
        self._loop = loop
        self._program = program
        self._atOnce = atOnce
        self._latencies: list[float] = []
        self._toBegin = 0

    def begin(self, count: int) -> None:
        """
        Begin as many scrapes as there may be at once.

        @param count: how many there are to be in all.
        """
        raise NotImplementedError

    def ended(self, took: float) -> bool:
        """
        A scrape has ended.

        @param took: seconds.
        @return: whether another is to begin.
        """
        self._latencies.append(took)
        self._toBegin -= 1
        return self._toBegin >= 0

    def scrape(self, count: int) -> Run:
        """
        Do so many scrapes, from rest to rest: the program begins with nothing
        to do, and is read when it has nothing left to do. Whatever a scrape
        costs is counted, also what comes after its end.
        """
        program = self._program
        program.untilIdle()
        latencies: list[float] = []
        self._latencies = latencies
        self._toBegin = max(0, count - self._atOnce)
        spent, idle, began = program.cpu, self._loop.idle, time.perf_counter()
        self.begin(count)
        self._loop.run(lambda: len(latencies) >= count, f"{count} scrapes")
        elapsed = time.perf_counter() - began
        idle = self._loop.idle - idle
        share = (program.cpu - spent) / elapsed
        # Pushes are still to be replied to, and polls to be parked.
        self._loop.runFor(0.05)
        program.untilIdle()
        return Run(
            scrapes=count,
            cpu=(program.cpu - spent) / count,
            elapsed=elapsed,
            share=share,
            loadShare=1 - idle / elapsed,
            latencies=latencies,
        )

    def calibrate(self, seconds: float) -> int:
        """
        @return: how many scrapes take about so long; twice as many as there are
            at once, at least, or a run would be all start and end.
        """
        count = 2 * self._atOnce
        while (run := self.scrape(count)).elapsed < seconds / 4:
            count *= 2
        return max(2 * self._atOnce, round(count * seconds / run.elapsed))


class Scrapers(Load):
    """
    The load of a number of scrapers, each with a target of its own.
    """

    def connect(
        self, port: int, body: Body, isAbsolute: bool, credentials: bytes = b""
    ) -> None:
        """
        Connect the scrapers.
        """
        self._scrapers = [
            Scraper(
                self._loop,
                port,
                b"target-%d" % number,
                body,
                isAbsolute,
                self._scraped,
                credentials,
            )
            for number in range(self._atOnce)
        ]

    def begin(self, count: int) -> None:
        """
        Let each scrape.
        """
        for scraper in self._scrapers[:count]:
            scraper.scrape()

    def _scraped(self, scraper: Scraper, took: float) -> None:
        if self.ended(took):
            scraper.scrape()


class Assignments(Load):
    """
    The load of a client: plays its proxy, which has work for it, and its target.
    """

    def __init__(
        self, loop: Loop, program: Program, atOnce: int, body: Body, port: int
    ) -> None:
        """
        @param port: where the client looks for its proxy.
        """
        super().__init__(loop, program, atOnce)
        self._body = body
        self._began: dict[bytes, float] = {}
        self._assigned = 0
        self._parked: list[ProxySide] = []
        self._waiting = 0
        self._targetPort = freePort()
        Listener(loop, port, self._accepted)
        Listener(loop, self._targetPort, lambda made: Origin(loop, made, body))

    def _accepted(self, made: socket.socket) -> None:
        ProxySide(self._loop, made, self._body, self._polled, self._pushed)

    def begin(self, count: int) -> None:
        """
        Hand out work, to polls that are there and to those that come.
        """
        self._waiting += min(count, self._atOnce)
        self._assign()

    def _polled(self, side: ProxySide) -> None:
        self._parked.append(side)
        self._assign()

    def _assign(self) -> None:
        while self._waiting and self._parked:
            side = self._parked.pop()
            if side.isOpen:
                self._waiting -= 1
                self._assigned += 1
                scrape = b"scrape-%d" % self._assigned
                self._began[scrape] = time.perf_counter()
                side.assign(scrape, self._targetPort)

    def _pushed(self, scrape: bytes) -> None:
        if self.ended(time.perf_counter() - self._began.pop(scrape)):
            self._waiting += 1
            self._assign()


@contextmanager
def throughProxy(
    program: Program,
    port: int,
    atOnce: int,
    body: Body,
    credentials: Credentials = Credentials(),
) -> Iterator[Load]:
    """
    A load of scrapes by way of a proxy of ours, with a client for each target.

    @param port: where the proxy listens.
    """
    loop = Loop()
    try:
        for number in range(atOnce):
            name = b"target-%d" % number
            its = credentials.client(name)
            Poll(loop, port, name, Push(loop, port, name, body, its).push, its)
        load = Scrapers(loop, program, atOnce)
        load.connect(port, body, isAbsolute=True, credentials=credentials.scraper)
        # Polls that are not parked yet would be missing.
        program.untilIdle()
        yield load
    finally:
        loop.close()


@contextmanager
def throughHAProxy(
    program: Program, port: int, origin: int, atOnce: int, body: Body
) -> Iterator[Load]:
    """
    A load of plain requests by way of HAProxy.

    @param port: where it listens.
    @param origin: where it forwards to.
    """
    loop = Loop()
    try:
        Listener(loop, origin, lambda made: Origin(loop, made, body))
        load = Scrapers(loop, program, atOnce)
        load.connect(port, body, isAbsolute=False)
        yield load
    finally:
        loop.close()
