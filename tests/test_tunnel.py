"""
Tests for L{pushprox.client.tunnel}: the CONNECT itself, byte for byte.
"""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectingCancelledError,
    ConnectionDone,
    NoProtocol,
)
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from pushprox.client.connecting import endpointFor
from pushprox.client.tunnel import MAX_REPLY_HEAD, TunnelEndpoint, TunnelRefused
from pushprox.client.webproxy import WebProxy, WebProxyError
from tests.servers import ServersTestCase, WebProxyServer


@attrs.define(eq=False)
class Inner(Protocol):
    """
    What is spoken inside a tunnel: it writes down what happens to it.
    """

    events: list[object] = attrs.field(factory=list)

    def connectionMade(self) -> None:
        """
        The tunnel is open.
        """
        self.events.append("connected")

    def dataReceived(self, data: bytes) -> None:
        """
        Bytes came through the tunnel.
        """
        self.events.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The tunnel is no more.
        """
        self.events.append(reason.type)


@attrs.define(eq=False)
class InnerFactory(Factory):
    """
    Has one protocol to give, or none.
    """

    noisy: ClassVar[bool] = False
    inner: Inner | None
    calls: list[str] = attrs.field(factory=list)

    def doStart(self) -> None:
        """
        A connection begins.
        """
        self.calls.append("doStart")

    def doStop(self) -> None:
        """
        A connection is over.
        """
        self.calls.append("doStop")

    def buildProtocol(self, addr: object) -> Inner | None:
        """
        The one protocol.
        """
        return self.inner


class TunnelEndpointTests(ServersTestCase):
    """
    The CONNECT itself, byte for byte.
    """

    webProxy = WebProxy("http://web:3128", "web", 3128, b"Basic dXNlcjpzM2tyMXQ=")

    def setUp(self) -> None:
        """
        A web proxy that says nothing by itself, and an endpoint through it.
        """
        super().setUp()
        self.web = WebProxyServer(reply=b"")
        self.listen(3128, self.web)
        self.inner = Inner()
        self.factory = InnerFactory(self.inner)
        self.endpoint = self.endpointThrough(self.webProxy)

    def endpointThrough(self, webProxy: WebProxy) -> TunnelEndpoint:
        """
        An endpoint for C{host:443}.
        """
        toWebProxy = endpointFor(self.reactor, "web", 3128, 10.0)
        return TunnelEndpoint(self.reactor, webProxy, toWebProxy, "host", 443, 10.0)

    def connect(self) -> Deferred[Any]:
        """
        Connect, up to the web proxy's turn to speak.
        """
        d = self.endpoint.connect(self.factory)
        self.settle()
        return d

    def say(self, *pieces: bytes) -> None:
        """
        Let the web proxy say something.
        """
        for piece in pieces:
            for connection in self.web.connections:
                assert connection.transport is not None
                connection.transport.write(piece)
            self.settle()

    def hangUp(self) -> None:
        """
        Let the web proxy close the connection.
        """
        transport: Any = self.web.connections[0].transport
        transport.loseConnection()
        self.settle()

    def assertRefused(self, reply: bytes, why: str) -> None:
        """
        This reply opens no tunnel, closes the connection and is explained so.
        """
        d = self.connect()
        self.say(reply)
        self.assertEqual(
            str(self.failureResultOf(d, TunnelRefused).value),
            f"web proxy http://web:3128 refused CONNECT to host:443: {why}",
        )
        self.assertEqual(self.inner.events, [])
        self.assertEqual(self.web.connections, [])
        self.assertQuiet()

    def test_interfaces(self) -> None:
        """
        It is an endpoint.
        """
        verifyObject(IStreamClientEndpoint, self.endpoint)

    def test_secrets(self) -> None:
        """
        Its repr, which connection pools keep, shows no credentials.
        """
        self.assertNotIn("dXNl", repr(self.endpoint))

    def test_opens(self) -> None:
        """
        The inner protocol is connected after the reply, and has the connection
        for itself from then on.
        """
        d = self.connect()
        self.assertEqual(self.inner.events, [])
        self.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.assertIs(self.successResultOf(d), self.inner)
        self.say(b"one", b"two")
        assert self.inner.transport is not None
        self.inner.transport.write(b"three")
        self.settle()
        self.assertEqual(self.web.connections[0].received, b"three")
        self.inner.transport.loseConnection()
        self.settle()
        self.assertEqual(
            self.inner.events, ["connected", b"one", b"two", ConnectionDone]
        )
        self.assertEqual(self.web.connections, [])
        self.assertQuiet()

    def test_openingReplies(self) -> None:
        """
        Every 2xx opens the tunnel, whatever its headers say of a body.
        """
        for reply in (
            b"HTTP/1.0 200\r\n\r\n",
            b"HTTP/1.1 200 \r\n\r\n",
            b"HTTP/1.1 299 \xe9\t!\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Empty:\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ):
            self.inner.events.clear()
            d = self.connect()
            self.say(reply + b"abc")
            self.assertIs(self.successResultOf(d), self.inner)
            self.assertEqual(self.inner.events, ["connected", b"abc"])
            self.hangUp()

    def test_piecemeal(self) -> None:
        """
        A reply may come byte by byte, and what follows it is not lost.
        """
        d = self.connect()
        reply = b"HTTP/1.1 200 OK\r\nVia: 1.1 web\r\n\r\nhello"
        self.say(*(reply[i : i + 1] for i in range(len(reply))))
        self.assertIs(self.successResultOf(d), self.inner)
        self.assertEqual(
            self.inner.events, ["connected", *(b"%c" % c for c in b"hello")]
        )

    def test_refusals(self) -> None:
        """
        Every other status is a refusal, and is quoted.
        """
        for reply, why in {
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nabc": (
                "502 Bad Gateway"
            ),
            b"HTTP/1.1 407\r\n\r\n": "407 (HTTPS_PROXY may have user:password@)",
            b"HTTP/1.0 403 \r\n\r\n": "403",
            b"HTTP/1.1 100 Continue\r\n\r\n": "100 Continue",
            b"HTTP/1.1 302 Moved\r\nLocation: http://login/\r\n\r\n": "302 Moved",
        }.items():
            self.assertRefused(reply, why)

    def test_nonsense(self) -> None:
        """
        What is not a reply of HTTP/1.0 or 1.1 opens no tunnel.
        """
        for reply in (
            b"SSH-2.0-x\r\n\r\n",
            b"HTTP/2 200 OK\r\n\r\n",
            b"HTTP/1.1 20 OK\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"HTTP/1.1  200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\nA: b\r\n\r\n",
            b"HTTP/1.1 200 O\x1bK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nBad name: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n: x\r\n\r\n",
            b"\r\n\r\n",
        ):
            self.assertRefused(reply, "the reply is not HTTP/1.1")

    def test_longHead(self) -> None:
        """
        A reply head is read up to a limit.
        """
        start, end = b"HTTP/1.1 200 OK\r\nA: ", b"\r\n\r\n"
        filling = b"a" * (MAX_REPLY_HEAD - len(start) - len(end))
        d = self.connect()
        self.say(start, filling, end + b"x")
        self.assertIs(self.successResultOf(d), self.inner)
        self.hangUp()
        self.inner.events.clear()
        for reply in (start + filling + b"a" + end, b"a" * MAX_REPLY_HEAD):
            self.assertRefused(reply, "a head of more than 16384 bytes")

    def test_deafAfterRefusal(self) -> None:
        """
        What still comes after a refusal, or after the wait was given up,
        reaches nobody.
        """
        d = self.connect()
        for connection in self.web.connections:
            assert connection.transport is not None
            connection.transport.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
        self.pumps[-1].pump()
        client = self.pumps[-1].client
        client.dataReceived(b"HTTP/1.1 200 OK\r\n\r\n")
        self.settle()
        self.failureResultOf(d, TunnelRefused)
        self.assertEqual(self.inner.events, [])

    def test_closed(self) -> None:
        """
        A web proxy that closes instead of answering is named, with the reason.
        """
        d = self.connect()
        self.say(b"HTTP/1.1 200")
        self.hangUp()
        self.assertEqual(
            str(self.failureResultOf(d, WebProxyError).value),
            "web proxy http://web:3128 closed the connection before it answered"
            " CONNECT to host:443: Connection was closed cleanly: Connection done.",
        )
        self.assertEqual(self.inner.events, [])
        self.assertQuiet()

    def test_silent(self) -> None:
        """
        A web proxy that does not answer in time is left, and named.
        """
        d = self.connect()
        self.reactor.advance(9.9)
        self.say(b"HTTP/1.1 200 OK\r\n")
        self.assertNoResult(d)
        self.reactor.advance(0.1)
        self.settle()
        self.assertEqual(
            str(self.failureResultOf(d, WebProxyError).value),
            "web proxy http://web:3128 did not answer CONNECT to host:443 in 10 s",
        )
        self.assertEqual(self.web.connections, [])
        self.assertQuiet()

    def test_cancelConnecting(self) -> None:
        """
        Cancelling while the web proxy is being connected to ends the attempt.
        """
        d = self.endpoint.connect(self.factory)
        connector: Any = self.reactor.connectors[0]
        d.cancel()
        self.failureResultOf(d, CancelledError, ConnectingCancelledError)
        self.assertTrue(connector.stoppedConnecting)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_cancelWaiting(self) -> None:
        """
        Cancelling while the web proxy thinks closes the connection.
        """
        d = self.connect()
        d.cancel()
        self.settle()
        self.failureResultOf(d, CancelledError)
        self.assertEqual(self.web.connections, [])
        self.assertEqual(self.inner.events, [])
        self.assertQuiet()

    def test_noProtocol(self) -> None:
        """
        A factory that has no protocol to give is no connection.
        """
        self.factory.inner = None
        d = self.endpoint.connect(self.factory)
        self.reactor.tcpClients[0][2].buildProtocol(None)
        self.reactor.advance(1)
        self.failureResultOf(d, NoProtocol)

    def test_factoryToldOfStartAndStop(self) -> None:
        """
        The factory hears when its connection begins and ends.
        """
        self.endpoint.connect(self.factory)
        factory = self.reactor.tcpClients[0][2]
        factory.doStart()
        factory.doStop()
        self.assertEqual(self.factory.calls, ["doStart", "doStop"])

    def test_unintroduced(self) -> None:
        """
        The request is a Host and nothing more where there are no credentials.
        """
        self.assertEqual(
            self.endpointThrough(
                WebProxy("http://web:3128", "web", 3128, None)
            ).request,
            b"CONNECT host:443 HTTP/1.1\r\nHost: host:443\r\n\r\n",
        )

    @given(
        st.one_of(
            st.binary(max_size=60),
            st.builds(
                lambda status, rest: b"HTTP/1.1 %d x\r\n\r\n%b" % (status, rest),
                st.integers(0, 1200),
                st.binary(max_size=9),
            ),
        ),
        st.integers(0, 60),
    )
    def test_anyReply(self, reply: bytes, cut: int) -> None:
        """
        Whatever the web proxy says, and however it is cut, the tunnel opens
        only for a 2xx, is refused, or is waited for; never anything else.
        """
        self.setUp()
        d = self.connect()
        self.say(reply[:cut], reply[cut:])
        if self.inner.events:
            self.assertIs(self.successResultOf(d), self.inner)
            head, _, rest = reply.partition(b"\r\n\r\n")
            self.assertRegex(head, rb"\AHTTP/1\.[01] 2[0-9][0-9]( |\r\n|\Z)")
            self.assertEqual(b"".join(self.inner.events[1:]), rest)
        elif b"\r\n\r\n" in reply:
            self.failureResultOf(d, TunnelRefused)
        else:
            self.assertNoResult(d)
            d.cancel()
            self.failureResultOf(d, CancelledError)
