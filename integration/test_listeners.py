"""
Separate listeners behind HAProxy, and what makes the proxy read its file again.
"""

from __future__ import annotations

import shutil
import signal
from textwrap import dedent

import trustme

from integration.processes import STARTUP, Process, ProcessTestCase, freePort, until
from integration.test_web import hashed

_HAPROXY = """\
global
    maxconn 100
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen passed-on
    bind 127.0.0.1:{front}
    server proxy 127.0.0.1:{back} {words}
"""


class ListenersTests(ProcessTestCase):
    """
    A port for clients, one for scrapes behind HAProxy, one for the rest, with TLS
    and passwords.
    """

    def setUp(self) -> None:
        """
        Make a web config file.
        """
        self.files = self.folder()
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.files / "ca.pem"))
        leaf = authority.issue_cert("localhost", "127.0.0.1")
        leaf.private_key_and_cert_chain_pem.write_to_path(str(self.files / "own.pem"))
        self.web = self.files / "web.yml"
        self.putUser("prometheus")

    def putUser(self, name: str) -> None:
        """
        Write the file, beside the client with one more user.
        """
        new = self.files / "web.new"
        new.write_text(
            dedent(
                f"""\
                tls_server_config: {{cert_file: own.pem, key_file: own.pem}}
                basic_auth_users:
                  site: {hashed("builder")}
                  {name}: {hashed("s3kr1t")}
                pushprox:
                  trusted_proxies: [127.0.0.1]
                  roles:
                    all:
                      users: ["*"]
                      scrape: ["*"]
                      poll: ["*"]
                      pages: [page, clients, metrics, ready, reload]
                """
            )
        )
        new.rename(self.web)

    async def haproxy(self, back: int, words: str) -> tuple[Process, int]:
        """
        Start HAProxy.

        @param words: how it passes connections on.
        @return: its process, and the port that it passes on.
        """
        front = freePort()
        path = self.files / "haproxy.cfg"
        path.write_text(_HAPROXY.format(front=front, back=back, words=words))
        # Debian's is in a directory that not every user has in their PATH.
        found = shutil.which("haproxy") or "/usr/sbin/haproxy"
        process = self.start(found, "-db", "-f", path)
        await self.listening(process, front)
        return process, front

    async def test_listeners(self) -> None:
        """
        Each listener serves its own; HAProxy says whose a connection is, by either
        version, and nobody else may; a changed file is in force at once after a POST
        to C{/-/reload} and after a SIGHUP, neither of which harms the proxy.
        """
        clients, scrapes, admin = (freePort() for _ in range(3))
        process = self.start(
            "twistd", "-n", "pushprox-proxy", f"--web.config.file={self.web}",
            "--web.enable-lifecycle",
            f"--listen.clients=127.0.0.1:{clients}",
            f"--listen.scrapes=haproxy:tcp:{scrapes}:interface=127.0.0.1",
            f"--listen.admin=127.0.0.1:{admin}",
        )  # fmt: skip
        for port in (clients, scrapes, admin):
            await self.listening(process, port)
        ca = str(self.files / "ca.pem")
        self.client(f"https://site:builder@localhost:{clients}/", f"--tls.cacert={ca}")
        target = await self.exporter()
        url = f"http://localhost:{target}/plain"

        def through(port: int, user: str = "prometheus") -> tuple[str, ...]:
            return (
                "--proxy", f"https://localhost:{port}", "--proxy-cacert", ca,
                "--proxy-user", f"{user}:s3kr1t",
            )  # fmt: skip

        for words, source in (
            ("send-proxy-v2", "127.0.0.7"),
            ("send-proxy", "127.0.0.6"),
        ):
            balancer, front = await self.haproxy(scrapes, words)
            scraped = await self.get(url, *through(front))
            self.assertTrue(scraped.isWhole, scraped)
            # It is told where that came from.
            scraped = await self.get(
                url, *through(front, "nobody"), "--interface", source
            )
            self.assertEqual(scraped.status, 407)
            await process.said(f"to {source}: wrong credentials")
            await balancer.stop()
        for more in ((), ("--interface", "127.0.0.8")):
            scraped = await self.get(url, *through(scrapes), *more)
            self.assertNotEqual(scraped.exitStatus, 0)
        await process.said("haproxy: dropped a connection from")

        scraped = await self.get(f"https://localhost:{clients}/metrics", "--cacert", ca)
        self.assertEqual(scraped.status, 401)
        refused = await self.curl("--head", *through(clients), url)
        said = "404 This port takes no scrapes: they go to a port of --listen.scrapes"
        self.assertIn(said, refused.output)

        async def statusFor(user: str, path: str, *arguments: str) -> int:
            base = f"https://localhost:{admin}"
            login = ("--cacert", ca, "--user", f"{user}:s3kr1t")
            return (await self.get(base + path, *login, *arguments)).status

        self.assertEqual(await statusFor("prometheus", "/-/ready"), 200)
        self.assertEqual(await statusFor("prometheus", "/poll"), 404)
        self.putUser("alice")
        asked = ("--request", "POST")
        # The old user may be out already.
        await statusFor("prometheus", "/-/reload", *asked)
        self.assertEqual(await statusFor("alice", "/-/reload", *asked), 200)
        self.putUser("carol")
        process.signal(signal.SIGHUP)
        await process.said(f"Read {self.web} again", within=STARTUP)
        self.assertEqual(await statusFor("alice", "/-/ready"), 401)
        self.assertEqual(await statusFor("carol", "/-/ready"), 200)
        self.web.write_text("nonsense")
        process.signal(signal.SIGHUP)
        await process.said("What was read before stays in force")
        self.assertEqual(await statusFor("carol", "/-/ready"), 200)
        self.assertEqual(await statusFor("carol", "/-/reload", *asked), 500)
        self.assertNotIn("s3kr1t", process.output)
        self.assertIsNone(process.status)

    async def test_withoutFile(self) -> None:
        """
        Without a file a SIGHUP and a reload change nothing, in either program, and
        the proxy says who gets in.
        """
        process, port = await self.proxy("--web.enable-lifecycle")
        await process.said("Whoever reaches the proxy may scrape every client")
        metrics = freePort()
        client = self.client(port, f"--metrics-addr=127.0.0.1:{metrics}")
        quiet = self.client(port)

        async def areParked() -> bool:
            return (await self.metrics(port))["pushprox_proxy_parked_polls"] == 2

        await until(areParked, STARTUP, "both clients", every=0.1)
        for program in (process, client, quiet):
            program.signal(signal.SIGHUP)
        for number, status in ((port, 200), (metrics, 403)):
            page = await self.get(
                f"http://127.0.0.1:{number}/-/reload", "--request", "PUT"
            )
            self.assertEqual(page.status, status)
        self.assertIsNone(process.status)
        self.assertIsNone(client.status)
        self.assertIsNone(quiet.status)
