"""
The bodies of requests to the proxy: those that are there, and those that come
from a target, at the pace of the slower side.

Knows: how little of a push may be kept so that it can be sent once more. Does not
know: what stands in its head (L{pushprox.client.pushing} does), how its
connection is found, when it is repeated (L{pushprox.client.uplink} does).
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IConsumer
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from pushprox.client.arriving import Arriving

#: Bytes of a push that are kept, so that it can be sent once more: more than
#: fits on its way into a connection that the other side was just closing.
KEPT = 256 * 1024


@implementer(IBodyProducer)
class Whole:
    """
    A body that is there as a whole, and can be sent any number of times.

    @ivar started: whether it was sent.
    @ivar sent: the bytes of it that were.
    @ivar ended: is not called, since all is sent at once.
    """

    ended: Callable[[], object] | None = None
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
    @ivar ended: is called when all were.
    @ivar _kept: those, unless they are too many.
    @ivar _sending: fires when all is sent; L{None} where nobody takes it.
    @ivar _paused: whether the proxy wants no more for now.
    """

    started = False
    sent = 0
    ended: Callable[[], object] | None = None
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
        self.started = True
        self.sent = 0
        self._consumer = consumer
        self._paused = False
        sending = self._sending = Deferred[None]()
        beginning, self._kept = b"".join(self._kept), []
        if self._answer.waiting:
            # Together, for the sake of those who read it.
            beginning += self._framed(self._answer.waiting.popleft())
        self._write(beginning)
        self._answer.follow(self._pass)
        self._pass()
        return sending

    def _framed(self, piece: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self._isChunked else piece

    def _pass(self) -> None:
        """
        Send what the proxy takes.
        """
        sending, answer = self._sending, self._answer
        if sending is None:
            return
        while answer.waiting and not self._paused:
            self._write(self._framed(answer.waiting.popleft()))
        if answer.fault is not None:
            self._sending = None
            sending.errback(answer.fault)
        elif answer.whole and not answer.waiting:
            if self._isChunked:
                self._write(b"0\r\n\r\n")
            self._sending = None
            if self.ended is not None:
                self.ended()
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
