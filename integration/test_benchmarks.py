"""
The benchmarks, as far as they run to their end and leave nothing behind. What
they measure is not looked at.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import benchmarks
from integration.processes import Process, ProcessTestCase, until

#: Where C{python -m benchmarks} is to be run: not through the links that
#: lead here, for beside the tests may be the tree, which is not to be measured.
DIRECTORY = Path(benchmarks.__file__).absolute().parents[1]


def children(process: Process) -> list[int]:
    """
    @return: the processes that a process has started.
    """
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(word) for word in listed.split()]


def isRunning(pid: int) -> bool:
    """
    @return: whether there is such a process, and not only its exit status, for
        which nobody has asked yet.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return not stat.rpartition(")")[2].startswith(" Z")


class BenchmarkTests(ProcessTestCase):
    """
    C{python -m benchmarks}.
    """

    def _benchmarks(self, *arguments: str | Path) -> Process:
        command = (sys.executable, "-m", "benchmarks", *arguments)
        return self.start(*command, directory=DIRECTORY)

    async def test_table(self) -> None:
        """
        All that is measured has its row, and its numbers in the file.
        """
        numbers = self.folder() / "numbers.json"
        process = self._benchmarks("--smoke", "--json", numbers)
        self.assertEqual(await process.ended(90), 0, str(process))
        lines = process.standardOutput.decode().splitlines()
        for start in (
            "PushProx ",
            "CPU of the proxy per scrape ",
            "10 KB, 4 at once ",
            "10 KB, 4 at once, chunked ",
            "Scrapes per second on one core ",
            "CPU of the proxy per scrape, 10 KB, 4 at once ",
            "open ",
            "passwords ",
            "tokens, roles ",
            "CPU of the client per scrape ",
            "CPU of the proxy per handshake ",
            "TLS on top, ECDSA P-256 ",
            "TLS on top, ECDSA P-256, resumed ",
            "TLS on top, RSA 2048 ",
            "Memory per parked poll, of 50 ",
            "in plain ",
            "TLS, ECDSA P-256 ",
            "TLS, RSA 2048 ",
            "TLS, ECDSA P-256, a token each ",
            "50 clients back after a restart ",
            "Memory while big bodies pass to slow readers ",
            "8 bodies of 1 MB ",
            "Memory at rest ",
            "proxy ",
            "client ",
            "Twisted's reactor alone ",
        ):
            self.assertTrue(any(line.startswith(start) for line in lines), start)
        written = json.loads(numbers.read_text())
        self.assertIn("CPU of the proxy per scrape", written)

    async def test_nothingToMeasure(self) -> None:
        """
        Without a PushProx there is one line that says so.
        """
        process = self._benchmarks("--smoke", "--python", "/bin/false")
        self.assertEqual(await process.ended(20), 1)
        self.assertRegex(process.output, r"\Abenchmarks: no PushProx [^\n]+\n\Z")

    async def test_terminated(self) -> None:
        """
        What was started is ended when the benchmarks are.
        """
        process = self._benchmarks("--only", "rest")
        started = await until(lambda: children(process), 20, "a program")
        process.signal(signal.SIGTERM)
        self.assertEqual(await process.ended(20), 1)
        for pid in started:
            await until(lambda pid=pid: not isRunning(pid), 10, f"the end of {pid}")
