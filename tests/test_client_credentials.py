"""
Tests for L{pushprox.client.credentials}: real files.
"""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pushprox.client.credentials import (
    FORMS,
    Credentials,
    CredentialsFile,
    basic,
    bearer,
)
from pushprox.watched import LOOK_EVERY

SECRET = "s3kr1t"


class FormTests(SynchronousTestCase):
    """
    What a line becomes.
    """

    def test_basic(self) -> None:
        """
        A user and a password are Basic credentials (RFC 7617), byte for byte.
        """
        for line, value in {
            b"me:secret": b"Basic bWU6c2VjcmV0",
            b"me:a:b c ": b"Basic bWU6YTpiIGMg",
            b"j\xc3\xb6rg:\xff": b"Basic asO2cmc6/w==",
        }.items():
            self.assertEqual(basic(line), value)

    def test_bearer(self) -> None:
        """
        A token is Bearer credentials (RFC 6750).
        """
        for token in (b"a", b"eyJhbGci.eyJzdWIi.c2ln_-", b"+/~0==", b"x" * 8000):
            self.assertEqual(bearer(token), b"Bearer " + token)

    def test_malformed(self) -> None:
        """
        What is something else is refused with what was expected, and not told.
        """
        for form, says, lines in (
            (basic, "user:password", ("", ":", SECRET, f":{SECRET}", f"{SECRET}:")),
            (bearer, "a token", ("", "=", f"Bearer {SECRET}", f"a:{SECRET}", "a=b")),
        ):
            for line in lines:
                error = self.assertRaises(ValueError, form, line.encode())
                self.assertIn(f"expected one line, {says}", str(error))
                self.assertNotIn(SECRET, str(error))

    @given(st.binary(), st.binary())
    def test_oneHeader(self, before: bytes, after: bytes) -> None:
        """
        Whatever is in a file, it makes one header and no second one.
        """
        for line in (before, b"%b:%b" % (before, after)):
            for form in FORMS.values():
                try:
                    value = form(line)
                except ValueError:
                    continue
                self.assertRegex(value, rb"\A(Basic|Bearer) [!-~]+\Z")

    def test_controls(self) -> None:
        """
        No control character passes, wherever it stands.
        """
        for octet in (*range(0x20), 0x7F):
            for line in (b"a%cb:c", b"a:b%cc", b"a:b%c", b"%ca:b"):
                self.assertRaises(ValueError, basic, line % octet)
            for line in (b"a%cb", b"a%c", b"%ca", b"a=%c"):
                self.assertRaises(ValueError, bearer, line % octet)


class CredentialsTests(SynchronousTestCase):
    """
    Those that never change.
    """

    def test_fixed(self) -> None:
        """
        They stay as they are, also when they are refused.
        """
        credentials = Credentials("proxy-url", b"Basic " + SECRET.encode())
        credentials.refused()
        self.assertEqual(credentials.authorization, b"Basic " + SECRET.encode())
        self.assertEqual(repr(credentials), "Credentials(flag='proxy-url')")

    def test_saidBack(self) -> None:
        """
        A server that says back what it was told does not get it into the log.
        """
        credentials = Credentials("proxy-url", b"Basic bWU6c2VjcmV0")
        said = "Authorization: Basic bWU6c2VjcmV0\n"
        self.assertEqual(credentials.hiddenIn(said), "Authorization: Basic ***\n")
        self.assertEqual(Credentials("proxy-url", None).hiddenIn(said), said)


class FileTests(SynchronousTestCase):
    """
    Those in a file.
    """

    flag = "proxy.token-file"

    def setUp(self) -> None:
        """
        There is one, and somebody reads the log.
        """
        self.clock = Clock()
        self.path = Path(self.mktemp())
        self.path.write_text(f"{SECRET}-1\n")
        self.events: list[LogEvent] = []

        def note(event: LogEvent) -> None:
            if "pushprox.client.credentials" in str(event.get("log_namespace")):
                self.events.append(event)

        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)

    @property
    def said(self) -> list[str]:
        """
        What was logged.
        """
        return [
            f"{event['log_level'].name} {formatEvent(event)}" for event in self.events
        ]

    def credentials(self) -> CredentialsFile:
        """
        @return: those in the file.
        """
        return CredentialsFile(self.flag, str(self.path), self.clock)

    def test_forms(self) -> None:
        """
        The flag says what is in the file.
        """
        credentials = self.credentials()
        self.assertEqual(credentials.authorization, b"Bearer s3kr1t-1")
        self.flag = "proxy.basic-auth-file"
        self.path.write_text("me:secret\r\n")
        credentials = self.credentials()
        self.assertEqual(credentials.authorization, b"Basic bWU6c2VjcmV0")
        self.assertEqual(credentials.flag, self.flag)

    def test_unusable(self) -> None:
        """
        A file that cannot be used is refused in one line that names the flag and
        the file.
        """
        expected = "expected one line, a token of letters, digits and any of -._~+/"
        for content in ("", "\n", f"a {SECRET}", f"{SECRET}\n\n", f"{SECRET}\nx: y\n"):
            self.path.write_text(content)
            error = self.assertRaises(ValueError, self.credentials)
            self.assertEqual(str(error), f"--{self.flag}: {self.path}: {expected}")
        self.path.unlink()
        error = self.assertRaises(ValueError, self.credentials)
        self.assertEqual(
            str(error),
            f"--{self.flag}: {self.path}: expected a readable file: No such file or"
            " directory",
        )

    def test_changes(self) -> None:
        """
        A new file is in force within a second, which is logged.
        """
        credentials = self.credentials()
        self.path.write_text(f"{SECRET}-2")
        self.assertEqual(credentials.authorization, b"Bearer s3kr1t-1")
        self.clock.advance(LOOK_EVERY)
        self.assertEqual(credentials.authorization, b"Bearer s3kr1t-2")
        self.assertEqual(self.said, [f"info Read {self.path} again"])

    def test_sameAgain(self) -> None:
        """
        A file that was written anew with the same in it is no news.
        """
        credentials = self.credentials()
        self.path.write_text(f"{SECRET}-1")
        self.clock.advance(LOOK_EVERY)
        self.assertEqual(credentials.authorization, b"Bearer s3kr1t-1")
        self.assertEqual(self.said, [])

    def test_refused(self) -> None:
        """
        Credentials that were refused are read again at once.
        """
        credentials = self.credentials()
        self.path.write_text(f"{SECRET}-2")
        credentials.refused()
        self.assertEqual(credentials.authorization, b"Bearer s3kr1t-2")
        self.assertEqual(self.said, [f"info Read {self.path} again"])

    def test_broken(self) -> None:
        """
        Of a file that cannot be used any more the log tells once for each way in
        which it cannot, however often it is read, and what was read before stays
        in force; it tells too when the file can be used again.
        """
        credentials = self.credentials()
        for change, says in (
            (lambda: self.path.write_text(""), "expected one line, a token"),
            (self.path.unlink, "expected a readable file: No such file"),
            (lambda: self.path.write_text(f"a {SECRET}"), "expected one line"),
        ):
            change()
            for _ in range(3):
                self.clock.advance(LOOK_EVERY)
                self.assertEqual(credentials.authorization, b"Bearer s3kr1t-1")
                credentials.refused()
            self.assertIn(
                f"error What was read before stays in force: --{self.flag}: "
                f"{self.path}: {says}",
                self.said[-1],
            )
        self.assertEqual(len(self.said), 3)
        self.path.write_text(f"{SECRET}-1")
        credentials.refused()
        self.assertEqual(self.said[3:], [f"info Read {self.path} again"])

    def test_noSecrets(self) -> None:
        """
        Neither what is logged nor the object shows the secret.
        """
        credentials = self.credentials()
        for content in (f"{SECRET}-2", f"{SECRET}\n3"):
            self.path.write_text(content)
            credentials.refused()
        self.assertEqual(len(self.events), 2)
        self.assertNotIn(SECRET, repr(self.events) + repr(credentials))
