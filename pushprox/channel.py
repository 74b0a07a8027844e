"""
The server's side of HTTP/1.1 on llhttp, for Twisted Web's own L{Site
<twisted.web.server.Site>} and any resource.

It reads heads, frames bodies, answers pipelined requests in order, and holds
limits and timeouts. Which heads keep the rules is for L{pushprox.heads} to say.
It knows nothing of scrapes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IPushProducer,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from zope.interface import implementer

from pushprox.headers import joinFields
from pushprox.heads import BadHead, Fields, readHead
from pushprox.request import Request
from pushprox.sockets import readPieces, send, watchForDeadPeer

if TYPE_CHECKING:
    from pushprox.site import Site


#: Bytes of a large body to read at a time. Not more: what the slower side does
#: not take is held.
PIECE = 128 * 1024

#: How often the parser is fed until all others have their turn.
FEEDS = 100

# Ends a head, and what comes in chunks.
_END = b"\r\n\r\n"

# The fields of a line that reads no head; one list for all.
_NONE: Fields = []


class _Refused(Exception):
    """
    Stops the parser.
    """


class _NotKept:
    """
    What Site gives every channel of its own accord, and ours has no use for.
    """

    def __set__(self, line: Line, value: object) -> None:
        pass


@implementer(IPushProducer)
class Line(Protocol):
    """
    One connection. It is what writes to its transport, unless a reply has a
    producer of its own.

    @ivar due: when it is overdue, on the site's clock; L{None} while it may
        take as long as it likes.
    @ivar _parser: there only while a request is being read: most lines are
        parked polls, and need none.
    @ivar _pieceSize: bytes of the piece that is being read.
    @ivar _headBegan: bytes of the piece in which a head began.
    @ivar _headSize: bytes that came since that piece.
    @ivar _headDue: when a head has to be whole, while one is awaited that has
        begun, or is the first.
    @cvar _asked: requests that came, where they are counted.
    @cvar _turn: the next turn of the reactor, while something waits for that.
    @cvar _rest: what does.
    @cvar _unreadDue: when what was said has to be read, while there is so much
        of it that nothing more is said.
    @ivar _receiving: the request whose body comes.
    @ivar _received: bytes of that body that came from the parser.
    @ivar _unparsed: bytes of it that are still to come, past the parser.
    @ivar _answering: the request that is being answered.
    @ivar _waiting: those that were pipelined behind it.
    @ivar _backlog: the bytes that came meanwhile.
    @ivar _fault: what the parser was stopped with.
    @ivar _farewell: the refusal that follows the reply to C{_answering}.
    @ivar _paused: whether a body is not to come for now.
    @ivar _ending: whether nothing is read any more.
    @ivar _hasBegun: while something is read, whether any request in it has begun
        to be answered; L{None} otherwise.
    """

    site: Site
    requestFactory: type[Request]
    transport: Any
    callLater = timeOut = _NotKept()
    _asked = 0
    _turn: IDelayedCall | None = None
    _rest = b""
    _unreadDue = 0.0

    def __init__(self) -> None:
        # Not more than 29 in all, with those that Twisted sets: Python keeps the
        # attributes of an object with more in 1.3 kB of its own, and is slower.
        self.due: float | None = None
        self._parser: HttpRequestParser | None = None
        self._inHead = False
        self._pieceSize = 0
        self._headBegan = 0
        self._headSize = 0
        self._headDue = 0.0
        self._backlog = 0
        self._url = b""
        self._fields = _NONE
        self._receiving: Request | None = None
        self._received = 0
        self._unparsed = 0
        self._answering: Request | None = None
        self._waiting: deque[Request] | None = None
        self._fault: tuple[int, bytes] | None = None
        self._farewell: tuple[int, bytes] | None = None
        self._paused = False
        self._ending = False
        self._closing = False
        self._advancing = False
        self._hasBegun: bool | None = None

    # The connection.

    def connectionMade(self) -> None:
        """
        Join the site's open lines.
        """
        if ITCPTransport.providedBy(self.transport):
            watchForDeadPeer(self.transport)
        self.transport.registerProducer(self, True)
        self._allow(self.site.limits.head)
        self._headDue = self.due or 0.0
        self.site.lineOpened(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell all requests that nobody waits for their replies any more.
        """
        self.due = None
        self._ending = True
        if self._turn is not None:
            self._turn.cancel()
        self._parser = self._receiving = None
        requests = [self._answering, *(self._waiting or ())]
        self._answering = self._waiting = None
        for request in requests:
            if request is not None:
                request.connectionLost(reason)
        self.site.lineClosed(self, reason)

    @property
    def isSpare(self) -> bool:
        """
        Whether it could end and nobody who is served would miss it: it is the other
        side's turn, which has asked for nothing yet, or was answered, or is sending
        what nobody waits for.
        """
        request = self._answering
        return self.due is not None and (
            request is None or (request is self._receiving and not request.isClaimed)
        )

    def _allow(self, seconds: float) -> None:
        self.due = self.site.clock.seconds() + seconds

    def _await(self) -> None:
        """
        Set when the other side has to have done what is its turn to do.
        """
        if self._ending or self._closing or self._hasBegun is not None:
            return
        limits = self.site.limits
        if self._unreadDue and self._answering is None:
            self.due = self._unreadDue
        elif self._waiting:
            self.due = None  # it is our turn
        elif self._headDue:
            self.due = self._headDue
        elif self._receiving is not None:
            self._awaitBody(self._receiving)
        elif self._answering is not None:
            self.due = None
        else:
            self._allow(limits.idle)

    def _awaitBody(self, request: Request) -> None:
        limits = self.site.limits
        if self._paused:
            self.due = request.awaitedSince = None
        elif request.finished:
            pass  # it may linger, and no longer
        elif request.isClaimed:
            self._allow(limits.body)
        else:
            if request.awaitedSince is None:
                request.awaitedSince = self.site.clock.seconds()
            isKept = request.reader is None
            self.due = request.awaitedSince + (limits.body if isKept else limits.head)

    def overdue(self) -> None:
        """
        The other side took too long.
        """
        self.due = None
        receiving = self._receiving
        isUnread = self._unreadDue and self._answering is None
        if self._ending or isUnread or (receiving and receiving.finished):
            self.site.crowd.closed("stuck")
            self.abort()
        elif self._closing:
            self._end()
        elif self._inHead or receiving is not None:
            self._refuse(408, b"Request Timeout")
        else:
            if self._headDue:
                self.site.crowd.closed("silent")
            self._end()

    def _end(self) -> None:
        """
        Close when all that was said is sent.
        """
        self._ending = True
        self._allow(self.site.limits.linger)
        self._lose()

    def _lose(self) -> None:
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def close(self) -> None:
        """
        Close, but not before the reply to a request that is under way.
        """
        if self._answering is not None:
            self._answering.keepAlive = False
            self._allow(self.site.limits.linger)
            self._closing = True
        elif self._ending:
            self._allow(self.site.limits.linger)
        else:
            self._end()

    # Bytes come.

    def dataReceived(self, data: bytes) -> None:
        """
        Read requests, and begin to answer them.
        """
        if self._turn is not None:
            self._rest += data
            return
        if self._waiting or (self._answering is not None and self._answering.whole):
            self._backlog += len(data)
            if self._backlog > self.site.limits.headSize:
                # To stop reading would be to miss the end of the connection,
                # and a poll on it would be parked for ever.
                self.site.crowd.closed("overrun")
                self.abort()
        self._hasBegun = False
        feeds = 0
        while data and not self._ending and self._farewell is None:
            if feeds == FEEDS or (self._hasBegun and self._receiving is None):
                self._waitTurn(data)
                break
            if self._unparsed:
                data = self._passOn(data)
                continue
            data, rest = self._split(data)
            feeds += 1
            parser = self._parser
            if parser is None:
                parser = self._parser = HttpRequestParser(self)
            self._pieceSize = len(data)
            self._headSize += self._pieceSize
            try:
                parser.feed_data(data)
            except HttpParserUpgrade as upgrade:
                # After an Upgrade, which we ignore (RFC 9110 section 7.8), or
                # a CONNECT.
                self._parser = None
                rest = data[upgrade.args[0] :] + rest
            except HttpParserError:
                self._refuse(*(self._fault or (400, b"Bad Request")))
                break
            receiving = self._receiving
            if receiving is not None and receiving.reader is not None:
                self._leaveOutParser(receiving)
            isUnder = self._inHead or receiving is not None
            if isUnder and self._headSize > self.site.limits.headSize:
                self._refuse(431, b"Request Header Fields Too Large")
                break
            data = rest
        self._hasBegun = None
        if self._receiving is None and not self._inHead:
            self._parser = None
        self._await()

    @staticmethod
    def _split(data: bytes) -> tuple[bytes, bytes]:
        """
        Requests come to the parser one by one, for it stops at none.

        @return: no more than what may be left of one and a whole one; what follows.
        """
        end = data.find(_END) + len(_END)
        if end < len(_END) or data.find(_END, end) < 0:
            return data, b""
        return data[:end], data[end:]

    def _waitTurn(self, rest: bytes) -> None:
        """
        Let all others have their turn: who sends hundreds of requests at once would
        keep them waiting.
        """
        self._rest = rest
        self._turn = self.site.clock.callLater(0, self._takeTurn)
        self.transport.pauseProducing()

    def _takeTurn(self) -> None:
        rest, self._rest, self._turn = self._rest, b"", None
        if not self._paused:
            self.transport.resumeProducing()
        self.dataReceived(rest)

    def _leaveOutParser(self, request: Request) -> None:
        """
        The rest of a body whose size is known needs no parser, which would copy
        it.
        """
        size = request.head.size
        if size is not None:
            self._unparsed = size - self._received
            self._parser = None
            if self._unparsed > PIECE:
                readPieces(self.transport, PIECE)

    def _passOn(self, data: bytes) -> bytes:
        """
        Hand on the next piece of a body.

        @return: what follows the body.
        """
        request = self._receiving
        assert request is not None
        piece = data[: self._unparsed]
        self._unparsed -= len(piece)
        request.bodyReceived(piece, None)
        if not self._unparsed:
            readPieces(self.transport)
            self.on_message_complete()
        return data[len(piece) :]

    # What the parser calls.

    def on_message_begin(self) -> None:
        """
        A request begins.
        """
        if self._ending:
            raise _Refused  # the one before it was the last
        self._inHead = True
        self._headSize = 0
        self._headBegan = self._pieceSize
        self._url = b""
        self._fields = []
        if not self._headDue:
            self._headDue = self.site.clock.seconds() + self.site.limits.head

    def on_url(self, piece: bytes) -> None:
        """
        The request's target, or a piece of it.
        """
        self._url += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """
        A field; trailers are dropped (RFC 9110 section 6.5.1).
        """
        if self._inHead:
            # White space after a value is none of it (RFC 9112 section 5.1).
            self._fields.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """
        The head is whole: see whether it keeps the rules, and whose turn it is.
        """
        parser = self._parser
        assert parser is not None
        fields = self._fields
        limit = self.site.limits.headSize
        # Most pieces are shorter than the longest head, whatever is in them.
        if self._headBegan + self._headSize > limit and self._sizeOfHead() > limit:
            self._stop(431, b"Request Header Fields Too Large")
        version = parser.get_http_version()
        try:
            head = readHead(version, fields, parser.should_upgrade())
        except BadHead as error:
            self._stop(error.status, error.reason)
        self._inHead = False
        self._headDue = 0.0
        self._headSize = 0
        method = parser.get_method()
        request = self.requestFactory(self)
        request.begin(
            method,
            self._url,
            b"HTTP/1.1" if version == "1.1" else b"HTTP/1.0",
            fields,
            head,
            parser.should_keep_alive() and method != b"CONNECT" and not self._closing,
        )
        if self.site.limits.requests:
            self._asked += 1
            if self._asked >= self.site.limits.requests:
                request.keepAlive = False
        self._url = b""
        self._fields = _NONE
        self._receiving = request
        self._received = 0
        if self._answering is None and not self._unreadDue:
            self._hasBegun = True
            self._answering = request
            request.ask()
        else:
            self._queue(request)

    def _sizeOfHead(self) -> int:
        lines = [len(name) + len(value) + 4 for name, value in self._fields]
        return len(self._url) + sum(lines)

    def _queue(self, request: Request) -> None:
        """
        A pipelined request waits for its turn.
        """
        if self._waiting is None:
            self._waiting = deque()
        if len(self._waiting) >= self.site.limits.pipelined:
            self._stop(429, b"Too many requests in the pipeline")
        self._waiting.append(request)

    def on_body(self, data: bytes) -> None:
        """
        A piece of a body.
        """
        request = self._receiving
        assert request is not None
        self._headSize = 0  # what is neither head nor body is a trailer
        self._received += len(data)
        limit = self.site.limits.bodySize
        if request.bodyReceived(data, limit):
            self._stop(413, b"Content Too Large")

    def on_message_complete(self) -> None:
        """
        The request is whole.
        """
        request, self._receiving = self._receiving, None
        assert request is not None
        request.bodyEnded()
        if request.finished and request is self._answering:
            self._advance()

    def _stop(self, status: int, reason: bytes) -> None:
        """
        Stop the parser: the request is refused.
        """
        self._fault = (status, reason)
        raise _Refused

    def _refuse(self, status: int, reason: bytes) -> None:
        """
        Say what is wrong when it is this request's turn, and end.
        """
        offender, self._receiving, self._parser = self._receiving, None, None
        self._unparsed = 0
        self._inHead = False
        self._headDue = 0.0
        if self._ending:
            return  # the last word was said
        answering = self._answering
        if self._waiting or (answering is not None and answering is not offender):
            if offender is not None and self._waiting and offender in self._waiting:
                self._waiting.remove(offender)
            self._farewell = (status, reason)
            if not self._closing:
                self.due = None
            return
        self.site.refused(status)
        if offender is not None:
            self._answering = None
            began = offender.startedWriting
            offender.connectionLost(Failure(ConnectionAborted()))
            if began:
                self._ending = True
                self.transport.abortConnection()
                return
        self._ending = True
        self._allow(self.site.limits.linger)
        body = reason + b"\n"
        self.transport.write(
            b"HTTP/1.1 %d %b\r\n%bContent-Type: text/plain; charset=utf-8\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n%b"
            % (status, reason, self.site.signature, len(body), body)
        )
        if status == 413:
            # Whoever is still sending would lose the reply to a reset, if we
            # closed now: they close, or are overdue.
            self.transport.resumeProducing()
        else:
            self._lose()

    # Replies go.

    def askForBody(self) -> None:
        """
        Ask for a body that waits to be asked for (RFC 9110 section 10.1.1).
        """
        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def pauseBody(self) -> None:
        """
        Read no more for now: who is to have the body is slower.
        """
        self._paused = True
        self._await()
        self.transport.pauseProducing()

    def resumeBody(self) -> None:
        """
        Read on.
        """
        if self._paused:
            self._paused = False
            self._await()
            self.transport.resumeProducing()

    def writeHead(
        self,
        request: Request,
        status: int,
        reason: bytes,
        lines: bytes,
        body: bytes = b"",
    ) -> None:
        """
        Write the head of a reply, and a first piece of its body with it.

        @param lines: of the head, each with its line end.
        """
        if not request.keepAlive:
            connection = b"Connection: close\r\n\r\n"
        elif request.clientproto == b"HTTP/1.0":
            connection = b"Connection: keep-alive\r\n\r\n"
        else:
            connection = b"\r\n"
        head = (request.clientproto, status, reason, lines, connection, body)
        send(self.transport, b"%b %d %b\r\n%b%b%b" % head)

    def writeHeaders(
        self, version: bytes, code: bytes, reason: bytes, headers: Headers
    ) -> None:
        """
        Write a head that was put together by Twisted's own means, which refuse
        line ends in fields.
        """
        request = self._answering
        assert request is not None
        if version == b"HTTP/1.0" and not headers.hasHeader(b"Content-Length"):
            request.keepAlive = False
        # A reason may come from anywhere.
        reason = reason.replace(b"\r", b" ").replace(b"\n", b" ")
        lines = joinFields(
            (name, value)
            for name, values in headers.getAllRawHeaders()
            for value in values
            if name != b"Connection"
        )
        self.writeHead(request, int(code), reason, lines)

    def write(self, data: bytes) -> None:
        """
        Write a piece of a reply's body.
        """
        send(self.transport, data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        Write pieces of a reply's body.
        """
        send(self.transport, b"".join(data))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Have somebody write as fast as the other side reads.
        """
        self.transport.unregisterProducer()
        self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """
        That was all.
        """
        self.transport.unregisterProducer()
        if not self._ending:
            self.transport.registerProducer(self, True)

    # What the transport says.

    def pauseProducing(self) -> None:
        """
        The other side does not read what it is told: it is answered no more.
        """
        if not self._unreadDue:
            self._unreadDue = self.site.clock.seconds() + self.site.limits.idle

    def resumeProducing(self) -> None:
        """
        It has read all.
        """
        self._unreadDue = 0.0
        if self._answering is None:
            self._advance()

    def stopProducing(self) -> None:
        """
        It is gone, as L{connectionLost} will say.
        """

    def loseConnection(self) -> None:
        """
        Close when all that was said is sent.
        """
        if not self._ending:
            self._end()

    def abort(self) -> None:
        """
        Close at once; the other side sees a reset.
        """
        self._ending = True
        self.transport.abortConnection()

    def getPeer(self) -> IAddress:
        """
        @return: the address of the other side.
        """
        peer: IAddress = self.transport.getPeer()
        return peer

    def getHost(self) -> IAddress:
        """
        @return: our address.
        """
        host: IAddress = self.transport.getHost()
        return host

    def isSecure(self) -> bool:
        """
        @return: whether this is TLS.
        """
        return bool(ISSLTransport.providedBy(self.transport))

    def requestDone(self, request: Request) -> None:
        """
        A reply is whole.
        """
        self.resumeBody()
        if not request.keepAlive:
            self._answering = None
            if not self._ending:
                self._end()
                if not self._closing:
                    # There may be much to send still, and a slow reader.
                    self._allow(self.site.limits.idle)
        elif request.whole:
            self._advance()
        else:
            # The rest of its body is on its way still, and is thrown away.
            self._allow(self.site.limits.linger)

    def _advance(self) -> None:
        """
        Turn to the next request, if there is one.
        """
        self._answering = None
        if self._advancing:
            return  # the loop below is at it
        self._advancing = True
        while (
            self._waiting
            and self._answering is None
            and not (self._ending or self._unreadDue)
        ):
            request = self._answering = self._waiting.popleft()
            if not self._waiting and self._inHead:
                self._headDue = self.site.clock.seconds() + self.site.limits.head
            request.ask()
        self._advancing = False
        if not self._waiting:
            self._backlog = 0
        if self._answering is not None or self._waiting:
            self._await()
        elif not self._ending:
            if self._farewell is not None:
                self._refuse(*self._farewell)
            elif self._closing:
                self._end()
            else:
                self._await()
