"""
HAProxy as the measure of all: it forwards one plain request, on one thread.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.programs import Program, Unmeasurable, freePort

# No log, no checks, nothing looked at: it is to be as fast as it can.
_CONFIGURATION = """
global
    nbthread 1
    maxconn 8000
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend scrapers
    {binds}
    {rule}
    default_backend origin
backend origin
    server origin 127.0.0.1:{origin}
"""


def findHAProxy() -> str:
    """
    @return: the path of HAProxy.
    @raise Unmeasurable: if there is none.
    """
    # Debian's is in a directory that not every user has in their PATH.
    for path in (None, "/usr/local/sbin:/usr/sbin"):
        if found := shutil.which("haproxy", path=path):
            return found
    raise Unmeasurable("there is no haproxy: apt-get install haproxy")


def haproxyVersion() -> str:
    """
    @return: the version of HAProxy, for a person.
    """
    said = subprocess.check_output([findHAProxy(), "-v"], text=True)
    return "HAProxy " + said.split("version ")[1].split()[0].split("-")[0]


@contextmanager
def haproxy(
    core: int, origin: int | None = None, certificates: Sequence[Path] = ()
) -> Iterator[tuple[Program, list[int]]]:
    """
    Run HAProxy, bound to a core.

    @param origin: the port of 127.0.0.1 that it forwards to; else it answers
        everything by itself with a short 200.
    @param certificates: to listen with, in a file each, with the key.
    @return: its process, and the ports it listens on: in plain, and with each of
        the certificates.
    """
    ports = [freePort() for _ in range(1 + len(certificates))]
    binds = [f"bind 127.0.0.1:{ports[0]}"]
    for port, certificate in zip(ports[1:], certificates, strict=True):
        binds.append(f"bind 127.0.0.1:{port} ssl crt {certificate}")
    rule = "http-request return status 200 content-type text/plain string ok"
    with TemporaryDirectory() as folder:
        configuration = Path(folder, "haproxy.cfg")
        configuration.write_text(
            _CONFIGURATION.format(
                binds="\n    ".join(binds),
                rule="" if origin else rule,
                origin=origin or freePort(),
            )
        )
        # -db: in the foreground, as one process.
        command = [findHAProxy(), "-db", "-f", str(configuration)]
        with Program("HAProxy", command, core=core) as program:
            program.listening(ports[-1])
            yield program, ports
