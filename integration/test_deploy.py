"""
What is in C{deploy/}: units of systemd that lock the programs in, and a web config
file; and that the programs can do with it what they are there for.

Needs no systemd that runs, only its C{systemd-analyze}.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import trustme

from integration.processes import BIN, HERE, STARTUP, ProcessTestCase, freePort, until
from integration.sandboxed import settings
from pushprox.client.service import Options as ClientOptions
from pushprox.proxy.service import Options as ProxyOptions

DEPLOY = HERE.resolve().parent / "deploy"

#: Where the units expect the programs.
INSTALLED = "/opt/pushprox/bin/"

#: How exposed a unit may be, of 100, by C{systemd-analyze security}.
EXPOSURE = 15

UNITS: dict[str, Any] = {
    "pushprox-proxy": ProxyOptions,
    "pushprox-client": ClientOptions,
}


class DeployTests(ProcessTestCase):
    """
    The units, without systemd.
    """

    def setUp(self) -> None:
        """
        A folder as it is in /etc.
        """
        self.etc = self.folder()
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.etc / "ca.pem"))
        authority.cert_pem.write_to_path(str(self.etc / "clients-ca.pem"))
        for name, identity in (("proxy", "localhost"), ("client", "client.example")):
            leaf = authority.issue_cert(identity)
            leaf.private_key_pem.write_to_path(str(self.etc / f"{name}-key.pem"))
            leaf.cert_chain_pems[0].write_to_path(str(self.etc / f"{name}.pem"))
        web = (DEPLOY / "web.yml").read_bytes()
        (self.etc / "web.yml").write_bytes(web)

    def command(self, program: str) -> list[str]:
        """
        @return: the command line of a unit, with what systemd hands over for it.
        """
        said = settings(str(DEPLOY / f"{program}.service"))
        handedOver = self.folder()
        for line in said["LoadCredential"]:
            name, _, source = line.partition(":")
            path = self.etc / Path(source).relative_to("/etc/pushprox")
            (handedOver / name).write_bytes(path.read_bytes())
        [line] = said["ExecStart"]
        return shlex.split(line.replace("%d", str(handedOver)))

    async def test_verified(self) -> None:
        """
        systemd finds nothing wrong with a unit, and little that it leaves open.
        """
        for program in UNITS:
            unit = self.folder() / f"{program}.service"
            text = (DEPLOY / unit.name).read_text()
            # It has to be there; where is for its user to say.
            unit.write_text(text.replace(INSTALLED, f"{BIN}/"))
            verified = await self.finished("systemd-analyze", "verify", unit)
            self.assertEqual((verified.status, verified.output), (0, ""))
            rated = await self.finished(
                "systemd-analyze", "security", "--offline=true", "--no-pager",
                f"--threshold={EXPOSURE}", unit,
            )  # fmt: skip
            self.assertEqual(rated.status, 0, str(rated))

    def test_flags(self) -> None:
        """
        A unit's flags are flags of its program, with values that it takes.
        """
        for program, options in UNITS.items():
            path, *flags = self.command(program)
            self.assertEqual(path, INSTALLED + program)
            options().parseOptions(flags)

    async def test_lockedIn(self) -> None:
        """
        Locked in as by their units, and with nothing but what these hand over,
        the programs carry a scrape over TLS, with certificates on both sides;
        who has none gets no answer.
        """
        port, metricsPort = freePort(), freePort()
        here = {
            INSTALLED: f"{BIN}/",
            "--web.listen-address=:8443": f"--web.listen-address=127.0.0.1:{port}",
            "proxy.example.com:8443": f"localhost:{port}",
            "127.0.0.1:9369": f"127.0.0.1:{metricsPort}",
        }
        target = await self.exporter()
        more = {"pushprox-client": ["--fqdn=localhost"]}
        for program in UNITS:
            line = "\n".join([*self.command(program), *more.get(program, [])])
            for there, instead in here.items():
                line = line.replace(there, instead)
            unit = DEPLOY / f"{program}.service"
            process = self.start(
                sys.executable, HERE / "sandboxed.py", unit, *line.split("\n")
            )
            await self.listening(
                process, port if program == "pushprox-proxy" else metricsPort
            )
        shown = [
            f"--proxy-cacert={self.etc / 'ca.pem'}",
            f"--proxy-cert={self.etc / 'client.pem'}",
            f"--proxy-key={self.etc / 'client-key.pem'}",
        ]
        shown = [word for flag in shown for word in flag.split("=", 1)]
        through = ("--proxy", f"https://localhost:{port}")
        url = f"http://localhost:{target}/plain"

        async def isScraped() -> bool:
            return (await self.get(url, *through, *shown)).isWhole

        await until(isScraped, STARTUP, "a scrape", every=0.2)
        stranger = await self.get(url, *through, *shown[:2])
        self.assertEqual(stranger.status, 0, stranger)
        self.assertNotEqual(stranger.exitStatus, 0, stranger)
