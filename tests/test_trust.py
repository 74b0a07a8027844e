"""
Tests for L{pushprox.client.trust}: real TLS, in memory.
"""

from __future__ import annotations

import contextlib
import gc
import os
import weakref
from collections.abc import Callable
from typing import Any

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from OpenSSL._util import lib
from OpenSSL.SSL import Connection, WantReadError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    AcceptableCiphers,
    Certificate,
    CertificateOptions,
    TLSVersion,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface.verify import verifyObject

from pushprox.client.lines import Lines
from pushprox.client.trust import KEPT, tlsPolicy
from tests.servers import Server, ServersTestCase, leafFor, serverOptions


class TLSTests(ServersTestCase):
    """
    Whom we trust, and what we show.
    """

    def trusting(self, *blobs: trustme.Blob) -> IPolicyForHTTPS:
        """
        A policy that trusts these certificates alone.
        """
        return tlsPolicy(self.pem(*blobs), None, None)

    def test_hosts(self) -> None:
        """
        The host of the URL, name or address, must be in the certificate.
        """
        self.listen(8443, Server(), serverOptions(self.leaf))
        for host in ("proxy.example", "proxy.example.", "192.0.2.1", "[2001:db8::1]"):
            d = self.fetched(f"https://{host}:8443/")
            self.assertEqual(self.successResultOf(d), b"ok")
        for host in ("other.example", "sub.proxy.example", "192.0.2.2", "[::1]"):
            d = self.fetched(f"https://{host}:8443/")
            self.assertIn("VerificationError", self.refusal(d))
        self.assertQuiet()

    def test_underscore(self) -> None:
        """
        A name with an underscore must be in the certificate like any other.
        """
        self.listen(8443, Server(), serverOptions(self.underscored()))
        for host in ("push_proxy", "Push_Proxy", "push_proxy."):
            d = self.fetched(f"https://{host}:8443/")
            self.assertEqual(self.successResultOf(d), b"ok")
        for host in ("other_proxy", "push_proxy.example", "192.0.2.1", "proxy"):
            d = self.fetched(f"https://{host}:8443/")
            self.assertIn("VerificationError", self.refusal(d))
        d = self.fetched("https://push_proxy:8443/", policy=tlsPolicy(None, None, None))
        self.assertIn("certificate verify failed", self.refusal(d))
        self.assertQuiet()

    def test_nameless(self) -> None:
        """
        A certificate without any name is nobody's.
        """
        server = Server()
        self.listen(8443, server, serverOptions(leafFor(self.authority)))
        for host in ("proxy.example", "push_proxy", "192.0.2.1"):
            d = self.fetched(f"https://{host}:8443/")
            self.assertIn("CertificateError", self.refusal(d))
        self.assertEqual(server.heads, [])

    def test_asksByName(self) -> None:
        """
        The server is told which name is meant, and no address, which is none
        (RFC 6066 section 3).
        """
        for host, name in {
            b"proxy.example.": b"proxy.example",
            b"push_proxy": b"push_proxy",
            b"192.0.2.1": None,
            b"2001:db8::1": None,
        }.items():
            creator = self.policy.creatorForNetloc(host, 8443)
            self.assertTrue(verifyObject(IOpenSSLClientConnectionCreator, creator))
            connection = creator.clientConnectionForTLS(
                TLSMemoryBIOProtocol(None, None)
            )
            self.assertEqual(connection.get_servername(), name)

    def test_noName(self) -> None:
        """
        What can be in no certificate is refused before anybody is asked.
        """
        for host in (b"a b", b"1_0", b""):
            self.assertUnusable(
                lambda host=host: self.policy.creatorForNetloc(host, 8443),
                f"expected a name that a certificate can have, got {host.decode()!r}",
            )

    def test_otherAuthority(self) -> None:
        """
        A server whose certificate is another authority's is refused.
        """
        server = Server()
        self.listen(8443, server, serverOptions(self.leaf))
        policy = self.trusting(trustme.CA().cert_pem)
        d = self.fetched("https://proxy.example:8443/", policy=policy)
        self.assertIn("certificate verify failed", self.refusal(d))
        self.assertEqual(server.heads, [])

    def test_bundle(self) -> None:
        """
        Every authority of the file is trusted.
        """
        self.listen(8443, Server(), serverOptions(self.leaf))
        policy = self.trusting(
            trustme.CA().cert_pem, self.authority.cert_pem, trustme.CA().cert_pem
        )
        d = self.fetched("https://proxy.example:8443/", policy=policy)
        self.assertEqual(self.successResultOf(d), b"ok")

    def test_intermediateAuthority(self) -> None:
        """
        An authority that is not a root is trusted where the file names it, and
        its root's other children are not.
        """
        child = self.authority.create_child_ca()
        self.listen(8443, Server(), serverOptions(child.issue_cert("proxy.example")))
        url = "https://proxy.example:8443/"
        d = self.fetched(url, policy=self.trusting(child.cert_pem))
        self.assertEqual(self.successResultOf(d), b"ok")
        other = self.authority.create_child_ca()
        d = self.fetched(url, policy=self.trusting(other.cert_pem))
        self.assertIn("certificate verify failed", self.refusal(d))

    def test_systemRoots(self) -> None:
        """
        Without a file the system's roots are trusted, and nobody else.
        """
        self.listen(8443, Server(), serverOptions(self.leaf))
        url = "https://proxy.example:8443/"
        d = self.fetched(url, policy=tlsPolicy(None, None, None))
        self.assertIn("certificate verify failed", self.refusal(d))
        # OpenSSL's own variable for where the system's roots are.
        before = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = self.pem(self.authority.cert_pem)
        try:
            d = self.fetched(url, policy=tlsPolicy(None, None, None))
        finally:
            del os.environ["SSL_CERT_FILE"]
            if before is not None:
                os.environ["SSL_CERT_FILE"] = before
        self.assertEqual(self.successResultOf(d), b"ok")

    def test_oldVersions(self) -> None:
        """
        A server that speaks nothing newer than TLS 1.1 is refused.
        """
        options = serverOptions(
            self.leaf,
            insecurelyLowerMinimumTo=TLSVersion.TLSv1_0,
            lowerMaximumSecurityTo=TLSVersion.TLSv1_1,
            acceptableCiphers=AcceptableCiphers.fromOpenSSLCipherString(
                "ALL:@SECLEVEL=0"
            ),
        )
        self.listen(8443, Server(), options)
        d = self.fetched("https://proxy.example:8443/")
        self.assertIn("version", self.refusal(d))

    def test_clientCertificate(self) -> None:
        """
        Our certificate is shown to a server that asks, with the chain that
        leads to the root which is all the server trusts.
        """
        ours = self.authority.create_child_ca().issue_cert("client.example")
        server = Server()
        root = Certificate.loadPEM(self.authority.cert_pem.bytes())
        self.listen(8443, server, serverOptions(self.leaf, trustRoot=root))
        url = "https://proxy.example:8443/"
        policy = tlsPolicy(
            self.pem(self.authority.cert_pem),
            self.pem(*ours.cert_chain_pems),
            self.pem(ours.private_key_pem),
        )
        d = self.fetched(url, policy=policy, lines=Lines(self.reactor, maxIdle=1))
        self.assertEqual(self.successResultOf(d), b"ok")
        transport: Any = server.connections[0].transport
        self.assertEqual(
            Certificate.peerFromTransport(transport),
            Certificate.loadPEM(ours.cert_chain_pems[0].bytes()),
        )
        self.refusal(self.fetched(url))
        self.assertNotIn("PRIVATE", repr(policy))

    def test_oneContext(self) -> None:
        """
        The trusted certificates are loaded once, not for every connection.
        """
        contexts = [
            self.policy.creatorForNetloc(host, 1)
            .clientConnectionForTLS(TLSMemoryBIOProtocol(None, None))
            .get_context()
            for host in (b"proxy.example", b"web.example")
        ]
        self.assertIs(*contexts)

    def assertUnusable(self, make: Callable[[], object], expected: str) -> None:
        """
        The files are refused with exactly this text.
        """
        with self.assertRaises(ValueError) as raised:
            make()
        self.assertEqual(str(raised.exception), expected)

    def test_unreadableFile(self) -> None:
        """
        A file that cannot be read is named, with the reason.
        """
        for path, why in {
            "/nowhere/ca.pem": "No such file or directory",
            ".": "Is a directory",
        }.items():
            expected = f"{path}: expected a readable PEM file: {why}"
            self.assertUnusable(lambda p=path: tlsPolicy(p, None, None), expected)
            self.assertUnusable(lambda p=path: tlsPolicy(None, p, p), expected)
            certificate = self.pem(self.leaf.cert_chain_pems[0])
            self.assertUnusable(
                lambda p=path, c=certificate: tlsPolicy(None, c, p), expected
            )

    def test_noCertificate(self) -> None:
        """
        A file that is empty, or is something else, is named.
        """
        for content in (b"", b"nonsense", self.leaf.private_key_pem.bytes()):
            path = self.pem(content)
            expected = (
                f"{path}: expected PEM certificates (-----BEGIN CERTIFICATE-----)"
            )
            self.assertUnusable(lambda p=path: tlsPolicy(p, None, None), expected)
            self.assertUnusable(lambda p=path: tlsPolicy(None, p, p), expected)

    def test_noKey(self) -> None:
        """
        A key file that is empty, something else, or locked is named, and
        nobody is asked for a passphrase.
        """
        key: Any = load_pem_private_key(self.leaf.private_key_pem.bytes(), None)
        locked = key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")
        )
        certificate = self.pem(*self.leaf.cert_chain_pems)
        for content in (b"", b"nonsense", self.authority.cert_pem.bytes(), locked):
            path = self.pem(content)
            self.assertUnusable(
                lambda p=path: tlsPolicy(None, certificate, p),
                f"{path}: expected a PEM private key without a passphrase",
            )

    def test_mismatch(self) -> None:
        """
        A key that is another certificate's is refused at start, with both
        files named.
        """
        certificate = self.pem(*self.leaf.cert_chain_pems)
        key = self.pem(self.authority.issue_cert("other.example").private_key_pem)
        self.assertUnusable(
            lambda: tlsPolicy(None, certificate, key),
            f"{key}: expected the private key of the certificate in {certificate}"
            " (key values mismatch)",
        )

    def test_half(self) -> None:
        """
        A certificate without a key, and a key without a certificate, are
        refused.
        """
        certificate = self.pem(*self.leaf.cert_chain_pems)
        key = self.pem(self.leaf.private_key_pem)
        self.assertUnusable(
            lambda: tlsPolicy(None, certificate, None),
            f"{certificate}: expected the file of its private key too",
        )
        self.assertUnusable(
            lambda: tlsPolicy(None, "", key),
            f"{key}: expected the file of its certificate too",
        )

    def test_oneFile(self) -> None:
        """
        Certificate and key may be in one file, in either order.
        """
        certificate, key = self.leaf.cert_chain_pems[0], self.leaf.private_key_pem
        for path in (self.pem(certificate, key), self.pem(key, certificate)):
            tlsPolicy(None, path, path)


class SessionTests(ServersTestCase):
    """
    Who was verified lately need not prove it again.
    """

    versions = (TLSVersion.TLSv1_2, TLSVersion.TLSv1_3)

    def options(self, leaf: trustme.LeafCert, **more: Any) -> CertificateOptions:
        """
        A server that gives tickets.
        """
        return serverOptions(leaf, enableSessionTickets=True, **more)

    def isResumed(
        self, url: str, server: Server, policy: IPolicyForHTTPS | None = None
    ) -> bool:
        """
        Fetch something over a new connection.

        @return: whether that resumed a session.
        """
        lines = Lines(self.reactor, maxIdle=1)
        d = self.fetched(url, lines=lines, policy=policy)
        self.assertEqual(self.successResultOf(d), b"ok")
        transport: Any = server.connections[-1].transport
        reused = bool(lib.SSL_session_reused(transport.getHandle()._ssl))
        lines.closeResting()
        self.settle()
        return reused

    def test_resumed(self) -> None:
        """
        The next connections to the same host and port resume the session, also
        when the one it is from ended without a word.
        """
        for port, version in enumerate(self.versions, 8443):
            server = Server()
            options = self.options(self.leaf, lowerMaximumSecurityTo=version)
            self.listen(port, server, options)
            url = f"https://proxy.example:{port}/"
            self.assertFalse(self.isResumed(url, server))
            for _ in range(3):
                self.assertTrue(self.isResumed(url, server))
                gc.collect()

    def test_others(self) -> None:
        """
        No other host, no other port, and nobody who trusts somebody else
        resumes it, though the server would.
        """
        server, options = Server(), self.options(self.leaf)
        self.listen(8443, server, options)
        self.listen(8444, server, options)
        self.isResumed("https://proxy.example:8443/", server)
        self.assertFalse(self.isResumed("https://192.0.2.1:8443/", server))
        self.assertFalse(self.isResumed("https://proxy.example:8444/", server))
        own = tlsPolicy(self.pem(self.authority.cert_pem), None, None)
        url = "https://proxy.example:8443/"
        self.assertFalse(self.isResumed(url, server, own))
        self.assertTrue(self.isResumed(url, server))
        for host in ("other.example", "192.0.2.2"):
            d = self.fetched(f"https://{host}:8443/")
            self.assertIn("VerificationError", self.refusal(d))
        stranger = tlsPolicy(self.pem(trustme.CA().cert_pem), None, None)
        d = self.fetched(url, policy=stranger)
        self.assertIn("certificate verify failed", self.refusal(d))

    def test_restart(self) -> None:
        """
        A server that does not know the ticket any more has to prove itself
        again: it may be another.
        """
        url = "https://proxy.example:8443/"
        for _ in range(2):
            server = Server()
            self.listen(8443, server, self.options(self.leaf))
            self.assertFalse(self.isResumed(url, server))
            self.assertTrue(self.isResumed(url, server))
            self.reactor.tcpServers.clear()
        server = Server()
        self.listen(8443, server, self.options(trustme.CA().issue_cert("x")))
        self.assertIn("certificate verify failed", self.refusal(self.fetched(url)))
        self.assertEqual(server.heads, [])

    def connection(self, host: str) -> Connection:
        """
        @return: one that is about to begin.
        """
        creator = self.policy.creatorForNetloc(host.encode("ascii"), 8443)
        self.protocol = TLSMemoryBIOProtocol(None, None)
        connection = creator.clientConnectionForTLS(self.protocol)
        connection.set_connect_state()
        return connection

    def said(self, side: Connection, heard: bytes = b"") -> bytes:
        """
        @return: what one side has to say to what it heard.
        """
        if heard:
            side.bio_write(heard)
        with contextlib.suppress(WantReadError):
            side.do_handshake()
        try:
            return side.bio_read(2**15)
        except WantReadError:
            return b""

    def test_onlyWhole(self) -> None:
        """
        A server that has shown a certificate, which anybody can, and then broke
        off has proved nothing.
        """
        for version in self.versions:
            options = self.options(self.leaf, lowerMaximumSecurityTo=version)
            for missing, isWhole in ((100, False), (0, True)):
                ours = self.connection("proxy.example")
                self.assertIsNone(ours.get_session())
                theirs = Connection(options.getContext())
                theirs.set_accept_state()
                shown = self.said(theirs, self.said(ours))
                answer = self.said(ours, shown[: len(shown) - missing])
                self.said(ours, self.said(theirs, answer))
                self.assertIsNotNone(ours.get_peer_certificate())
                again = self.connection("proxy.example").get_session()
                self.assertEqual(again is not None, isWhole)
            self.setUp()

    def test_nothingElse(self) -> None:
        """
        With the session nothing is kept of what travelled on the connection.
        """
        theirs = Connection(self.options(self.leaf).getContext())
        theirs.set_accept_state()
        ours = self.connection("proxy.example")
        ours.set_app_data(self.protocol)  # as Twisted does
        self.said(theirs, self.said(ours, self.said(theirs, self.said(ours))))
        kept = weakref.ref(self.protocol)
        del ours, self.protocol
        gc.collect()
        self.assertIsNone(kept())
        self.assertIsNotNone(self.connection("proxy.example").get_session())

    def test_few(self) -> None:
        """
        Sessions with few hosts are kept, the newest.
        """
        names = [f"p{number}.example" for number in range(KEPT + 1)]
        server = Server()
        self.listen(8443, server, self.options(leafFor(self.authority, *names)))
        urls = [f"https://{name}:8443/" for name in names]
        for url in urls:
            self.assertFalse(self.isResumed(url, server))
        for url in urls[1:]:
            self.assertTrue(self.isResumed(url, server))
        self.assertFalse(self.isResumed(urls[0], server))
        self.assertTrue(self.isResumed(urls[2], server))
