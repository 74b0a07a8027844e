"""
Scrapes that nobody can do, polls that nobody waits for any longer, and that
neither leaves anything behind.
"""

from __future__ import annotations

import resource
import socket

from integration.golines import poll
from integration.processes import Process, ProcessTestCase, until

#: The gauges of what a proxy holds; all of them fall to 0 when it is quiet.
#: The connection that asks for them is open, too.
_HELD = {
    "pushprox_proxy_clients": 0,
    "pushprox_proxy_connected_clients": 0,
    "pushprox_proxy_parked_polls": 0,
    "pushprox_proxy_queued_scrapes": 0,
    "pushprox_proxy_scrapes_in_flight": 0,
    "pushprox_proxy_connections": 1,
}


class NoPollerTests(ProcessTestCase):
    """
    Scrapes of names for which nobody polls.
    """

    async def test_unknownName(self) -> None:
        """
        A name that no client ever polled as is refused at once, with 503 and a
        reason phrase that says so.
        """
        _, port = await self.proxy("--registration.warmup=0")
        scraped = await self.scrape(port, "http://nobody:9100/metrics")
        self.assertEqual(scraped.status, 503, scraped)
        self.assertEqual(scraped.reason, "No PushProx client named nobody")
        self.assertLess(scraped.seconds, 1)

    async def test_goneName(self) -> None:
        """
        A name whose client has gone is answered shortly before the scraper's
        deadline, with 504 and a reason phrase that says so.
        """
        _, port = await self.proxy("--registration.warmup=0")
        line = await poll(self, port, b"gone")
        line.cut()
        await line.ended()
        scraped = await self.scrape(port, "http://gone:9100/metrics", timeout=3)
        self.assertEqual((scraped.exitStatus, scraped.status), (0, 504), scraped)
        self.assertRegex(scraped.reason, "No poll from gone for [0-9.]+ s")
        self.assertGreater(scraped.seconds, 2)
        self.assertLess(scraped.seconds, 3)


class NothingStaysBehindTests(ProcessTestCase):
    """
    What a proxy holds after it was used badly.
    """

    async def _quiet(self, port: int, process: Process, files: int) -> None:
        """
        Wait until the proxy holds nothing, and no more open files than before.
        """
        held: dict[str, float] = {}

        async def isQuiet() -> bool:
            metrics = await self.metrics(port)
            held.update((name, metrics[name]) for name in _HELD)
            held["files"] = process.fileDescriptors()
            return {**held, "files": 0} == {**_HELD, "files": 0} and (
                held["files"] <= files
            )

        try:
            await until(isQuiet, 15, "quiet", every=0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}; at the end {held}, {files=}") from None

    async def test_cutPolls(self) -> None:
        """
        2,000 polls opened and cut leave no file and no entry behind, though the
        soft limit of open files is 1,024 when the proxy starts.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        process, port = await self.proxy(
            "--registration.timeout=2s",
            "--registration.warmup=0",
            files=(1024, 20_000),
        )
        await self.metrics(port)  # Not before the reactor has all that it needs.
        files = process.fileDescriptors()

        lines = []
        for number in range(2000):
            line = socket.create_connection(("127.0.0.1", port), timeout=10)
            self.addCleanup(line.close)
            name = b"client-%d.example" % number
            line.sendall(
                b"POST /poll HTTP/1.1\r\nHost: proxy\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(name), name)
            )
            lines.append(line)

        async def areParked() -> bool:
            return (await self.metrics(port))["pushprox_proxy_parked_polls"] == 2000

        await until(areParked, 20, "2000 parked polls", every=0.2)
        self.assertEqual(len(await self.clients(port)), 2000)
        for line in lines:
            line.close()
        await self._quiet(port, process, files)
        self.assertEqual(await self.clients(port), [])

    async def test_unknownNames(self) -> None:
        """
        20,000 scrapes of names that do not exist leave nothing behind: no
        entry, no file, no metric, no memory.
        """
        process, port = await self.proxy("--registration.warmup=0")
        await self._scrapeUnknown(port, 1, 2000)
        await self.metrics(port)  # The first look adds series of its own.
        files, before = process.fileDescriptors(), process.residentBytes()
        series = set(await self.metrics(port))
        await self._scrapeUnknown(port, 2001, 22_000)
        await self._quiet(port, process, files)
        self.assertLess(process.residentBytes() - before, 20_000_000)
        self.assertEqual(set(await self.metrics(port)) - series, set())

    async def _scrapeUnknown(self, port: int, first: int, last: int) -> None:
        """
        Scrape one name after the other; each is to be refused.
        """
        curl = await self.curl(
            "--proxy", f"http://127.0.0.1:{port}",
            "--write-out", "%{http_code}\n", "--output", "/dev/null",
            f"http://nobody-[{first}-{last}]:9100/metrics",
        )  # fmt: skip
        refused = curl.standardOutput.split().count(b"503")
        self.assertEqual(refused, last - first + 1, curl.output[-500:])
