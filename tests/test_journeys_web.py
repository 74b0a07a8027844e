"""
Journeys through a proxy that does not let everybody in.
"""

from __future__ import annotations

from pathlib import Path

import trustme

from pushprox.client.trust import tlsPolicy
from pushprox.guard import REGAIN
from pushprox.watched import LOOK_EVERY
from tests.journeys import Journey, Running
from tests.test_guard import FOR_PROXY, USERS
from tests.test_passwords import basic, hashed

PROMETHEUS = (FOR_PROXY, basic(b"alice", b"wonderland"))


class WebConfigTests(Journey):
    """
    A client that says who it is, at a proxy that asks.
    """

    authority = trustme.CA()

    def setUp(self) -> None:
        """
        A folder for the files.
        """
        super().setUp()
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "web.yml"

    def guarded(self, config: str = USERS) -> Running:
        """
        Start a proxy with a web config file.
        """
        self.path.write_text(config)
        return self.startProxy(web=self.path)

    def test_password(self) -> None:
        """
        With a user and a password in its URL a client gets in, and is scraped by
        who has one, too.
        """
        proxy = self.guarded()
        self.startClient(url="http://bob:builder@proxy:8080/")
        exporter = self.startExporter()
        for _ in range(3):
            self.assertMetrics(self.scrape(headers=[PROMETHEUS]))
        self.assertEqual(self.scrape().said, "407 Proxy Authentication Required")
        own = (b"Authorization", b"Bearer for the target")
        self.assertMetrics(self.scrape(headers=[PROMETHEUS, own]))
        self.assertIn(
            b"\r\nAuthorization: Bearer for the target\r\n", exporter.requests[-1]
        )
        for request in exporter.requests:
            self.assertNotIn(b"Basic", request)
        denied = "pushprox_http_denied_requests_total"
        self.assertEqual(proxy.metric(denied, reason="no credentials"), 1)

    def test_wrong(self) -> None:
        """
        With a wrong one, or none, it does not get in before the users change; it
        tries again, as it does after any failure.
        """
        proxy = self.guarded()
        self.startClient(url="http://bob:s3kr1t@proxy:8080/")
        self.startClient("t2", address="10.1.0.2")
        self.startExporter()
        self.net.pass_(60)
        known = "pushprox_proxy_connected_clients"
        self.assertEqual(proxy.metric(known), 0)
        self.path.write_text(USERS.replace("bob", "bill"))
        self.net.pass_(LOOK_EVERY + 10)
        self.assertEqual(proxy.metric(known), 0)
        new = hashed(b"s3kr1t").decode("ascii")
        self.path.write_text(f"basic_auth_users: {{bob: {new}, alice: {new}}}")
        self.net.pass_(LOOK_EVERY + REGAIN + 10)
        self.assertEqual(proxy.metric(known), 1)
        header = basic(b"alice", b"s3kr1t")
        self.assertMetrics(self.scrape(headers=[(PROMETHEUS[0], header)]))

    def test_passwordFile(self) -> None:
        """
        A client whose password is in a file is out when the proxy has another, and
        in again when the file has that too; its target never hears of any.
        """
        proxy = self.guarded()
        password = self.folder / "password"
        password.write_text("bob:builder\n")
        self.startClient(passwordFile=password)
        exporter = self.startExporter()
        self.assertMetrics(self.scrape(headers=[PROMETHEUS]))
        users, _, _ = USERS.partition("  bob:")
        self.path.write_text(f"{users}  bob: {hashed(b's3kr1t').decode()}\n")
        self.net.pass_(60)
        known = "pushprox_proxy_connected_clients"
        self.assertEqual(proxy.metric(known), 0)
        password.write_text("bob:s3kr1t\n")
        self.net.pass_(LOOK_EVERY + 10)
        self.assertEqual(proxy.metric(known), 1)
        self.assertMetrics(self.scrape(headers=[PROMETHEUS]))
        for request in exporter.requests:
            self.assertNotIn(b"uthorization", request)

    def test_certificates(self) -> None:
        """
        So it is over TLS with certificates for both sides, and a new one of the
        proxy's does not disturb it.
        """

        def file(name: str, *blobs: trustme.Blob) -> str:
            path = self.folder / name
            path.write_bytes(b"".join(blob.bytes() for blob in blobs))
            return str(path)

        def renew() -> None:
            leaf = self.authority.issue_cert("proxy")
            file("c.pem", *leaf.cert_chain_pems)
            file("k.pem", leaf.private_key_pem)

        authority = file("ca.pem", self.authority.cert_pem)
        renew()
        own = self.authority.issue_cert("t1")
        trust = tlsPolicy(
            authority,
            file("own.pem", *own.cert_chain_pems),
            file("own-key.pem", own.private_key_pem),
        )
        proxy = self.guarded(
            "tls_server_config:\n"
            "  cert_file: c.pem\n"
            "  key_file: k.pem\n"
            "  client_auth_type: RequireAndVerifyClientCert\n"
            "  client_ca_file: ca.pem\n"
            "  client_allowed_sans: [t1]\n" + USERS
        )
        url = "https://bob:builder@proxy:8443/"
        client = self.startClient(url=url, trust=trust)
        self.startClient("t2", url, "10.1.0.2", trust=tlsPolicy(authority, None, None))
        self.startExporter()
        for _ in range(2):
            self.assertMetrics(self.scrape(headers=[PROMETHEUS]))
            renew()
            self.net.cut(client.machine.ends)
            self.net.pass_(10)
        self.assertEqual(proxy.metric("pushprox_proxy_connected_clients"), 1)
        self.assertEqual(proxy.metric("pushprox_web_config_last_reload_successful"), 1)
