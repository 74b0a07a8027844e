"""
The proxy stops, or is killed, while scrapes come in.
"""

from __future__ import annotations

import os
import signal

import attrs
from twisted.internet.defer import Deferred

from integration.processes import ProcessTestCase, Scraped, pause, reactor

#: curl's exit status, curl(1): nobody listened.
_NOBODY = 7
#: curl's exit statuses, curl(1): the proxy was there and went away, before a
#: reply, while sending or within one.
_CUT = (18, 52, 55, 56)


@attrs.frozen
class Attempt:
    """
    One scrape of many, and when it began and ended.
    """

    began: float
    ended: float
    scraped: Scraped


def isRefused(scraped: Scraped) -> bool:
    """
    @return: whether no proxy took the scrape on: nobody listened, or one that
        listens for the last answers only.
    """
    return scraped.exitStatus == _NOBODY or scraped.reason == "The proxy is stopping"


class RestartTests(ProcessTestCase):
    """
    A proxy that comes and goes.
    """

    #: The long form takes two minutes and more.
    timeout = 300

    async def test_finishesWhatIsInFlight(self) -> None:
        """
        A proxy that is told to stop takes nothing new, but lets a scrape in
        flight come to its end first.
        """
        target = await self.exporter()
        process, port = await self.proxy()
        self.client(port)
        await self.connected(port)
        slow = f"http://localhost:{target}/slow?seconds=3"
        scraping = self.meanwhile(self.scrape(port, slow, timeout=10))
        await pause(1)
        process.signal(signal.SIGTERM)
        await pause(0.5)
        self.assertIsNone(process.status, process)
        late = await self.scrape(port, slow)
        self.assertTrue(isRefused(late), late)
        self.assertLess(late.seconds, 1)
        scraped = await scraping
        self.assertTrue(scraped.isWhole, f"{scraped} {process}")
        self.assertEqual(await process.ended(5), -signal.SIGTERM)

    async def test_restarted(self) -> None:
        """
        A proxy that is told to stop and started again loses no scrape that it
        accepted.
        """
        target = await self.exporter()
        process, port = await self.proxy()
        self.client(port)
        await self.connected(port)
        scraping = self._scrapeAtIntervals(port, target, 0.25, 40)
        for _ in range(2):
            await pause(3)
            process.signal(signal.SIGTERM)
            self.assertEqual(await process.ended(10), -signal.SIGTERM, process)
            process, _ = await self.proxy(port=port)
        self._judge(await scraping, kills=[])

    async def test_killed(self) -> None:
        """
        With the client started before the proxy, and the proxy killed and
        started again and again, every scrape succeeds that a listening proxy
        accepted and did not hold when it was killed.
        """
        kills, every, scrapes = 3, 10, 35
        if os.environ.get("PUSHPROX_SOAK"):
            kills, every, scrapes = 8, 15, 130
        target = await self.exporter()
        process, port = await self.proxy()
        await process.stop()
        self.client(port)
        await pause(3)
        process, _ = await self.proxy(port=port)
        killed: list[float] = []
        scraping = self._scrapeAtIntervals(port, target, 1.0, scrapes)
        for _ in range(kills):
            await pause(every)
            killed.append(reactor.seconds())
            await process.kill()
            process, _ = await self.proxy(port=port)
        self._judge(await scraping, killed)

    def _scrapeAtIntervals(
        self, port: int, target: int, interval: float, count: int
    ) -> Deferred[list[Attempt]]:
        """
        Scrape so many times, each C{interval} seconds after the one before has
        begun, with a timeout of 10 s.
        """

        async def scrapeOnce() -> Attempt:
            began = reactor.seconds()
            scraped = await self.scrape(
                port, f"http://localhost:{target}/plain?size=10000", timeout=10
            )
            return Attempt(began, reactor.seconds(), scraped)

        async def scrapeAll() -> list[Attempt]:
            scraping = []
            for _ in range(count):
                scraping.append(self.meanwhile(scrapeOnce()))
                await pause(interval)
            return [await attempt for attempt in scraping]

        return self.meanwhile(scrapeAll())

    def _judge(self, attempts: list[Attempt], kills: list[float]) -> None:
        """
        Hold each scrape against what was promised: it succeeds, unless nobody
        listened, or it was in the hands of a proxy that was killed.
        """
        lost = [
            attempt
            for attempt in attempts
            if not attempt.scraped.isWhole
            and not isRefused(attempt.scraped)
            and not (
                attempt.scraped.exitStatus in _CUT
                and any(attempt.began <= kill <= attempt.ended for kill in kills)
            )
        ]
        self.assertEqual(lost, [], f"proxy killed at {kills}")
        well = sum(attempt.scraped.isWhole for attempt in attempts)
        self.assertGreater(well, 0.5 * len(attempts))
