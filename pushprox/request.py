"""
A request as L{pushprox.channel} receives it: Twisted Web's own, made slim.

All that a stock resource may ask of a request is there, and is made when it is
asked for: most requests are polls and pushes, and need little of it. What
resources that carry scrapes use beside that is the fields as they came, a body
that is read as it comes, and a reply whose head is written in one go.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, ITransport
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.http import parse_qs
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource, Resource, _IEncodingResource
from twisted.web.server import NOT_DONE_YET

from pushprox.heads import Fields, Head

if TYPE_CHECKING:
    from pushprox.channel import Line
    from pushprox.credentials import Credential

# The fields of who let go of them; one list for all.
_NONE: Fields = []

#: What stands for a status where the other side hung up before the reply.
HUNG_UP = 499

#: Bytes of the body of a request that is held which are kept.
HELD = 64 * 1024


class StreamingResource(Resource):
    """
    A resource that is asked as soon as the head of a request is there, and
    reads the body as it comes: see L{Request.readBody}.
    """


class Star(StreamingResource):
    """
    What C{OPTIONS *} asks for (RFC 9110 section 9.3.7): whether anybody is there.
    """

    isLeaf = True

    def render(self, request: Request) -> int:
        """
        Say so, as Twisted Web does.
        """
        request._handleStar()
        return NOT_DONE_YET


STAR = Star()


class BodyReader(Protocol):
    """
    Who reads a body as it comes. That it broke off is told by
    L{Request.whenLost}, as any hang-up is.
    """

    def bodyReceived(self, piece: bytes) -> None:
        """
        The next bytes, as many as came at a time.
        """

    def bodyEnded(self) -> None:
        """
        That was all.
        """


class Request(server.Request):
    """
    A request.

    @ivar fields: the header fields, as they came.
    @ivar began: when the head was whole, on the site's clock.
    @ivar keepAlive: whether the connection may carry another request.
    @ivar head: what they say of the body, and the fields by their names.
    @ivar whole: whether all of the body is there.
    @ivar isFramed: whether the reply tells where it ends, other than by the
        end of the connection.
    @ivar resource: who answers, once it is this request's turn.
    @ivar reader: who reads the body as it comes, if anybody does.
    @ivar isClaimed: whether somebody is known to wait for what is read, so that
        it may take as long as pieces come.
    @ivar awaitedSince: since when the rest of the body is awaited, on the site's
        clock.
    @ivar credential: who it is from, if that was proved.
    @ivar granted: what that lets him do, for who finds it out to keep it.
    @ivar whenLost: called if the other side hangs up before its reply is whole;
        a L{notifyFinish} that costs nothing.
    """

    defaultContentType = None
    queued = False
    fields: Fields
    began: float
    keepAlive: bool
    head: Head
    whole = False
    isFramed = True
    isClaimed = False
    awaitedSince: float | None = None
    _isHeld = False
    _isKept = True
    resource: IResource | None = None
    reader: BodyReader | None = None
    credential: Credential | None = None
    granted: Any = None
    whenLost: Callable[[], object] | None = None
    channel: Any
    site: Any

    def __init__(self, channel: Line) -> None:
        # Not the base class's: what that makes is made below, when asked for.
        self.channel = channel
        self.site = channel.site

    @cached_property
    def notifications(self) -> list[Deferred[None]]:  # type: ignore[override]
        """
        Who wants to know of the end.
        """
        return []

    @cached_property
    def requestHeaders(self) -> Headers:  # type: ignore[override]
        """
        The fields, as stock resources read them.
        """
        headers = Headers()
        for name, value in self.fields:
            headers.addRawHeader(name, value)
        return headers

    @cached_property
    def responseHeaders(self) -> Headers:  # type: ignore[override]
        """
        The reply's, as stock resources set them.
        """
        headers = Headers()
        for line in self.site.signature.splitlines():
            name, _, value = line.partition(b": ")
            headers.setRawHeaders(name, [value])
        return headers

    @cached_property
    def cookies(self) -> list[bytes]:  # type: ignore[override]
        """
        Cookies to set.
        """
        return []

    @cached_property
    def received_cookies(self) -> dict[bytes, bytes]:  # type: ignore[override]
        """
        Cookies that came.
        """
        received: dict[bytes, bytes] = {}
        self.received_cookies = received
        self.parseCookies()
        return received

    @cached_property
    def client(self) -> IAddress:
        """
        The address of the other side.
        """
        peer: IAddress = self.channel.getPeer()
        return peer

    @cached_property
    def host(self) -> IAddress:
        """
        Our address.
        """
        host: IAddress = self.channel.getHost()
        return host

    @cached_property
    def transport(self) -> ITransport:  # type: ignore[override]
        """
        The connection below the channel.
        """
        transport: ITransport = self.channel.transport
        return transport

    @cached_property
    def args(self) -> dict[bytes, list[bytes]]:  # type: ignore[override]
        """
        The parameters in the query.
        """
        found: dict[bytes, list[bytes]] = parse_qs(self.uri.partition(b"?")[2], True)
        return found

    @cached_property
    def prepath(self) -> list[bytes]:  # type: ignore[override]
        """
        The parts of the path that led to a resource.
        """
        return []

    @cached_property
    def postpath(self) -> list[bytes]:  # type: ignore[override]
        """
        The parts of the path that are still before it.
        """
        return [unquote_to_bytes(part) for part in self.path[1:].split(b"/")]

    @cached_property
    def _adapterCache(self) -> dict[str, object]:  # type: ignore[override]
        """
        What others attached to the request.
        """
        return {}

    # What comes.

    def begin(
        self,
        method: bytes,
        uri: bytes,
        version: bytes,
        fields: Fields,
        head: Head,
        keepAlive: bool,
    ) -> None:
        """
        The head is whole.
        """
        self.method = method
        self.uri = uri
        self.path = uri.partition(b"?")[0]
        self.clientproto = version
        self.fields = fields
        self.keepAlive = keepAlive
        self.head = head
        self.began = self.site.clock.seconds()

    def ask(self) -> None:
        """
        It is this request's turn: find its resource, and ask it when the body
        is there, or now if it reads that as it comes.
        """
        if self.head.expectsContinue and not self.whole:
            # Who is answered without being asked for the body may send it or not:
            # what comes then can be anything (RFC 9110 section 10.1.1).
            self._isKept, self.keepAlive = self.keepAlive, False
        try:
            resource = self.site.getResourceFor(self)
        except BaseException:
            self.processingFailed(Failure())
        else:
            self.turnTo(resource)

    def turnTo(self, resource: IResource) -> None:
        """
        Have this resource answer: ask it when the body is there, or now if it
        reads that as it comes.
        """
        self.resource = resource
        if self._isHeld:
            self._isHeld = False
            self.resumeProducing()
        try:
            if _IEncodingResource.providedBy(resource):
                self._encoder = resource.getEncoder(self)
        except BaseException:
            self.processingFailed(Failure())
        else:
            if isinstance(resource, StreamingResource):
                self._guard(self.render, resource)
            elif self.whole:
                self._answer()
            elif self.head.expectsContinue:
                self._askForBody()

    def _askForBody(self) -> None:
        self.keepAlive = self._isKept
        self.channel.askForBody()

    def hold(self) -> None:
        """
        Have nobody answer until L{turnTo} says who does. For a
        L{StreamingResource} that is asked. What comes of the body until then is
        kept, up to L{HELD} bytes and those that are on their way.
        """
        self.resource = None
        self._isHeld = True

    def _answer(self) -> None:
        if self.content is None:
            self.content = BytesIO()
        self.content.seek(0)
        self._guard(self.render, self.resource)

    def _guard(self, step: Callable[..., object], *args: object) -> None:
        """
        Let a resource do something, whatever comes of it.
        """
        transport = self.channel.transport
        try:
            step(*args)
        except BaseException:
            if self.finished:
                # Whether that was a reply is anybody's guess.
                self._log.failure("A resource failed after its reply")
                transport.abortConnection()
            else:
                self.processingFailed(Failure())

    def bodyReceived(self, data: bytes, limit: int | None) -> bool:
        """
        A piece of the body.

        @param limit: the most bytes to keep.
        @return: whether the body is longer.
        """
        if self.finished:
            return False  # answered already: nobody wants it
        if self.reader is not None:
            self._guard(self.reader.bodyReceived, data)
            return False
        if self.content is None:
            self.content = BytesIO()
        self.content.write(data)
        if self._isHeld and self.content.tell() > HELD:
            self.pauseProducing()
        return limit is not None and self.content.tell() > limit

    def bodyEnded(self) -> None:
        """
        The body is whole.
        """
        self.whole = True
        if self.finished:
            return
        if self.reader is not None:
            self._guard(self.reader.bodyEnded)
        elif self.resource is not None:
            self._answer()

    def readBody(self, reader: BodyReader) -> None:
        """
        Have the body as it comes, from its first byte on.
        """
        self.reader = reader
        if self.content is not None:
            # It came while this request waited for its turn.
            kept, self.content = self.content.getvalue(), None
            reader.bodyReceived(kept)
        if self.finished:
            return
        if self.whole:
            reader.bodyEnded()
        elif self.head.expectsContinue:
            self._askForBody()

    def forget(self) -> None:
        """
        Let go of what came: of the fields and the body. For who has read them
        and now waits long, as thousands do.
        """
        del self.head, self.content
        self.fields = _NONE

    def pauseProducing(self) -> None:
        """
        Let no more of the body come for now.
        """
        if self.channel is not None:
            self.channel.pauseBody()

    def resumeProducing(self) -> None:
        """
        Let the body come again.
        """
        if self.channel is not None:
            self.channel.resumeBody()

    def connectionLost(self, reason: Failure) -> None:
        """
        Nobody waits for the reply any more.
        """
        if not self.finished:
            self.site.ended(self, HUNG_UP)
            if self.whenLost is not None:
                self.whenLost()
        self.reader = self.whenLost = None
        super().connectionLost(reason)

    # What goes.

    def beginReply(
        self,
        status: int,
        reason: bytes,
        lines: bytes,
        body: bytes = b"",
        isFramed: bool = True,
    ) -> None:
        """
        Write the head of a reply, and a first piece of its body, in one go.
        L{write} writes more, L{finish} ends it.

        @param lines: of the head, each with its line end.
        @param isFramed: whether they tell where the body ends. If not, it goes
            in chunks, or to the end of the connection.
        """
        self.code = status
        self.code_message = reason
        self.startedWriting = 1
        if not isFramed:
            if self.clientproto == b"HTTP/1.1":
                self.chunked = 1
                lines += b"Transfer-Encoding: chunked\r\n"
                body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            else:
                self.keepAlive = False
                self.isFramed = False
        self.channel.writeHead(self, status, reason, lines, body)

    def reply(
        self,
        status: int,
        reason: bytes,
        lines: bytes,
        body: bytes = b"",
    ) -> None:
        """
        Write a whole reply in one go.

        @param lines: of the head, each with its line end, the framing among them.
        """
        self.beginReply(status, reason, lines, body)
        if "notifications" in self.__dict__:
            self.finish()
            return
        # The same, but for what nobody asked for.
        self.site.ended(self, status)
        self.finished = 1
        self.reader = self.whenLost = None
        channel, self.channel = self.channel, None
        channel.requestDone(self)

    def finish(self) -> None:
        """
        The reply is whole.
        """
        super().finish()
        self.reader = self.whenLost = None

    def breakOff(self) -> None:
        """
        End a reply that cannot be had whole, so that the other side sees it.
        """
        if self.producer is not None:
            self.unregisterProducer()
        if self.isFramed:
            # What is missing shows it.
            self.loseConnection()
        else:
            self.channel.abort()
