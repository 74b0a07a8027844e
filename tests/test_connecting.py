"""
Tests for L{pushprox.client.connecting}.
"""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectingCancelledError,
    ConnectionRefusedError,
    DNSLookupError,
    NoRouteError,
)
from twisted.internet.interfaces import (
    IHostnameResolver,
    IProtocol,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.test.iosim import ConnectionCompleter
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from pushprox.client.connecting import endpointFor, isBeyondIDNA


@implementer(IHostnameResolver)
@attrs.define(eq=False)
class SlowNames:
    """
    Lookups that end when the test says so, and cannot be called off.
    """

    asked: list[tuple[str, int]] = attrs.field(factory=list)
    receivers: list[IResolutionReceiver] = attrs.field(factory=list)

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: object = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        """
        Begin to look a name up.
        """
        self.asked.append((hostName, portNumber))
        self.receivers.append(resolutionReceiver)
        resolutionReceiver.resolutionBegan(None)

    def find(self, *addresses: str) -> None:
        """
        The oldest lookup found these.
        """
        receiver = self.receivers.pop(0)
        for address in addresses:
            kind = IPv6Address if ":" in address else IPv4Address
            receiver.addressResolved(kind("TCP", address, 9100))
        receiver.resolutionComplete()


class NameTests(SynchronousTestCase):
    """
    Which names need a way of their own.
    """

    def test_beyond(self) -> None:
        """
        These are names of machines, and none for IDNA.
        """
        for name in (
            "node_exporter",
            "Push_Proxy",
            "_",
            "a.b_c.d.",
            "r3--sn.example",
            "-a-",
            "xn--a",
            "_" * 63,
        ):
            self.assertTrue(isBeyondIDNA(name), name)

    def test_within(self) -> None:
        """
        These Twisted takes, or nobody.
        """
        for name in (
            "",
            ".",
            "proxy",
            "Proxy.Example.",
            "xn--bcher-kva.example",
            "bücher",
            "bü_cher",
            "192.0.2.1",
            "2001:db8::1",
            "a_..b",
            "a_b/c",
            "a_b\n",
            "_" * 64,
            "_." * 127 + "_",
        ):
            self.assertFalse(isBeyondIDNA(name), name)

    @given(st.text(max_size=70))
    def test_anything(self, text: str) -> None:
        """
        Any text is one or the other, and what is beyond is plain ASCII.
        """
        if isBeyondIDNA(text):
            self.assertRegex(text, r"\A[A-Za-z0-9._-]+\Z")


class EndpointTests(SynchronousTestCase):
    """
    Connecting to a host.
    """

    def setUp(self) -> None:
        """
        Nothing is known of any name yet.
        """
        self.reactor = MemoryReactorClock()
        self.names = SlowNames()
        self.reactor.installNameResolver(self.names)
        self.completer = ConnectionCompleter(self.reactor)

    def connect(self, host: str, *addresses: str) -> Deferred[IProtocol]:
        """
        Connect to a host, which is found to have these addresses.
        """
        endpoint = endpointFor(self.reactor, host, 9100, 10.0)
        verifyObject(IStreamClientEndpoint, endpoint)
        d = endpoint.connect(Factory.forProtocol(Protocol))
        if addresses:
            self.names.find(*addresses)
        return d

    def refuse(self, error: Exception) -> None:
        """
        The attempt to connect that is under way fails.
        """
        self.completer.failOnce(Failure(error))

    def assertQuiet(self) -> None:
        """
        Nothing stays behind: no timer and no attempt to connect.
        """
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.tcpClients, [])

    def test_connects(self) -> None:
        """
        Any name is looked up as it is, and connected to at its address, within
        the timeout.
        """
        for host in ("t1.example", "node_exporter", "r3--sn", "Push_Proxy."):
            self.reactor.listenTCP(9100, Factory.forProtocol(Protocol))
            d = self.connect(host, "192.0.2.7")
            self.assertEqual(self.names.asked.pop(), (host, 9100))
            self.assertEqual(self.reactor.tcpClients[0][:2], ("192.0.2.7", 9100))
            self.assertEqual(self.reactor.tcpClients[0][3], 10.0)
            self.completer.succeedOnce()
            self.assertIsInstance(self.successResultOf(d), Protocol)
            self.assertQuiet()

    def test_nextAddress(self) -> None:
        """
        Of several addresses the first that takes the connection is taken, and
        the others are left alone.
        """
        self.reactor.listenTCP(9100, Factory.forProtocol(Protocol))
        d = self.connect("node_exporter", "2001:db8::1", "192.0.2.7", "192.0.2.8")
        self.assertEqual(self.reactor.tcpClients[0][:2], ("2001:db8::1", 9100))
        self.refuse(NoRouteError())
        self.assertNoResult(d)
        self.assertEqual(self.reactor.tcpClients[0][:2], ("192.0.2.7", 9100))
        self.completer.succeedOnce()
        self.successResultOf(d)
        self.assertQuiet()

    def test_noneConnects(self) -> None:
        """
        If no address takes the connection, the last one tells why.
        """
        d = self.connect("node_exporter", "192.0.2.7", "192.0.2.8")
        self.refuse(NoRouteError())
        self.refuse(ConnectionRefusedError())
        self.failureResultOf(d, ConnectionRefusedError)
        self.assertQuiet()

    def test_noAddress(self) -> None:
        """
        A name without an address is named.
        """
        for host in ("t1.example", "node_exporter"):
            d = self.connect(host)
            self.names.find()
            self.assertIn(host, str(self.failureResultOf(d, DNSLookupError).value))
        self.assertQuiet()

    def test_noName(self) -> None:
        """
        What can be no name is refused, and nobody is asked.
        """
        for host in ("a..b", "a_b..c", "bü_cher"):
            self.failureResultOf(self.connect(host), ValueError)
        self.assertEqual(self.names.asked, [])

    def test_cancelLookup(self) -> None:
        """
        To cancel is to wait for the lookup no longer; what it finds later is
        not connected to.
        """
        d = self.connect("node_exporter")
        d.cancel()
        self.failureResultOf(d, CancelledError)
        self.names.find("192.0.2.7")
        self.assertQuiet()

    def test_cancelConnecting(self) -> None:
        """
        To cancel ends the attempt to connect, and no other address is tried.
        """
        d = self.connect("node_exporter", "192.0.2.7", "192.0.2.8")
        d.cancel()
        self.failureResultOf(d, CancelledError, ConnectingCancelledError)
        [connector] = self.reactor.connectors
        self.assertTrue(connector.stoppedConnecting)
        self.assertEqual(len(self.reactor.tcpClients), 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
