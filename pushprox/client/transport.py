"""
How the client gets out to its proxy: directly, or through a web proxy.

It knows which connection to open and in which form to ask. It does not know
what travels there (L{pushprox.client.polling} does), and it is not used for
scrapes, which never go through a web proxy.

Two proxies meet here. "Proxy" is the PushProx proxy the client polls; a "web
proxy" (Squid and its like) is what stands between the client and the rest of
the world.

No secret leaves this module in a repr or in the text of an error.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.web.client import URI
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from pushprox.client.agent import Agent
from pushprox.client.connecting import endpointFor
from pushprox.client.lines import Lines
from pushprox.client.location import ProxyLocation
from pushprox.client.tunnel import TunnelEndpoint
from pushprox.client.webproxy import WebProxy, WebProxyError


@implementer(IStreamClientEndpoint)
@attrs.frozen(eq=False)
class _WebProxyEndpoint:
    """
    Connects to a web proxy, and says so where that fails: else its user looks
    for the fault in the PushProx proxy.
    """

    _webProxy: WebProxy
    _endpoint: IStreamClientEndpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, protocolFactory: IProtocolFactory) -> IProtocol:
        try:
            return await self._endpoint.connect(protocolFactory)
        except (ConnectError, DNSLookupError) as error:
            raise WebProxyError(f"cannot reach {self._webProxy}: {error}") from error


@attrs.frozen(eq=False)
class _Ways:
    """
    The ways out: directly, or through the web proxy if there is one.
    """

    reactor: IReactorTime
    policy: IPolicyForHTTPS
    webProxy: WebProxy | None
    timeout: float

    def secured(
        self, endpoint: IStreamClientEndpoint, host: str, port: int
    ) -> IStreamClientEndpoint:
        """
        TLS with this host over whatever leads to it.
        """
        creator = self.policy.creatorForNetloc(host.encode("ascii"), port)
        return wrapClientTLS(creator, endpoint, self.reactor)

    def toWebProxy(self, webProxy: WebProxy) -> IStreamClientEndpoint:
        """
        A connection to the web proxy.
        """
        host, port = webProxy.host, webProxy.port
        way = endpointFor(self.reactor, host, port, self.timeout)
        if webProxy.url.startswith("https:"):
            way = self.secured(way, host, port)
        return _WebProxyEndpoint(webProxy, way)

    def toProxy(self, location: ProxyLocation) -> IStreamClientEndpoint:
        """
        A connection to the proxy.
        """
        uri = URI.fromBytes(location.base.encode("ascii"))
        host = uri.host.decode("ascii")
        way: IStreamClientEndpoint
        if self.webProxy is None:
            way = endpointFor(self.reactor, host, uri.port, self.timeout)
        else:
            toWebProxy = self.toWebProxy(self.webProxy)
            way = TunnelEndpoint(
                self.reactor, self.webProxy, toWebProxy, host, uri.port, self.timeout
            )
        if uri.scheme == b"http":
            return way
        return self.secured(way, location.serverName or host, uri.port)


def agentFor(
    reactor: IReactorTime,
    location: ProxyLocation,
    policy: IPolicyForHTTPS,
    webProxy: WebProxy | None,
    lines: Lines,
    connectTimeout: float,
) -> Agent:
    """
    What reaches the proxy.

    @param reactor: also provides what L{endpointFor} asks for.
    @param policy: holds for the proxy, and for a web proxy behind TLS.
    @param webProxy: the one to go through, from L{WebProxies.proxyFor}.
    @param lines: its connections.
    @param connectTimeout: how long one attempt to connect may take, and again
        the web proxy's answer to a CONNECT; in seconds.
    @return: an agent for URLs of this location, and for no others. It adds no
        Authorization of the location's.
    """
    ways = _Ways(reactor, policy, webProxy, connectTimeout)
    if webProxy is None or location.base.startswith("https:"):
        return Agent(lines, ways.toProxy(location))
    toWebProxy = ways.toWebProxy(webProxy)
    return Agent(lines, toWebProxy, True, webProxy.authorization)
