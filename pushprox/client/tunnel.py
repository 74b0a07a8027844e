"""
A tunnel through a web proxy: CONNECT (RFC 9110 section 9.3.6).

Knows: what to ask of the web proxy, and what its reply means. Does not know:
how to reach the web proxy, or what goes through the tunnel.

No secret leaves this module in a repr or in the text of an error.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from pushprox.client.location import authorityOf
from pushprox.client.webproxy import WebProxy, WebProxyError

# Bytes. The reply to a CONNECT is a few hundred; HTTP servers commonly take
# heads of 8 to 16 KiB.
MAX_REPLY_HEAD = 16 * 1024

# RFC 9112 sections 4 and 5.
_REPLY_HEAD = re.compile(
    rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n"
)


class TunnelRefused(WebProxyError):
    """
    The web proxy answered a CONNECT with something other than a tunnel.
    """


class _Tunnel(Protocol):
    """
    One connection to a web proxy: first the CONNECT, then all is the inner
    protocol's.

    @ivar opened: fires with the inner protocol once it is connected.
    """

    def __init__(self, endpoint: TunnelEndpoint, inner: IProtocol) -> None:
        self.opened: Deferred[IProtocol] = Deferred(self._abandon)
        self._endpoint = endpoint
        self._waiting: Deferred[IProtocol] | None = self.opened
        self._inner: IProtocol | None = inner
        self._head = bytearray()

    def _abandon(self, _: object) -> None:
        self._waiting = self._inner = None
        cast(ITCPTransport, self.transport).abortConnection()

    def _refuse(self, waiting: Deferred[IProtocol], why: str) -> None:
        self._abandon(waiting)
        endpoint = self._endpoint
        waiting.errback(
            TunnelRefused(f"{endpoint.webProxy} refused {endpoint.errand}: {why}")
        )

    def connectionMade(self) -> None:
        cast(ITCPTransport, self.transport).write(self._endpoint.request)

    def dataReceived(self, data: bytes) -> None:
        if self._waiting is not None:
            self._readReply(self._waiting, data)
        elif self._inner is not None:
            self._inner.dataReceived(data)

    def _readReply(self, waiting: Deferred[IProtocol], data: bytes) -> None:
        self._head += data
        end = self._head.find(b"\r\n\r\n", 0, MAX_REPLY_HEAD) + 4
        if end < 4:
            if len(self._head) >= MAX_REPLY_HEAD:
                self._refuse(waiting, f"a head of more than {MAX_REPLY_HEAD} bytes")
            return
        reply = _REPLY_HEAD.fullmatch(self._head, 0, end)
        if reply is None:
            self._refuse(waiting, "the reply is not HTTP/1.1")
            return
        # RFC 9110 section 9.3.6: every 2xx opens the tunnel, right after the
        # head, whatever its Content-Length says.
        if not reply[1].startswith(b"2"):
            status = b" ".join(filter(None, reply.groups())).decode("latin-1")
            if reply[1] == b"407":
                status += " (HTTPS_PROXY may have user:password@)"
            self._refuse(waiting, status)
            return
        inner, rest = cast(IProtocol, self._inner), bytes(self._head[end:])
        self._waiting = None
        inner.makeConnection(cast(ITCPTransport, self.transport))
        waiting.callback(inner)
        if rest:
            inner.dataReceived(rest)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            endpoint = self._endpoint
            waiting.errback(
                WebProxyError(
                    f"{endpoint.webProxy} closed the connection before it answered"
                    f" {endpoint.errand}: {reason.getErrorMessage()}"
                )
            )
        elif self._inner is not None:
            self._inner.connectionLost(reason)


class _TunnelFactory(Factory):
    """
    Builds the inner protocol, and a L{_Tunnel} round it.
    """

    noisy = False

    def __init__(self, endpoint: TunnelEndpoint, inner: IProtocolFactory) -> None:
        self._endpoint = endpoint
        self._inner = inner

    def doStart(self) -> None:
        self._inner.doStart()

    def doStop(self) -> None:
        self._inner.doStop()

    def buildProtocol(self, addr: Any) -> Protocol | None:
        inner = self._inner.buildProtocol(addr)
        return None if inner is None else _Tunnel(self._endpoint, inner)


@implementer(IStreamClientEndpoint)
@attrs.frozen(eq=False)
class TunnelEndpoint:
    """
    Reaches a host and port by CONNECT through a web proxy (RFC 9110 section
    9.3.6).

    @ivar toWebProxy: connects to the web proxy.
    @ivar timeout: how long the web proxy may take to answer, in seconds.
    """

    clock: IReactorTime
    webProxy: WebProxy
    toWebProxy: IStreamClientEndpoint
    host: str
    port: int
    timeout: float

    @property
    def errand(self) -> str:
        """
        What is asked of the web proxy, for the text of errors.
        """
        return f"CONNECT to {authorityOf(self.host, self.port)}"

    @property
    def request(self) -> bytes:
        """
        The request as it goes out.
        """
        to = authorityOf(self.host, self.port).encode("ascii")
        request = b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n" % (to, to)
        if self.webProxy.authorization is not None:
            request += b"Proxy-Authorization: %b\r\n" % self.webProxy.authorization
        return request + b"\r\n"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        @return: fires with the protocol when the tunnel is open; fails with
            L{TunnelRefused}, or L{WebProxyError} for a web proxy that broke off
            or said nothing. Cancelling closes the connection.
        """
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, protocolFactory: IProtocolFactory) -> IProtocol:
        connected = await self.toWebProxy.connect(_TunnelFactory(self, protocolFactory))
        opened = cast(_Tunnel, connected).opened
        return await opened.addTimeout(self.timeout, self.clock, self._timedOut)

    def _timedOut(self, _: object, timeout: float) -> NoReturn:
        raise WebProxyError(
            f"{self.webProxy} did not answer {self.errand} in {timeout:g} s"
        )
