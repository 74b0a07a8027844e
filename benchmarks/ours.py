"""
Our two programs, run as their users run them.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from benchmarks.programs import Program, Unmeasurable, freePort, until


@attrs.frozen
class PushProx:
    """
    Which PushProx is measured, and with what Python. It is the one that this
    Python finds from the directory, as with C{python -m}: the tree's, if it is
    one, else the one that is installed.
    """

    python: str = sys.executable
    tree: Path = attrs.field(factory=Path.cwd)

    def proxy(self, *flags: str, core: int | None = None) -> Program:
        """
        @return: C{pushprox-proxy}, not yet started.
        """
        return self._program("proxy", flags, core)

    def client(self, *flags: str, core: int | None = None) -> Program:
        """
        @return: C{pushprox-client}, not yet started.
        """
        return self._program("client", flags, core)

    def _program(self, name: str, flags: tuple[str, ...], core: int | None) -> Program:
        # The very words of the console script, which may be another tree's.
        script = f"from pushprox.scripts import {name}; {name}()"
        return Program(
            f"pushprox-{name}", [self.python, "-c", script, *flags], self.tree, core
        )

    def versions(self) -> str:
        """
        @return: what is measured, for a person.
        @raise Unmeasurable: if there is no PushProx.
        """
        script = (
            "import platform, pushprox, twisted; print(f'PushProx"
            " {pushprox.__version__}, Twisted {twisted.__version__},"
            " Python {platform.python_version()}')"
        )
        try:
            asked = subprocess.run(
                [self.python, "-c", script],
                cwd=self.tree,
                capture_output=True,
                text=True,
                check=True,
            )
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", None) or str(error)
            last = said.strip().splitlines()[-1]
            raise Unmeasurable(f"no PushProx for {self.python}: {last}") from None
        return asked.stdout.strip()


def connectedClients(port: int) -> int:
    """
    @param port: of a proxy's metrics.
    @return: how many clients are connected to it, as it says itself.
    """
    # No web proxy of the environment.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
        for line in reply.read().decode().splitlines():
            name, _, value = line.partition(" ")
            if name == "pushprox_proxy_connected_clients":
                return int(float(value))
    raise Unmeasurable("the proxy does not say how many clients are connected")


@contextmanager
def pair(
    pushProx: PushProx, core: int | None = None
) -> Iterator[tuple[Program, Program, int]]:
    """
    Run a proxy, and a client of the name localhost that is connected to it.

    @param core: that both are bound to, if any.
    @return: the proxy, the client, and the proxy's port.
    """
    port, metricsPort = freePort(), freePort()
    clientFlags = (
        f"--proxy-url=http://127.0.0.1:{port}/",
        "--fqdn=localhost",
        f"--metrics-addr=127.0.0.1:{metricsPort}",
    )
    with pushProx.proxy(f"--web.listen-address=127.0.0.1:{port}", core=core) as proxy:
        proxy.listening(port)
        with pushProx.client(*clientFlags, core=core) as client:
            until(lambda: connectedClients(port) == 1, "the client to connect")
            proxy.untilIdle()
            client.untilIdle()
            yield proxy, client, port
