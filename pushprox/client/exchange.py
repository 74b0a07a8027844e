"""
One HTTP/1.1 connection to a target, and the exchanges over it.

Knows: when a connection carries an exchange, rests or leaves, and what its end
means for the answer (RFC 9112 section 9). Does not know: how an answer is read
(L{pushprox.client.answer}), names, TLS, redirects, which connection serves
which scrape, how long that may take.

It stands here because L{twisted.web.client.Agent} forgets the Content-Length
of an answer to HEAD, and cannot tell a body that its target ended by closing
the connection from one that was torn off.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from pushprox.client.answer import Answer, NotHTTP, Receiver

LEAVE_PATIENCE = 5.0
"""Seconds for the target to take its leave too, as TLS wants it."""


@attrs.frozen
class Unanswered(Exception):
    """
    The connection ended before the first byte of an answer.

    @ivar cause: why it ended.
    """

    cause: BaseException | None


@attrs.frozen
class BrokenOff(Exception):
    """
    The connection ended before the answer did.

    @ivar received: bytes that had come of the body.
    """

    received: int


class Line(Protocol):
    """
    A connection to a target. It carries one exchange at a time, and between
    them rests or leaves.

    @ivar idle: whether it rests, and can be taken for an exchange.
    @ivar _leaving: whether it carries nothing any more.
    @ivar _answer: of the exchange under way.
    @ivar _done: of the last exchange.
    @ivar _timer: ends its rest, or its leave.
    """

    transport: ITCPTransport
    idle = False
    _leaving = False
    _answer: Answer | None = None
    _done: Deferred[None]
    _timer: IDelayedCall | None = None

    def __init__(self, clock: IReactorTime, lost: Callable[[Line], None]) -> None:
        """
        @param lost: is called when the connection is gone.
        """
        self._clock = clock
        self._lost = lost

    def exchange(
        self, method: bytes, request: bytes, receiver: Receiver
    ) -> Deferred[None]:
        """
        Send a request, and let the receiver have the answer. To cancel is to
        abort the connection.

        @param request: all of its bytes.

        @return: fires when the answer has come whole; then the line wants to be
            told to L{rest} or to L{leave}. Fails with L{Unanswered},
            L{BrokenOff} or L{NotHTTP}, and with the connection aborted.
        """
        self.idle = False
        self._setTimer(None)
        self._answer = Answer(method, receiver)
        self._done = Deferred(lambda _: self._abort())
        self.transport.write(request)
        return self._done

    def rest(self, timeout: float) -> None:
        """
        Wait for another exchange, if there can be one.

        @param timeout: seconds to wait at most.
        """
        if not self._leaving:
            self.idle = True
            self._setTimer(self._clock.callLater(timeout, self.leave))

    def leave(self) -> None:
        """
        Close the connection, in order: the target sees no error.
        """
        if not self._leaving:
            self.idle = False
            self._leaving = True
            # TLS waits for the target's close_notify, which may never come.
            patience = self._clock.callLater(LEAVE_PATIENCE, self._abort)
            self._setTimer(patience)
            self.transport.loseConnection()

    def _abort(self) -> None:
        self._leaving = True
        self._answer = None
        self.transport.abortConnection()

    def _setTimer(self, timer: IDelayedCall | None) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = timer

    def dataReceived(self, data: bytes) -> None:
        """
        The next piece of an answer, or of what nobody asked for: such as the
        408 of a server that grew tired of waiting.
        """
        answer = self._answer
        if answer is None:
            self.leave()
            return
        try:
            answer.feed(data)
        except NotHTTP:
            self._abort()
            self._done.errback()
            return
        if answer.whole:
            self._answer = None
            if not answer.reusable:
                self.leave()
            self._done.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The end of the connection, which may be the end of an answer.
        """
        self.idle = False
        self._leaving = True
        self._setTimer(None)
        self._lost(self)
        answer, self._answer = self._answer, None
        if answer is None:
            return
        answer.connectionEnded(reason.check(ConnectionDone) is not None)
        if answer.whole:
            self._done.callback(None)
        elif answer.begun:
            self._done.errback(BrokenOff(answer.received))
        else:
            self._done.errback(Unanswered(reason.value))
