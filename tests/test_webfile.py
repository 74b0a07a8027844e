"""
Tests for L{pushprox.webfile} and L{pushprox.webtls}: real TLS in memory, real
files.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from pathlib import Path
from typing import Any

import trustme
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509 import load_pem_x509_certificate
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from zope.interface.verify import verifyObject

from pushprox.authorities import NO_AUTHORITIES, Shown
from pushprox.proxy.roles import readRoles
from pushprox.proxy.service import Options as ProxyOptions
from pushprox.tls import KEYS_LIFE, SecureEndpoint, endpointFromString
from pushprox.watched import LOOK_EVERY
from pushprox.webfile import WebFile, webFileOf
from pushprox.webtls import namesOf
from tests.internet import Internet
from tests.test_authorities import CA, pem
from tests.test_roles import NO_ROLES
from tests.test_tls import Echoes, TLSTestCase, Whisperer
from tests.test_webconfig import HASH

VERIFIED = "client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem"

GIVEN = "client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem"


class WebFileTestCase(TLSTestCase):
    """
    A web config file in a folder of its own, and who has certificates.
    """

    stranger = trustme.CA()

    def setUp(self) -> None:
        """
        The folder has a certificate, its key and a CA.
        """
        super().setUp()
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "web.yml"
        self.put("ca.pem", self.authority.cert_pem.bytes())
        self.putLeaf(self.leaf)
        self.logged: list[str] = []

        def keep(event: LogEvent) -> None:
            if event.get("log_namespace", "").startswith("pushprox"):
                self.logged.append(f"{event['log_level'].name}: {formatEvent(event)}")

        globalLogPublisher.addObserver(keep)
        self.addCleanup(globalLogPublisher.removeObserver, keep)

    def put(self, name: str, content: bytes | str) -> None:
        """
        Exchange a file for another, as a tool does that takes care.
        """
        new = self.folder / "new"
        new.write_bytes(content.encode() if isinstance(content, str) else content)
        new.replace(self.folder / name)

    def putLeaf(self, leaf: trustme.LeafCert) -> None:
        """
        Put a certificate there, and its key.
        """
        self.put("c.pem", b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        self.put("k.pem", leaf.private_key_pem.bytes())

    def putConfig(self, *more: str, users: str = "{}") -> None:
        """
        Write a file with TLS.

        @param more: keys.
        """
        keys = ("cert_file: c.pem", "key_file: k.pem", *more)
        lines = "".join(f"  {key}\n" for key in keys)
        self.put("web.yml", f"tls_server_config:\n{lines}basic_auth_users: {users}\n")

    def file(self) -> WebFile:
        """
        @return: the file, read.
        """
        return WebFile(str(self.path), self.net)

    def serveFile(self, *more: str) -> WebFile:
        """
        Listen, as a file with these keys says.
        """
        self.putConfig(*more)
        return self.serveWhatIsThere()

    def serveWhatIsThere(self) -> WebFile:
        """
        Listen, as the file says.
        """
        file = self.file()
        endpoint = endpointFromString(self.net, "tcp:8443")
        secure = SecureEndpoint(endpoint, file, self.net)
        port = self.successResultOf(secure.listen(self.echoes))
        self.addCleanup(port.stopListening)
        return file

    def bearer(
        self, authority: trustme.CA, *names: str, **settings: Any
    ) -> ssl.SSLContext:
        """
        @return: who shows a certificate with these names.
        """
        context = self.context(**settings)
        authority.issue_cert(*names).configure_cert(context)
        return context

    def assertTaken(self, context: ssl.SSLContext | None = None) -> Whisperer:
        """
        Whoever connects in this way is listened to.
        """
        whisperer = self.whisper(context)
        whisperer.say(b"hello")
        self.assertEqual(whisperer.heard, b"hello")
        return whisperer

    def assertNotTaken(self, context: ssl.SSLContext | None = None) -> None:
        """
        Whoever connects in this way is not.
        """
        before = len(self.echoes.lines)
        with self.assertRaises(ssl.SSLError):
            self.whisper(context).say(b"hello")
        self.net.settle()
        for echo in self.echoes.lines[before:]:
            self.assertIsNotNone(echo.lost)


class ClientAuthTests(WebFileTestCase):
    """
    What is asked of a client's certificate.
    """

    def test_types(self) -> None:
        """
        The five types differ in who is taken: who shows none, who shows one of
        the CA, who shows one of another.
        """
        for kind, authority, none, other in (
            ("NoClientCert", "", True, True),
            ("RequestClientCert", "", True, True),
            ("RequireAnyClientCert", "", False, True),
            ("VerifyClientCertIfGiven", "client_ca_file: ca.pem", True, False),
            ("RequireAndVerifyClientCert", "client_ca_file: ca.pem", False, False),
        ):
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                self.setUp()
                self.serveFile(f"client_auth_type: {kind}", authority)
                at = {"maximum_version": version}
                for isTaken, context in (
                    (none, self.context(**at)),
                    (True, self.bearer(self.authority, "a.example", **at)),
                    (other, self.bearer(self.stranger, "a.example", **at)),
                ):
                    check = self.assertTaken if isTaken else self.assertNotTaken
                    check(context)

    def test_notAsked(self) -> None:
        """
        Nobody is asked for a certificate that is not wanted.
        """
        for kind, isAsked in (("NoClientCert", False), ("RequestClientCert", True)):
            self.setUp()
            self.serveFile(f"client_auth_type: {kind}")
            self.assertTaken(self.bearer(self.authority, "a.example"))
            shown = self.echo.transport.getPeerCertificate()
            self.assertEqual(shown is not None, isAsked)

    def test_names(self) -> None:
        """
        With allowed names the certificate must bear one of them, exactly, as a
        DNS name, an address or an e-mail address; its CA counts nonetheless.
        """
        for auth in (VERIFIED, "client_auth_type: RequireAnyClientCert"):
            self.setUp()
            self.serveFile(
                auth, "client_allowed_sans: [a.example, 10.1.2.3, me@b.example]"
            )
            for name in ("a.example", "10.1.2.3", "me@b.example"):
                self.assertTaken(self.bearer(self.authority, "z.example", name))
            for name in ("b.example", "*.example", "x.a.example", "10.1.2.4"):
                self.assertNotTaken(self.bearer(self.authority, name))
            check = self.assertNotTaken if auth == VERIFIED else self.assertTaken
            check(self.bearer(self.stranger, "a.example"))
            self.assertNotTaken()

    def test_noNames(self) -> None:
        """
        A certificate without names has none, whatever its subject says.
        """
        certificate = load_pem_x509_certificate(self.authority.cert_pem.bytes())
        self.assertEqual(namesOf(certificate), set())
        leaf = self.authority.issue_cert("a.example", common_name="b.example")
        certificate = load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())
        self.assertEqual(namesOf(certificate), {"a.example"})

    def test_intermediate(self) -> None:
        """
        A CA in the file is trusted though another signed it, and only that one.
        """
        child = self.authority.create_child_ca()
        self.put("ca.pem", child.cert_pem.bytes())
        self.serveFile(VERIFIED)
        self.assertTaken(self.bearer(child, "a.example"))
        self.assertNotTaken(self.bearer(self.authority, "a.example"))

    def test_expired(self) -> None:
        """
        A certificate that expires meanwhile is no good any more, nor is a session
        that began with it; where none has to be good, that does not matter.
        """
        two, three = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
        for kind, isTaken in (
            ("VerifyClientCertIfGiven", False),
            ("RequireAndVerifyClientCert", False),
            ("RequestClientCert", True),
        ):
            for version in (two, three):
                self.setUp()
                self.putConfig(f"client_auth_type: {kind}", "client_ca_file: ca.pem")
                context = self.context(maximum_version=version)
                leaf = self.authority.issue_cert("a.example")
                leaf.configure_cert(context)
                pem = leaf.cert_chain_pems[0].bytes()
                clock = Clock()
                until = load_pem_x509_certificate(pem).not_valid_after_utc
                clock.advance(until.timestamp() - 1)
                file = WebFile(str(self.path), clock)
                endpoint = endpointFromString(self.net, "tcp:8443")
                secure = SecureEndpoint(endpoint, file, self.net)
                self.successResultOf(secure.listen(self.echoes))
                session = self.assertTaken(context).tls.session
                again = self.whisper(context, session)
                self.assertTrue(again.tls.session_reused)
                again.say(b"hello")
                self.assertEqual(again.heard, b"hello")
                clock.advance(2)
                if isTaken:
                    self.whisper(context, session).say(b"hello")
                    continue
                before = len(self.echoes.lines)
                with contextlib.suppress(ssl.SSLError):
                    late = self.whisper(context, session)
                    late.say(b"hello")
                    self.assertEqual(late.heard, b"")
                self.net.settle()
                [echo] = self.echoes.lines[before:]
                self.assertIsNotNone(echo.lost)
                if kind.startswith("Verify"):
                    self.assertTaken(self.context(maximum_version=version))

    def test_inline(self) -> None:
        """
        All that may be in files may stand in the config file itself.
        """

        def block(key: str, blob: trustme.Blob) -> str:
            lines = blob.bytes().decode("ascii").splitlines()
            return f"  {key}: |\n" + "".join(f"    {line}\n" for line in lines)

        self.serveFile()
        self.put(
            "web.yml",
            "tls_server_config:\n  client_auth_type: RequireAndVerifyClientCert\n"
            + block("cert", self.leaf.cert_chain_pems[0])
            + block("key", self.leaf.private_key_pem)
            + block("client_ca", self.authority.cert_pem),
        )
        for name in ("c.pem", "k.pem", "ca.pem"):
            (self.folder / name).unlink()
        self.net.pass_(LOOK_EVERY)
        self.assertTaken(self.bearer(self.authority, "a.example"))
        self.assertNotTaken()


class SettingsTests(WebFileTestCase):
    """
    Versions, ciphers and curves.
    """

    def limited(self, version: ssl.TLSVersion, ciphers: str = "") -> ssl.SSLContext:
        """
        @return: who speaks no other version, and with TLS 1.2 only these ciphers.
        """
        context = self.context(minimum_version=version, maximum_version=version)
        if ciphers:
            context.set_ciphers(ciphers)
        return context

    def test_versions(self) -> None:
        """
        Versions below the least and above the most are not spoken.
        """
        two, three = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
        for keys, isTwo, isThree in (
            ((), True, True),
            (("min_version: TLS13",), False, True),
            (("max_version: TLS12",), True, False),
            (("cipher_suites: [TLS_AES_128_GCM_SHA256]",), False, True),
        ):
            self.setUp()
            self.serveFile(*keys)
            for version, isSpoken in ((two, isTwo), (three, isThree)):
                check = self.assertTaken if isSpoken else self.assertNotTaken
                check(self.limited(version))

    def test_ciphers(self) -> None:
        """
        Only the ciphers that are listed are spoken with TLS 1.2, in that order of
        preference. TLS 1.3 has its own.
        """
        self.serveFile(
            "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]"
        )
        two = ssl.TLSVersion.TLSv1_2
        small, big = (
            f"ECDHE-ECDSA-AES{bits}" for bits in ("128-GCM-SHA256", "256-GCM-SHA384")
        )
        cipher = self.assertTaken(self.limited(two, f"{small}:{big}")).tls.cipher()
        assert cipher is not None
        self.assertEqual(cipher[0], big)
        self.assertTaken(self.limited(two, small))
        self.assertNotTaken(self.limited(two, "ECDHE-ECDSA-CHACHA20-POLY1305"))
        self.assertTaken(self.limited(ssl.TLSVersion.TLSv1_3))

    def test_curves(self) -> None:
        """
        Only the curves that are listed are used.
        """
        self.serveFile("curve_preferences: [CurveP384]")
        for curve, isUsed in (("secp384r1", True), ("prime256v1", False)):
            context = self.context()
            context.set_ecdh_curve(curve)
            check = self.assertTaken if isUsed else self.assertNotTaken
            check(context)


class ChangeTests(WebFileTestCase):
    """
    What changes is read again.
    """

    def shown(self) -> bytes:
        """
        @return: the certificate that is shown now.
        """
        found = self.assertTaken().tls.getpeercert(binary_form=True)
        assert found is not None
        return found

    def test_certificate(self) -> None:
        """
        A new certificate is shown after a second at the latest, to new
        connections; those that are open stay.
        """
        file = self.serveFile()
        verifyObject(IOpenSSLServerConnectionCreator, file)
        open_ = self.assertTaken()
        before = self.shown()
        self.putLeaf(self.authority.issue_cert("proxy.example"))
        self.assertEqual(self.shown(), before)
        self.net.pass_(LOOK_EVERY)
        after = self.shown()
        self.assertNotEqual(after, before)
        self.net.pass_(LOOK_EVERY)
        self.assertEqual(self.shown(), after)
        open_.say(b"!")
        self.assertEqual(open_.heard, b"hello!")
        self.assertEqual(self.logged, [f"info: Read {self.path} again"])

    def test_authority(self) -> None:
        """
        So it is with the CA: who was taken before is not any more, nor by a
        session of before.
        """
        self.serveFile(VERIFIED)
        ours = self.bearer(self.authority, "a.example")
        session = self.assertTaken(ours).tls.session
        self.assertTrue(self.whisper(ours, session).tls.session_reused)
        self.put("ca.pem", self.stranger.cert_pem.bytes())
        self.net.pass_(LOOK_EVERY)
        self.assertNotTaken(ours)
        self.assertRaises(ssl.SSLError, self.whisper, ours, session)
        self.assertTaken(self.bearer(self.stranger, "a.example"))

    def test_config(self) -> None:
        """
        The file itself is looked at as well, also by who asks for something else
        than TLS.
        """
        self.putConfig()
        file = self.file()
        self.assertEqual(file.config.users, {})
        self.putConfig(users=f"{{a: {HASH}}}")
        self.assertEqual(file.config.users, {})
        self.net.pass_(LOOK_EVERY)
        self.assertEqual(file.config.users, {b"a": HASH.encode()})
        self.putConfig()
        self.net.pass_(LOOK_EVERY)
        self.assertEqual(file.config.users, {b"a": HASH.encode()})
        self.assertEqual(
            self.logged[1:],
            [f"error: What was read before stays in force: {self.path}: "
             "basic_auth_users: expected some, as before: to let everybody in takes "
             "a restart"],
        )  # fmt: skip

    def test_broken(self) -> None:
        """
        What cannot be used does not take the place of what can: that is said
        once, in one line, and what was there stays in force until the file is
        mended.
        """
        file = self.serveFile()
        before = self.shown()
        for name, content, said in (
            ("web.yml", "nonsense", "expected YAML with a section like "
             "tls_server_config"),
            ("web.yml", "{}", "tls_server_config: expected TLS to be on or off "
             "as at the start: that takes a restart"),
            ("k.pem", "nonsense", f"tls_server_config.key_file: {self.folder}/k.pem: "
             "expected a PEM private key without a passphrase"),
            ("c.pem", "nonsense", f"tls_server_config.cert_file: {self.folder}/c.pem: "
             "expected PEM certificates (-----BEGIN CERTIFICATE-----)"),
        ):  # fmt: skip
            self.put(name, content)
            for _ in range(3):
                self.net.pass_(LOOK_EVERY)
                self.assertEqual(self.shown(), before)
            self.assertFalse(file.isCurrent)
            self.assertEqual(
                self.logged,
                [f"error: What was read before stays in force: {self.path}: {said}"],
            )
            self.putConfig()
            self.putLeaf(self.leaf)
            self.net.pass_(LOOK_EVERY)
            self.assertEqual(self.shown(), before)
            self.assertTrue(file.isCurrent)
            self.assertEqual(self.logged.pop(), f"info: Read {self.path} again")
            self.logged.clear()

    def test_reload(self) -> None:
        """
        It can be read again at once, changed or not. That it cannot be used is
        told to who asked for that as well as to the log.
        """
        self.put("web.yml", "pushprox: {trusted_proxies: [10.0.0.1]}")
        file = WebFile(str(self.path), self.net, {"pushprox": readRoles})
        self.assertEqual(list(map(str, file.trusted())), ["10.0.0.1/32"])
        self.put("web.yml", "pushprox: {}")
        file.reload()
        self.assertEqual(file.trusted(), ())
        file.reload()
        self.assertEqual(self.logged, [f"info: Read {self.path} again"] * 2)
        self.logged.clear()
        self.put("web.yml", "nonsense")
        error = self.assertRaises(ValueError, file.reload)
        said = f"{self.path}: expected YAML with a section like tls_server_config"
        self.assertEqual(str(error), said)
        self.assertEqual(
            self.logged, [f"error: What was read before stays in force: {said}"]
        )
        self.assertFalse(file.isCurrent)
        self.net.pass_(LOOK_EVERY)
        self.assertEqual(file.trusted(), ())
        self.assertEqual(len(self.logged), 1)

    def test_gone(self) -> None:
        """
        Nor does a file that is gone; when it is back, it is read.
        """
        self.serveFile()
        before = self.shown()
        (self.folder / "k.pem").unlink()
        self.net.pass_(LOOK_EVERY)
        self.assertEqual(self.shown(), before)
        self.putLeaf(self.authority.issue_cert("proxy.example"))
        self.net.pass_(LOOK_EVERY)
        self.assertNotEqual(self.shown(), before)

    def test_brokenLater(self) -> None:
        """
        New keys for tickets do not need the files.
        """
        self.serveFile()
        for name in ("web.yml", "c.pem", "k.pem", "ca.pem"):
            (self.folder / name).unlink()
        self.net.pass_(KEYS_LIFE + 1)
        self.assertTaken()

    def test_notBegun(self) -> None:
        """
        TLS is not begun in the midst of it; all else changes without it, too.
        """
        self.put("web.yml", "")
        file = self.file()
        self.assertFalse(file.speaksTLS)
        self.putConfig()
        self.net.pass_(LOOK_EVERY)
        self.assertIsNone(file.config.tls)
        self.assertFalse(file.isCurrent)
        self.put("web.yml", f"basic_auth_users: {{a: {HASH}}}")
        self.net.pass_(LOOK_EVERY)
        self.assertEqual(list(file.config.users), [b"a"])
        self.assertTrue(file.isCurrent)


class RolesFileTestCase(WebFileTestCase):
    """
    A file with roles.
    """

    def file(self) -> WebFile:
        """
        @return: the file, read as the proxy reads it.
        """
        return WebFile(str(self.path), self.net, {"pushprox": readRoles})

    def putRoles(self, *more: str, users: str = "{}", auth: str = GIVEN) -> None:
        """
        Write a file with TLS and roles.

        @param more: authorities.
        """
        self.putConfig(auth, users=users)
        lines = "".join(f"    {line}\n" for line in more)
        self.put(
            "web.yml",
            f"{self.path.read_text()}pushprox:\n  roles: {{}}\n"
            + (f"  authorities:\n{lines}" if more else ""),
        )

    def serveRoles(self, *more: str, auth: str = GIVEN) -> WebFile:
        """
        Listen, by a file with these authorities.
        """
        self.putRoles(*more, auth=auth)
        file = self.file()
        secure = SecureEndpoint(
            endpointFromString(self.net, "tcp:8443"), file, self.net
        )
        port = self.successResultOf(secure.listen(self.echoes))
        self.addCleanup(port.stopListening)
        return file

    def look(self, file: WebFile) -> None:
        """
        Look for a change, as the guard does on each request.
        """
        self.net.pass_(LOOK_EVERY)
        self.assertIs(file.config, file.inForce)

    def shownTo(self, file: WebFile) -> Shown | None:
        """
        @return: what the newest line has shown.
        """
        return file.authorities.shownOn(self.echo.transport.getHandle())

    def assertStays(self, file: WebFile, said: str) -> None:
        """
        What stands in the file now is refused in one line.
        """
        before = file.config
        self.logged.clear()
        self.net.pass_(LOOK_EVERY)
        self.assertIs(file.config, before)
        self.assertFalse(file.isCurrent)
        self.assertEqual(
            self.logged,
            [f"error: What was read before stays in force: {self.path}: {said}"],
        )


class RolesTests(RolesFileTestCase):
    """
    Roles in a file that changes.
    """

    def test_vanish(self) -> None:
        """
        Roles do not vanish while the program runs, which would let everybody do
        everything: neither by a file without the section nor by one that is just
        being written.
        """
        for start in ("pushprox:\n", f"pushprox:\nbasic_auth_users: {{a: {HASH}}}"):
            self.put("web.yml", start)
            file = self.file()
            for text in ("", "rate_limit: {}\n", f"basic_auth_users: {{a: {HASH}}}"):
                self.put("web.yml", text)
                self.assertStays(
                    file,
                    "expected roles, as before: to let everybody do everything takes "
                    "a restart",
                )
            self.put("web.yml", "pushprox: {roles: {r: {anyone: true}}}")
            self.net.pass_(LOOK_EVERY)
            self.assertEqual([role.name for role in file.config.roles.roles], ["r"])
            self.assertTrue(file.isCurrent)

    def test_appear(self) -> None:
        """
        They may appear; from then on they stay.
        """
        self.put("web.yml", "")
        file = self.file()
        self.assertIsNone(file.config.roles)
        self.put("web.yml", "pushprox:")
        self.net.pass_(LOOK_EVERY)
        self.assertEqual(file.config.roles, NO_ROLES)
        self.put("web.yml", "")
        self.assertStays(
            file,
            "expected roles, as before: to let everybody do everything takes a restart",
        )

    def test_users(self) -> None:
        """
        Where there are roles, the last user may be struck off: who is nobody may
        then do no more than nobody may. Without roles everybody would get in.
        """
        users = f"basic_auth_users: {{a: {HASH}}}\n"
        for before, after, isTaken in (
            (f"{users}pushprox:", "pushprox:", True),
            (users, "pushprox:", True),
            (users, "", False),
        ):
            self.put("web.yml", before)
            file = self.file()
            self.put("web.yml", after)
            self.net.pass_(LOOK_EVERY)
            self.assertEqual(not file.config.users, isTaken)
            self.assertIs(file.isCurrent, isTaken)

    def test_certificates(self) -> None:
        """
        Likewise where there is no role and no user, and who has no certificate is
        kept out: that stays so, or users or roles take its place.
        """
        wanted = "client_auth_type: RequireAndVerifyClientCert"
        authority = "client_ca_file: ca.pem"
        users = f"{{a: {HASH}}}"
        for before, after, more, isTaken in (
            ((wanted, authority), (), "{}", False),
            ((wanted, authority), ("client_auth_type: RequireAnyClientCert",), "{}",
             False),
            ((wanted, authority), (wanted, authority, "min_version: TLS13"), "{}",
             True),
            ((wanted, authority), (), users, True),
            ((wanted, authority), (), "{}\npushprox:", True),
            ((), ("min_version: TLS13",), "{}", True),
        ):  # fmt: skip
            self.putConfig(*before)
            file = self.file()
            self.putConfig(*after, users=more)
            self.net.pass_(LOOK_EVERY)
            _ = file.config
            self.assertIs(file.isCurrent, isTaken, (before, after))
        self.putConfig(wanted, authority)
        file = self.file()
        self.putConfig()
        self.assertStays(
            file,
            "tls_server_config.client_auth_type: expected RequireAndVerifyClientCert, "
            "as before: to let everybody in takes a restart",
        )

    def test_whenChanged(self) -> None:
        """
        Who wants to know is told whenever something else is in force, in the
        order in which they said so, and not when nothing changed or what is there
        cannot be used.
        """
        self.put("web.yml", "pushprox:")
        file = self.file()
        told: list[object] = []
        file.whenChanged(lambda: told.append(("first", len(file.config.users))))
        file.whenChanged(lambda: told.append("second"))
        self.net.pass_(LOOK_EVERY)
        _ = file.config
        self.put("web.yml", "nonsense")
        self.net.pass_(LOOK_EVERY)
        _ = file.config
        self.put("web.yml", "")
        self.net.pass_(LOOK_EVERY)
        _ = file.config
        self.assertEqual(told, [])
        self.put("web.yml", f"basic_auth_users: {{a: {HASH}}}\npushprox:")
        self.assertEqual(told, [])
        self.net.pass_(LOOK_EVERY)
        _ = file.config, file.config
        self.assertEqual(told, [("first", 1), "second"])

    def test_webFileOf(self) -> None:
        """
        The sections that a program knows are read by the file that its command
        line names.
        """
        self.put("web.yml", "pushprox:")
        options = ProxyOptions()
        options.parseOptions(["--web.config.file", str(self.path)])
        file = webFileOf(options, self.net, {"pushprox": readRoles})
        self.assertEqual(file.config.roles, NO_ROLES)
        said = self.assertRaises(SystemExit, webFileOf, options, self.net)
        self.assertIn("got 'pushprox'", str(said))


class AuthoritiesTests(RolesFileTestCase):
    """
    CAs that are told apart.
    """

    def test_none(self) -> None:
        """
        Without TLS or without CAs nobody is vouched for.
        """
        self.put("web.yml", "pushprox:")
        self.assertIs(self.file().authorities, NO_AUTHORITIES)
        file = self.serveRoles(auth=VERIFIED)
        self.assertTaken(self.bearer(self.authority, "a.example"))
        self.assertIsNone(self.shownTo(file))

    def test_trusted(self) -> None:
        """
        Certificates of these CAs are taken, beside those of the client CA; who
        shows one is told apart by CA, by its names, and from those who show none
        or one of the client CA.
        """
        second = trustme.CA()
        self.put("a.pem", self.stranger.cert_pem.bytes())
        self.put("b.pem", second.cert_pem.bytes())
        authorities = ("a: {ca_file: a.pem}", "b: {ca_file: b.pem}")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for auth, isClientCA in (
                (GIVEN, True),
                ("client_auth_type: VerifyClientCertIfGiven", False),
                ("client_auth_type: RequireAndVerifyClientCert", False),
            ):
                self.net, self.echoes = Internet(), Echoes()
                file = self.serveRoles(*authorities, auth=auth)
                at = {"maximum_version": version}
                for ca, expected in ((self.stranger, "a"), (second, "b")):
                    self.assertTaken(self.bearer(ca, "X.example", "*.y", **at))
                    shown = self.shownTo(file)
                    assert shown is not None
                    self.assertEqual(shown.authority, expected)
                    self.assertEqual(shown.names, {"x.example"})
                    self.assertIsNone(file.authorities.fault(shown, 0))
                self.assertNotTaken(self.bearer(trustme.CA(), "x.example", **at))
                ours = self.bearer(self.authority, "x.example", **at)
                if isClientCA:
                    self.assertTaken(ours)
                    self.assertIsNone(self.shownTo(file))
                else:
                    self.assertNotTaken(ours)
                if "IfGiven" in auth:
                    self.assertTaken(self.context(**at))
                    self.assertIsNone(self.shownTo(file))
                else:
                    self.assertNotTaken(self.context(**at))

    def test_between(self) -> None:
        """
        A CA that another signed is told apart from that one where it is listed,
        and where it is not it is part of that one. Listed alone it is trusted
        alone.
        """
        child = self.stranger.create_child_ca()
        self.put("root.pem", self.stranger.cert_pem.bytes())
        self.put("child.pem", child.cert_pem.bytes())
        root, below = "root: {ca_file: root.pem}", "child: {ca_file: child.pem}"
        for authorities, ofRoot, ofChild in (
            ((root,), "root", "root"),
            ((root, below), "root", "child"),
            ((below, root), "root", "child"),
            ((below,), None, "child"),
        ):
            self.net, self.echoes = Internet(), Echoes()
            file = self.serveRoles(*authorities)
            for ca, expected in ((self.stranger, ofRoot), (child, ofChild)):
                context = self.bearer(ca, "x.example")
                if expected is None:
                    self.assertNotTaken(context)
                    continue
                self.assertTaken(context)
                shown = self.shownTo(file)
                assert shown is not None
                self.assertEqual(shown.authority, expected)

    def test_notResumed(self) -> None:
        """
        Where CAs are told apart no session is resumed, neither by ticket nor by
        its id, in any version: what was shown is shown once more.
        """
        self.put("a.pem", self.stranger.cert_pem.bytes())
        for authorities in (("a: {ca_file: a.pem}",), ()):
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                for noTicket in (0, ssl.OP_NO_TICKET):
                    self.net, self.echoes = Internet(), Echoes()
                    file = self.serveRoles(*authorities)
                    ca = self.stranger if authorities else self.authority
                    context = self.bearer(ca, "x", maximum_version=version)
                    context.options |= noTicket
                    session = self.assertTaken(context).tls.session
                    before = self.shownTo(file)
                    again = self.whisper(context, session)
                    again.say(b"hello")
                    self.assertEqual(again.heard, b"hello")
                    # Else by ticket, which with TLS 1.3 need not be asked for.
                    hasTicket = not noTicket or version is ssl.TLSVersion.TLSv1_3
                    isResumed = not authorities and hasTicket
                    self.assertEqual(again.tls.session_reused, isResumed)
                    self.assertEqual(before is not None, bool(authorities))
                    self.assertEqual(self.shownTo(file), before)

    def test_resumedBefore(self) -> None:
        """
        Nor is one that began before there were any.
        """
        file = self.serveRoles()
        ours = self.bearer(self.authority, "x")
        session = self.assertTaken(ours).tls.session
        self.assertTrue(self.whisper(ours, session).tls.session_reused)
        self.putRoles("a: {ca_file: ca.pem}")
        self.net.pass_(LOOK_EVERY)
        again = self.whisper(ours, session)
        again.say(b"hello")
        self.assertFalse(again.tls.session_reused)
        self.assertIsNotNone(self.shownTo(file))

    def test_change(self) -> None:
        """
        Which CAs there are is known at once also to those who are connected.
        """
        self.put("a.pem", self.stranger.cert_pem.bytes())
        file = self.serveRoles("a: {ca_file: a.pem}")
        self.assertTaken(self.bearer(self.stranger, "x"))
        for authorities, expected in (
            (("b: {ca_file: a.pem}",), "b"),
            (("b: {ca_file: ca.pem}",), None),
            ((), None),
            (("a: {ca_file: a.pem}",), "a"),
        ):
            self.putRoles(*authorities)
            self.look(file)
            shown = self.shownTo(file)
            self.assertEqual(shown and shown.authority, expected)

    def test_revoked(self) -> None:
        """
        What is put on a list is taken back at once; a list that cannot be used
        does not take the place of one that can.
        """
        key: Any = load_pem_private_key(self.stranger.private_key_pem.bytes(), None)
        own = load_pem_x509_certificate(self.stranger.cert_pem.bytes())
        ca = CA(own.subject, key=key)
        self.put("a.pem", self.stranger.cert_pem.bytes())
        self.put("a.crl", pem(ca.revoke(1)))
        file = self.serveRoles("a: {ca_file: a.pem, crl_file: a.crl}")
        leaf = self.stranger.issue_cert("x.example")
        context = self.context()
        leaf.configure_cert(context)
        self.assertTaken(context)
        shown = self.shownTo(file)
        assert shown is not None
        self.assertIsNone(file.authorities.fault(shown, 0))
        number = load_pem_x509_certificate(
            leaf.cert_chain_pems[0].bytes()
        ).serial_number
        self.put("a.crl", pem(ca.revoke(1, number)))
        self.look(file)
        self.assertEqual(file.authorities.fault(shown, 0), "revoked certificate")
        self.put("a.crl", pem(CA("other").revoke()))
        self.assertStays(
            file,
            f"pushprox.authorities.a.crl_file: {self.folder}/a.crl: expected lists "
            "that this CA signed, got one from 'CN=other'",
        )
        self.assertEqual(file.authorities.fault(shown, 0), "revoked certificate")
        self.put("a.crl", pem(ca.revoke(1)))
        self.look(file)
        self.assertIsNone(file.authorities.fault(shown, 0))

    def test_inline(self) -> None:
        """
        A CA and its lists may stand in the config file itself.
        """
        ca = CA("inline")
        blocks = "".join(
            f"      {key}: |\n"
            + "".join(f"        {line}\n" for line in pem(part).decode().splitlines())
            for key, part in (("ca", ca), ("crl", ca.revoke()))
        )
        self.putRoles("a:\n" + blocks.rstrip("\n"))
        file = self.file()
        shown = file.authorities.shown([ca.certify("leaf", "x"), ca.certificate])
        assert shown is not None
        self.assertEqual(shown.authority, "a")

    def test_broken(self) -> None:
        """
        What is wrong with one is said in one line, which names the key and the
        file.
        """
        self.put("a.pem", self.stranger.cert_pem.bytes())
        self.put("junk.pem", "nonsense")
        key = "pushprox.authorities"
        for authorities, expected in (
            (
                ("a: {ca_file: gone.pem}",),
                f"{key}.a.ca_file: {self.folder}/gone.pem: expected a readable PEM "
                "file: No such file or directory",
            ),
            (
                ("a: {ca_file: a.pem, crl_file: gone.crl}",),
                f"{key}.a.crl_file: {self.folder}/gone.crl: expected a readable PEM "
                "file: No such file or directory",
            ),
            (
                ("a: {ca_file: junk.pem}",),
                f"{key}.a.ca_file: {self.folder}/junk.pem: expected PEM certificates "
                "(-----BEGIN CERTIFICATE-----)",
            ),
            (
                ("a: {ca_file: a.pem}", "b: {ca_file: ca.pem}", "c: {ca_file: a.pem}"),
                f"{key}.c.ca_file: {self.folder}/a.pem: expected another CA than a's",
            ),
            (
                ("a: {ca_file: a.pem, crl: junk}",),
                f"{key}.a.crl: expected PEM revocation lists "
                "(-----BEGIN X509 CRL-----)",
            ),
        ):
            self.putRoles(*authorities)
            error = self.assertRaises(ValueError, self.file)
            self.assertEqual(str(error), f"{self.path}: {expected}")


class SecuredTests(WebFileTestCase):
    """
    Which endpoints get TLS.
    """

    def test_secured(self) -> None:
        """
        An endpoint gets TLS where the file has some, and is refused if it has its
        own; else it stays what it was.
        """
        endpoint = endpointFromString(self.net, "tcp:8443")
        self.put("web.yml", "")
        self.assertIs(self.file().secured(endpoint), endpoint)
        self.putConfig()
        file = self.file()
        secured = file.secured(endpoint)
        secured.listen(self.echoes)
        self.assertTaken()
        error = self.assertRaises(ValueError, file.secured, secured)
        self.assertEqual(
            str(error), f"expected tcp: since {self.path} has the TLS for it"
        )


class BrokenTests(WebFileTestCase):
    """
    What is wrong at the start.
    """

    def assertUnusable(self, expected: str) -> None:  # type: ignore[override]
        """
        The file is refused in one line, which names it.
        """
        error = self.assertRaises(ValueError, self.file)
        self.assertEqual(str(error), f"{self.path}: {expected}")

    def test_missing(self) -> None:
        """
        A file that is not there is named, and with which key.
        """
        self.assertUnusable("expected a readable file: No such file or directory")
        self.putConfig(VERIFIED)
        for key, name in (
            ("client_ca_file", "ca.pem"),
            ("key_file", "k.pem"),
            ("cert_file", "c.pem"),
        ):
            os.unlink(self.folder / name)
            self.assertUnusable(
                f"tls_server_config.{key}: {self.folder}/{name}: expected a readable "
                "PEM file: No such file or directory"
            )

    def test_noName(self) -> None:
        """
        So is the key whose file can have no such name.
        """
        auth = "client_auth_type: RequireAndVerifyClientCert"
        self.putConfig(auth, r'client_ca_file: "a\0b"')
        self.assertUnusable("tls_server_config.client_ca_file: embedded null byte")

    def test_mismatch(self) -> None:
        """
        A key that is another certificate's is refused.
        """
        self.putConfig()
        self.put("k.pem", self.authority.issue_cert("b").private_key_pem.bytes())
        self.assertUnusable(
            f"tls_server_config.key_file: {self.folder}/k.pem: expected the private "
            f"key of the certificate in tls_server_config.cert_file: "
            f"{self.folder}/c.pem (key values mismatch)"
        )

    def test_otherKey(self) -> None:
        """
        So is a key that no certificate can have.
        """
        self.putConfig()
        self.put(
            "k.pem",
            X25519PrivateKey.generate().private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            ),
        )
        self.assertUnusable(
            f"tls_server_config.key_file: {self.folder}/k.pem: expected a PEM private "
            "key without a passphrase"
        )

    def test_junk(self) -> None:
        """
        So is a CA that is none, in a file or not.
        """
        self.putConfig(VERIFIED)
        self.put("ca.pem", b"nonsense")
        self.assertUnusable(
            f"tls_server_config.client_ca_file: {self.folder}/ca.pem: expected PEM "
            "certificates (-----BEGIN CERTIFICATE-----)"
        )
        self.putConfig(
            "client_auth_type: RequireAndVerifyClientCert", "client_ca: nonsense"
        )
        self.assertUnusable(
            "tls_server_config.client_ca: expected PEM certificates "
            "(-----BEGIN CERTIFICATE-----)"
        )
