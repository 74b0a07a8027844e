"""
A proxy with separate listeners, from its flags to its end.
"""

from __future__ import annotations

from pathlib import Path

from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pushprox.proxy.service import Options, makeService
from tests.internet import Internet, Talker
from tests.rigs import OK, heard, idIn, pollBytes, pushBytes, scrapeBytes
from tests.test_guard import USERS, page

#: A port for each kind of listener.
CLIENTS, SCRAPES, ADMIN, ALL = 81, 82, 83, 80

SEPARATE = ("--listen.clients=tcp:81", "--listen.scrapes=:82", "--listen.admin=tcp:83")

_PAGES = {
    b"GET": (b"/", b"/clients", b"/metrics", b"/-/ready", b"/-/healthy"),
    b"POST": (b"/poll", b"/push", b"/-/reload"),
}


def parsed(*flags: str) -> Options:
    """
    A command line.
    """
    options = Options()
    options.parseOptions(flags)
    return options


class OptionsTests(SynchronousTestCase):
    """
    The flags for separate listeners.
    """

    def test_addresses(self) -> None:
        """
        They take an address as C{--web.listen-address} does, or a Twisted endpoint
        as C{--listen} does, and may be given more than once. A word that is an
        endpoint's is no name of a host.
        """
        options = parsed(
            "--listen.clients=127.0.0.1:1",
            "--listen.clients",
            "localhost:2",
            "--listen.clients=tcp:3",
            "--listen.scrapes=[::1]:4",
            "--listen.scrapes=ssl:5:privateKey=key.pem",
            "--listen.admin=unix:/run/x",
            "--listen.admin=haproxy:tcp:6",
            "--listen.admin=onion:7:x=y",
        )
        self.assertEqual(
            options["listen.clients"],
            [
                "tcp:1:interface=127.0.0.1:backlog=4096",
                "tcp:2:interface=localhost:backlog=4096",
                "tcp:3",
            ],
        )
        self.assertEqual(
            options["listen.scrapes"],
            [r"tcp6:4:interface=\:\:1:backlog=4096", "ssl:5:privateKey=key.pem"],
        )
        self.assertEqual(
            options["listen.admin"], ["unix:/run/x", "haproxy:tcp:6", "onion:7:x=y"]
        )

    def test_default(self) -> None:
        """
        The port for all is not opened where only others are asked for.
        """
        self.assertEqual(parsed("--listen.clients=:1")["listen"], [])
        self.assertEqual(len(parsed()["listen"]), 1)
        options = parsed("--listen.clients=:1", "--port=2")
        self.assertEqual(len(options["listen"]), 1)

    def test_help(self) -> None:
        """
        The help tells what each is for.
        """
        text = " ".join(Options().getUsage().split())
        for flag, said in (
            ("clients", "An address for clients (/poll and /push) alone"),
            ("scrapes", "An address for scrapes alone"),
            ("admin", "An address for all else (/clients, /metrics, /-/ready,"),
        ):
            self.assertIn(f"--listen.{flag}= {said}", text)

    def test_unusable(self) -> None:
        """
        What cannot be used ends the program with one line that names the flag.
        """
        for flag in ("clients", "scrapes", "admin"):
            for address in ("nonsense", "tcp:http", "10.0.0.1:70000"):
                options = parsed(f"--listen.{flag}={address}")
                error = self.assertRaises(SystemExit, makeService, options, Internet())
                self.assertRegex(
                    str(error),
                    rf"^pushprox-proxy: --listen.{flag}: cannot use '{address}': "
                    r"[^\n]+$",
                )


class ListenersTests(SynchronousTestCase):
    """
    What is served where.
    """

    def setUp(self) -> None:
        """
        Nobody listens yet.
        """
        self.net = Internet()
        self.logged: list[str] = []

        def keep(event: LogEvent) -> None:
            self.logged.append(formatEvent(event))

        globalLogPublisher.addObserver(keep)
        self.addCleanup(globalLogPublisher.removeObserver, keep)

    def serve(self, *flags: str) -> None:
        """
        Start a proxy.
        """
        options = parsed("--registration.warmup=0", *flags)
        self.service = makeService(options, self.net)
        self.service.privilegedStartService()
        self.service.startService()
        self.addCleanup(self.vanish)

    def vanish(self) -> None:
        """
        The proxy stops, and leaves nothing behind.
        """
        for port in (CLIENTS, SCRAPES, ADMIN, ALL):
            self.net.cut(self.net.linesTo(port))
        if self.service.running:
            self.service.stopService()
        self.net.settle()
        self.assertEqual(
            (self.net.ports, self.net.ends, self.net.getDelayedCalls()), ({}, [], [])
        )

    def talk(self, port: int, data: bytes) -> Talker:
        """
        Say something at a port.
        """
        return self.net.talk("10.0.0.1", port, data)

    def served(self, port: int) -> set[bytes]:
        """
        @return: what is not 404 there.
        """
        asked = {
            path: b"%b %b HTTP/1.1\r\nHost: p\r\nContent-Length: 0\r\n\r\n"
            % (method, path)
            for method, paths in _PAGES.items()
            for path in paths
        }
        asked[b"scrape"] = scrapeBytes(b"http://nobody/")
        asked[b"tunnel"] = scrapeBytes(b"t1:443", method=b"CONNECT")
        statuses = {
            path: heard(self.talk(port, request))[9:12]
            for path, request in asked.items()
        }
        self.assertNotIn(b"", statuses.values())
        return {path for path, status in statuses.items() if status != b"404"}

    def test_separate(self) -> None:
        """
        Each listener serves what it is for, and tells that it is healthy; nothing
        is served twice.
        """
        self.serve(*SEPARATE)
        self.assertEqual({port for _, port in self.net.ports}, {81, 82, 83})
        self.assertSeparate()

    def test_separateGuarded(self) -> None:
        """
        So it is for those who have got past a guard.
        """
        path = Path(self.mktemp())
        path.write_text("")
        self.serve(*SEPARATE, f"--web.config.file={path}")
        self.assertSeparate()

    def assertSeparate(self) -> None:
        """
        Each serves its own.
        """
        healthy = b"/-/healthy"
        self.assertEqual(self.served(CLIENTS), {b"/poll", b"/push", healthy})
        self.assertEqual(self.served(SCRAPES), {b"scrape", b"tunnel", healthy})
        self.assertEqual(
            self.served(ADMIN),
            {b"/", b"/clients", b"/metrics", b"/-/ready", b"/-/reload", healthy},
        )

    def test_all(self) -> None:
        """
        A port for all is still one, also beside others.
        """
        self.serve("--listen=tcp:80", "--listen.clients=tcp:81")
        paths = {path for some in _PAGES.values() for path in some}
        self.assertEqual(self.served(ALL), {b"scrape", b"tunnel", *paths})
        self.assertEqual(self.served(CLIENTS), {b"/poll", b"/push", b"/-/healthy"})

    def test_misplaced(self) -> None:
        """
        A scrape where none is served is told, in what Prometheus shows, where they
        go to; not by address.
        """
        self.serve(*SEPARATE)
        for port in (CLIENTS, ADMIN):
            reply = heard(self.talk(port, scrapeBytes()))
            said = b"This port takes no scrapes: they go to a port of --listen.scrapes"
            self.assertTrue(reply.startswith(b"HTTP/1.1 404 %b\r\n" % said), reply)
            self.assertTrue(reply.endswith(b"\r\n\r\n%b\n" % said), reply)

    def test_journey(self) -> None:
        """
        All listeners are of one proxy: what is scraped at one is polled for and
        pushed at another, and shown at the third.
        """
        self.serve(*SEPARATE)
        polling = self.talk(CLIENTS, pollBytes())
        scraping = self.talk(SCRAPES, scrapeBytes())
        self.talk(CLIENTS, pushBytes(OK % idIn(heard(polling))))
        self.assertTrue(heard(scraping).endswith(b"\r\n\r\nok"))
        shown = heard(self.talk(ADMIN, page(b"/metrics")))
        for line in (
            b"pushprox_proxy_clients 1.0",
            b"pushprox_proxy_connections 4.0",
            b'pushproxy_proxied_requests_total{code="200"} 1.0',
            b'pushprox_http_requests_total{code="200",path="/push"} 1.0',
        ):
            self.assertIn(line, shown)

    def test_guarded(self) -> None:
        """
        A web config file holds for all of them, and its limits count what comes to
        any of them together.
        """
        path = Path(self.mktemp())
        path.write_text(USERS + "rate_limit: {interval: 1h, burst: 4}\n")
        self.serve(*SEPARATE, f"--web.config.file={path}")
        for port, request, status in (
            (CLIENTS, pollBytes(), b"401"),
            (CLIENTS, scrapeBytes(), b"407"),
            (SCRAPES, scrapeBytes(), b"407"),
            (ADMIN, page(b"/metrics"), b"401"),
            (ADMIN, page(b"/metrics"), b"429"),
            (CLIENTS, pollBytes(), b"429"),
        ):
            self.assertEqual(heard(self.talk(port, request))[9:12], status)
        self.assertNotIn("--web.config.file", "".join(self.logged))

    def test_stop(self) -> None:
        """
        When it stops, what is in flight on any of them ends first, and then all
        their lines are closed.
        """
        self.serve(*SEPARATE)
        polling = self.talk(CLIENTS, pollBytes())
        scraping = self.talk(SCRAPES, scrapeBytes())
        watching = self.talk(ADMIN, page(b"/-/ready"))
        id = idIn(heard(polling))
        self.service.stopService()
        self.net.settle()
        self.assertEqual(len(self.net.ports), 3)
        pushing = self.talk(CLIENTS, pushBytes(OK % id))
        self.assertTrue(heard(scraping).endswith(b"\r\n\r\nok"))
        self.assertEqual(self.net.ports, {})
        for talker in (polling, scraping, watching, pushing):
            self.assertIsNotNone(talker.lost)
