"""
A target's answer, while it comes.

Knows: that the target has to wait for whoever takes the answer. Does not know:
who that is, what stands in a head, why an exchange may fail
(L{pushprox.client.exchange} does).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure

from pushprox.message import ResponseHead


class Unwanted(Exception):
    """
    Nobody takes the rest of an answer.
    """


class Arriving:
    """
    A target's answer, as it comes. While nobody takes what came of its body, the
    target has to wait.

    @ivar begun: fires with this when the head is there, and what came together
        with it; fails as the exchange does where there is no head. To cancel is
        to abort the connection.
    @ivar ended: fires, after C{begun}, when all of the body has come, or it is
        known that it will not. To cancel is to abort the connection.
    @ivar head: without what ended at this hop.
    @ivar size: bytes that came of the body.
    @ivar waiting: those that nobody has taken yet; a piece for each read.
    @ivar whole: whether all of it has come.
    @ivar fault: why it will never have.
    @ivar isOver: whether nothing more will come.
    @ivar _moved: is called when there is more, and at the end.
    @ivar _paused: whether the target has to wait.
    @ivar _read: what came in the read under way.
    """

    head: ResponseHead
    size = 0
    whole = False
    fault: Exception | None = None
    isOver = False
    _hasHead = False
    _paused = False
    _moved: Callable[[], object] | None = None

    def __init__(
        self, transport: IPushProducer, explained: Callable[[Exception], Exception]
    ) -> None:
        """
        @param transport: of the connection to the target.
        @param explained: makes a fault of what an exchange failed with.
        """
        self.begun: Deferred[Arriving] = Deferred(lambda _: self._exchange.cancel())
        self.ended: Deferred[None] = Deferred(lambda _: self.breakOff(Unwanted()))
        self.waiting: deque[bytes] = deque()
        self._read: list[bytes] = []
        self._transport = transport
        self._explained = explained

    def comeBy(self, exchange: Deferred[None]) -> None:
        """
        @param exchange: what this is the receiver of.
        """
        self._exchange = exchange
        exchange.addCallbacks(self._complete, self._failed)

    # What comes from the target.

    def headReceived(self, head: ResponseHead) -> None:
        """
        The answer has begun.
        """
        self.head = head
        self._hasHead = True

    def bodyReceived(self, piece: bytes) -> None:
        """
        A piece of the body; in chunks, there may be many in a read.
        """
        self._read.append(piece)

    def readEnded(self) -> None:
        """
        Nothing more at once.
        """
        if not self._hasHead:
            return
        self._tell()
        if self._moved is None:
            self.pause()
        else:
            self._moved()

    def _tell(self) -> None:
        if self._read:
            piece = b"".join(self._read)
            self._read.clear()
            self.size += len(piece)
            self.waiting.append(piece)
        if not self.begun.called:
            self.begun.callback(self)

    def _complete(self, _: object) -> None:
        self.whole = True
        self.resume()
        self._end()

    def _failed(self, failure: Failure) -> None:
        if not self.begun.called:
            self.begun.errback(failure)
            return
        if self.fault is None:
            self.fault = self._explained(cast(Exception, failure.value))
        self._end()

    def _end(self) -> None:
        self.isOver = True
        self._tell()
        self.ended.callback(None)
        moved, self._moved = self._moved, None
        if moved is not None:
            moved()

    # What those want who take it.

    def follow(self, moved: Callable[[], object]) -> None:
        """
        @param moved: is called when there is more in C{waiting}, and at the end.
        """
        if not self.isOver:
            self._moved = moved

    def pause(self) -> None:
        """
        Let the target wait.
        """
        if not (self._paused or self.isOver):
            self._paused = True
            self._transport.pauseProducing()

    def resume(self) -> None:
        """
        Let it go on.
        """
        if self._paused:
            self._paused = False
            self._transport.resumeProducing()

    def discard(self) -> Deferred[None]:
        """
        Take all that comes, for nothing.

        @return: fires when it has ended.
        """
        self.follow(self.waiting.clear)
        self.resume()
        return self.ended

    def hold(self, most: int, tooLong: Exception) -> Deferred[None]:
        """
        Let all of it come before anybody takes it.

        @param most: bytes that may come.
        @return: fires when it has ended; with C{tooLong} for its fault, if there
            are more.
        """

        def check() -> None:
            if self.size > most:
                self.breakOff(tooLong)

        self.follow(check)
        self.resume()
        return self.ended

    def breakOff(self, fault: Exception) -> None:
        """
        Unless all has come, take no more, and abort the connection.
        """
        if not self.isOver:
            self.fault = fault
            self._exchange.cancel()

    def expire(self, fault: Exception) -> None:
        """
        Break off, if it is the target that one waits for.
        """
        if not self._paused:
            self.breakOff(fault)
