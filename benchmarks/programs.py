"""
The processes that are measured: started, bound to a core, read, and always
ended.

Knows Linux's C{/proc} and its CPU clocks. Knows nothing of what the processes
are to do.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from types import TracebackType

import attrs

#: Seconds that a program gets from its start until it answers; a busy machine
#: needs more than one.
STARTUP = 30.0

_portNumbers = count(random.randrange(10_000, 25_000))


class Unmeasurable(Exception):
    """
    Something went wrong that leaves nothing to measure.
    """


def freePort() -> int:
    """
    @return: a port of 127.0.0.1 that is free, and stays so while nobody listens
        on it: it lies below the range from which the kernel takes the ports of
        outgoing connections.
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


def until(condition: Callable[[], bool], what: str, within: float = STARTUP) -> None:
    """
    Wait until a condition holds.

    @param within: seconds.
    @raise Unmeasurable: if it does not come to hold.
    """
    latest = time.monotonic() + within
    while not condition():
        if time.monotonic() > latest:
            raise Unmeasurable(f"waited {within:g} s in vain for {what}")
        time.sleep(0.01)


@attrs.frozen
class Cores:
    """
    Which core is for what is measured, and which for the load. On a machine
    with one core they are the same, and nothing is worth much.
    """

    measured: int
    load: int

    @classmethod
    def ofThisMachine(cls) -> Cores:
        """
        @return: the first that this process may use, and the last.
        """
        cores = sorted(os.sched_getaffinity(0))
        return cls(measured=cores[0], load=cores[-1])


@attrs.frozen
class Memory:
    """
    What a process holds, in bytes.

    @ivar resident: all of its pages that are in memory, as C{ps} shows it.
    @ivar private: those that it shares with nobody.
    """

    resident: int
    private: int


class Program:
    """
    A process, as a context: it runs inside, and is ended on the way out.

    @ivar name: what to call it.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        directory: Path | None = None,
        core: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """
        @param directory: where to run it; else here.
        @param core: the only one that it may use; else it may use any.
        @param environment: what it knows beside where programs are found; web
            proxies least of all.
        """
        self.name = name
        # Both become the next word: nothing outlives this process, whatever
        # ends it, and all threads are bound from the start.
        cores = _allCores if core is None else {core}
        bound = ["taskset", "--cpu-list", ",".join(map(str, cores))]
        self._command = ["setpriv", "--pdeathsig=KILL", *bound, *command]
        self._directory = directory
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            **(environment or {}),
        }

    def __enter__(self) -> Program:
        self._output = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            self._output.close()
            raise Unmeasurable(f"cannot start {self.name}: {error}") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            # What broke may be that it has ended.
            if isinstance(error, Unmeasurable):
                self.check()
        finally:
            self.kill()
            self._output.close()

    def kill(self) -> None:
        """
        End it as a crash does, if it still runs.
        """
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """
        The process id.
        """
        return self._process.pid

    def check(self) -> None:
        """
        @raise Unmeasurable: if it has ended.
        """
        if self._process.poll() is not None:
            self._output.seek(0)
            said = self._output.read().decode("utf-8", "replace")[-2000:]
            status = self._process.returncode
            raise Unmeasurable(f"{self.name} ended with status {status}:\n{said}")

    def listening(self, port: int) -> None:
        """
        Wait until it takes connections on a port of 127.0.0.1.

        @raise Unmeasurable: if it does not come to that.
        """

        def takesConnections() -> bool:
            self.check()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        until(takesConnections, f"port {port} of {self.name}")

    @property
    def cpu(self) -> float:
        """
        The CPU time of all of its threads since its start, in seconds, exact
        to the microsecond. (In C{/proc/PID/stat} it is exact to 10 ms.)
        """
        self.check()
        # What clock_getcpuclockid(3) returns: MAKE_PROCESS_CPUCLOCK of the
        # kernel, with CPUCLOCK_SCHED.
        return time.clock_gettime((~self.pid << 3) | 2)

    def untilIdle(self, within: float = 60) -> None:
        """
        Wait until it has nothing left to do.

        @raise Unmeasurable: if it goes on and on.
        """
        before = self.cpu

        def isIdle() -> bool:
            nonlocal before
            time.sleep(0.02)
            now = self.cpu
            spent, before = now - before, now
            return spent < 0.001

        until(isIdle, f"{self.name} to come to rest", within)

    @property
    def memory(self) -> Memory:
        """
        What it holds now.
        """
        self.check()
        kilobytes = self._kilobytes("smaps_rollup")
        private = sum(
            size for name, size in kilobytes.items() if name.startswith("Private_")
        )
        return Memory(resident=kilobytes["Rss"] * 1024, private=private * 1024)

    def forgetPeak(self) -> None:
        """
        Let L{peak} start anew.
        """
        # proc(5): 5 resets the peak resident set size.
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    @property
    def peak(self) -> int:
        """
        The most that was ever resident since L{forgetPeak}, in bytes.
        """
        self.check()
        return self._kilobytes("status")["VmHWM"] * 1024

    def _kilobytes(self, file: str) -> dict[str, int]:
        """
        @return: the lines of a file in C{/proc/PID} that end in "kB".
        """
        words = (
            line.split()
            for line in Path(f"/proc/{self.pid}/{file}").read_text().splitlines()
        )
        return {line[0][:-1]: int(line[1]) for line in words if line[-1:] == ["kB"]}


_allCores = os.sched_getaffinity(0)
