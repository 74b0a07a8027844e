"""
Tests for L{pushprox.client.measures}.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from twisted.trial.unittest import SynchronousTestCase

from pushprox.client.measures import Measures
from pushprox.metrics import Ledger


class MeasuresTests(SynchronousTestCase):
    """
    The client's metrics.
    """

    def setUp(self) -> None:
        """
        Nothing has happened yet.
        """
        self.registry = CollectorRegistry()
        self.measures = Measures(Ledger(self.registry, "client"))

    def value(self, name: str, **labels: str) -> float | None:
        """
        @return: the value of a metric.
        """
        return self.registry.get_sample_value(f"pushprox_client_{name}", labels)

    def test_reference(self) -> None:
        """
        The reference's counters are there before there is anything to count.
        """
        for kind in ("scrape", "push", "poll"):
            self.assertEqual(self.value(f"{kind}_errors_total"), 0)

    def test_scraped(self) -> None:
        """
        Answers are counted by their status, and how long they took.
        """
        self.measures.scraped(200, 0.2)
        self.measures.scraped(404, 0.3)
        self.measures.scraped(200, 0.1)
        self.assertEqual(self.value("scrapes_total", code="200"), 2)
        self.assertEqual(self.value("scrapes_total", code="404"), 1)
        self.assertAlmostEqual(self.value("scrape_duration_seconds_sum"), 0.6)
        self.assertEqual(self.value("scrape_errors_total"), 0)

    def test_scrapeFailed(self) -> None:
        """
        A failed scrape is one as well, with the status that the scraper gets.
        """
        self.measures.scrapeFailed(504, 9.5)
        self.assertEqual(self.value("scrapes_total", code="504"), 1)
        self.assertEqual(self.value("scrape_errors_total"), 1)
        self.assertEqual(self.value("scrape_duration_seconds_count"), 1)

    def test_pushes(self) -> None:
        """
        Of pushes the bytes and the failures are counted, of polls the failures.
        """
        self.measures.pushed(1000)
        self.measures.pushed(24)
        self.measures.pushFailed()
        self.measures.pollFailed()
        self.measures.pollFailed()
        self.assertEqual(self.value("pushed_bytes_total"), 1024)
        self.assertEqual(self.value("push_errors_total"), 1)
        self.assertEqual(self.value("poll_errors_total"), 2)

    def test_watch(self) -> None:
        """
        What goes on is read when somebody asks.
        """
        inHand = [3]
        self.measures.watch(lambda: inHand[0], lambda: 2, lambda: True)
        self.assertEqual(self.value("scrapes_in_hand"), 3)
        self.assertEqual(self.value("polls"), 2)
        self.assertEqual(self.value("connected"), 1)
        inHand[0] = 4
        self.assertEqual(self.value("scrapes_in_hand"), 4)
