"""
A web config file, and the programs that operators have: Prometheus with a
password or a certificate, and curl.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import bcrypt
import trustme

from integration.processes import STARTUP, inReadme, until
from integration.prometheus import PrometheusTestCase

_CERTIFIED = "tls_server_config: {cert_file: localhost.pem, key_file: localhost.pem"

#: Files like those that the exporter-toolkit is tested with for being wrong, and what
#: is said of each below its name.
BROKEN = {
    "tls_web_config: {}": (
        "expected some of tls_server_config, http_server_config, basic_auth_users, "
    ),
    "basic_auth_users: {john: doe}": (
        "basic_auth_users.john: expected a bcrypt hash like $2y$10$... with 60 "
    ),
    "tls_server_config: {cert_file: '', key_file: localhost.pem}": (
        "tls_server_config.cert_file: expected the name of a PEM file with the "
    ),
    "tls_server_config: {cert_file: localhost.pem, key_file: ''}": (
        "tls_server_config.key_file: expected the name of a PEM file with the "
    ),
    "tls_server_config: {cert_file: somefile, key_file: localhost.pem}": (
        "tls_server_config.cert_file: {folder}/somefile: expected a readable PEM file"
    ),
    "tls_server_config: {cert_file: localhost.pem, key_file: prometheus.pem}": (
        "tls_server_config.key_file: {folder}/prometheus.pem: expected the private "
        "key of the certificate in tls_server_config.cert_file: "
    ),
    f"{_CERTIFIED}, min_version: TLS111}}": (
        "tls_server_config.min_version: expected one of TLS12, TLS13; got 'TLS111'"
    ),
    f"{_CERTIFIED}, cipher_suites: [TLS_RSA_WITH_AES_2048_CBC_SHA]}}": (
        "tls_server_config.cipher_suites: expected one of "
    ),
    f"{_CERTIFIED}, curve_preferences: [CurveP257]}}": (
        "tls_server_config.curve_preferences: expected one of "
    ),
    f"{_CERTIFIED}, client_ca_file: ca.pem}}": (
        "tls_server_config.client_auth_type: expected RequireAndVerifyClientCert "
    ),
    f"{_CERTIFIED}, client_auth_type: VerifyClientCertIfGiven, "
    "client_ca_file: web.yml}": (
        "tls_server_config.client_ca_file: {folder}/web.yml: expected PEM certificates"
    ),
    f"{_CERTIFIED}, client_allowed_sans: [one]}}": (
        "tls_server_config.client_allowed_sans: expected some names, and "
    ),
    "http_server_config: {headers: {Server: me}}": (
        "http_server_config.headers: expected some of Content-Security-Policy, "
    ),
    "http_server_config: {headers: {X-Frame-Options: foo}}": (
        "http_server_config.headers.X-Frame-Options: expected one of deny, "
    ),
    "rate_limit: {interval: 1s, burst: many}": (
        "rate_limit.burst: expected a whole number, got 'many'"
    ),
}


def hashed(password: str) -> str:
    """
    @return: its hash, at the cost that is usual.
    """
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(10)).decode()


class WebConfigTests(PrometheusTestCase):
    """
    Both programs with C{--web.config.file}.
    """

    def setUp(self) -> None:
        """
        A folder with certificates and a file.
        """
        self.files = self.folder()
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.files / "ca.pem"))
        for name in ("localhost", "prometheus"):
            leaf = authority.issue_cert(name)
            both = leaf.private_key_and_cert_chain_pem
            both.write_to_path(str(self.files / f"{name}.pem"))
        # As they are called in the README.
        for name, source in (
            ("proxy.pem", "localhost.pem"),
            ("proxy-key.pem", "localhost.pem"),
            ("clients-ca.pem", "ca.pem"),
        ):
            (self.files / name).symlink_to(source)
        self.web = self.files / "web.yml"
        self.users = dedent(
            f"""\
            basic_auth_users:
              prometheus: {hashed("s3kr1t")}
              site: {hashed("builder")}
            """
        )
        self.tls = dedent(
            """\
            tls_server_config:
              cert_file: localhost.pem
              key_file: localhost.pem
              client_auth_type: RequireAndVerifyClientCert
              client_ca_file: ca.pem
            """
        )

    async def test_password(self) -> None:
        """
        Prometheus and a client that have passwords get in; who has none is told
        so by 407 or 401, and who is struck off the list is out.
        """
        self.web.write_text(self.users)
        process, port = await self.proxy(f"--web.config.file={self.web}")
        base = f"127.0.0.1:{port}"
        _, target = self.clientWithMetrics(f"http://site:builder@{base}/")
        prometheus = await self.prometheus(
            [f"localhost:{target}"], f"proxy_url: http://prometheus:s3kr1t@{base}/"
        )
        await self.healthBecomes(prometheus, "up")
        page = await self.get(f"http://{base}/-/ready")
        self.assertEqual((page.status, page.reason), (401, "Unauthorized"))
        page = await self.get(f"http://{base}/-/ready", "--user", "site:builder")
        self.assertEqual(page.status, 200)
        url = f"http://localhost:{target}/metrics"
        scraped = await self.scrape(port, url)
        self.assertEqual(scraped.status, 407)
        scraped = await self.scrape(port, url, "--proxy-user", "site:builder")
        self.assertTrue(scraped.isWhole)
        self.web.write_text(self.users.replace("prometheus", "nobody"))
        await self.healthBecomes(
            prometheus, "down", "407 Proxy Authentication Required"
        )
        self.assertNotIn("s3kr1t", process.output)
        self.assertNotIn("builder", process.output)

    async def test_passwordFile(self) -> None:
        """
        A client with its password in a file gets in, is out when its user has
        another password, and is in again when the file has that too. The log says
        whose fault it was, and neither it nor the command line tells a password.
        """
        self.web.write_text(self.users)
        password = self.files / "password"
        password.write_text("site:builder\n")
        password.chmod(0o644)
        _, port = await self.proxy(f"--web.config.file={self.web}")
        flag = "--proxy.basic-auth-file"
        target = await self.exporter()
        # A poll that is parked stays so when its user has another password.
        client = self.client(port, f"{flag}={password}", "--poll.wait=2s")
        await client.said("Connected as localhost")
        self.assertIn(f"{password} may hold a secret", client.output)
        url, user = f"http://localhost:{target}/plain", "prometheus:s3kr1t"
        self.assertTrue((await self.scrape(port, url, "--proxy-user", user)).isWhole)

        others, _, _ = self.users.partition("  site: ")
        self.web.write_text(f"{others}  site: {hashed('n3w')}\n")
        await client.said(
            f"401 Unauthorized: the proxy does not know our credentials: see {flag}"
        )
        password.write_text("site:n3w\n")
        await client.said(f"Read {password} again")
        await until(
            lambda: client.output.count("Connected as localhost") == 2,
            STARTUP,
            "to be in again",
        )
        self.assertTrue((await self.scrape(port, url, "--proxy-user", user)).isWhole)
        for secret in ("builder", "n3w"):
            self.assertNotIn(secret, client.output)
            command = Path(f"/proc/{client.pid}/cmdline").read_text()
            self.assertNotIn(secret, command)

    async def test_certificate(self) -> None:
        """
        Prometheus, a client and curl with a certificate of the CA get in, over
        TLS; who has none gets no connection. A file that is broken later changes
        nothing.
        """
        self.web.write_text(self.tls)
        process, port = await self.proxy(f"--web.config.file={self.web}")
        base = f"https://localhost:{port}"
        ca, own = self.files / "ca.pem", self.files / "prometheus.pem"
        _, target = self.clientWithMetrics(
            f"{base}/", f"--tls.cacert={ca}", f"--tls.cert={own}", f"--tls.key={own}"
        )
        prometheus = await self.prometheus(
            [f"localhost:{target}"],
            f"""\
            proxy_url: {base}/
            tls_config: {{ca_file: {ca}, cert_file: {own}, key_file: {own}}}
            """,
        )
        await self.healthBecomes(prometheus, "up")
        shown = ("--cacert", str(ca), "--cert", str(own))
        for version in ("--tls-max=1.2", "--tlsv1.3"):
            words = (*shown, *version.split("="))
            self.assertEqual((await self.get(f"{base}/-/ready", *words)).status, 200)
        nobody = await self.get(f"{base}/-/ready", *shown[:2])
        self.assertNotEqual(nobody.exitStatus, 0)
        old = await self.get(f"{base}/-/ready", *shown, "--tls-max", "1.1")
        self.assertNotEqual(old.exitStatus, 0)
        self.web.write_text("tls_server_config: nonsense")
        await self.get(f"{base}/-/ready", *shown)
        await process.said("What was read before stays in force", within=STARTUP)
        self.assertEqual((await self.get(f"{base}/-/ready", *shown)).status, 200)

    async def test_readme(self) -> None:
        """
        The web config file in the README works as pasted.
        """
        # The other is for who has roles.
        block, _ = inReadme("tls_server_config")
        self.web.write_text(block)
        process, port = await self.proxy(f"--web.config.file={self.web}")
        shown = ("--cacert", str(self.files / "ca.pem"))
        page = await self.get(f"https://localhost:{port}/-/healthy", *shown)
        self.assertNotEqual(page.exitStatus, 0)
        self.assertIsNone(process.status)

    async def test_ownMetrics(self) -> None:
        """
        The client's own metrics are guarded likewise.
        """
        self.web.write_text(self.users)
        _, proxyPort = await self.proxy()
        process, port = self.clientWithMetrics(
            f"http://127.0.0.1:{proxyPort}/", f"--web.config.file={self.web}"
        )
        await self.listening(process, port)
        url = f"http://127.0.0.1:{port}/metrics"
        self.assertEqual((await self.get(url)).status, 401)
        page = await self.get(url, "--user", "prometheus:s3kr1t")
        self.assertEqual(page.status, 200)
        self.assertIn(b"pushprox_client_", page.body)

    async def test_sample(self) -> None:
        """
        The sample of the exporter-toolkit's documentation does what it says: TLS,
        and a user with a password.
        """
        for name in ("server.crt", "server.key"):
            (self.files / name).symlink_to("localhost.pem")
        self.web.write_text(
            "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n\n"
            "basic_auth_users:\n"
            f"  alice: {hashed('wonderland')}\n  bob: {hashed('builder')}\n"
        )
        _, port = await self.proxy(f"--web.config.file={self.web}")
        url = f"https://localhost:{port}/-/ready"
        shown = ("--cacert", str(self.files / "ca.pem"))
        for user, status in (
            ("alice:wonderland", 200),
            ("bob:builder", 200),
            ("alice:builder", 401),
        ):
            page = await self.get(url, *shown, "--user", user)
            self.assertEqual(page.status, status, page)

    async def test_broken(self) -> None:
        """
        A file that cannot be used ends either program at once, with one line that
        names it and says what is wrong, and shows nothing secret.
        """
        self.web.write_text("rate_limit: {}")
        for number, (text, expected) in enumerate(BROKEN.items()):
            broken = self.files / f"broken{number}.yml"
            broken.write_text(text)
            for program, *flags in (
                ("pushprox-proxy",),
                ("pushprox-client", "--fqdn=t1", "--proxy-url=http://127.0.0.1:9/"),
            )[: 2 if number == 1 else 1]:
                process = await self.finished(
                    program, f"--web.config.file={broken}", *flags
                )
                self.assertEqual(process.status, 1, process)
                [line] = process.output.splitlines()
                start = f"{program}: --web.config.file: {broken}: "
                self.assertTrue(
                    line.startswith(start + expected.format(folder=self.files)), line
                )
                self.assertNotIn("doe", line)
