"""
Tests for L{pushprox.announced}, with a whole proxy behind it where that tells.
"""

from __future__ import annotations

import contextlib
import ssl
import struct
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import trustme
from hypothesis import given
from hypothesis.strategies import binary, integers
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pushprox.announced import LONGEST, TELL_EVERY, Announcing, readHeader
from pushprox.proxy.service import Options, makeService
from pushprox.tls import endpointFromString
from tests.internet import Internet, Machine, Talker
from tests.rigs import heard
from tests.test_guard import USERS, page, with_
from tests.test_tls import Whisperer

#: The header as HAProxy sends it by C{send-proxy}.
FIRST = b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 8080\r\n"

PREFIX = b"\r\n\r\n\x00\r\nQUIT\n"

#: And by C{send-proxy-v2}, with something that is to be ignored (a CRC) at its end.
SECOND = (
    PREFIX
    + b"\x21\x11"
    + struct.pack("!H", 19)
    + bytes([203, 0, 113, 9, 10, 0, 0, 1])
    + struct.pack("!HH", 4711, 8080)
    + b"\x03\x00\x04abcd"
)

#: Of a load balancer's own, as it looks whether we are there.
LOCAL = PREFIX + b"\x20\x00\x00\x00"

SOURCE = IPv4Address("TCP", "203.0.113.9", 4711)
DESTINATION = IPv4Address("TCP", "10.0.0.1", 8080)


class HeaderTests(SynchronousTestCase):
    """
    Tests for L{readHeader}.
    """

    def test_headers(self) -> None:
        """
        A header of either version says who is there, or that it is the load
        balancer itself.
        """
        six = b"\x20\x01\x0d\xb8" + b"\0" * 11
        inet6 = six + b"\x09" + six + b"\x01" + struct.pack("!HH", 4711, 8080)
        unix = b"/run/x".ljust(108, b"\0") * 2
        source: object
        for header, source in (
            (FIRST, SOURCE),
            (SECOND, SOURCE),
            (
                b"PROXY TCP6 2001:db8::9 2001:db8::1 4711 8080\r\n",
                IPv6Address("TCP", "2001:db8::9", 4711),
            ),
            (
                PREFIX + b"\x21\x21\x00\x24" + inet6,
                IPv6Address("TCP", "2001:db8:0:0:0:0:0:9", 4711),
            ),
            (PREFIX + b"\x21\x31\x00\xd8" + unix, UNIXAddress(b"/run/x")),
            (b"PROXY UNKNOWN \r\n", None),
            (LOCAL, None),
            (PREFIX + b"\x21\x00\x00\x00", None),
        ):
            found = readHeader(header + b"rest")
            assert found is not None
            info, rest = found
            self.assertEqual((info.source, rest), (source, b"rest"))
            for size in range(len(header)):
                self.assertIsNone(readHeader(header[:size]))

    def test_none(self) -> None:
        """
        What is no header is refused as soon as that can be seen.
        """
        for data in (
            b"GET / HTTP/1.1\r\n",
            b"\x16\x03\x01",
            b"PROXY\r\n",
            b"PROXY " + b"x" * (LONGEST - 6),
            b"PROXY TCP4 \r\n",
            b"PROXY UDP4 203.0.113.9 10.0.0.1 4711 8080\r\n",
            b"PROXY TCP4 203.0.113.9 10.0.0.1 port 8080\r\n",
            b"PROXY TCP4 somewhere 10.0.0.1 4711 8080\r\n",
            b"PROXY TCP4 \xff 10.0.0.1 4711 8080\r\n",
            PREFIX + b"\x31\x11" + SECOND[14:],
            PREFIX + b"\x2f\x11" + SECOND[14:],
            PREFIX + b"\x21\x51" + SECOND[14:],
            PREFIX + b"\x21\x11\x00\x04abcd",
        ):
            self.assertRaises(ValueError, readHeader, data)

    @given(binary(max_size=60), integers(0, 40))
    def test_anything(self, data: bytes, kept: int) -> None:
        """
        Whatever comes, it is a header, the beginning of one, or none.
        """
        for header in (b"", FIRST, SECOND):
            with contextlib.suppress(ValueError):
                readHeader(header[:kept] + data)


class Listener(Protocol):
    """
    Keeps what it hears.
    """

    def __init__(self) -> None:
        self.said = b""
        self.isLost = False

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.said += data

    def connectionLost(self, reason: Any = None) -> None:
        """
        Note it.
        """
        self.isLost = True


class AnnouncedTestCase(SynchronousTestCase):
    """
    An internet with a load balancer at 10.0.0.5.
    """

    def setUp(self) -> None:
        """
        Read the log.
        """
        self.net = Internet()
        self.balancer = Machine(self.net, "10.0.0.5")
        self.logged: list[str] = []

        def keep(event: LogEvent) -> None:
            if event.get("log_namespace") == "pushprox.announced.Announcing":
                self.logged.append(formatEvent(event))

        globalLogPublisher.addObserver(keep)
        self.addCleanup(globalLogPublisher.removeObserver, keep)

    def call(self, data: bytes = b"", source: str = "10.0.0.5") -> Talker:
        """
        Connect, and say something.
        """
        factory: Any = Factory.forProtocol(Talker)
        factory.noisy = False
        factory.startedConnecting = lambda connector: None
        dialling = self.net.connectTCP("10.0.0.1", 80, factory, 30, (source, 0))
        self.net.settle()
        assert dialling.end is not None
        talker = dialling.end.protocol
        assert isinstance(talker, Talker)
        talker.transport.write(data)
        self.net.settle()
        return talker


class EndpointTests(AnnouncedTestCase):
    """
    What is behind a C{haproxy:} endpoint sees.
    """

    def setUp(self) -> None:
        """
        Listen.
        """
        super().setUp()
        self.made: list[Any] = []
        self.listeners: list[Listener] = []
        self.takes = True
        outer = self

        class Listeners(Factory):
            noisy = False

            def buildProtocol(self, addr: Any) -> Listener | None:
                """
                Note for whom.
                """
                outer.made.append(addr)
                if not outer.takes:
                    return None
                outer.listeners.append(Listener())
                return outer.listeners[-1]

        self.trusted = [ip_network("10.0.0.0/24")]
        self.announcing = Announcing(self.net, lambda: self.trusted, 20.0)
        endpoint = endpointFromString(
            self.net, "haproxy:tcp:80:interface=10.0.0.1", self.announcing
        )
        self.port: Any = self.successResultOf(endpoint.listen(Listeners()))

    def tearDown(self) -> None:
        """
        Nothing is left behind.
        """
        self.net.cut(self.net.linesTo(80))
        self.port.stopListening()
        self.net.settle()
        self.assertEqual((self.net.ends, self.net.getDelayedCalls()), ([], []))

    def test_announced(self) -> None:
        """
        Whose the connection is, and what was said after that.
        """
        for header in (FIRST, SECOND):
            talker = self.call(header + b"hello")
            listener = self.listeners[-1]
            transport = listener.transport
            assert transport is not None
            self.assertEqual(self.made[-1], SOURCE)
            self.assertEqual(transport.getPeer(), SOURCE)
            self.assertEqual(transport.getHost(), DESTINATION)
            talker.transport.write(b" again")
            transport.write(b"yes")
            self.net.settle()
            self.assertEqual((listener.said, talker.received), (b"hello again", b"yes"))
            transport.loseConnection()
            self.net.settle()
            self.assertIsNotNone(talker.lost)
            self.assertTrue(listener.isLost)
        self.assertEqual((self.announcing.dropped, self.logged), (0, []))

    def test_pieces(self) -> None:
        """
        A header may come in any pieces; nobody behind hears of it before it is
        whole, and a header alone is enough.
        """
        for header in (FIRST, SECOND):
            talker = self.call()
            for at in range(len(header)):
                self.assertEqual(self.listeners, [])
                talker.transport.write(header[at : at + 1])
                self.net.settle()
            self.assertEqual(self.made.pop(), SOURCE)
            self.assertEqual(self.listeners.pop().said, b"")

    def test_ownConnections(self) -> None:
        """
        A load balancer that looks whether we are there comes from where it is.
        """
        self.call(LOCAL + b"hello")
        [listener] = self.listeners
        transport = listener.transport
        assert transport is not None
        self.assertEqual(transport.getPeer().host, "10.0.0.5")
        self.assertEqual(transport.getHost(), IPv4Address("TCP", "10.0.0.1", 80))

    def test_strangers(self) -> None:
        """
        Whoever is not trusted is dropped when he connects. That is counted, and
        logged once in a while.
        """
        for _ in range(3):
            talker = self.call(FIRST, "192.0.2.7")
            self.assertIsNotNone(talker.lost)
        self.assertEqual((self.made, self.announcing.dropped), ([], 3))
        said = (
            "haproxy: dropped a connection from 192.0.2.7: "
            "he is none of trusted_proxies (%d so far)"
        )
        self.assertEqual(self.logged, [said % 1])
        self.net.pass_(TELL_EVERY)
        self.call(FIRST, "192.0.2.7")
        self.assertEqual(self.logged[1:], [said % 4])

    def test_changed(self) -> None:
        """
        Who is trusted may change at any time.
        """
        self.trusted = []
        self.assertIsNotNone(self.call(FIRST).lost)
        self.trusted = [ip_network("10.0.0.5")]
        self.assertIsNone(self.call(FIRST).lost)

    def test_noHeader(self) -> None:
        """
        A connection that begins with anything else is dropped.
        """
        talker = self.call(b"GET / HTTP/1.1\r\n\r\n")
        self.assertIsNotNone(talker.lost)
        self.assertEqual((talker.received, self.made), (b"", []))
        self.assertEqual(
            self.logged,
            ["haproxy: dropped a connection from 10.0.0.5: "
             "expected a PROXY header, got no header (1 so far)"],
        )  # fmt: skip

    def test_slow(self) -> None:
        """
        So is one whose header is not whole in time; whoever was told of takes his
        own.
        """
        slow, whole = self.call(FIRST[:-1]), self.call(FIRST)
        self.net.pass_(19.75)
        self.assertIsNone(slow.lost)
        self.net.pass_(0.25)
        self.assertIsNotNone(slow.lost)
        self.assertIsNone(whole.lost)
        self.assertIn("no whole PROXY header in time", self.logged[0])

    def test_hangUp(self) -> None:
        """
        Who hangs up before that leaves nothing behind.
        """
        self.call(FIRST[:-1])
        self.net.cut(self.net.linesTo(80))
        self.assertEqual((self.net.getDelayedCalls(), self.made), ([], []))

    def test_notTaken(self) -> None:
        """
        Whoever is behind may decline, for the source that was told.
        """
        self.takes = False
        self.assertIsNotNone(self.call(FIRST).lost)
        self.assertEqual(self.made, [SOURCE])

    def test_stop(self) -> None:
        """
        When nobody listens any more, those are closed of whom nobody knows.
        """
        slow, whole = self.call(FIRST[:-1]), self.call(FIRST)
        self.port.stopListening()
        self.net.settle()
        self.assertIsNotNone(slow.lost)
        self.assertIsNone(whole.lost)


class ProxyTests(AnnouncedTestCase):
    """
    A proxy behind a load balancer.
    """

    def setUp(self) -> None:
        """
        Write a web config file.
        """
        super().setUp()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.path = self.folder / "web.yml"

    def serve(self, config: str, endpoint: str = "haproxy:tcp:80") -> None:
        """
        Start the proxy.
        """
        self.path.write_text(config)
        options = Options()
        options.parseOptions([f"--listen={endpoint}", f"--web.config.file={self.path}"])
        service = makeService(options, self.net)
        service.privilegedStartService()
        service.startService()

        def end() -> None:
            service.stopService()
            self.net.cut(self.net.linesTo(80))
            self.net.pass_(30)
            self.assertEqual((self.net.ports, self.net.getDelayedCalls()), ({}, []))

        self.addCleanup(end)

    def whisperer(self, authority: trustme.CA, before: bytes) -> Whisperer:
        """
        @return: somebody who speaks TLS after something else.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(context)
        return Whisperer(self.net, context, port=80, before=before)

    def test_source(self) -> None:
        """
        Denials are told of the source.
        """
        self.serve(USERS + "pushprox: {trusted_proxies: [10.0.0.5]}")
        denials: list[str] = []

        def keep(event: LogEvent) -> None:
            if event.get("log_namespace") == "pushprox.guard.Guard":
                denials.append(formatEvent(event))

        globalLogPublisher.addObserver(keep)
        self.addCleanup(globalLogPublisher.removeObserver, keep)
        self.assertEqual(heard(self.call(FIRST + page(b"/clients")))[9:12], b"401")
        # He is none of those who may say it himself.
        self.call(FIRST + with_(page(b"/"), b"X-Forwarded-For", b"192.0.2.1"))
        self.assertEqual(
            denials,
            [
                "Denied GET /clients to 203.0.113.9: no credentials",
                "Denied GET / to 203.0.113.9: no credentials",
            ],
        )

    def test_metric(self) -> None:
        """
        How many were dropped is a metric.
        """
        self.serve(
            "pushprox: {trusted_proxies: [10.0.0.5],"
            " roles: {all: {anyone: true, pages: [metrics]}}}"
        )
        self.call(FIRST, "192.0.2.7")
        self.call(b"nonsense")
        shown = heard(self.call(FIRST + page(b"/metrics")))
        self.assertIn(b"pushprox_proxy_dropped_connections_total 2.0", shown)

    def test_secure(self) -> None:
        """
        The header comes before TLS, be that of the web config file or of the
        endpoint.
        """
        authority = trustme.CA()
        leaf = authority.issue_cert("proxy.example")
        both = self.folder / "both.pem"
        leaf.private_key_and_cert_chain_pem.write_to_path(str(both))
        trusted = "pushprox: {trusted_proxies: [192.0.2.1]}\n"
        tls = "tls_server_config: {cert_file: both.pem, key_file: both.pem}\n"
        ssl_ = f"haproxy:ssl:80:privateKey={quoteStringArgument(str(both))}"
        for config, endpoint in ((trusted + tls, "haproxy:tcp:80"), (trusted, ssl_)):
            self.serve(config, endpoint)
            for header in (FIRST, SECOND):
                whisperer = self.whisperer(authority, header)
                whisperer.say(page(b"/-/healthy"))
                self.assertIn(b"HTTP/1.1 200 OK\r\n", whisperer.heard)
            self.doCleanups()

    def test_nobodyTrusted(self) -> None:
        """
        An endpoint to which nobody may connect ends the program with one line.
        """
        self.path.write_text("")
        for flags in (["--listen"], ["--web.config.file", str(self.path), "--listen"]):
            options = Options()
            options.parseOptions([*flags, "haproxy:tcp:80"])
            error = self.assertRaises(SystemExit, makeService, options, self.net)
            self.assertEqual(
                str(error),
                "pushprox-proxy: --listen: cannot use 'haproxy:tcp:80': expected "
                "trusted_proxies in the section pushprox of --web.config.file: nobody "
                "else may connect there",
            )
