"""
Whom HAProxy and a client call, as the load plays them: a target, and a proxy of
ours.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable

from benchmarks.body import Body
from benchmarks.lines import Line, Messages
from benchmarks.loop import Loop
from benchmarks.programs import Unmeasurable
from benchmarks.wire import PROXY_HEAD, answerStart, idIn, scrapeRequest


class Origin(Line):
    """
    A plain target, seen from within one connection to it.
    """

    def __init__(self, loop: Loop, made: socket.socket, body: Body) -> None:
        super().__init__(loop, made)
        self._body = body
        self._answer = answerStart(body.framing) + b"\r\n"

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
        if head[9:12] != b"200":
            raise Unmeasurable(f"the client pushed {head.decode('latin-1')!r}")
        self.scrape = idIn(head)

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
            self.send(PROXY_HEAD, b"Content-Length: 0\r\n\r\n")
            self._pushed(self._push.scrape)

    def assign(self, scrape: bytes, port: int) -> None:
        """
        Answer a poll.

        @param scrape: the id of the scrape.
        @param port: where the target is.
        """
        host = b"localhost:%d" % port
        scrapeHead = scrapeRequest(host, b"/metrics")
        request = scrapeHead[:-2] + b"Id: " + scrape + b"\r\n\r\n"
        self.send(PROXY_HEAD, b"Content-Length: %d\r\n\r\n" % len(request), request)

    def hungUp(self) -> None:
        """
        The client needs this connection no more.
        """
        self.isOpen = False
