"""
What arrives at the scraper, compared with what the target sent.
"""

from __future__ import annotations

from integration.processes import ProcessTestCase

#: What a target says of its body, besides the body itself.
_TOLD = ("content-type", "content-encoding")


class WholeBodyTests(ProcessTestCase):
    """
    Bodies that the target ended as it should.
    """

    async def _compare(self, size: int) -> None:
        """
        Fetch a body of this size in every framing, directly and through both
        programs, and compare.
        """
        proxyPort, target = await self.journey()
        for framing in ("plain", "chunked", "closed"):
            for encoding in ("gzip", "identity"):
                url = f"http://localhost:{target}/{framing}?size={size}"
                accept = ("--header", f"Accept-Encoding: {encoding}")
                direct = await self.get(url, *accept)
                scraped = await self.scrape(proxyPort, url, *accept, timeout=5)
                case = f"{framing}, {encoding}: {direct}, {scraped}"
                self.assertTrue(direct.isWhole, case)
                self.assertEqual(encoding == "gzip", direct.body[:2] == b"\x1f\x8b")
                self.assertTrue(scraped.isWhole, case)
                self.assertTrue(scraped.body == direct.body, case)
                for name in _TOLD:
                    self.assertEqual(
                        scraped.headers.get(name), direct.headers.get(name), case
                    )
                for name in ("id", "x-prometheus-scrape-timeout"):
                    self.assertNotIn(name, scraped.headers)

    async def test_oneByte(self) -> None:
        """
        A body of 1 byte arrives byte for byte, gzip or not, in every framing.
        """
        await self._compare(1)

    async def test_megabyte(self) -> None:
        """
        A body of 1 MB arrives byte for byte, gzip or not, in every framing.
        """
        await self._compare(1_000_000)

    async def test_fiftyMegabytes(self) -> None:
        """
        A body of 50 MB arrives byte for byte, gzip or not, in every framing,
        within 5 s.
        """
        await self._compare(50_000_000)


class BrokenBodyTests(ProcessTestCase):
    """
    Bodies that broke off.
    """

    async def test_breaksOff(self) -> None:
        """
        A target that dies half-way makes curl fail, whatever the framing; it is
        never a 200 that looks whole, and the next scrape is well again.
        """
        proxyPort, target = await self.journey()
        for framing in ("chunked", "plain", "closed"):
            url = f"http://localhost:{target}/dies-{framing}"
            scraped = await self.scrape(proxyPort, url, "--fail")
            self.assertNotEqual(scraped.exitStatus, 0, f"{framing}: {scraped}")
            self.assertFalse(scraped.isWhole, f"{framing}: {scraped}")
            self.assertLess(scraped.seconds, 4, f"{framing}: {scraped}")
            well = await self.scrape(proxyPort, f"http://localhost:{target}/plain")
            self.assertTrue(well.isWhole, f"after {framing}: {well}")
