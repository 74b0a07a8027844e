"""
One HTTP/1.1 connection to a server, and the exchanges over it.

Knows: when a connection carries an exchange, rests or leaves, how the body of a
request gets out while it is still made, and what the end of the connection
means for the answer (RFC 9112 sections 7.1 and 9). Does not know: how an answer
is read (L{pushprox.client.answer}), names, TLS, redirects, which connection
serves what (L{pushprox.client.lines}), how long that may take.

It stands here because L{twisted.web.client.Agent} forgets the Content-Length
of an answer to HEAD, cannot tell a body that its server ended by closing the
connection from one that was torn off, and goes on sending what the server has
already refused.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IConsumer,
    IDelayedCall,
    IProducer,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from pushprox.client.answer import Answer, NotHTTP, Receiver
from pushprox.sockets import send

LEAVE_PATIENCE = 5.0
"""Seconds for the server to take its leave too, as TLS wants it."""


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


@implementer(IConsumer)
@attrs.define(eq=False)
class _Sending:
    """
    Sends a request: its head, together with the first piece of its body, and each
    other piece.

    @ivar _head: unless it is sent.
    @ivar _isChunked: whether each piece is to be a chunk (RFC 9112 section 7.1).
    """

    _transport: Any
    _head: bytes
    _isChunked: bool

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        self._transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        self._transport.unregisterProducer()

    def write(self, data: bytes) -> None:
        if self._isChunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._send(data)

    def _send(self, data: bytes) -> None:
        head, self._head = self._head, b""
        send(self._transport, head + data)

    def flush(self) -> None:
        """
        Send the head alone, if there is no piece yet.
        """
        if self._head:
            self._send(b"")

    def end(self) -> None:
        """
        That was the last piece.
        """
        if self._isChunked:
            self._send(b"0\r\n\r\n")
        self.flush()
        self.unregisterProducer()


class Line(Protocol):
    """
    A connection to a server. It carries one exchange at a time, and between
    them rests or leaves.

    @ivar to: where it leads, for L{Lines}.
    @ivar idle: whether it rests, and can be taken for an exchange.
    @ivar _leaving: whether it carries nothing any more.
    @ivar _answer: of the exchange under way.
    @ivar _body: of the request, until all of it is sent.
    @ivar _done: of the last exchange.
    @ivar _timer: ends its rest, or its leave.
    """

    transport: Any
    idle = False
    _leaving = False
    _answer: Answer | None = None
    _body: IBodyProducer | None = None
    _done: Deferred[None]
    _timer: IDelayedCall | None = None

    def __init__(
        self, clock: IReactorTime, lost: Callable[[Line], None], to: Hashable = None
    ) -> None:
        """
        @param lost: is called when the connection is gone.
        """
        self.to = to
        self._clock = clock
        self._lost = lost

    def connectionMade(self) -> None:
        """
        Send small pieces at once: whoever waits for them has to wait for no
        others.
        """
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)

    def exchange(
        self,
        method: bytes,
        request: bytes,
        receiver: Receiver,
        body: IBodyProducer | None = None,
    ) -> Deferred[None]:
        """
        Send a request, and let the receiver have the answer. To cancel is to
        abort the connection.

        @param request: the head, or all of it.

        @param body: the rest, which comes in chunks if it knows no length. It is
            stopped when the answer is whole before, or the connection ends.

        @return: fires when the answer has come whole; then the line wants to be
            told to L{rest} or to L{leave}. Fails with L{Unanswered},
            L{BrokenOff} or L{NotHTTP}, and with the connection aborted; or with
            what the body failed with, and closed so that the server can tell
            that this is not its end.
        """
        self.idle = False
        self._answer = Answer(method, receiver)
        self._done = Deferred(lambda _: self._abort())
        if body is None:
            send(self.transport, request)
        else:
            self._send(request, body)
        return self._done

    def _send(self, head: bytes, body: IBodyProducer) -> None:
        sending = _Sending(self.transport, head, body.length is UNKNOWN_LENGTH)

        def sent(_: object) -> None:
            self._body = None
            sending.end()

        def failed(failure: Failure) -> None:
            self._body = self._answer = None
            sending.unregisterProducer()
            self.leave()
            self._done.errback(failure)

        self._body = body
        sending.registerProducer(body, True)
        body.startProducing(sending).addCallbacks(sent, failed)
        if self._body is not None:
            sending.flush()

    def rest(self, timeout: float) -> None:
        """
        Wait for another exchange, if there can be one.

        @param timeout: seconds to wait at most.
        """
        if self._leaving:
            return
        self.idle = True
        if self._timer is not None and self._timer.active():
            # That of the last rest: to put it off costs next to nothing.
            self._timer.reset(timeout)
        else:
            self._timer = self._clock.callLater(timeout, self._rested)

    def _rested(self) -> None:
        if self.idle:
            self.leave()

    def leave(self) -> None:
        """
        Close the connection, in order: the server sees no error.
        """
        if not self._leaving:
            self.idle = False
            self._leaving = True
            # TLS waits for the server's close_notify, which may never come.
            self._cancelTimer()
            self._timer = self._clock.callLater(LEAVE_PATIENCE, self._abort)
            self.transport.loseConnection()

    def _abort(self) -> None:
        self._leaving = True
        self._answer = None
        self._stopBody()
        self.transport.abortConnection()

    def _stopBody(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            self.transport.unregisterProducer()
            body.stopProducing()

    def _cancelTimer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

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
        if not answer.whole:
            return
        self._answer = None
        if self._body is not None:
            # The rest of the request is not wanted, and stands before the next.
            self._abort()
        elif not answer.reusable:
            self.leave()
        self._done.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The end of the connection, which may be the end of an answer.
        """
        self.idle = False
        self._leaving = True
        self._cancelTimer()
        body, self._body = self._body, None
        if body is not None:
            body.stopProducing()
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
