"""
Who the load plays: Prometheus, the clients and their targets, with the very
bytes that Prometheus 3.5 and the Go client send.
"""

from __future__ import annotations

import random
import re
import socket
import time
from collections.abc import Callable
from functools import lru_cache

import attrs

from benchmarks.lines import Line, Loop, Messages, Piece, connection
from benchmarks.programs import Unmeasurable

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
    b"X-Prometheus-Scrape-Timeout-Seconds: 300\r\n"
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

    def compare(self, target: bytes, piece: memoryview, position: int) -> int:
        """
        Compare a piece of what came with what was sent.

        @param position: where in the body it belongs.
        @return: where the next piece belongs.
        @raise Unmeasurable: if it is something else.
        """
        end = position + len(piece)
        mark = self.mark(target)
        if position < len(mark):
            marked = piece[: len(mark) - position]
            if not mark.startswith(marked, position):
                raise Unmeasurable("a body came from another target")
            position += len(marked)
            piece = piece[len(marked) :]
        if not bodyOf(self.size).startswith(piece, position):
            raise Unmeasurable("a body is not the one that was sent")
        return end

    def seeWhole(self, position: int) -> None:
        """
        @param position: where a body ended.
        @raise Unmeasurable: if that is not where it ends.
        """
        if position != self.size:
            raise Unmeasurable(f"a body of {self.size} bytes came with {position}")

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


def scrapeRequest(host: bytes, path: bytes, isAbsolute: bool = True) -> bytes:
    """
    @param isAbsolute: whether it goes to a proxy.
    @return: a scrape, as Prometheus asks for it.
    """
    where = b"http://" + host if isAbsolute else b""
    start = b"GET " + where + path + b" HTTP/1.1\r\nHost: " + host + b"\r\n"
    return start + _PROMETHEUS


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
        super().__init__(loop, connection(port))
        host = target + b":9100"
        self._request = scrapeRequest(host, b"/metrics", isAbsolute)
        self._target = target
        self._body = body
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
        self._position = self._body.compare(self._target, piece, self._position)

    def messageReceived(self) -> None:
        """
        See that the body is whole.
        """
        took = time.perf_counter() - self._began
        self._body.seeWhole(self._position)
        self._scraped(self, took)


def pollRequest(port: int, name: bytes) -> bytes:
    """
    @return: a client's poll.
    """
    length = b"Content-Length: %d\r\n" % len(name)
    more = b"Content-Type: \r\nAccept-Encoding: gzip\r\n\r\n"
    return _head(b"/poll", port) + length + more + name


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
        super().__init__(loop, connection(port))
        self._request = pollRequest(port, name)
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
        super().__init__(loop, connection(port))
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


_AFTER_ID = b"\r\nX-Prometheus-Scrape-Timeout: 299.400000\r\n\r\n"


def _head(path: bytes, port: int) -> bytes:
    host = b" HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % port
    return b"POST " + path + host + _GO


class Origin(Line):
    """
    A plain target, seen from within one connection to it.
    """

    def __init__(self, loop: Loop, made: socket.socket, body: Body) -> None:
        super().__init__(loop, made)
        self._body = body
        self._answer = b"HTTP/1.1 200 OK\r\n" + body.framing + CONTENT + b"\r\n"

    def headReceived(self, head: bytes) -> None:
        """
        Answer, and keep the connection.
        """
        host = re.search(rb"\r\nhost:[ \t]*([^:\r]+)", head, re.IGNORECASE)
        if host is None:
            raise Unmeasurable(f"no host in {head!r}")
        self.send(self._answer, *self._body.pieces(host[1]))

    def hungUp(self) -> None:
        """
        Whoever asked has enough.
        """


class Pushed(Messages):
    """
    What a client says that its target said.

    @ivar scrape: the id of the scrape that it answers.
    """

    scrape = b""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._position = 0
        self._isWhole = False

    def headReceived(self, head: bytes) -> None:
        """
        Look at the status, and at what it answers.
        """
        found = _ID.search(head)
        if head[9:12] != b"200" or found is None:
            raise Unmeasurable(f"the client pushed {head.decode('latin-1')!r}")
        self.scrape = found[1]

    def bodyReceived(self, piece: memoryview) -> None:
        """
        Compare it with what was sent.
        """
        self._position = self._body.compare(b"localhost", piece, self._position)

    def messageReceived(self) -> None:
        """
        It has an end.
        """
        self._isWhole = True

    def seeWhole(self) -> None:
        """
        @raise Unmeasurable: if something is missing.
        """
        if not self._isWhole:
            raise Unmeasurable("a client pushed an answer that breaks off")
        self._body.seeWhole(self._position)


class ProxySide(Line):
    """
    A proxy of ours, seen from within one connection of a client called
    localhost.

    @ivar isOpen: whether the client is still there.
    """

    isOpen = True

    def __init__(
        self,
        loop: Loop,
        made: socket.socket,
        body: Body,
        polled: Callable[[ProxySide], None],
        pushed: Callable[[bytes], None],
    ) -> None:
        """
        @param polled: is told of each poll; L{assign} is to follow.
        @param pushed: is told the id of each scrape that is answered.
        """
        super().__init__(loop, made)
        self._body = body
        self._polled = polled
        self._pushed = pushed
        self._push: Pushed | None = None

    def headReceived(self, head: bytes) -> None:
        """
        Tell pushes from polls.
        """
        self._push = Pushed(self._body) if head.startswith(b"POST /push ") else None

    def bodyReceived(self, piece: memoryview) -> None:
        """
        Read what is pushed.
        """
        if self._push is not None:
            self._push.feed(piece)

    def messageReceived(self) -> None:
        """
        Reply to a push; keep a poll.
        """
        if self._push is None:
            self._polled(self)
        else:
            self._push.seeWhole()
            self.send(_REPLY, b"Content-Length: 0\r\n\r\n")
            self._pushed(self._push.scrape)

    def assign(self, scrape: bytes, port: int) -> None:
        """
        Answer a poll.

        @param scrape: the id of the scrape.
        @param port: where the target is.
        """
        host = b"localhost:%d" % port
        request = (b"GET http://%b/metrics HTTP/1.1\r\nHost: %b\r\nId: %b\r\n%b") % (
            host,
            host,
            scrape,
            _PROMETHEUS,
        )
        self.send(_REPLY, b"Content-Length: %d\r\n\r\n" % len(request), request)

    def hungUp(self) -> None:
        """
        The client needs this connection no more.
        """
        self.isOpen = False


_REPLY = (
    b"HTTP/1.1 200 OK\r\n"
    b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Pushprox-Version: 0\r\n"
    b"Pushprox-Max-Polls: 16\r\n"
)
