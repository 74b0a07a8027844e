"""
Debian's Prometheus scrapes Debian's node_exporter through both programs.
"""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from textwrap import dedent
from typing import Any
from urllib.parse import quote

from integration.processes import (
    HERE,
    STARTUP,
    Process,
    ProcessTestCase,
    Scraped,
    freePort,
    reactor,
    until,
)

#: The same target twice: through the proxy, and directly.
_CONFIGURATION = """
    global:
      scrape_interval: {interval}
      scrape_timeout: {interval}
    scrape_configs:
      - job_name: proxied
        proxy_url: http://127.0.0.1:{proxyPort}/
        static_configs:
          - targets: ["localhost:{nodePort}"]
      - job_name: direct
        static_configs:
          - targets: ["localhost:{nodePort}"]
"""


class PrometheusTests(ProcessTestCase):
    """
    What a user of Prometheus sees.
    """

    async def _prometheus(
        self, proxyPort: int, nodePort: int, interval: str = "1s"
    ) -> None:
        """
        Start a Prometheus that scrapes this node_exporter.
        """
        folder = self.folder()
        configuration = folder / "prometheus.yml"
        configuration.write_text(
            dedent(_CONFIGURATION).format(
                interval=interval, proxyPort=proxyPort, nodePort=nodePort
            )
        )
        self._port = freePort()
        process = self.start(
            "prometheus", f"--config.file={configuration}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}", "--log.level=warn",
        )  # fmt: skip
        await self.listening(process, self._port)

    async def _nodeExporter(self, port: int) -> Process:
        """
        Start a node_exporter.
        """
        process = self.start(
            "prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"
        )
        await self.listening(process, port)
        return process

    async def _ask(self, path: str) -> Any:
        """
        Ask Prometheus's API.
        """
        page: Scraped = await self.get(f"http://127.0.0.1:{self._port}/api/v1/{path}")
        return json.loads(page.body)["data"] if page.isWhole else {}

    async def _value(self, query: str) -> str | None:
        """
        @return: the one value of a query, if it has one.
        """
        answer = await self._ask(f"query?query={quote(query)}")
        results = answer.get("result", [])
        return results[0]["value"][1] if results else None

    async def _becomes(self, query: str, value: str) -> None:
        """
        Wait until a query has this value.
        """

        async def isSo() -> bool:
            return await self._value(query) == value

        await until(isSo, STARTUP, f"{query} == {value}", every=0.2)

    async def test_journey(self) -> None:
        """
        A target is up, with as many samples as a direct scrape has; it is down
        when its exporter is, Prometheus's targets page shows our reason, and it
        comes up again with its exporter.
        """
        nodePort = freePort()
        exporter = await self._nodeExporter(nodePort)
        _, proxyPort = await self.proxy()
        self.client(proxyPort)
        await self._prometheus(proxyPort, nodePort)
        await self._becomes('up{job="proxied"}', "1")
        samples = 'scrape_samples_scraped{job="%s"}'
        await self._becomes(
            f"{samples % 'proxied'} == ignoring(job) {samples % 'direct'} > bool 100",
            "1",
        )

        await exporter.stop()
        await self._becomes('up{job="proxied"}', "0")

        async def lastError() -> str:
            targets = (await self._ask("targets")).get("activeTargets", [])
            return "".join(
                target["lastError"]
                for target in targets
                if target["labels"]["job"] == "proxied"
            )

        self.assertEqual(
            await until(lastError, STARTUP, "an error on the targets page"),
            "server returned HTTP status 502 Target refused the connection",
        )

        await self._nodeExporter(nodePort)
        await self._becomes('up{job="proxied"}', "1")

    async def test_proxyRestarts(self) -> None:
        """
        The proxy is restarted under Prometheus: no scrape is lost but those that
        began while nobody listened.
        """
        nodePort = freePort()
        await self._nodeExporter(nodePort)
        process, proxyPort = await self.proxy()
        self.client(
            proxyPort,
            "--proxy.retry.initial-wait=100ms",
            "--proxy.retry.max-wait=300ms",
        )
        await self._prometheus(proxyPort, nodePort, interval="2s")
        await self._becomes('count_over_time(up{job="proxied"}[1m]) >= bool 3', "1")

        down = reactor.seconds()
        process.signal(signal.SIGTERM)
        self.assertEqual(await process.ended(10), -signal.SIGTERM)
        await self.proxy(port=proxyPort)
        up = reactor.seconds()
        await self._becomes('sum_over_time(up{job="proxied"}[10s])', "5")

        history = quote('up{job="proxied"}[1m]')
        answer = await self._ask(f"query?query={history}")
        lost = [
            float(began)
            for began, value in answer["result"][0]["values"]
            if value == "0" and not down <= float(began) <= up
        ]
        self.assertEqual(lost, [], f"not within {down} to {up}: {answer}")


class PromtoolTests(ProcessTestCase):
    """
    What promtool says of what we show.
    """

    async def _checkMetrics(self, port: int) -> None:
        """
        Let promtool check what a program shows.
        """
        page = self.folder() / "metrics"
        await self.curl(f"http://127.0.0.1:{port}/metrics", "--output", page)
        promtool = await self.finished(
            "sh", "-c", 'exec promtool check metrics <"$1"', "-", page
        )
        self.assertEqual((promtool.status, promtool.output), (0, ""))
        self.assertIn(b"pushprox_build_info", page.read_bytes())

    async def test_metrics(self) -> None:
        """
        The metrics of both programs are as promtool wants them.
        """
        target = await self.exporter()
        _, proxyPort = await self.proxy()
        metricsPort = freePort()
        client = self.client(proxyPort, f"--metrics-addr=127.0.0.1:{metricsPort}")
        await self.listening(client, metricsPort)
        for path in ("plain", "dies-chunked"):
            await self.scrape(proxyPort, f"http://localhost:{target}/{path}")
        await self._checkMetrics(proxyPort)
        await self._checkMetrics(metricsPort)

    async def test_readme(self) -> None:
        """
        Every Prometheus configuration in the README works as pasted.
        """
        readme = (HERE.parent / "README.rst").read_text("utf-8")
        blocks = re.findall(
            r"^\.\. code-block:: yaml\n((?:\n|[ \t]+.*\n)+)", readme, re.MULTILINE
        )
        self.assertNotEqual(blocks, [])
        for block in blocks:
            if "tls_server_config:" in block or "pushprox:" in block:
                continue  # a web config file: see test_web and test_roles
            configuration: Path = self.folder() / "prometheus.yml"
            configuration.write_text(dedent(block))
            promtool = await self.finished("promtool", "check", "config", configuration)
            self.assertEqual(promtool.status, 0, f"{promtool}\n{block}")
