"""
A real Prometheus, for tests of who gets in: started with some jobs, and asked
what it thinks of their targets.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from textwrap import dedent, indent

from integration.processes import (
    STARTUP,
    Process,
    ProcessTestCase,
    freePort,
    until,
)


class PrometheusTestCase(ProcessTestCase):
    """
    A test that has a Prometheus scrape clients' own metrics.
    """

    async def prometheus(self, targets: Sequence[str], *jobs: str) -> int:
        """
        Start one.

        @param targets: of every job, as host:port.
        @param jobs: what each has of its own, in YAML.
        @return: its port.
        """
        folder = self.folder()
        configuration = "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        configuration += "scrape_configs:\n"
        for number, job in enumerate(jobs):
            configuration += f"  - job_name: job{number}\n"
            configuration += f"    static_configs: [{{targets: {list(targets)}}}]\n"
            configuration += indent(dedent(job), "    ") + "\n"
        (folder / "prometheus.yml").write_text(configuration)
        port = freePort()
        process = self.start(
            "prometheus", f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
        )  # fmt: skip
        await self.listening(process, port)
        return port

    async def healthBecomes(
        self, port: int, health: str, error: str = "", targets: int = 1
    ) -> None:
        """
        Wait until Prometheus says this of its targets.

        @param targets: how many it has, in all jobs.
        """

        async def isSo() -> bool:
            page = await self.get(f"http://127.0.0.1:{port}/api/v1/targets")
            if not page.isWhole:
                return False  # it has just been started
            found = json.loads(page.body)["data"]["activeTargets"]
            return [(each["health"], error in each["lastError"]) for each in found] == [
                (health, True)
            ] * targets

        await until(isSo, STARTUP, f"{targets} targets {health} {error}", every=0.2)

    def clientWithMetrics(self, url: str, *flags: str) -> tuple[Process, int]:
        """
        Start a client that serves its own metrics, to be scraped.

        @return: its process and that port.
        """
        port = freePort()
        address = f"--metrics-addr=127.0.0.1:{port}"
        return self.client(url, address, *flags), port
