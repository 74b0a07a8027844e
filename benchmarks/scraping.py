"""
The load on a proxy: plays Prometheus and the clients, all at once, with the
very bytes that Prometheus 3.5 and the Go client send. And the same bodies by way
of HAProxy, which forwards each as one plain request to an origin, played here
as well.
"""

from __future__ import annotations

import random
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import attrs

from benchmarks.lines import Line, Listener, Loop, Piece
from benchmarks.programs import Program, Unmeasurable

#: Bytes of a body that tell whose it is; the rest is the same for all.
_MARK = 16

#: Bytes in one chunk of a target's body.
_CHUNK = 32 * 1024

_PROMETHEUS = (
    b"User-Agent: Prometheus/3.5.3\r\n"
    b"Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    b"application/openmetrics-text;version=0.0.1;q=0.5,"
    b"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    b"text/plain;version=0.0.4;q=0.3,*/*;q=0.2\r\n"
    b"Accept-Encoding: gzip\r\n"
    b"X-Prometheus-Scrape-Timeout-Seconds: 60\r\n"
    b"\r\n"
)
_GO = b"User-Agent: Go-http-client/1.1\r\n"

#: What a target says of its body.
CONTENT = (
    b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
    b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
)

_ID = re.compile(rb"\r\nid:[ \t]*([^\r]+)", re.IGNORECASE)


@lru_cache(maxsize=2)
def bodyOf(size: int) -> bytes:
    """
    @return: so many bytes, no stretch of which looks like another.
    """
    return random.Random(size).randbytes(size)


@attrs.frozen
class Body:
    """
    What the targets have to say. Each has a body of its own, of this size; it
    differs in its first bytes.

    @ivar isChunked: whether the target sends it in chunks of 32 KB; else it
        tells its length.
    """

    size: int
    isChunked: bool = False

    def mark(self, target: bytes) -> bytes:
        """
        @return: the first bytes of a target's body.
        """
        return target.ljust(_MARK, b".")[: min(_MARK, self.size)]

    @property
    def framing(self) -> bytes:
        """
        The header that says where it ends.
        """
        if self.isChunked:
            return b"Transfer-Encoding: chunked\r\n"
        return b"Content-Length: %d\r\n" % self.size

    def pieces(self, target: bytes) -> list[Piece]:
        """
        @return: the body as it travels.
        """
        mark = self.mark(target)
        if not self.isChunked:
            return [mark, memoryview(bodyOf(self.size))[len(mark) :]]
        start, rest = _chunks(self.size, len(mark))
        return [start, mark, rest]


@lru_cache(maxsize=2)
def _chunks(size: int, mark: int) -> tuple[bytes, bytes]:
    """
    @return: a chunked body before and after its mark.
    """
    body = bodyOf(size)
    chunks = [body[start : start + _CHUNK] for start in range(0, size, _CHUNK)]
    text = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    text += b"0\r\n\r\n"
    start = text.index(b"\r\n") + 2
    return text[:start], text[start + mark :]


class Reply(Line):
    """
    A line on which replies come, of which each is to be a 200.

    @ivar isBusy: whether one is waited for.
    """

    isBusy = False

    def __str__(self) -> str:
        return f"the line of a {type(self).__name__.lower()}"

    def headReceived(self, head: bytes) -> None:
        """
        Look at the status.
        """
        if head[9:12] != b"200":
            raise Unmeasurable(f"{self} got {head.decode('latin-1')!r}")


class Scraper(Reply):
    """
    Prometheus with one target. It scrapes when told to, and looks at every byte.
    """

    def __init__(
        self,
        loop: Loop,
        port: int,
        target: bytes,
        body: Body,
        isAbsolute: bool,
        scraped: Callable[[Scraper, float], None],
    ) -> None:
        """
        @param port: where the proxy is.
        @param isAbsolute: whether it knows that there is a proxy.
        @param scraped: is told how long it took, in seconds, when a whole body
            has come.
        """
        super().__init__(loop, self.connect(loop, port))
        where = b"http://" + target + b":9100" if isAbsolute else b""
        host = b"Host: " + target + b":9100\r\n"
        self._request = b"GET " + where + b"/metrics HTTP/1.1\r\n" + host + _PROMETHEUS
        self._mark = body.mark(target)
        self._body = bodyOf(body.size)
        self._scraped = scraped
        self._position = 0
        self._began = 0.0

    def scrape(self) -> None:
        """
        Begin a scrape.
        """
        self._position = 0
        self._began = time.perf_counter()
        self.send(self._request)

    def bodyReceived(self, piece: memoryview) -> None:
        """
        Compare it with what was sent.
        """
        position = self._position
        self._position += len(piece)
        if position < len(self._mark):
            marked = piece[: len(self._mark) - position]
            if not self._mark.startswith(marked, position):
                raise Unmeasurable("a body came from another target")
            position += len(marked)
            piece = piece[len(marked) :]
        if not self._body.startswith(piece, position):
            raise Unmeasurable("a body is not the one that was sent")

    def messageReceived(self) -> None:
        """
        See that the body is whole.
        """
        took = time.perf_counter() - self._began
        if self._position != len(self._body):
            raise Unmeasurable(
                f"a body of {len(self._body)} bytes came with {self._position}"
            )
        self._scraped(self, took)


class Poll(Reply):
    """
    Where a client polls. It polls again as soon as a scrape has come.
    """

    def __init__(
        self, loop: Loop, port: int, name: bytes, scrape: Callable[[bytes], None]
    ) -> None:
        """
        @param scrape: is called with the id of each scrape.
        """
        super().__init__(loop, self.connect(loop, port))
        length = b"Content-Length: %d\r\n" % len(name)
        more = b"Content-Type: \r\nAccept-Encoding: gzip\r\n\r\n"
        self._request = _head(b"/poll", port) + length + more + name
        self._scrape = scrape
        self._instruction = b""
        self.send(self._request)

    def bodyReceived(self, piece: memoryview) -> None:
        """
        Keep what comes.
        """
        self._instruction += piece

    def messageReceived(self) -> None:
        """
        Poll again, then scrape.
        """
        instruction, self._instruction = self._instruction, b""
        self.send(self._request)
        found = _ID.search(instruction)
        if found is None:
            raise Unmeasurable(f"no id in {instruction!r}")
        self._scrape(found[1])


class Push(Reply):
    """
    Where a client pushes what its target said.
    """

    def __init__(self, loop: Loop, port: int, target: bytes, body: Body) -> None:
        super().__init__(loop, self.connect(loop, port))
        self._start = _head(b"/push", port) + b"Content-Length: "
        self._between = (
            b"\r\nAccept-Encoding: gzip\r\n\r\nHTTP/1.1 200 OK\r\n"
            + body.framing
            + CONTENT
            + b"Id: "
        )
        self._pieces = body.pieces(target)
        inner = self._between.partition(b"\r\n\r\n")[2] + _AFTER_ID
        self._length = len(inner) + sum(map(len, self._pieces))
        self._ids: list[bytes] = []

    def push(self, scrape: bytes) -> None:
        """
        Push an answer, after those that are still on their way.
        """
        if self.isBusy:
            self._ids.append(scrape)
            return
        self.isBusy = True
        length = b"%d" % (self._length + len(scrape))
        head = self._start + length + self._between + scrape + _AFTER_ID
        self.send(head, *self._pieces)

    def messageReceived(self) -> None:
        """
        Push the next.
        """
        self.isBusy = False
        if self._ids:
            self.push(self._ids.pop(0))


_AFTER_ID = b"\r\nX-Prometheus-Scrape-Timeout: 59.400000\r\n\r\n"


def _head(path: bytes, port: int) -> bytes:
    host = b" HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % port
    return b"POST " + path + host + _GO


class Origin(Line):
    """
    A plain target, seen from within one connection to it.
    """

    def __init__(self, loop: Loop, connection: socket.socket, body: Body) -> None:
        super().__init__(loop, connection)
        self._body = body
        self._answer = b"HTTP/1.1 200 OK\r\n" + body.framing + CONTENT + b"\r\n"

    def headReceived(self, head: bytes) -> None:
        """
        Answer.
        """
        host = re.search(rb"\r\nhost:[ \t]*([^:\r]+)", head, re.IGNORECASE)
        if host is None:
            raise Unmeasurable(f"no host in {head!r}")
        self.send(self._answer, *self._body.pieces(host[1]))

    def hungUp(self) -> None:
        """
        Whoever asked has enough.
        """


@attrs.frozen
class Run:
    """
    What a number of scrapes came to.

    @ivar scrapes: how many there were.
    @ivar cpu: CPU that the program took for each, in seconds.
    @ivar elapsed: seconds from the first one's start to the last one's end.
    @ivar share: how much of a core the program took meanwhile.
    @ivar loadShare: how much of a core the load took. A load that takes much
        less than the whole waits for the program, not the other way round.
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
    Scrapers that scrape without a pause, so many at once.
    """

    def __init__(self, loop: Loop, program: Program) -> None:
        """
        @param program: whose CPU is read.
        """
        self._loop = loop
        self._program = program
        self._scrapers: list[Scraper] = []
        self._latencies: list[float] = []
        self._toStart = 0

    def connect(self, port: int, atOnce: int, body: Body, isAbsolute: bool) -> None:
        """
        Connect the scrapers.
        """
        for number in range(atOnce):
            target = b"target-%d" % number
            self._scrapers.append(
                Scraper(self._loop, port, target, body, isAbsolute, self._scraped)
            )

    def _scraped(self, scraper: Scraper, took: float) -> None:
        self._latencies.append(took)
        if self._toStart:
            self._toStart -= 1
            scraper.scrape()

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
        spent, spentHere, began = program.cpu, time.process_time(), time.perf_counter()
        self._toStart = max(0, count - len(self._scrapers))
        for scraper in self._scrapers[:count]:
            scraper.scrape()
        self._loop.run(lambda: len(latencies) >= count, f"{count} scrapes")
        elapsed = time.perf_counter() - began
        spentHere = time.process_time() - spentHere
        share = (program.cpu - spent) / elapsed
        # Pushes are still to be replied to, and polls to be parked.
        rest = time.monotonic() + 0.05
        self._loop.run(lambda: time.monotonic() > rest, "replies")
        program.untilIdle()
        return Run(
            scrapes=count,
            cpu=(program.cpu - spent) / count,
            elapsed=elapsed,
            share=share,
            loadShare=spentHere / elapsed,
            latencies=latencies,
        )

    def calibrate(self, seconds: float) -> int:
        """
        @return: how many scrapes take about so long; twice as many as there are
            scrapers, at least, or a run would be all start and end.
        """
        count = 2 * len(self._scrapers)
        while (run := self.scrape(count)).elapsed < seconds / 4:
            count *= 2
        return max(2 * len(self._scrapers), round(count * seconds / run.elapsed))


@contextmanager
def throughProxy(
    program: Program, port: int, atOnce: int, body: Body
) -> Iterator[Load]:
    """
    A load of scrapes by way of a proxy of ours, with a client for each target.

    @param port: where the proxy listens.
    """
    loop = Loop()
    try:
        for number in range(atOnce):
            name = b"target-%d" % number
            Poll(loop, port, name, Push(loop, port, name, body).push)
        load = Load(loop, program)
        load.connect(port, atOnce, body, isAbsolute=True)
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
        Listener(loop, origin, lambda connection: Origin(loop, connection, body))
        load = Load(loop, program)
        load.connect(port, atOnce, body, isAbsolute=False)
        yield load
    finally:
        loop.close()
