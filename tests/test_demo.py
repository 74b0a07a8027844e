"""
The demo, from its first word to its end.
"""

from __future__ import annotations

import re

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase

from pushprox.demo import Options, makeService
from tests.internet import Internet


class DemoTests(SynchronousTestCase):
    """
    What a person sees of it.
    """

    def setUp(self) -> None:
        """
        Start it on an internet of its own.
        """
        self.net = Internet()
        self.said = ""

    def start(self, *arguments: str) -> None:
        """
        Start it with these flags.
        """
        options = Options()
        options.parseOptions(arguments)
        self.program = makeService(options, self.net, self.hear)
        self.program.privilegedStartService()
        self.program.startService()

    def hear(self, text: str) -> None:
        """
        Listen to it.
        """
        self.said += text

    def stop(self) -> None:
        """
        Stop it; nothing stays behind.
        """
        stopped: Deferred[object] = maybeDeferred(self.program.stopService)
        self.net.pass_(10)
        self.successResultOf(stopped)
        self.assertEqual(self.net.ports, {})
        self.assertEqual(self.net.ends, [])
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_scrapes(self) -> None:
        """
        It scrapes its exporter through proxy and client, and says so each time.
        """
        self.start()
        self.net.pass_(21)
        lines = re.findall(
            r"^  http://localhost:\d+/metrics: 200 OK, (\d+) samples in \d+ ms$",
            self.said,
            re.MULTILINE,
        )
        self.assertEqual(len(lines), 5, self.said)
        self.assertGreater(int(lines[0]), 3)
        self.assertNotIn("failed", self.said)
        self.stop()

    def test_curl(self) -> None:
        """
        The line for curl leads to the exporter through the proxy.
        """
        self.start("--port", "8081")
        self.net.pass_(1)
        line = re.search(
            r"^  curl --proxy http://(127\.0\.0\.1):(\d+) (http://\S+)$",
            self.said,
            re.MULTILINE,
        )
        assert line is not None, self.said
        self.assertEqual(line[2], "8081")
        request = f"GET {line[3]} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        curl = self.net.talk(line[1], int(line[2]), request.encode("ascii"))
        self.net.pass_(1)
        self.assertTrue(curl.received.startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertIn(b"\nprocess_cpu_seconds_total ", curl.received)
        curl.transport.loseConnection()
        self.stop()

    def test_prometheus(self) -> None:
        """
        The lines for prometheus.yml name the proxy and the exporter's target.
        """
        self.start()
        self.net.pass_(1)
        target = re.search(r"http://(localhost:\d+)/metrics", self.said)
        assert target is not None
        self.assertIn(
            "  scrape_configs:\n"
            "    - job_name: pushprox-demo\n"
            "      proxy_url: http://127.0.0.1:8080/\n"
            "      static_configs:\n"
            f'        - targets: ["{target[1]}"]\n',
            self.said,
        )
        self.stop()

    def test_onLoopback(self) -> None:
        """
        It listens on 127.0.0.1 alone.
        """
        self.start()
        self.net.pass_(1)
        self.assertEqual({host for host, port in self.net.ports}, {"127.0.0.1"})
        self.stop()

    def test_proxyAway(self) -> None:
        """
        A scrape that fails is told with its reason, and the next one is tried.
        """
        self.start()
        self.net.pass_(1)
        self.net.unplug(lambda port: port.number == 8080)
        self.net.pass_(10)
        self.assertIn("/metrics: failed: Connection was refused", self.said)
        self.assertEqual(self.said.count("/metrics: failed"), 2)
        self.stop()

    def test_stopDuringAScrape(self) -> None:
        """
        It can be stopped while a scrape is under way.
        """
        self.net.blackHoles.add("127.0.0.1")
        self.start()
        self.net.pass_(1)
        self.assertIn("Every 5 seconds", self.said)
        self.stop()

    def test_defaults(self) -> None:
        """
        Without a reactor of its own it takes the one there is, and starts
        nothing.
        """
        options = Options()
        options.parseOptions([])
        service = makeService(options)
        self.assertIsInstance(service, MultiService)
        self.assertFalse(service.running)

    def test_stopBeforeTheStart(self) -> None:
        """
        Stopping what never ran does no harm.
        """
        options = Options()
        options.parseOptions([])
        self.program = makeService(options, self.net, self.hear)
        stopped: Deferred[object] = maybeDeferred(self.program.stopService)
        self.net.settle()
        self.successResultOf(stopped)
        self.assertEqual(self.said, "")
