"""
Real processes for tests: started, waited for with a bound, and always ended.

Knows how our programs, curl and the test's own servers are run, and where to
find free ports. Knows nothing of what a test wants to see.
"""

from __future__ import annotations

import inspect
import json
import os
import random
import re
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from itertools import count
from pathlib import Path
from textwrap import dedent
from typing import Any, TypeVar

import attrs
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet import reactor as _reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python import log
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

reactor: Any = _reactor
T = TypeVar("T")

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent

#: Seconds that a program gets from its start until it answers; a busy machine
#: needs more than one.
STARTUP = 20.0

_portNumbers = count(random.randrange(10_000, 25_000))


def freePort() -> int:
    """
    @return: a port that is free, and stays so while nobody listens on it: it
        lies below the range from which the kernel takes the ports of outgoing
        connections, one of which could otherwise take it during a restart.
    """
    for port in _portNumbers:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("unreachable: count() does not end")


def pause(seconds: float) -> Deferred[None]:
    """
    Let real time pass.
    """
    return deferLater(reactor, seconds, lambda: None)


async def until(
    condition: Callable[[], Any], within: float, what: str, every: float = 0.03
) -> Any:
    """
    Wait until a condition holds.

    @param condition: may be a coroutine function.
    @param within: seconds.
    @return: the condition's first result that is true.
    @raise AssertionError: if it does not come to hold.
    """
    latest = reactor.seconds() + within
    while True:
        outcome = condition()
        result = await outcome if inspect.isawaitable(outcome) else outcome
        if result:
            return result
        if reactor.seconds() > latest:
            raise AssertionError(f"waited {within:g} s in vain for {what}")
        await pause(every)


def codeInReadme(language: str) -> list[str]:
    """
    @return: the blocks of code in this language that the README has, as they are
        pasted.
    """
    readme = (HERE.parent / "README.rst").read_text("utf-8")
    blocks = re.findall(
        rf"^\.\. code-block:: {language}\n\n((?: {{3}}.*\n|\n)+)", readme, re.MULTILINE
    )
    return [dedent(block).strip("\n") + "\n" for block in blocks]


def inReadme(key: str) -> list[str]:
    """
    @return: those of YAML that begin with this key.
    """
    return [block for block in codeInReadme("yaml") if block.startswith(f"{key}:\n")]


class Process(ProcessProtocol):
    """
    A process, what it says, and how it ended.

    @ivar status: the exit status, negative for a signal (as in
        C{subprocess}); L{None} while it runs.
    """

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.status: int | None = None
        self._standardOutput = bytearray()
        self._everything = bytearray()

    def __str__(self) -> str:
        return f"{' '.join(self.command)} [{self.status}]\n{self.output}"

    @property
    def output(self) -> str:
        """
        Standard output and standard error, as they came.
        """
        return self._everything.decode("utf-8", "replace")

    @property
    def standardOutput(self) -> bytes:
        """
        Standard output alone.
        """
        return bytes(self._standardOutput)

    @property
    def pid(self) -> int:
        """
        The process id.
        """
        assert self.transport is not None
        return self.transport.pid  # type: ignore[no-any-return]

    def outReceived(self, data: bytes) -> None:
        """
        Keep what comes.
        """
        self._standardOutput += data
        self._everything += data

    def errReceived(self, data: bytes) -> None:
        """
        Keep what comes.
        """
        self._everything += data

    def processEnded(self, reason: Failure) -> None:
        """
        Note how it ended.
        """
        value: Any = reason.value
        self.status = -value.signal if value.signal else value.exitCode

    def signal(self, number: signal.Signals) -> None:
        """
        Send a signal, if there is still somebody to get it.
        """
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess(number)  # type: ignore[union-attr]

    async def ended(self, within: float) -> int:
        """
        Wait for the end.

        @return: the status.
        """
        await until(
            lambda: self.status is not None, within, f"the end of {self}", every=0.01
        )
        assert self.status is not None
        return self.status

    async def kill(self) -> None:
        """
        End it as a crash does.
        """
        self.signal(signal.SIGKILL)
        await self.ended(10)

    async def stop(self, within: float = 5) -> int:
        """
        End it as an init system does: kindly first, then by force.

        @return: the status.
        """
        self.signal(signal.SIGTERM)
        try:
            return await self.ended(within)
        except AssertionError:
            await self.kill()
            return -signal.SIGKILL

    async def said(self, text: str, within: float = STARTUP) -> None:
        """
        Wait until it has written this.
        """
        await until(
            lambda: text in self.output or self.status is not None,
            within,
            f"{text!r} from {self}",
        )
        assert text in self.output, f"ended without {text!r}: {self}"

    def fileDescriptors(self) -> int:
        """
        @return: how many files it has open.
        """
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def residentBytes(self) -> int:
        """
        @return: how much memory it holds.
        """
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@attrs.frozen
class Scraped:
    """
    What curl got.

    @ivar exitStatus: curl's own; 0 for any whole answer, also an error.
    @ivar reason: the reason phrase.
    @ivar headers: by their names in lower case.
    @ivar seconds: how long it took.
    """

    exitStatus: int
    status: int
    reason: str
    headers: dict[str, str]
    body: bytes = attrs.field(repr=lambda body: f"{len(body)} bytes: {body[:99]!r}")
    seconds: float

    @property
    def isWhole(self) -> bool:
        """
        Whether it is a target's answer.
        """
        return self.exitStatus == 0 and self.status == 200


class ProcessTestCase(TestCase):
    """
    A test that starts processes. What it started is ended after it, also when
    it fails.
    """

    timeout = 100

    def folder(self) -> Path:
        """
        @return: a new empty directory.
        """
        path = Path(self.mktemp()).absolute()
        path.mkdir(parents=True)
        return path

    def start(
        self,
        *command: str | Path,
        directory: Path | None = None,
        environment: dict[str, str] | None = None,
        files: tuple[int, int] | None = None,
    ) -> Process:
        """
        Start a program. It knows nothing of the environment of the tests, web
        proxies least of all.

        @param files: the soft and the hard limit of open files.
        """
        home = str(directory or self.folder())
        variables = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": home,
            "LANG": "C.UTF-8",
            **(environment or {}),
        }
        arguments = [str(word) for word in command]
        if files:
            arguments = ["prlimit", "--nofile={}:{}".format(*files), *arguments]
        process = Process(arguments)
        # env looks the program up in its own PATH, and becomes it.
        reactor.spawnProcess(
            process, "/usr/bin/env", ["env", *arguments], variables, home
        )
        self.addCleanup(self._clear, process)
        return process

    async def _clear(self, process: Process) -> None:
        if process.status is None:
            await process.stop()
        log.msg(str(process))

    def meanwhile(self, coroutine: Coroutine[Any, Any, T]) -> Deferred[T]:
        """
        Begin something, and go on. It is given up when the test ends.
        """
        work = Deferred.fromCoroutine(coroutine)

        def isGivenUp(failure: Failure) -> None:
            failure.trap(CancelledError)

        def giveUp() -> None:
            work.addErrback(isGivenUp)
            work.cancel()

        self.addCleanup(giveUp)
        return work

    async def finished(
        self, *command: str | Path, within: float = 30, **more: Any
    ) -> Process:
        """
        Run a program to its end.

        @param more: as for L{start}.
        """
        process = self.start(*command, **more)
        await process.ended(within)
        return process

    async def curl(self, *arguments: str | Path, within: float = 60) -> Process:
        """
        Run curl to its end.
        """
        return await self.finished(
            "curl", "--silent", "--show-error", *arguments, within=within
        )

    async def get(self, url: str, *arguments: str) -> Scraped:
        """
        Fetch a URL.

        @param arguments: more for curl.
        """
        folder = self.folder()
        head, body = folder / "head", folder / "body"
        curl = await self.curl(
            "--dump-header", head, "--output", body,
            "--write-out", "%{http_code} %{time_total}",
            *arguments, url,
        )  # fmt: skip
        assert curl.status is not None
        status, seconds = curl.standardOutput.decode().split()[-2:]
        lines = (
            head.read_bytes().decode("latin-1").split("\r\n") if head.exists() else [""]
        )
        fields = (line.partition(":") for line in lines[1:] if line)
        return Scraped(
            exitStatus=curl.status,
            status=int(status),
            reason="".join(lines[0].split(" ", 2)[2:]),
            headers={name.lower(): value.strip() for name, _, value in fields},
            body=body.read_bytes() if body.exists() else b"",
            seconds=float(seconds),
        )

    async def scrape(
        self, proxyPort: int, url: str, *arguments: str, timeout: float = 5
    ) -> Scraped:
        """
        Scrape a target through a proxy, as Prometheus does.

        @param timeout: the scraper's, in seconds.
        """
        return await self.get(
            url,
            "--proxy",
            f"http://127.0.0.1:{proxyPort}",
            "--header",
            f"X-Prometheus-Scrape-Timeout-Seconds: {timeout:g}",
            "--max-time",
            # A scraper hangs up at its timeout.
            f"{timeout:g}",
            *arguments,
        )

    async def metrics(self, port: int) -> dict[str, float]:
        """
        @return: what a program shows on its /metrics, by name; by name and
            labels where there are any.
        """
        page = await self.get(f"http://127.0.0.1:{port}/metrics")
        assert page.isWhole, page
        values = {}
        for family in text_string_to_metric_families(page.body.decode()):
            for sample in family.samples:
                labels = ",".join(f"{k}={v}" for k, v in sample.labels.items())
                name = sample.name + (f"{{{labels}}}" if labels else "")
                values[name] = sample.value
        return values

    async def clients(self, proxyPort: int) -> list[str]:
        """
        @return: the names that a proxy knows.
        """
        page = await self.get(f"http://127.0.0.1:{proxyPort}/clients")
        assert page.isWhole, page
        return [name for entry in json.loads(page.body) for name in entry["targets"]]

    async def listening(self, process: Process, port: int) -> None:
        """
        Wait until a process takes connections.
        """

        async def isListening() -> bool:
            assert process.status is None, f"ended instead of listening: {process}"
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        await until(isListening, STARTUP, f"port {port} of {process}")

    async def exporter(self) -> int:
        """
        Start the target that frames bodies in every way.

        @return: its port.
        """
        port = freePort()
        process = self.start(sys.executable, HERE / "exporter.py", str(port))
        await self.listening(process, port)
        return port

    async def proxy(
        self, *flags: str, port: int | None = None, **more: Any
    ) -> tuple[Process, int]:
        """
        Start a proxy.

        @param port: where it is to listen; else on a free one.
        @param more: as for L{start}.
        @return: its process and its port.
        """
        port = port or freePort()
        address = f"--web.listen-address=127.0.0.1:{port}"
        process = self.start("twistd", "-n", "pushprox-proxy", address, *flags, **more)
        await self.listening(process, port)
        return process, port

    def client(self, proxyUrl: str | int, *flags: str, **more: Any) -> Process:
        """
        Start a client of the name localhost; wait for L{connected}.

        @param proxyUrl: or the port of a proxy on this machine.
        @param more: as for L{start}.
        """
        if isinstance(proxyUrl, int):
            proxyUrl = f"http://127.0.0.1:{proxyUrl}/"
        return self.start(
            "twistd", "-n", "pushprox-client", "--fqdn=localhost",
            f"--proxy-url={proxyUrl}", "--metrics-addr=", *flags, **more,
        )  # fmt: skip

    async def connected(self, proxyPort: int, clients: int = 1) -> None:
        """
        Wait until so many clients poll at a proxy.
        """

        async def areConnected() -> bool:
            metrics = await self.metrics(proxyPort)
            return metrics["pushprox_proxy_connected_clients"] == clients

        await until(areConnected, STARTUP, f"{clients} connected clients", every=0.1)

    async def journey(self) -> tuple[int, int]:
        """
        Start all that a scrape needs.

        @return: the ports of the proxy and of the target.
        """
        target = await self.exporter()
        _, proxyPort = await self.proxy()
        self.client(proxyPort)
        await self.connected(proxyPort)
        return proxyPort, target
