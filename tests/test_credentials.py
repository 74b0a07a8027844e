"""
Tests for L{pushprox.credentials}.
"""

from __future__ import annotations

from hashlib import sha256

from twisted.trial.unittest import SynchronousTestCase

from pushprox.credentials import (
    RANDOM,
    Credential,
    digestOf,
    makeToken,
    readBearer,
)
from pushprox.webconfig import WebConfig

#: Of two tokens, and of two passwords.
ONE, TWO = digestOf(b"one"), digestOf(b"two")
HASH, OTHER = b"$2y$10$one", b"$2y$10$two"

#: What stands in a header, and the token in it.
HEADERS = (
    (b"Bearer abc", b"abc"),
    (b"bearer abc", b"abc"),
    (b"BEARER  abc", b"abc"),
    (b"Bearer abc \t", b"abc"),
    (b"Bearer aZ09-._~+/==", b"aZ09-._~+/=="),
    (b"Bearer " + b"a" * 9000, b"a" * 9000),
    (b"", None),
    (b"Bearer", None),
    (b"Bearer ", None),
    (b"Bearerabc", None),
    (b"Bearer\tabc", None),
    (b" Bearer abc", None),
    (b"Bearer =", None),
    (b"Bearer a=b", None),
    (b"Bearer a b", None),
    (b"Bearer a,b", None),
    (b"Bearer a, Bearer b", None),
    (b'Bearer "abc"', None),
    (b"Bearer a\xe9", None),
    (b"Bearer a\n", None),
    (b"Basic YTpi", None),
    (b"Digest abc", None),
)

CONFIG = WebConfig(users={b"alice": HASH, b"j\xc3\xb6": HASH}, tokens={ONE: "web-1"})

#: What somebody has proved, and whether it still counts.
PROVED = (
    (Credential("user", "alice", HASH), True),
    (Credential("user", "j\xf6", HASH), True),
    (Credential("user", "alice", OTHER), False),
    (Credential("user", "Alice", HASH), False),
    (Credential("user", "bob", HASH), False),
    (Credential("user", "web-1", ONE), False),
    (Credential("token", "web-1", ONE), True),
    (Credential("token", "web-1", TWO), False),
    (Credential("token", "web-2", ONE), False),
    (Credential("token", "alice", HASH), False),
)


class CredentialTests(SynchronousTestCase):
    """
    Tests for what somebody has to show.
    """

    def test_bearer(self) -> None:
        """
        A token is what follows the word Bearer in whatever case, if nothing else
        does, and only if it is in the letters of tokens.
        """
        for header, expected in HEADERS:
            self.assertEqual(readBearer(header), expected, header[:40])

    def test_token(self) -> None:
        """
        Each token is another, of 256 bits, and can stand in a header.
        """
        tokens = {makeToken() for _ in range(100)}
        self.assertEqual(len(tokens), 100)
        self.assertEqual(RANDOM, 32)
        for token in tokens:
            said = token.encode("ascii")
            self.assertEqual(len(said), 43)
            self.assertEqual(readBearer(b"Bearer " + said), said)

    def test_digest(self) -> None:
        """
        What is kept is the SHA-256 in small hexadecimal digits, which is no token
        itself.
        """
        self.assertEqual(
            digestOf(b"foo"),
            b"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
        )
        self.assertEqual(digestOf(b"x"), sha256(b"x").hexdigest().encode())
        self.assertNotEqual(digestOf(ONE), ONE)

    def test_isInForce(self) -> None:
        """
        What was proved counts as long as the same name has the same hash; a user
        is no token.
        """
        for credential, isInForce in PROVED:
            self.assertIs(credential.isInForce(CONFIG), isInForce, credential)
            self.assertFalse(credential.isInForce(WebConfig()))

    def test_noSecrets(self) -> None:
        """
        What it was compared with is not shown.
        """
        shown = repr(Credential("token", "web-1", ONE))
        self.assertIn("web-1", shown)
        self.assertNotIn(ONE.decode(), shown)
