"""
nginx between clients and proxy, configured as the README says.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from textwrap import dedent

import trustme
from twisted.internet.defer import gatherResults

from integration.exporter import body
from integration.processes import (
    Process,
    ProcessTestCase,
    codeInReadme,
    freePort,
    pause,
    reactor,
)
from integration.test_restarts import Attempt
from integration.test_web import hashed

#: What stands around the README's server on a machine with nginx, so that it needs
#: nothing of this one.
_AROUND = """\
daemon off;
{user}
pid nginx.pid;
error_log stderr info;
events {{}}
http {{
    access_log off;
    client_body_temp_path bodies;
    proxy_temp_path answers;
    fastcgi_temp_path unused;
    uwsgi_temp_path unused;
    scgi_temp_path unused;
    proxy_bind {bind};
{servers}
}}
"""

#: Where nginx itself comes from, as the proxy sees it.
_NGINX = "127.0.0.9"

_USER, _PASSWORD = "site1", "s3kr1t"

#: What only Prometheus may reach. Some of it nginx passes on, since it looks like a
#: poll once it is put in order.
_SHUT = (
    "/", "/clients", "/metrics", "/-/ready", "/-/healthy", "/poll/../clients",
    "/clients/../poll", "//poll", "/poll/", "/poll%2f..%2fclients", "/poll%0a",
)  # fmt: skip


class NginxTests(ProcessTestCase):
    """
    The section "Behind nginx".
    """

    def setUp(self) -> None:
        """
        Make what the README's configuration names.
        """
        self.files = self.folder()
        self.server, self.byCertificate = codeInReadme("nginx")
        authority = trustme.CA()
        self.ca = self.files / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca))
        for name, issuer, identity in (
            ("proxy", authority, "localhost"),
            ("site1", authority, "site1.example"),
            ("stranger", trustme.CA(), "site1.example"),
        ):
            leaf = issuer.issue_cert(identity)
            leaf.private_key_pem.write_to_path(str(self.files / f"{name}-key.pem"))
            leaf.cert_chain_pems[0].write_to_path(str(self.files / f"{name}.pem"))

    async def putUser(self) -> None:
        """
        Let somebody in, as the README says.
        """
        process = await self.finished("openssl", "passwd", "-apr1", _PASSWORD)
        (self.files / "users").write_text(f"{_USER}:{process.output}")

    def placed(self, server: str, front: int, back: int) -> str:
        """
        @param server: nginx's configuration, as pasted.
        @param front: the port for clients.
        @param back: the proxy's.
        @return: the same, as it has to be on this machine.
        """
        for there, here in (
            ("listen 443 ssl;", f"listen 127.0.0.1:{front} ssl;"),
            ("//127.0.0.1:8080;", f"//127.0.0.1:{back};"),
            ("/etc/nginx/pushprox/", f"{self.files}/"),
        ):
            self.assertIn(there, server)
            server = server.replace(there, here)
        return server

    async def nginx(self, port: int, *servers: str, bind: str = "off") -> Process:
        """
        Start nginx.

        @param port: one on which it is to listen.
        @param bind: where it comes from.
        """
        # Its workers would not be let into a folder of root's.
        user = "" if os.getuid() else "user root;"
        folder = self.folder()
        path = folder / "nginx.conf"
        path.write_text(
            _AROUND.format(user=user, bind=bind, servers="\n".join(servers))
        )
        # Debian's is in a directory that not every user has in their PATH.
        found = shutil.which("nginx") or "/usr/sbin/nginx"
        process = self.start(found, "-e", "stderr", "-p", folder, "-c", path)
        await self.listening(process, port)
        return process

    def byPassword(self, password: str = _PASSWORD) -> str:
        """
        @return: the flag for a client that has this one.
        """
        path = self.folder() / "password"
        path.touch(0o600)
        path.write_text(f"{_USER}:{password}\n")
        return f"--proxy.basic-auth-file={path}"

    def behind(self, port: int, *flags: str) -> Process:
        """
        Start a client that goes through nginx.
        """
        return self.client(
            f"https://localhost:{port}/", f"--tls.cacert={self.ca}",
            "--proxy.retry.max-wait=1s", *flags,
        )  # fmt: skip

    def login(self) -> tuple[str, ...]:
        """
        @return: what curl needs to be somebody to nginx.
        """
        return ("--cacert", str(self.ca), "--user", f"{_USER}:{_PASSWORD}")

    async def assertWhole(self, back: int, url: str, size: int) -> None:
        """
        A scrape brings all that the target has.
        """
        scraped = await self.scrape(back, f"{url}?size={size}")
        self.assertTrue(scraped.isWhole, scraped)
        self.assertEqual(scraped.body, body(size))

    async def test_password(self) -> None:
        """
        Answers of any size and framing come through whole, while they come, and
        nothing of them is written to disk; one that breaks off is not made whole. A
        client that goes away is gone for the proxy too. Who has the wrong password
        is told so.
        """
        await self.putUser()
        target = await self.exporter()
        proxy, back = await self.proxy()
        front = freePort()
        nginx = await self.nginx(front, self.placed(self.server, front, back))
        client = self.behind(front, self.byPassword())
        wrong = self.behind(front, self.byPassword("guessed"))
        await self.connected(back)
        url = f"http://localhost:{target}"
        for framing, size in (
            ("plain", 1000), ("plain", 4_000_000),
            ("chunked", 4_000_000), ("closed", 4_000_000),
        ):  # fmt: skip
            await self.assertWhole(back, f"{url}/{framing}", size)
        half = await self.scrape(
            back, f"{url}/pauses?size=2000000&seconds=20", timeout=3
        )
        self.assertEqual(half.body, body(2_000_000)[:1_000_000], half)
        for framing in ("plain", "chunked", "closed"):
            broken = await self.scrape(back, f"{url}/dies-{framing}")
            self.assertFalse(broken.isWhole, broken)
        self.assertNotIn("temporary file", nginx.output)

        await wrong.said(
            "401 Unauthorized: the proxy, or a web server before it, does not know our"
            " credentials: see --proxy.basic-auth-file"
        )
        self.assertNotIn("guessed", wrong.output)
        await client.kill()
        await self.connected(back, 0)
        for process in (client, proxy, nginx):
            self.assertNotIn(_PASSWORD, process.output)

    async def test_shut(self) -> None:
        """
        From the clients' side there are polls and pushes, with a password, and
        nothing else: neither the list of clients nor a scrape of any.
        """
        await self.putUser()
        target = await self.exporter()
        _, back = await self.proxy()
        self.client(back)
        await self.connected(back)
        front = freePort()
        await self.nginx(front, self.placed(self.server, front, back))
        base, login = f"https://localhost:{front}", self.login()
        through = ("--proxy", base, "--proxy-cacert", str(self.ca))
        asked = [self.get(base + path, *login, "--path-as-is") for path in _SHUT]
        for path in ("plain", "poll"):
            url = f"http://localhost:{target}/{path}"
            asked.append(self.get(url, *through, *login))
        for page in await gatherResults([self.meanwhile(each) for each in asked]):
            self.assertIn(page.status, (404, 405), page)
        tunnel = await self.get(f"https://localhost:{target}/", *through, *login)
        self.assertNotEqual(tunnel.exitStatus, 0)
        for path in ("poll", "push"):
            page = await self.get(f"{base}/{path}", *login[:2], "--data", "localhost")
            self.assertEqual(page.status, 401)
        # It is there for who may.
        await self.assertWhole(back, f"http://localhost:{target}/plain", 1000)

    async def test_certificate(self) -> None:
        """
        With client certificates instead of passwords, who has one of the CA gets in;
        who has none, or one of another CA, is told so.
        """
        two = r" +auth_basic .*\n +auth_basic_user_file .*\n"
        server, replaced = re.subn(two, self.byCertificate, self.server)
        self.assertEqual(replaced, 1)
        target = await self.exporter()
        _, back = await self.proxy()
        front = freePort()
        await self.nginx(front, self.placed(server, front, back))

        def shown(name: str) -> tuple[str, str]:
            path = self.files / name
            return f"--tls.cert={path}.pem", f"--tls.key={path}-key.pem"

        self.behind(front, *shown("site1"))
        without = self.behind(front)
        stranger = self.behind(front, *shown("stranger"))
        await self.connected(back)
        await self.assertWhole(back, f"http://localhost:{target}/plain", 1000)
        await self.assertWhole(back, f"http://localhost:{target}/chunked", 4_000_000)
        await without.said("No required SSL certificate was sent")
        await stranger.said("The SSL certificate error")
        await self.connected(back)

    async def test_restarted(self) -> None:
        """
        A reload of nginx loses no scrape, not even one that is under way; a restart
        loses none that begins after it.
        """
        await self.putUser()
        target = await self.exporter()
        _, back = await self.proxy()
        front = freePort()
        placed = self.placed(self.server, front, back)
        nginx = await self.nginx(front, placed)
        self.behind(front, self.byPassword())
        await self.connected(back)
        url = f"http://localhost:{target}"
        slow = self.meanwhile(self.scrape(back, f"{url}/slow?seconds=1"))

        async def scrapeOnce() -> Attempt:
            at = reactor.seconds()
            scraped = await self.scrape(back, f"{url}/plain", timeout=10)
            return Attempt(at, reactor.seconds(), scraped)

        began = []

        async def scrapeFor(seconds: float) -> None:
            end = reactor.seconds() + seconds
            while reactor.seconds() < end:
                began.append(self.meanwhile(scrapeOnce()))
                await pause(0.15)

        await scrapeFor(0.5)
        nginx.signal(signal.SIGHUP)
        await scrapeFor(1.5)
        self.assertIn("reconfiguring", nginx.output)
        self.assertTrue((await slow).isWhole)
        stopped = reactor.seconds()
        nginx.signal(signal.SIGTERM)
        self.assertEqual(await nginx.ended(5), 0)
        away = reactor.seconds()
        await scrapeFor(0.3)
        await self.nginx(front, placed)
        await scrapeFor(1)
        for each in await gatherResults(began):
            # Who is told to stop at once drops what it has in hand.
            if each.began > away or each.ended < stopped:
                self.assertTrue(each.scraped.isWhole, f"{each}, {stopped=} {away=}")

    async def test_longPoll(self) -> None:
        """
        A poll is not cut while there is no scrape, whether it asked for an answer in
        some time or, like a Go client's, did not. Where C{proxy_read_timeout} is too
        short, a client asks for a shorter wait.
        """
        await self.putUser()
        target = await self.exporter()
        _, back = await self.proxy()
        front, hasty = freePort(), freePort()
        setting = "proxy_read_timeout      10m;"
        self.assertIn(setting, self.server)
        short = self.server.replace(setting, "proxy_read_timeout 1500ms;")
        await self.nginx(
            hasty,
            self.placed(self.server, front, back),
            self.placed(short, hasty, back),
        )
        patient = self.behind(front, self.byPassword())
        cut = self.behind(
            hasty, "--fqdn=127.0.0.1", self.byPassword(),
            "--proxy.retry.initial-wait=100ms",
        )  # fmt: skip
        go = self.meanwhile(
            self.get(f"https://localhost:{front}/poll", *self.login(), "--data", "go")
        )
        await cut.said("Polls are cut after 2 s by something between us and the proxy")
        await cut.said("Connected as 127.0.0.1")
        await self.connected(back, 3)
        self.assertFalse(go.called)
        self.assertIn("Connected as localhost", patient.output)
        self.assertNotIn("WARN", patient.output)
        for name in ("localhost", "127.0.0.1"):
            await self.assertWhole(back, f"http://{name}:{target}/plain", 1000)
        await self.scrape(back, "http://go:9100/metrics", timeout=0.5)
        polled = await go
        self.assertTrue(polled.isWhole, polled)
        self.assertIn(b"GET http://go:9100/metrics", polled.body)

    async def test_source(self) -> None:
        """
        With C{trusted_proxies}, roles by C{networks} go by where a request comes
        from, before nginx, as does the log of who is denied; whatever else the one
        who asks says of himself.
        """
        await self.putUser()
        target = await self.exporter()
        web = self.files / "web.yml"
        web.write_text(
            dedent(
                f"""\
                basic_auth_users: {{prometheus: {hashed("builder")}}}
                pushprox:
                  trusted_proxies: [{_NGINX}]
                  roles:
                    sites: {{networks: [127.0.0.1], poll: ["*"]}}
                    prometheus: {{users: [prometheus], scrape: ["*"]}}
                """
            )
        )
        proxy, back = await self.proxy(f"--web.config.file={web}")
        front = freePort()
        await self.nginx(front, self.placed(self.server, front, back), bind=_NGINX)
        client = self.behind(front, self.byPassword())
        await client.said("Connected as localhost")
        url = f"http://localhost:{target}/plain"
        scraped = await self.scrape(back, url, "--proxy-user", "prometheus:builder")
        self.assertTrue(scraped.isWhole, scraped)
        for source, said in (("127.0.0.7", "127.0.0.1"), ("127.0.0.8", _NGINX)):
            page = await self.get(
                f"https://localhost:{front}/poll", *self.login(), "--data", "localhost",
                "--interface", source, "--header", f"X-Forwarded-For: {said}",
            )  # fmt: skip
            self.assertEqual(page.status, 401, page)
            await proxy.said(f"Denied POST /poll to {source}: no credentials")
