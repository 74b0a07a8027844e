"""
A target's answer on its way to the proxy: what came and is not sent yet, and
what was sent and may have to be sent again.

Knows: that the slower side slows the faster, and how little may be held. Does
not know: who asked for what, what stands in a head, why an exchange may fail
(L{pushprox.client.exchange} does).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.python.failure import Failure
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from pushprox.message import ResponseHead

#: Bytes of a push that are kept, so that it can be sent once more: more than
#: fits on its way into a connection that the other side was just closing.
KEPT = 256 * 1024


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


@implementer(IBodyProducer)
class Whole:
    """
    A body that is there as a whole, and can be sent any number of times.

    @ivar started: whether it was sent.
    @ivar sent: the bytes of it that were.
    """

    started = False
    isRepeatable = True
    sent = 0

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Send all of it.
        """
        self.started = True
        self.sent = self.length
        consumer.write(self._data)
        return succeed(None)

    def stopProducing(self) -> None:
        """
        All is sent already.
        """

    pauseProducing = resumeProducing = stopProducing


@implementer(IBodyProducer)
class Passage:
    """
    A push: a head, and what comes from the target, at the proxy's pace. It can be
    sent once more as long as all that was sent is kept.

    @ivar length: in bytes, or L{UNKNOWN_LENGTH}.
    @ivar started: whether anything was sent.
    @ivar sent: how many bytes were.
    @ivar _kept: those, unless they are too many.
    @ivar _sending: fires when all is sent; L{None} where nobody takes it.
    @ivar _paused: whether the proxy wants no more for now.
    """

    started = False
    sent = 0
    _consumer: IConsumer
    _sending: Deferred[None] | None = None
    _paused = False

    def __init__(self, answer: Arriving, head: bytes, length: int | None) -> None:
        """
        @param head: as it travels in the push.
        @param length: of the body; L{None} sends it in chunks, within the push,
            so that its end shows.
        """
        self.length = UNKNOWN_LENGTH if length is None else len(head) + length
        self._answer = answer
        self._isChunked = length is None
        self._kept: list[bytes] | None = [head]

    @property
    def isRepeatable(self) -> bool:
        """
        Whether it can be sent from the beginning.
        """
        return self._kept is not None

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Send the head, what of the body has come, and then what comes.

        @return: fires when all is sent; fails with the fault of the answer.
        """
        assert self._kept is not None
        if self._answer.fault is not None:
            return fail(self._answer.fault)
        again = b"".join(self._kept)
        self.started = True
        self.sent = len(again)
        self._consumer = consumer
        self._paused = False
        sending = self._sending = Deferred[None]()
        consumer.write(again)
        self._answer.follow(self._pass)
        self._pass()
        return sending

    def _pass(self) -> None:
        """
        Send what the proxy takes.
        """
        sending, answer = self._sending, self._answer
        if sending is None:
            return
        while answer.waiting and not self._paused:
            piece = answer.waiting.popleft()
            if self._isChunked:
                piece = b"%x\r\n%b\r\n" % (len(piece), piece)
            self._write(piece)
        if answer.fault is not None:
            self._sending = None
            sending.errback(answer.fault)
        elif answer.whole and not answer.waiting:
            if self._isChunked:
                self._write(b"0\r\n\r\n")
            self._sending = None
            sending.callback(None)
        elif not self._paused:
            answer.resume()

    def _write(self, data: bytes) -> None:
        self.sent += len(data)
        if self._kept is not None:
            self._kept.append(data)
            if self.sent > KEPT:
                self._kept = None
        self._consumer.write(data)

    def pauseProducing(self) -> None:
        """
        The proxy takes no more for now, and the target has to wait.
        """
        self._paused = True
        self._answer.pause()

    def resumeProducing(self) -> None:
        """
        The proxy goes on.
        """
        self._paused = False
        self._pass()

    def stopProducing(self) -> None:
        """
        Nobody takes it any more, unless it is sent once more.
        """
        self._sending = None
        self._answer.pause()
