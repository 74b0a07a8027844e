"""
Web config files with the keys and values by which Prometheus's exporter-toolkit
documents and tests its own format: each loads, and does what it says.

Two kinds are refused here on purpose: those that verify certificates without a
C{client_ca_file}, and those that ask for TLS below 1.2.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme
from twisted.internet.defer import execute
from twisted.trial.unittest import SynchronousTestCase

from pushprox.webfile import WebFile
from tests.rigs import ProxyRig
from tests.test_guard import FOR_OWNER, page, statusOf, with_
from tests.test_passwords import basic, hashed
from tests.test_webfile import WebFileTestCase

TWO, THREE = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

#: How the files of the toolkit begin that are about TLS.
TLS = 'tls_server_config:\n  cert_file: "server.crt"\n  key_file: "server.key"\n'

CIPHERS = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
}


def listed(key: str, *values: str) -> str:
    """
    @return: a list, one to a line, as the toolkit's files have it.
    """
    return f"  {key}:\n" + "".join(f"    - {value}\n" for value in values)


class TLSTests(WebFileTestCase):
    """
    Files about TLS.
    """

    def serveText(
        self, more: str = "", keyType: trustme.KeyType = trustme.KeyType.ECDSA
    ) -> WebFile:
        """
        Listen, as a file says that begins with L{TLS}.
        """
        self.setUp()
        leaf = self.authority.issue_cert("proxy.example", key_type=keyType)
        self.put("server.crt", b"".join(b.bytes() for b in leaf.cert_chain_pems))
        self.put("server.key", leaf.private_key_pem.bytes())
        self.put("client_selfsigned.pem", self.authority.cert_pem.bytes())
        self.put("web.yml", TLS + more)
        return self.serveWhatIsThere()

    def test_sample(self) -> None:
        """
        The sample of its documentation: TLS, and two users with a password.
        """
        users = {"alice": hashed(b"wonderland"), "bob": hashed(b"builder")}
        lines = "".join(f"  {name}: {hash.decode()}\n" for name, hash in users.items())
        file = self.serveText(f"\nbasic_auth_users:\n{lines}")
        self.assertEqual(
            file.config.users, {name.encode(): hash for name, hash in users.items()}
        )
        for version in (TWO, THREE):
            self.assertTaken(self.context(maximum_version=version))

    def test_clients(self) -> None:
        """
        Who must show a certificate, and which: those of the CA, with one of the
        names, or any.
        """
        authority = '  client_ca_file: "client_selfsigned.pem"\n'
        names = listed("client_allowed_sans", '"bad"', '"test3"', '"bad2"')
        for kind, more, none, ours, named, stranger in (
            ("NoClientCert", "", True, True, True, True),
            ("RequestClientCert", "", True, True, True, True),
            ("RequireAnyClientCert", "", False, True, True, True),
            ("RequireClientCert", "", False, True, True, True),
            ("VerifyClientCertIfGiven", authority, True, True, True, False),
            ("RequireAndVerifyClientCert", authority, False, True, True, False),
            (
                "RequireAndVerifyClientCert",
                authority + names,
                False,
                False,
                True,
                False,
            ),
            ("RequireAnyClientCert", names, False, False, True, False),
        ):
            self.serveText(f'  client_auth_type: "{kind}"\n{more}')
            for isTaken, context in (
                (none, self.context()),
                (ours, self.bearer(self.authority, "test1")),
                (named, self.bearer(self.authority, "test3")),
                (stranger, self.bearer(self.stranger, "test1")),
            ):
                check = self.assertTaken if isTaken else self.assertNotTaken
                check(context)

    def test_ciphers(self) -> None:
        """
        All ciphers by Go's names; each that fits the key is spoken.
        """
        three = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384")
        more = listed("cipher_suites", *CIPHERS, *three, "TLS_CHACHA20_POLY1305_SHA256")
        for keyType in (trustme.KeyType.ECDSA, trustme.KeyType.RSA):
            self.serveText(more, keyType)
            self.assertTaken(self.context(minimum_version=THREE))
            for cipher in CIPHERS.values():
                if keyType.name in cipher:
                    context = self.context(maximum_version=TWO)
                    context.set_ciphers(cipher)
                    spoken = self.assertTaken(context).tls.cipher()
                    assert spoken is not None
                    self.assertEqual(spoken[0], cipher)

    def test_noOrder(self) -> None:
        """
        Two ciphers of TLS 1.2, whichever the client prefers, and nothing else.
        """
        strong, weak = (f"TLS_ECDHE_RSA_WITH_AES_{bits}" for bits in (
            "256_GCM_SHA384", "128_GCM_SHA256",
        ))  # fmt: skip
        self.serveText(
            listed("cipher_suites", strong, weak)
            + "  prefer_server_cipher_suites: false\n"
            "  min_version: TLS12\n  max_version: TLS12\n",
            trustme.KeyType.RSA,
        )
        for cipher in (strong, weak):
            context = self.context()
            context.set_ciphers(CIPHERS[cipher])
            self.assertTaken(context)
        self.assertNotTaken(self.context(minimum_version=THREE))
        context = self.context()
        context.set_ciphers("ECDHE-RSA-CHACHA20-POLY1305")
        self.assertNotTaken(context)

    def test_curves(self) -> None:
        """
        All curves by Go's names, or one of them and no other.
        """
        curves = {
            "CurveP256": "prime256v1",
            "CurveP384": "secp384r1",
            "CurveP521": "secp521r1",
            "X25519": "X25519",
        }
        for some in (list(curves), *([curve] for curve in curves)):
            self.serveText(listed("curve_preferences", *some))
            for curve, name in curves.items():
                context = self.context()
                try:
                    context.set_ecdh_curve(name)
                except ssl.SSLError:
                    continue  # not every OpenSSL knows it by that way to name one
                check = self.assertTaken if curve in some else self.assertNotTaken
                check(context)

    def test_noHTTP2(self) -> None:
        """
        That HTTP/2 is not wanted may be said, as may that it is.
        """
        for word in ("false", "true"):
            self.serveText(f"http_server_config:\n  http2: {word}\n")
            self.assertTaken()

    def test_versions(self) -> None:
        """
        The lowest and the highest version.
        """
        for key, isTwo, isThree in (
            ("min_version: TLS13", False, True),
            ("max_version: TLS12", True, False),
            ("min_version: TLS12", True, True),
        ):
            self.serveText(f"  {key}\n")
            for version, isSpoken in ((TWO, isTwo), (THREE, isThree)):
                only = self.context(minimum_version=version, maximum_version=version)
                check = self.assertTaken if isSpoken else self.assertNotTaken
                check(only)


class PlainTests(SynchronousTestCase):
    """
    Files without TLS, in a proxy.
    """

    def serveText(self, text: str) -> ProxyRig:
        """
        Start a proxy with this file.
        """
        path = Path(self.mktemp())
        path.write_text(text)
        return ProxyRig(self, web=path, work=execute)

    def test_users(self) -> None:
        """
        Users have a password each; any of them gets in, and nobody else.
        """
        names = (b"alice", b"bob", b"carol", b"dave")
        lines = (f"  {n.decode()}: {hashed(n + b'123').decode()}\n" for n in names)
        proxy = self.serveText("basic_auth_users:\n" + "".join(lines))
        ready = page(b"/-/ready")
        for name in names:
            for password, status in ((name + b"123", 200), (name + b"1234", 401)):
                asked = with_(ready, FOR_OWNER, basic(name, password))
                self.assertEqual(statusOf(proxy.ask(asked)), status)
        self.assertEqual(statusOf(proxy.ask(ready)), 401)

    def test_headers(self) -> None:
        """
        All headers that can be set are in the replies.
        """
        headers = (
            "X-Frame-Options: deny",
            "Strict-Transport-Security: max-age=31536000; includeSubDomains",
            "X-Content-Type-Options: nosniff",
            "X-XSS-Protection: 1",
            "Content-Security-Policy: default-src 'self' *.test.example.net",
        )
        lines = [f"    {line}\n" for line in headers]
        lines[-1] = '    Content-Security-Policy: "{}"\n'.format(
            headers[-1].partition(": ")[2]
        )
        text = "http_server_config:\n  headers:\n" + "".join(lines)
        answer = self.serveText(text).ask(page(b"/-/ready"))
        self.assertEqual(statusOf(answer), 200)
        for line in headers:
            self.assertIn(f"\r\n{line}\r\n".encode(), answer)

    def test_rate(self) -> None:
        """
        One request an hour, one a second, or as many as come; the headers are in
        refusals, too.
        """
        header = "X-Frame-Options: deny"
        more = f"http_server_config:\n  headers:\n    {header}\n"
        for interval, burst, second, later in (
            ("1h", 1, 429, 429),
            ("1s", 1, 429, 200),
            ("0", 0, 200, 200),
        ):
            limit = f"rate_limit:\n  interval: {interval}\n  burst: {burst}\n"
            proxy = self.serveText(limit + more)
            for pause, status in ((0, 200), (0, second), (1, later)):
                proxy.net.pass_(pause)
                answer = proxy.ask(page(b"/-/ready"))
                self.assertEqual(statusOf(answer), status)
                self.assertIn(f"\r\n{header}\r\n".encode(), answer)
