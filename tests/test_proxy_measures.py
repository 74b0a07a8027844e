"""
Tests for L{pushprox.proxy.measures}.
"""

from __future__ import annotations

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from pushprox.crowd import CLOSED
from pushprox.proxy.coordinator import OUTCOMES, POLL_LIMITS, Rules
from tests.rigs import ProxyRig, heard, idIn


class MeasuresTests(SynchronousTestCase):
    """
    Tests for L{Measures}.
    """

    def test_names(self) -> None:
        """
        The names of the reference are all there before the first request, and
        those of ours are, too.
        """
        rig = ProxyRig(self)
        text = generate_latest(rig.registry).decode("ascii")
        for name, kind in (
            # Of the reference: dashboards and alerts rely on them.
            ("pushprox_http_requests_total", "counter"),
            ("pushproxy_proxied_requests_total", "counter"),
            ("pushprox_http_duration_seconds", "histogram"),
            ("pushprox_proxy_clients", "gauge"),
            ("pushprox_build_info", "gauge"),
            ("pushprox_proxy_carried_bytes_total", "counter"),
            ("pushprox_proxy_closed_connections_total", "counter"),
            ("pushprox_proxy_refused_polls_total", "counter"),
            ("pushprox_proxy_connected_clients", "gauge"),
            ("pushprox_proxy_connections", "gauge"),
            ("pushprox_proxy_contested_names", "gauge"),
            ("pushprox_proxy_parked_polls", "gauge"),
            ("pushprox_proxy_queued_scrapes", "gauge"),
            ("pushprox_proxy_requeued_scrapes_total", "counter"),
            ("pushprox_proxy_scrape_duration_seconds", "histogram"),
            ("pushprox_proxy_scrapes_in_flight", "gauge"),
            ("pushprox_proxy_scrapes_total", "counter"),
            ("pushprox_reactor_lag_seconds", "histogram"),
            ("process_open_fds", "gauge"),
        ):
            self.assertIn(f"# TYPE {name} {kind}\n", text)
        for name in (
            "pushprox_proxy_clients",
            "pushprox_proxy_carried_bytes_total",
            "pushprox_proxy_connected_clients",
            "pushprox_proxy_connections",
            "pushprox_proxy_contested_names",
            "pushprox_proxy_parked_polls",
            "pushprox_proxy_queued_scrapes",
            "pushprox_proxy_requeued_scrapes_total",
            "pushprox_proxy_scrapes_in_flight",
        ):
            self.assertEqual(rig.metric(name), 0.0)
        for path in ("/poll", "/push", "/clients", "/metrics"):
            self.assertEqual(
                rig.metric("pushprox_http_requests_total", code="200", path=path), 0.0
            )
        for name, label, words in (
            ("pushprox_proxy_scrapes_total", "outcome", OUTCOMES),
            ("pushprox_proxy_closed_connections_total", "why", CLOSED),
            ("pushprox_proxy_refused_polls_total", "limit", POLL_LIMITS),
        ):
            for word in words:
                self.assertEqual(rig.metric(name, **{label: word}), 0.0)

    def test_readable(self) -> None:
        """
        Everything is documented, and in a form that Prometheus reads.
        """
        rig = ProxyRig(self)
        rig.hangUp(rig.poll())
        rig.ask(b"GET http://t2/ HTTP/1.1\r\nHost: t2\r\n\r\n")
        text = generate_latest(rig.registry).decode("ascii")
        for family in text_string_to_metric_families(text):
            self.assertTrue(family.documentation, family.name)
            self.assertNotEqual(family.type, "unknown", family.name)

    def test_holdings(self) -> None:
        """
        The gauges show what the proxy holds.
        """
        rig = ProxyRig(self, Rules(warmup=30.0, pollsPerInstance=2))

        def holdings() -> dict[str, float | None]:
            return {
                name: rig.metric(f"pushprox_proxy_{name}")
                for name in (
                    "clients",
                    "connected_clients",
                    "contested_names",
                    "parked_polls",
                    "queued_scrapes",
                    "scrapes_in_flight",
                    "connections",
                )
            }

        rig.poll(b"t1", b"Pushprox-Instance: one\r\n")
        rig.poll(b"t1", b"Pushprox-Instance: two\r\n")
        rig.poll(b"t1", b"Pushprox-Instance: two\r\n")
        rig.hangUp(rig.poll(b"t2"))
        rig.scrape(b"http://t1/")
        rig.scrape(b"http://t3/")
        self.assertEqual(
            holdings(),
            {
                "clients": 2,
                "connected_clients": 1,
                "contested_names": 1,
                "parked_polls": 2,
                "queued_scrapes": 1,
                "scrapes_in_flight": 2,
                "connections": 5,
            },
        )
        rig.net.cut(rig.net.linesTo(rig.port))
        rig.net.pass_(320)
        self.assertEqual(set(holdings().values()), {0.0})

    def test_refusedPolls(self) -> None:
        """
        Polls that would pass a limit are counted by the limit, and told of it.
        """
        rig = ProxyRig(self, Rules(warmup=0.0, names=1))
        rig.poll(b"t1")
        self.assertIn(
            b" 503 The proxy is full: 1 names known\r", heard(rig.poll(b"t2"))
        )
        self.assertEqual(
            rig.metric("pushprox_proxy_refused_polls_total", limit="names"), 1.0
        )

    def test_scrapes(self) -> None:
        """
        Scrapes are counted by how they ended, with the time they took; what
        reached scrapers is counted in bytes.
        """
        rig = ProxyRig(self)
        polling = rig.poll()
        rig.scrape()
        id = idIn(heard(polling))
        rig.net.pass_(2)
        rig.push(b"HTTP/1.1 200 OK\r\nId: " + id + b"\r\n\r\nmetric 1\n")
        rig.poll()
        rig.scrape()
        rig.net.pass_(5)
        for outcome, seconds in (("answered", 2.0), ("not_answered", 4.5)):
            for name, value in (
                ("scrapes_total", 1),
                ("scrape_duration_seconds_count", 1),
                ("scrape_duration_seconds_sum", seconds),
            ):
                self.assertEqual(
                    rig.metric(f"pushprox_proxy_{name}", outcome=outcome), value
                )
        self.assertEqual(rig.metric("pushprox_proxy_carried_bytes_total"), 9)
