"""
Journeys with several clients of one name.
"""

from __future__ import annotations

from pushprox.proxy.coordinator import Rules
from tests.journeys import Journey


class InstancesTests(Journey):
    """
    Two of our clients that poll as the same name.
    """

    def startBoth(self, rules: Rules | None = None) -> None:
        """
        Start two; the first has the name already.
        """
        self.proxy = self.startProxy(rules)
        self.exporter = self.startExporter()
        self.first = self.startClient(address="10.1.0.1")
        self.assertMetrics(self.scrape())
        self.exporter.askers.clear()
        self.second = self.startClient(address="10.1.0.9")
        self.net.pass_(1)

    def test_noWeaving(self) -> None:
        """
        One of them does all scrapes; that there are two is told.
        """
        self.startBoth()
        for reply in self.scrapes(20, 15):
            self.assertMetrics(reply)
            self.assertEqual(reply.took, 0.0)
        self.assertEqual(self.exporter.askers, 20 * ["10.1.0.1"])
        self.assertEqual(self.proxy.metric("pushprox_proxy_contested_names"), 1)

    def test_noWeavingUnderLoad(self) -> None:
        """
        So it is with many scrapes at once, and when some are slow.
        """
        self.startBoth()
        self.exporter.delay = 3.0
        replies = [self.scrape() for _ in range(20)]
        replies += self.scrapes(20, 1)
        self.net.pass_(5)
        for reply in replies:
            self.assertMetrics(reply)
        self.assertEqual(self.exporter.askers, 40 * ["10.1.0.1"])

    def test_takeOver(self) -> None:
        """
        When the one that has the name dies, the other takes over and keeps it,
        also when the first is back.
        """
        self.startBoth()
        self.assertMetrics(self.scrape())
        self.first.crash()
        for reply in self.scrapes(3, 5):
            self.assertMetrics(reply)
            self.assertEqual(reply.took, 0.0)
        self.startClient(address="10.1.0.1")
        self.net.pass_(5)
        for reply in self.scrapes(10, 5):
            self.assertMetrics(reply)
        self.assertEqual(self.exporter.askers, ["10.1.0.1"] + 13 * ["10.1.0.9"])

    def test_rollingUpgrade(self) -> None:
        """
        Stopping the one in order loses nothing: what it has in hand it answers,
        what comes then the other does.
        """
        self.startBoth()
        self.exporter.delay = 2.0
        replies = [self.scrape()]
        self.net.pass_(1)
        stopped = self.first.stop()
        self.net.settle()
        replies.append(self.scrape())
        self.net.pass_(5)
        self.successResultOf(stopped)
        for reply in replies:
            self.assertMetrics(reply)
        self.assertEqual(self.exporter.askers, ["10.1.0.1", "10.1.0.9"])

    def test_shared(self) -> None:
        """
        With --names.shared they take turns.
        """
        self.startBoth(Rules(shared=True))
        for reply in self.scrapes(20, 1):
            self.assertMetrics(reply)
        self.assertEqual(self.exporter.askers, 10 * ["10.1.0.1", "10.1.0.9"])
