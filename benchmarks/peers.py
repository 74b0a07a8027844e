"""
Who calls a proxy, as the load plays them: Prometheus, and clients with their
targets.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.body import Body
from benchmarks.lines import Line, connection
from benchmarks.loop import Loop
from benchmarks.programs import Unmeasurable
from benchmarks.wire import (
    PUSH_BETWEEN,
    answerEnd,
    answerStart,
    idIn,
    pollRequest,
    pushStart,
    scrapeRequest,
)


class Reply(Line):
    """
    A line on which replies come, of which each is to be a 200.
    """

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
        credentials: bytes = b"",
    ) -> None:
        """
        @param port: where the proxy is.
        @param isAbsolute: whether it knows that there is a proxy.
        @param scraped: is told how long it took, in seconds, when a whole body
            has come.
        @param credentials: for the proxy, if any.
        """
        super().__init__(loop, connection(port))
        host = target + b":9100"
        self._request = scrapeRequest(host, b"/metrics", isAbsolute, credentials)
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


class Poll(Reply):
    """
    Where a client polls. It polls again as soon as a scrape has come.
    """

    def __init__(
        self,
        loop: Loop,
        port: int,
        name: bytes,
        scrape: Callable[[bytes], None],
        credentials: bytes = b"",
    ) -> None:
        """
        @param scrape: is called with the id of each scrape.
        @param credentials: of the client, if any.
        """
        super().__init__(loop, connection(port))
        self._request = pollRequest(port, name, credentials)
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
        self._scrape(idIn(instruction))


class Push(Reply):
    """
    Where a client pushes what its target said.
    """

    _isBusy = False

    def __init__(
        self,
        loop: Loop,
        port: int,
        target: bytes,
        body: Body,
        credentials: bytes = b"",
    ) -> None:
        """
        @param credentials: of the client, if any.
        """
        super().__init__(loop, connection(port))
        self._start = pushStart(port, credentials)
        self._answer = answerStart(body.framing)
        self._pieces = body.pieces(target)
        self._size = len(self._answer) + sum(map(len, self._pieces))
        self._ids: list[bytes] = []

    def push(self, scrape: bytes) -> None:
        """
        Push an answer, after those that are still on their way.
        """
        if self._isBusy:
            self._ids.append(scrape)
            return
        self._isBusy = True
        end = answerEnd(scrape)
        length = b"%d" % (self._size + len(end))
        head = self._start + length + PUSH_BETWEEN + self._answer + end
        self.send(head, *self._pieces)

    def messageReceived(self) -> None:
        """
        Push the next.
        """
        self._isBusy = False
        if self._ids:
            self.push(self._ids.pop(0))
