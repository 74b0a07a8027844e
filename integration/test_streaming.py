"""
Answers that take a while, through real programs.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, gatherResults

from integration.processes import ProcessTestCase, pause


class StreamingTests(ProcessTestCase):
    """
    What arrives when, and what is held meanwhile.
    """

    async def test_firstHalf(self) -> None:
        """
        What a target has sent arrives while it still thinks about the rest.
        """
        proxyPort, target = await self.journey()
        url = f"http://localhost:{target}/pauses?size=100000&seconds="
        scraped = await self.scrape(proxyPort, f"{url}20", timeout=3)
        # Where the scraper gives up, half of the body is there.
        self.assertEqual(scraped.status, 200, scraped)
        self.assertEqual(len(scraped.body), 50_000, scraped)
        whole = await self.scrape(proxyPort, f"{url}0.5", timeout=5)
        self.assertTrue(whole.isWhole, whole)
        self.assertEqual(whole.body[:50_000], scraped.body)
        self.assertEqual(len(whole.body), 100_000)

    async def test_slowScrapers(self) -> None:
        """
        Four bodies of 60 MB to scrapers that are slow arrive whole, and neither
        program grows by more than 16 MB.
        """
        target = await self.exporter()
        proxy, proxyPort = await self.proxy()
        client = self.client(proxyPort)
        await self.connected(proxyPort)
        for framing in ("plain", "chunked"):
            # The first of its kind brings what stays: code, and room for bodies.
            url = f"http://localhost:{target}/{framing}?size=60000000"
            self.assertTrue((await self.scrape(proxyPort, url, timeout=30)).isWhole)
        before = [process.residentBytes() for process in (proxy, client)]
        scrapes = gatherResults(
            [
                Deferred.fromCoroutine(
                    self.scrape(
                        proxyPort,
                        f"http://localhost:{target}/{framing}?size=60000000",
                        "--limit-rate",
                        "20M",
                        timeout=60,
                    )
                )
                for framing in ("plain", "chunked") * 2
            ]
        )
        grown = [0, 0]
        while not scrapes.called:
            await pause(0.1)
            for which, process in enumerate((proxy, client)):
                growth = process.residentBytes() - before[which]
                grown[which] = max(grown[which], growth)
        for scraped in await scrapes:
            self.assertTrue(scraped.isWhole, scraped)
            self.assertEqual(len(scraped.body), 60_000_000)
            self.assertGreater(scraped.seconds, 2)
        self.assertLess(max(grown), 16_000_000, grown)
