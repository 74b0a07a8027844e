"""
A request as L{pushprox.channel} receives it: Twisted Web's own, made slim.

All that a stock resource may ask of a request is there, and is made when it is
asked for: most requests are polls and pushes, and need little of it. What
resources that carry scrapes use beside that is the fields as they came, and a
reply whose head is written in one go.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, ITransport
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.http import parse_qs
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource, _IEncodingResource

if TYPE_CHECKING:
    from pushprox.channel import Line

Fields = list[tuple[bytes, bytes]]


class Request(server.Request):
    """
    A request.

    @ivar fields: the header fields, as they came.
    @ivar keepAlive: whether the connection may carry another request.
    @ivar whole: whether all of the body is there.
    @ivar expectsContinue: whether the body waits to be asked for.
    @ivar resource: who answers, once it is this request's turn.
    """

    defaultContentType = None
    queued = False
    fields: Fields
    keepAlive: bool
    whole = False
    expectsContinue = False
    resource: IResource | None = None
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
        for name, value in self.site.signature:
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

    def ask(self) -> None:
        """
        It is this request's turn: find its resource, and ask it when the body
        is there.
        """
        if self.expectsContinue:
            self.channel.askForBody()
        if self.path == b"*":
            self._handleStar()
            return
        self.prepath = []
        self.postpath = [unquote_to_bytes(p) for p in self.path[1:].split(b"/")]
        try:
            self.resource = self.site.getResourceFor(self)
            if _IEncodingResource.providedBy(self.resource):
                self._encoder = self.resource.getEncoder(self)
        except BaseException:
            self.processingFailed(Failure())
        else:
            if self.whole:
                self._answer()

    def _answer(self) -> None:
        if self.content is None:
            self.content = BytesIO()
        self.content.seek(0)
        transport = self.channel.transport
        try:
            self.render(self.resource)
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
        if self.content is None:
            self.content = BytesIO()
        self.content.write(data)
        return limit is not None and self.content.tell() > limit

    def bodyEnded(self) -> None:
        """
        The body is whole.
        """
        self.whole = True
        if self.resource is not None and not self.finished:
            self._answer()

    # What goes.

    def reply(
        self,
        status: int,
        reason: bytes,
        fields: Iterable[tuple[bytes, bytes]],
        body: bytes = b"",
    ) -> None:
        """
        Write the head of the reply, and a first piece of its body, in one go.

        @param fields: names and values that hold no line ends, the framing
            among them.
        """
        self.code = status
        self.code_message = reason
        self.startedWriting = 1
        self.channel.writeHead(self, status, reason, fields, body)
