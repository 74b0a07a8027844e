"""
The programs on the command line: right and wrong use, their logs, and how they
live beside each other and with Twisted's own tools.
"""

from __future__ import annotations

import json
import socket

from twisted.internet.defer import gatherResults

from integration.processes import (
    STARTUP,
    Process,
    ProcessTestCase,
    freePort,
    until,
)

#: Both ways to run a program.
_WAYS = ((), ("twistd", "-n"))


class WrongUseTests(ProcessTestCase):
    """
    Command lines that cannot work.
    """

    async def _assertRefused(
        self, named: str | tuple[str, ...], program: str, *flags: str
    ) -> None:
        """
        A program ends with one line that names the flag or the file, and says
        so by its exit status, whichever way it is run.
        """
        words = (named,) if isinstance(named, str) else named
        for process in await gatherResults(
            [self.meanwhile(self.finished(*way, program, *flags)) for way in _WAYS],
            consumeErrors=True,
        ):
            self.assertNotEqual(process.status, 0, process)
            self.assertEqual(len(process.output.splitlines()), 1, process)
            for word in words:
                self.assertIn(word, process.output, process)

    async def test_badDuration(self) -> None:
        """
        A duration that is none is refused by the name of its flag.
        """
        await self._assertRefused(
            "--scrape.max-timeout", "pushprox-proxy", "--scrape.max-timeout=soon"
        )
        await self._assertRefused(
            "--proxy.retry.max-wait",
            "pushprox-client",
            "--proxy-url=http://127.0.0.1:1/",
            "--proxy.retry.max-wait=5 s",
        )

    async def test_portInUse(self) -> None:
        """
        A proxy without its port does not run on, deaf, and names the port.
        """
        port = freePort()
        with socket.create_server(("127.0.0.1", port)):
            await self._assertRefused(
                str(port), "pushprox-proxy", f"--web.listen-address=127.0.0.1:{port}"
            )

    async def test_missingCertificate(self) -> None:
        """
        A file that is not there is refused by its name and that of the flag.
        """
        await self._assertRefused(
            ("--tls.cacert", "/nowhere/ca.pem"),
            "pushprox-client",
            "--proxy-url=https://127.0.0.1:1/",
            "--tls.cacert=/nowhere/ca.pem",
        )
        await self._assertRefused(
            ("--listen", "/nowhere/key.pem"),
            "pushprox-proxy",
            "--listen=ssl:1:privateKey=/nowhere/key.pem:certKey=/nowhere/cert.pem",
        )

    async def test_urlWithoutScheme(self) -> None:
        """
        A proxy's URL without scheme, or none at all, is refused by the name of
        the flag.
        """
        for flags in ((), ("--proxy-url=proxy:8080",), ("--proxy-url=",)):
            await self._assertRefused("--proxy-url", "pushprox-client", *flags)

    async def test_unknownFlag(self) -> None:
        """
        A flag that does not exist is refused by its name.
        """
        for program in ("pushprox-proxy", "pushprox-client"):
            await self._assertRefused("scrape.speed", program, "--scrape.speed=high")

    async def test_clientsMetricsPortInUse(self) -> None:
        """
        A client without its own port for metrics warns, and runs on.
        """
        target = await self.exporter()
        _, proxyPort = await self.proxy()
        with socket.create_server(("127.0.0.1", freePort())) as taken:
            port = taken.getsockname()[1]
            client = self.client(proxyPort, f"--metrics-addr=127.0.0.1:{port}")
            await self.connected(proxyPort)
        scraped = await self.scrape(proxyPort, f"http://localhost:{target}/plain")
        self.assertTrue(scraped.isWhole, scraped)
        self.assertRegex(client.output, f"level=WARN.*--metrics-addr.*{port}")


class NeighbourTests(ProcessTestCase):
    """
    Programs in one directory.
    """

    async def test_oneDirectory(self) -> None:
        """
        Both programs run in one directory, also after a kill -9, and leave no
        file in it.
        """
        target = await self.exporter()
        folder = self.folder()
        proxyPort = freePort()
        for _ in range(2):
            proxy, _ = await self.proxy(port=proxyPort, directory=folder)
            client = self.client(proxyPort, directory=folder)
            await self.connected(proxyPort)
            url = f"http://localhost:{target}/plain"
            scraped = await self.scrape(proxyPort, url)
            self.assertTrue(scraped.isWhole, scraped)
            await client.kill()
            await proxy.kill()
        self.assertEqual(list(folder.iterdir()), [])


class ProgramTests(ProcessTestCase):
    """
    The programs as they are installed.
    """

    async def _assertServes(self, process: Process, port: int) -> None:
        """
        The process is a proxy.
        """
        await self.listening(process, port)
        page = await self.get(f"http://127.0.0.1:{port}/-/healthy")
        self.assertEqual(page.status, 200, f"{page} {process}")

    async def test_plugins(self) -> None:
        """
        twistd lists all three programs, each with a line on what it does.
        """
        listed = await self.finished("twistd", "--help")
        for program in ("proxy", "client", "demo"):
            self.assertRegex(listed.output, rf"pushprox-{program} +\w+", listed)

    async def test_consoleScripts(self) -> None:
        """
        The console scripts take the reference's flags, so that its unit files
        need a new path and nothing else.
        """
        target = await self.exporter()
        proxyPort, metricsPort = freePort(), freePort()
        proxy = self.start(
            "pushprox-proxy", f"--web.listen-address=127.0.0.1:{proxyPort}",
            "--scrape.max-timeout=5m", "--scrape.default-timeout=15s",
            "--registration.timeout=5m", "--log.level=info", "--log.format=logfmt",
        )  # fmt: skip
        await self._assertServes(proxy, proxyPort)
        client = self.start(
            "pushprox-client", "--fqdn=localhost",
            f"--proxy-url=http://127.0.0.1:{proxyPort}/",
            f"--metrics-addr=127.0.0.1:{metricsPort}", "--tls.cacert=",
            "--tls.cert=", "--tls.key=", "--proxy.retry.initial-wait=1s",
            "--proxy.retry.max-wait=5s", "--log.level=info", "--log.format=logfmt",
        )  # fmt: skip
        await self.connected(proxyPort)
        scraped = await self.scrape(proxyPort, f"http://localhost:{target}/plain")
        self.assertTrue(scraped.isWhole, scraped)
        errors = "pushprox_client_scrape_errors_total"
        self.assertEqual((await self.metrics(metricsPort))[errors], 0, client)

    async def test_jsonLog(self) -> None:
        """
        With --log.format=json every line of both logs is a JSON object with a
        level and a message; at debug a scrape is among them, at info it is not.
        """
        target = await self.exporter()
        for level in ("debug", "info"):
            flags = ("--log.format=json", f"--log.level={level}")
            proxy, proxyPort = await self.proxy(*flags)
            client = self.client(proxyPort, *flags)
            await self.connected(proxyPort)
            await self.scrape(proxyPort, f"http://localhost:{target}/plain")
            await self.scrape(proxyPort, "http://localhost:1/metrics")
            for process in (client, proxy):
                await process.stop()
                lines = [json.loads(line) for line in process.output.splitlines()]
                self.assertNotEqual(lines, [])
                for line in lines:
                    self.assertIn(line["level"], ("DEBUG", "INFO", "WARN", "ERROR"))
                    self.assertTrue(line["msg"])
                    self.assertRegex(line["time"], r"^2\d{3}-\d\d-\d\dT.*Z$")
                isTold = f":{target}/plain" in process.output
                self.assertEqual(isTold, level == "debug", process)

    async def test_twistdLogger(self) -> None:
        """
        twistd --logger still has the log written as its user wants it.
        """
        folder = self.folder()
        observer = folder / "loud.py"
        observer.write_text(
            "import sys\n"
            "def observer():\n"
            "    return lambda event: sys.__stdout__.write('LOUD\\n')\n"
        )
        port = freePort()
        process = self.start(
            "twistd", "-n", "--logger=loud.observer",
            "pushprox-proxy", f"--web.listen-address=127.0.0.1:{port}",
            environment={"PYTHONPATH": str(folder), "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        await self._assertServes(process, port)
        await process.said("LOUD")
        self.assertNotIn("level=", process.output)

    async def test_twist(self) -> None:
        """
        twist runs the programs as well.
        """
        port = freePort()
        process = self.start(
            "twist", "pushprox-proxy", f"--web.listen-address=127.0.0.1:{port}"
        )
        await self._assertServes(process, port)
        self.start(
            "twist", "pushprox-client", "--fqdn=localhost",
            f"--proxy-url=http://127.0.0.1:{port}/", "--metrics-addr=",
        )  # fmt: skip
        await self.connected(port)

    async def test_daemon(self) -> None:
        """
        twistd without -n makes a daemon of a program, with the usual pidfile
        and log.
        """
        folder, port = self.folder(), freePort()
        started = await self.finished(
            "twistd", "pushprox-proxy", f"--web.listen-address=127.0.0.1:{port}",
            directory=folder,
        )  # fmt: skip
        self.assertEqual(started.status, 0, started)
        pidFile = folder / "twistd.pid"
        await until(pidFile.exists, STARTUP, "twistd.pid")
        pid = pidFile.read_text()
        self.addCleanup(self.finished, "kill", pid)

        async def isServing() -> bool:
            return (await self.get(f"http://127.0.0.1:{port}/-/ready")).isWhole

        await until(isServing, STARTUP, "the daemon", every=0.1)
        self.assertTrue((folder / "twistd.log").exists())

    async def test_demo(self) -> None:
        """
        The demo scrapes itself with success, tells of it, and shows lines for
        curl that do the same when pasted.
        """
        port = freePort()
        process = self.start("twistd", "-n", "pushprox-demo", f"--port={port}")
        await process.said("curl --proxy")
        shown = process.output
        command = next(
            line.strip() for line in shown.splitlines() if "curl --proxy" in line
        )
        await process.said("200")
        curl = await self.finished("sh", "-c", f"{command} --silent --fail")
        self.assertEqual(curl.status, 0, f"{curl} {process}")
        self.assertIn("# HELP", curl.output)
