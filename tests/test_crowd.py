"""
Tests for L{pushprox.crowd}, with sites in an internet in memory.
"""

from __future__ import annotations

from typing import Any

import trustme
from twisted.internet.address import UNIXAddress
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pushprox.crowd import CLOSED, PAUSE, Crowd
from pushprox.limits import Limits
from pushprox.proxy.coordinator import Rules
from pushprox.site import Site
from pushprox.tls import SecureFactory
from tests.internet import Internet, Talker
from tests.rigs import OK, ProxyRig, heard, idIn
from tests.servers import serverOptions
from tests.test_channel import ChannelTestCase, Parking, get, post

HEALTHY = get(b"/-/healthy")

#: A push that tells nothing.
UNREAD = b"POST /push HTTP/1.1\r\nHost: p\r\nContent-Length: 9\r\n\r\n"


class CrowdTestCase(ChannelTestCase):
    """
    A site for three.
    """

    limits = Limits(connections=3)

    def open(self, *talkers: Talker) -> list[bool]:
        """
        Which of these connections are open.
        """
        self.net.settle()
        return [talker.lost is None for talker in talkers]


class AllTests(CrowdTestCase):
    """
    How many connections there may be in all.
    """

    def test_displaced(self) -> None:
        """
        When there are too many, one ends for a newcomer: who never asked anything
        before who was answered, and of these who is there longest.
        """
        served = self.talk(get())
        self.net.pass_(1)
        silent = self.talk()
        self.net.pass_(1)
        late = self.talk(b"GET")
        self.net.pass_(1)
        newcomers = [self.talk(get())]
        self.assertEqual(self.open(served, silent, late), [True, False, True])
        self.net.pass_(1)
        newcomers.append(self.talk(get()))
        self.assertEqual(self.open(served, silent, late), [True, False, False])
        self.net.pass_(1)
        newcomers.append(self.talk(get()))
        self.assertEqual(self.open(served, *newcomers), [False, True, True, True])
        self.assertEqual([self.statuses(t) for t in newcomers], [[200]] * 3)
        self.assertEqual(self.closed, ["displaced"] * 3)
        self.assertEqual(len(self.site.lines), 3)

    def test_slowBody(self) -> None:
        """
        A body that nobody waits for keeps nobody out; nor does the rest of one
        that was refused.
        """
        slow = self.talk(post(b"abc")[:-1])
        refused = self.talk(post(b"abc", b"*")[:-1])
        self.site.resource = Parking()
        self.parking = self.site.resource
        for _ in range(3):
            self.net.pass_(1)
            self.assertEqual(self.statuses(self.talk(get())), [200])
        self.assertEqual(self.open(slow, refused), [False, False])

    def test_full(self) -> None:
        """
        Where all are being served, newcomers are closed at once, until one has
        been.
        """
        served = [self.talk(get(b"/later")) for _ in range(3)]
        refused = [self.talk(get()) for _ in range(2)]
        self.assertEqual(self.open(*served, *refused), [True] * 3 + [False] * 2)
        self.assertEqual(self.closed, ["full"] * 2)
        self.assertEqual([t.received for t in refused], [b"", b""])
        self.answer()
        # Nobody is looked for all the time.
        self.assertEqual(self.open(self.talk(get())), [False])
        self.net.pass_(PAUSE)
        newcomer = self.talk(get())
        self.assertEqual(self.open(*served, newcomer), [False] + [True] * 3)
        self.assertEqual(self.statuses(newcomer), [200])

    def test_atOnce(self) -> None:
        """
        One that is to leave counts no more, also before it has left.
        """
        lines: list[Any] = []
        for _ in range(5):
            line = self.site.buildProtocol(None)
            line.makeConnection(StringTransport())
            lines.append(line)
        self.assertEqual(len(self.site.lines), 3)
        self.assertEqual(self.closed, ["displaced"] * 2)
        for line in lines:
            line.connectionLost(Failure(ZeroDivisionError()))

    def test_batch(self) -> None:
        """
        With many connections, a part of them leaves at once, so that nobody has to
        be looked for each time.
        """
        self.serve(Limits(connections=400))
        for _ in range(401):
            line = self.site.buildProtocol(None)
            line.makeConnection(StringTransport())
            self.addCleanup(line.connectionLost, Failure(ZeroDivisionError()))
        self.assertEqual((len(self.site.lines), len(self.closed)), (397, 4))
        for line in list(self.site.lines):
            line.connectionLost(Failure(ZeroDivisionError()))

    def test_together(self) -> None:
        """
        Several sites are limited together.
        """
        other = Site(self.parking, self.net, limits=self.limits, crowd=self.site.crowd)
        self.net.listenTCP(81, other)
        talkers = [self.talk(get(b"/later")) for _ in range(2)]
        idle = self.net.talk("10.0.0.1", 81)
        newcomer = self.talk(get())
        self.assertEqual(self.open(*talkers, idle), [True, True, False])
        self.assertEqual((len(self.site.lines), len(other.lines)), (3, 0))
        self.assertEqual(self.statuses(newcomer), [200])

    def test_thousands(self) -> None:
        """
        Thousands who open connections and say nothing keep nobody out.
        """
        self.serve(Limits(connections=1000))
        transports = []
        for _ in range(5000):
            self.net.rightNow += 0.001
            line = self.site.buildProtocol(None)
            transports.append(StringTransport())
            line.makeConnection(transports[-1])
            self.addCleanup(line.connectionLost, Failure(ZeroDivisionError()))
        self.assertEqual(self.statuses(self.talk(get())), [200])
        self.assertLessEqual(len(self.site.lines), 1000)
        self.assertTrue(transports[0].disconnecting or transports[0].disconnected)


class AddressTests(CrowdTestCase):
    """
    How many connections one address may have.
    """

    limits = Limits(connectionsPerAddress=2)

    def talkFrom(self, address: str) -> Talker:
        """
        Open a connection from an address.
        """
        return self.net.talk("10.0.0.1", 80, source=address)

    def test_addresses(self) -> None:
        """
        One too many is closed at once, and no more is kept of it; others are
        served, and so is whoever closes one first.
        """
        talkers = [self.talkFrom("10.9.9.9") for _ in range(3)]
        self.assertEqual(self.open(*talkers), [True, True, False])
        self.assertEqual(self.statuses(self.talk(get())), [200])
        self.assertEqual(self.closed, ["address"])
        talkers[0].transport.loseConnection()
        self.net.settle()
        self.assertEqual(self.open(self.talkFrom("10.9.9.9")), [True])

    def test_networks(self) -> None:
        """
        Who has a network of IPv6 has no more than who has one address.
        """
        hosts = ("2001:db8::1", "2001:db8::2", "2001:db8::ffff:3", "2001:db8:0:1::1")
        talkers = [self.talkFrom(host) for host in hosts]
        self.assertEqual(self.open(*talkers), [True, True, False, True])

    def test_forgotten(self) -> None:
        """
        Nothing is kept of an address without connections.
        """
        for _ in range(2):
            talkers = [self.talkFrom(f"10.9.9.{n}") for n in range(3)]
            self.net.cut([talker.transport for talker in talkers])
        self.assertEqual(self.site.crowd._perSource, {})

    def test_local(self) -> None:
        """
        Who comes by a socket of the same machine is not counted.
        """
        crowd = Crowd(self.net, self.limits, self.closed.append)
        for _ in range(5):
            self.assertTrue(crowd.admits(UNIXAddress(None)))


class SecureTests(SynchronousTestCase):
    """
    Connections in TLS, real but for their sockets.
    """

    leaf = trustme.CA().issue_cert("proxy.example")

    def setUp(self) -> None:
        """
        Serve three.
        """
        self.net = Internet()
        self.closed: list[str] = []
        limits = Limits(connections=3)
        crowd = Crowd(self.net, limits, self.closed.append)
        self.site = Site(Parking(), self.net, limits=limits, crowd=crowd)
        secure = SecureFactory(serverOptions(self.leaf), self.site, self.net)
        self.net.listenTCP(443, secure)

    def tearDown(self) -> None:
        """
        Nothing stays behind.
        """
        self.assertEqual((self.site.lines, self.net.getDelayedCalls()), (set(), []))

    def test_stalledHandshake(self) -> None:
        """
        A handshake that does not end is ended, however many pieces of it come.
        """
        # The beginning of a ClientHello of 512 bytes (RFC 8446 section 5.1).
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 32
        for said in (b"", hello):
            talker = self.net.talk("10.0.0.1", 443, said)
            for _ in range(9):
                self.net.pass_(2)
                talker.transport.write(b"x" if said else b"")
            self.assertIsNone(talker.lost)
            self.net.pass_(3)
            self.assertIsNotNone(talker.lost)
        self.assertEqual(self.closed, ["silent"] * 2)

    def test_full(self) -> None:
        """
        One too many is closed before its handshake; one that hangs in the midst of
        its own leaves for a newcomer.
        """
        talkers = [self.net.talk("10.0.0.1", 443, b"\x16\x03\x01") for _ in range(3)]
        newcomer = self.net.talk("10.0.0.1", 443)
        self.net.settle()
        self.assertEqual(sum(talker.lost is not None for talker in talkers), 1)
        self.assertIsNone(newcomer.lost)
        self.net.pass_(25)
        self.assertEqual(self.closed, ["displaced"] + ["silent"] * 3)

    def test_none(self) -> None:
        """
        Where there is no room at all, there is no line.
        """
        site = Site(Parking(), self.net, limits=Limits(connections=0))
        secure = SecureFactory(serverOptions(self.leaf), site, self.net)
        self.assertIsNone(secure.buildProtocol(None))


class ProxyTests(SynchronousTestCase):
    """
    A proxy under attack, and a good client.
    """

    def test_served(self) -> None:
        """
        A scrape is done and the proxy says that it is healthy while others take
        all connections there are; what became of theirs is counted.
        """
        rig = ProxyRig(self, Rules(warmup=0.0), limits=Limits(connections=20))
        for why in CLOSED:
            self.assertEqual(self.count(rig, why), 0)
        polling = rig.poll()
        for said in (b"", b"GET", post(b"abc", b"/poll")[:-1], UNREAD) * 9:
            rig.talk(said)
        scraping = rig.scrape()
        rig.push(OK % idIn(heard(polling)))
        self.assertIn(b"\r\n\r\nok", heard(scraping))
        self.assertIn(b" 200 ", rig.ask(HEALTHY))
        connections = rig.metric("pushprox_proxy_connections")
        assert connections is not None
        self.assertLessEqual(connections, 20)
        self.assertGreater(self.count(rig, "displaced") or 0, 15)
        rig.net.pass_(70)
        late = rig.metric("pushprox_http_refused_requests_total", code="408")
        self.assertGreater(late or 0, 0)

    def count(self, rig: ProxyRig, why: str) -> float | None:
        """
        How many connections were closed for that.
        """
        return rig.metric("pushprox_proxy_closed_connections_total", why=why)
