"""
Polls whose line is open and dead, beside others that live, and scrapes that
take their time.

The clients are played by hand, as clients of the reference: only these leave
the proxy to guess what has reached them.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from integration.golines import Line, answerTo, openLine, poll
from integration.processes import ProcessTestCase, Scraped, pause


class DeadLineTests(ProcessTestCase):
    """
    The newest poll of a name is one that no one reads any longer.
    """

    def _scraping(self, port: int, path: str) -> Deferred[Scraped]:
        """
        Begin a scrape of C{t1}.
        """
        return self.meanwhile(self.scrape(port, f"http://t1:9100/{path}", timeout=10))

    async def _serveOne(self, port: int, line: Line) -> bytes:
        """
        Do as a client of the reference does when its poll brings a scrape: poll
        again at once, then push; the answer is the URL that was asked for.

        @return: the scrape.
        """
        status, instruction = await line.reply()
        self.assertEqual(status, 200)
        line.request(b"/poll", b"t1")
        pushing = await openLine(self, port)
        url = instruction.split(b" ", 2)[1]
        pushing.request(b"/push", answerTo(instruction, url))
        self.assertEqual(await pushing.reply(), (200, b""))
        return instruction

    async def test_newerLineIsDead(self) -> None:
        """
        A scrape that a dead line swallowed is answered through a live one, well
        before its deadline, and with the same id.
        """
        _, port = await self.proxy()
        alive = await poll(self, port)
        dead = await poll(self, port)
        scraping = self._scraping(port, "metrics")
        _, swallowed = await dead.reply()
        self.assertFalse(alive.isAnswered)
        served = await self._serveOne(port, alive)
        self.assertEqual(answerTo(served, b""), answerTo(swallowed, b""))
        scraped = await scraping
        self.assertTrue(scraped.isWhole, scraped)
        self.assertEqual(scraped.body, b"http://t1:9100/metrics")
        self.assertLess(scraped.seconds, 4)

    async def test_twoAtOnce(self) -> None:
        """
        Of two scrapes at once one is swallowed by a dead line, and both are
        answered.
        """
        _, port = await self.proxy()
        alive = await poll(self, port)
        dead = await poll(self, port)
        scrapings = [self._scraping(port, "one"), self._scraping(port, "two")]
        await dead.reply()
        for _ in scrapings:
            await self._serveOne(port, alive)
        bodies = set()
        for scraping in scrapings:
            scraped = await scraping
            self.assertTrue(scraped.isWhole, scraped)
            self.assertLess(scraped.seconds, 5)
            bodies.add(scraped.body)
        self.assertEqual(bodies, {b"http://t1:9100/one", b"http://t1:9100/two"})

    async def test_slowScrapeOfTheReference(self) -> None:
        """
        A scrape that a client of the reference has confirmed, by polling again,
        is given to nobody else, though its answer takes 5 s.
        """
        _, port = await self.proxy()
        line = await poll(self, port)
        scraping = self._scraping(port, "metrics")
        _, instruction = await line.reply()
        line.request(b"/poll", b"t1")
        other = await poll(self, port)
        await pause(5)
        self.assertFalse(line.isAnswered)
        self.assertFalse(other.isAnswered)
        pushing = await openLine(self, port)
        pushing.request(b"/push", answerTo(instruction, b"slow 1\n"))
        scraped = await scraping
        self.assertTrue(scraped.isWhole, scraped)
        self.assertEqual(scraped.body, b"slow 1\n")


class SlowTargetTests(ProcessTestCase):
    """
    A target that takes its time, behind our client.
    """

    async def test_scrapedOnce(self) -> None:
        """
        A target that takes 5 s is scraped once.
        """
        proxyPort, target = await self.journey()
        slow = f"http://localhost:{target}/slow?seconds=5"
        scraped = await self.scrape(proxyPort, slow, timeout=10)
        self.assertTrue(scraped.isWhole, scraped)
        self.assertGreater(scraped.seconds, 5)
        counted = await self.get(f"http://localhost:{target}/count")
        self.assertEqual(counted.body, b"1")

    async def test_tooSlow(self) -> None:
        """
        A target that is too slow is told of before the scraper hangs up.
        """
        proxyPort, target = await self.journey()
        slow = f"http://localhost:{target}/slow?seconds=9"
        scraped = await self.scrape(proxyPort, slow, timeout=3)
        self.assertEqual((scraped.exitStatus, scraped.status), (0, 504), scraped)
        self.assertNotEqual(scraped.reason, "Gateway Timeout", scraped)

    async def test_refused(self) -> None:
        """
        A target that is not there is told of at once, and by its own reason.
        """
        proxyPort, _ = await self.journey()
        scraped = await self.scrape(proxyPort, "http://localhost:1/metrics")
        self.assertEqual(scraped.status, 502, scraped)
        self.assertEqual(scraped.reason, "Target refused the connection")
        self.assertLess(scraped.seconds, 2)
