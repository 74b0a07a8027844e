"""
Tests for L{pushprox.proxy.serving}.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from twisted.internet.address import (
    HostnameAddress,
    IPv4Address,
    IPv6Address,
    UNIXAddress,
)
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pushprox.limits import Limits
from pushprox.proxy.coordinator import Rules
from pushprox.proxy.scrape import Timeouts
from pushprox.proxy.service import makeProxy
from pushprox.proxy.serving import Serving, isLoopback, shown
from tests.internet import Internet
from tests.rigs import SIGNED, ProxyRig, heard, idIn, pollBytes, pushBytes


def makeServing(net: Internet, *endpoints: str) -> Serving:
    """
    What serves a proxy on some endpoints.
    """
    serving = makeProxy(
        net,
        CollectorRegistry(),
        [serverFromString(net, endpoint) for endpoint in endpoints],
        Rules(),
        Timeouts(),
    )[0]
    assert isinstance(serving, Serving)
    return serving


class StartTests(SynchronousTestCase):
    """
    How a proxy begins to listen.
    """

    def setUp(self) -> None:
        """
        Read the log.
        """
        self.net = Internet()
        self.logged: list[str | None] = []

        def keep(event: LogEvent) -> None:
            self.logged.append(formatEvent(event))

        globalLogPublisher.addObserver(keep)
        self.addCleanup(globalLogPublisher.removeObserver, keep)

    def test_privileged(self) -> None:
        """
        It listens on all its endpoints before the process gives its privileges
        up, once, and says where.
        """
        serving = makeServing(
            self.net, "tcp:80:interface=10.0.0.1", "tcp:81:interface=10.0.0.2"
        )
        serving.privilegedStartService()
        ports = {("10.0.0.1", 80), ("10.0.0.2", 81)}
        self.assertEqual(set(self.net.ports), ports)
        serving.startService()
        self.assertEqual(set(self.net.ports), ports)
        self.assertEqual(
            self.logged[:2], ["Listening on 10.0.0.1:80", "Listening on 10.0.0.2:81"]
        )
        self.successResultOf(serving.stopService())
        self.assertEqual(self.net.ports, {})

    def test_unprivileged(self) -> None:
        """
        Where nobody starts it with privileges, as C{twist} does not, it
        listens all the same.
        """
        serving = makeServing(self.net, "tcp:80")
        serving.startService()
        self.assertEqual(set(self.net.ports), {("", 80)})
        self.successResultOf(serving.stopService())

    def test_inUse(self) -> None:
        """
        A port that is in use ends the program with one line that names it: a
        proxy that runs on without would be deaf.
        """
        factory = Factory()
        factory.noisy = False
        port = self.net.listenTCP(81, factory)
        serving = makeServing(self.net, "tcp:80", "tcp:81")
        error = self.assertRaises(SystemExit, serving.privilegedStartService)
        self.assertRegex(
            str(error), r"^pushprox-proxy: Couldn't listen on [^\n]*:81: [^\n]*in use"
        )
        self.assertEqual(self.logged, [])
        port.stopListening()

    def test_open(self) -> None:
        """
        A proxy that is open to all who reach it says so once, and by which flag
        that changes: as a warning, unless they are all on this machine.
        """
        levels: list[str] = []

        def keep(event: LogEvent) -> None:
            if "--web.config.file" in event.get("log_format", ""):
                levels.append(event["log_level"].name)

        globalLogPublisher.addObserver(keep)
        self.addCleanup(globalLogPublisher.removeObserver, keep)
        for hosts, level in (
            (("127.0.0.1", "127.0.0.2"), "info"),
            (("127.0.0.1", "10.0.0.1"), "warn"),
        ):
            serving = makeServing(
                self.net, *(f"tcp:{80 + n}:interface={h}" for n, h in enumerate(hosts))
            )
            serving.privilegedStartService()
            serving.startService()
            self.successResultOf(serving.stopService())
            self.assertEqual(levels, [level])
            levels.clear()
        self.assertEqual(
            self.logged[-2],
            "Whoever reaches the proxy may scrape every client and poll under any "
            "name (--web.config.file says who may)",
        )

    def test_loopback(self) -> None:
        """
        Only this machine reaches a loopback address or a local socket.
        """
        address: IAddress
        for address, isLocal in (
            (IPv4Address("TCP", "127.0.0.1", 80), True),
            (IPv6Address("TCP", "::1", 80), True),
            (UNIXAddress("/run/pushprox"), True),
            (IPv4Address("TCP", "0.0.0.0", 80), False),
            (IPv6Address("TCP", "::", 80), False),
            (IPv4Address("TCP", "10.0.0.1", 80), False),
            (HostnameAddress(b"some.onion", 80), False),
        ):
            self.assertEqual(isLoopback(Bound(address)), isLocal, address)

    def test_shown(self) -> None:
        """
        An address is shown as one would write it in a URL.
        """
        address: IAddress
        for address, text in (
            (IPv4Address("TCP", "10.0.0.1", 80), "10.0.0.1:80"),
            (IPv6Address("TCP", "::1", 80), "[::1]:80"),
            (UNIXAddress("/run/pushprox"), "UNIXAddress('/run/pushprox')"),
        ):
            self.assertEqual(shown(Bound(address)), text)


class Bound:
    """
    A port that is bound to something.
    """

    def __init__(self, address: IAddress) -> None:
        self._address = address

    def getHost(self) -> IAddress:
        """
        @return: what that is.
        """
        return self._address


class StopTests(SynchronousTestCase):
    """
    How a proxy stops.
    """

    def setUp(self) -> None:
        """
        Start a proxy.
        """
        self.rig = ProxyRig(self)

    def refusal(self, status: bytes, more: bytes = b"") -> bytes:
        """
        What is refused since the proxy stops.
        """
        return (
            b"HTTP/1.1 %b\r\n%b%bContent-Type: text/plain; charset=utf-8\r\n"
            b"X-Content-Type-Options: nosniff\r\nContent-Length: 22\r\n\r\n"
            b"The proxy is stopping\n" % (status, SIGNED, more)
        )

    def test_quiet(self) -> None:
        """
        A proxy without work stops at once.
        """
        self.successResultOf(self.rig.stop())
        self.assertEqual(self.rig.net.ports, {})

    def test_polls(self) -> None:
        """
        Parked polls are ended with a 503 and their lines closed, so that the
        clients look for another proxy.
        """
        polling = self.rig.poll()
        self.successResultOf(self.rig.stop())
        self.assertEqual(
            heard(polling),
            self.refusal(b"503 The proxy is stopping", b"Pushprox-Max-Polls: 16\r\n"),
        )
        self.assertIsNotNone(polling.lost)

    def test_inFlight(self) -> None:
        """
        A scrape that is in flight is answered first, be it over a new
        connection; polls that come meanwhile are parked, since they are
        receipts; new scrapes are refused. Then nobody listens any more.
        """
        rig = self.rig
        polling = rig.poll()
        scraping = rig.scrape()
        id = idIn(heard(polling))
        stopped = rig.stop()
        rig.say(polling, pollBytes())
        self.assertEqual(
            rig.ask(b"GET http://t1/ HTTP/1.1\r\nHost: t1\r\n\r\n"),
            self.refusal(b"503 The proxy is stopping"),
        )
        self.assertEqual(heard(polling), b"")
        rig.net.pass_(3)
        self.assertNoResult(stopped)
        pushed = rig.push(b"HTTP/1.1 200 OK\r\nId: " + id + b"\r\n\r\nlast")
        self.assertTrue(pushed.startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertTrue(heard(scraping).endswith(b"\r\n\r\nlast"))
        self.assertTrue(heard(polling).startswith(b"HTTP/1.1 503 "))
        self.successResultOf(stopped)
        self.assertEqual(rig.net.ports, {})
        for talker in (polling, scraping):
            self.assertIsNotNone(talker.lost)

    def test_queued(self) -> None:
        """
        A scrape that waits for a poll is in flight, too.
        """
        rig = self.rig
        rig.hangUp(rig.poll())
        client = rig.talk()
        scraping = rig.scrape()
        stopped = rig.stop()
        rig.say(client, pollBytes())
        id = idIn(heard(client))
        rig.say(client, pushBytes(b"HTTP/1.1 200 OK\r\nId: " + id + b"\r\n\r\nlast"))
        self.assertTrue(heard(scraping).endswith(b"\r\n\r\nlast"))
        self.successResultOf(stopped)

    def test_deadline(self) -> None:
        """
        A scrape that is not answered holds the end up until its deadline.
        """
        self.rig.poll()
        scraping = self.rig.scrape()
        stopped = self.rig.stop()
        self.rig.net.pass_(4.25)
        self.assertNoResult(stopped)
        self.rig.net.pass_(0.25)
        self.assertTrue(heard(scraping).startswith(b"HTTP/1.1 504 "))
        self.successResultOf(stopped)

    def test_doesNotRead(self) -> None:
        """
        A scraper that does not read its answer is cut off after a while.
        """
        rig = self.rig
        polling = rig.poll()
        scraping = rig.scrape()
        scraping.transport.pauseProducing()
        rig.push(
            b"HTTP/1.1 200 OK\r\nId: "
            + idIn(heard(polling))
            + b"\r\n\r\n"
            + b"y" * 200_000
        )
        stopped = rig.stop()
        rig.net.pass_(Limits().linger - 0.25)
        self.assertNoResult(stopped)
        rig.net.pass_(0.25)
        self.successResultOf(stopped)
        self.assertEqual(heard(scraping), b"")
