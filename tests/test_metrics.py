"""
Tests for L{pushprox.metrics}.
"""

from __future__ import annotations

import platform

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pushprox import __version__
from pushprox.metrics import SECONDS, Ledger, MetricsResource, ReactorLag
from pushprox.site import Site
from tests.internet import Internet


class LedgerTests(SynchronousTestCase):
    """
    Tests for L{Ledger} and what is in it.
    """

    def setUp(self) -> None:
        """
        Make an empty ledger.
        """
        self.registry = CollectorRegistry()
        self.ledger = Ledger(self.registry, "proxy")

    def shown(self, prefix: str) -> str:
        """
        The lines about some metrics, as Prometheus reads them.
        """
        lines = generate_latest(self.registry).decode("ascii").splitlines(True)
        starts = (prefix, f"# HELP {prefix}", f"# TYPE {prefix}")
        return "".join(line for line in lines if line.startswith(starts))

    def test_build(self) -> None:
        """
        A ledger says what is running.
        """
        self.assertEqual(
            self.registry.get_sample_value(
                "pushprox_build_info",
                {
                    "program": "proxy",
                    "version": __version__,
                    "python": platform.python_version(),
                },
            ),
            1.0,
        )

    def test_process(self) -> None:
        """
        It also says what the process needs.
        """
        for name in ("process_open_fds", "process_resident_memory_bytes"):
            self.assertTrue(self.registry.get_sample_value(name))

    def test_tally(self) -> None:
        """
        A counter without labels is there before anything was counted.
        """
        tally = self.ledger.tally("bytes", "Bytes carried.")
        text = "# HELP bytes_total Bytes carried.\n# TYPE bytes_total counter\n"
        self.assertEqual(self.shown("bytes"), text + "bytes_total 0.0\n")
        tally.add(by=5)
        tally.add()
        self.assertEqual(self.shown("bytes"), text + "bytes_total 6.0\n")

    def test_tallyWithLabels(self) -> None:
        """
        A counter with labels counts for each of their values.
        """
        tally = self.ledger.tally("requests", "Requests.", "code", "path")
        tally.add("200", "/a")
        tally.add("200", "/b", by=0)
        tally.add("200", "/a")
        self.assertEqual(
            self.shown("requests"),
            "# HELP requests_total Requests.\n"
            "# TYPE requests_total counter\n"
            'requests_total{code="200",path="/a"} 2.0\n'
            'requests_total{code="200",path="/b"} 0.0\n',
        )

    def test_spread(self) -> None:
        """
        A histogram's buckets count all that is not above their bound.
        """
        spread = self.ledger.spread("took_seconds", "Time taken.", "path")
        for seconds in (0.0, 0.005, 0.006, 0.3, 60.0, 61.0):
            spread.add(seconds, "/a")
        spread.add(1.0, "/b")

        def bucket(bound: str) -> float | None:
            return self.registry.get_sample_value(
                "took_seconds_bucket", {"le": bound, "path": "/a"}
            )

        self.assertEqual(
            [bucket(str(bound)) for bound in SECONDS],
            [2, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 5],
        )
        self.assertEqual(bucket("+Inf"), 6)
        labels = {"path": "/a"}
        value = self.registry.get_sample_value
        self.assertEqual(value("took_seconds_count", labels), 6)
        self.assertEqual(value("took_seconds_sum", labels), 121.311)
        self.assertEqual(value("took_seconds_count", {"path": "/b"}), 1)

    def test_readings(self) -> None:
        """
        What is kept elsewhere is read when somebody asks.
        """
        values = [1.0, 2.0]
        self.ledger.gauge("open", "Open things.", lambda: values[0])
        self.ledger.total("done", "Things done.", lambda: values[1])
        values[:] = [3.0, 4.0]
        self.assertEqual(
            self.shown("open"),
            "# HELP open Open things.\n# TYPE open gauge\nopen 3.0\n",
        )
        self.assertEqual(
            self.shown("done"),
            "# HELP done_total Things done.\n# TYPE done_total counter\n"
            "done_total 4.0\n",
        )


class ReactorLagTests(SynchronousTestCase):
    """
    Tests for L{ReactorLag}.
    """

    def setUp(self) -> None:
        """
        Make one that does not look yet.
        """
        self.registry = CollectorRegistry()
        self.clock = Clock()
        self.service = ReactorLag(self.clock, Ledger(self.registry, "proxy"))

    def value(self, suffix: str) -> float | None:
        """
        One of the samples.
        """
        return self.registry.get_sample_value(f"pushprox_reactor_lag_seconds_{suffix}")

    def test_lag(self) -> None:
        """
        It looks once a second, and counts by how much that was too late.
        """
        self.service.startService()
        for seconds in (1.0, 1.25, 1.0, 0.5, 0.5):
            self.clock.advance(seconds)
        self.assertEqual((self.value("count"), self.value("sum")), (4, 0.25))

    def test_stop(self) -> None:
        """
        Stopped, it leaves no timer behind, also if it never looked.
        """
        self.service.startService()
        self.clock.advance(1.0)
        self.service.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.service.stopService()


class MetricsResourceTests(SynchronousTestCase):
    """
    Tests for L{MetricsResource}.
    """

    def ask(self, accept: bytes) -> tuple[bytes, bytes]:
        """
        @param accept: header lines.
        @return: the head and the body of the reply.
        """
        net = Internet()
        registry = CollectorRegistry()
        Ledger(registry, "proxy").tally("pushprox_things", "Things.").add()
        port = net.listenTCP(80, Site(MetricsResource(registry), net))
        talker = net.talk("10.0.0.1", 80, b"GET / HTTP/1.0\r\n" + accept + b"\r\n")
        port.stopListening()
        head, _, body = talker.received.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.0 200 OK\r\n"), head)
        return head, body

    def test_text(self) -> None:
        """
        Who asks for nothing in particular, or for nonsense, gets the classic
        text.
        """
        for accept in (
            b"",
            b"Accept: */*\r\n",
            b"Accept: text/plain;version=0.0.4;q=0.3,*/*;q=0.2\r\n",
            b"Accept: text/plain;version=new\r\n",
            b"Accept: application/json;version=\xff\r\n",
        ):
            head, body = self.ask(accept)
            self.assertIn(
                b"Content-Type: text/plain; version=0.0.4; charset=utf-8", head
            )
            self.assertIn(b"\npushprox_things_total 1.0\n", body)
            self.assertNotIn(b"# EOF", body)

    def test_openMetrics(self) -> None:
        """
        Prometheus 2.42 and 3.5 get the OpenMetrics that they prefer.
        """
        for accept, contentType in (
            (
                b"application/openmetrics-text;version=1.0.0,"
                b"application/openmetrics-text;version=0.0.1;q=0.75,"
                b"text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                b"version=1.0.0; charset=utf-8; escaping=underscores",
            ),
            (
                b"application/openmetrics-text;version=1.0.0;"
                b"escaping=allow-utf-8;q=0.6,"
                b"application/openmetrics-text;version=0.0.1;q=0.5,"
                b"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                b"text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                b"version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            ),
        ):
            head, body = self.ask(b"Accept: " + accept + b"\r\n")
            self.assertIn(
                b"Content-Type: application/openmetrics-text; " + contentType, head
            )
            families = text_string_to_metric_families(body.decode("utf-8"))
            self.assertIn("pushprox_things", [family.name for family in families])
