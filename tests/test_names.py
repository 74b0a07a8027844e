"""
Tests for L{pushprox.names}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pushprox.names import TargetUrl, canonicalName, nameFromText


class NameTests(SynchronousTestCase):
    """
    Tests for names of clients.
    """

    def test_canonical(self) -> None:
        """
        Names are compared without case, and without one trailing dot.
        """
        self.assertEqual(canonicalName("T1.Example.COM."), "t1.example.com")
        self.assertEqual(canonicalName("t1"), "t1")
        self.assertEqual(canonicalName("t1.."), "t1.")

    def test_kept(self) -> None:
        """
        A name keeps its spelling, but not the white space around it.
        """
        for text in (b"t1", b" T1.Example.\r\n", b"my_box~2", b"fe80::1", b"10.0.0.1"):
            self.assertEqual(nameFromText(text, 20), text.strip().decode("ascii"))

    def test_refused(self) -> None:
        """
        What can be no name is refused, with a reason in ASCII.
        """
        for text, why in (
            (b"", "expected the name of a client, got nothing"),
            (b" \t\n", "expected the name of a client, got nothing"),
            (b".", "expected the name of a client, got '.'"),
            (b"a b", "expected the name of a client, got 'a b'"),
            (b"a\r\nb", "expected the name of a client, got 'a\\r\\nb'"),
            (b"\xff", "expected the name of a client, got '\\xff'"),
            (b"a/b", "expected the name of a client, got 'a/b'"),
            (b"12345678901", "expected a name of at most 10 bytes, got 11"),
        ):
            error = self.assertRaises(ValueError, nameFromText, text, 10)
            self.assertEqual(str(error), why)

    def test_limit(self) -> None:
        """
        A name may be as long as the limit.
        """
        self.assertEqual(nameFromText(b"1234567890", 10), "1234567890")


class TargetUrlTests(SynchronousTestCase):
    """
    Tests for L{TargetUrl}.
    """

    def test_parts(self) -> None:
        """
        A URL is taken apart as it was written, but for the case of the scheme.
        """
        for url, parts in (
            (b"http://t1:9100/metrics", ("http", "t1", 9100, b"/metrics")),
            (b"HTTPS://T1.Ex./a?b=%2f", ("https", "T1.Ex.", None, b"/a?b=%2f")),
            (b"http://t1", ("http", "t1", None, b"")),
            (b"http://t1?x", ("http", "t1", None, b"?x")),
            (b"http://t1:/", ("http", "t1", None, b"/")),
            (b"http://[2001:DB8::1]:80/", ("http", "2001:DB8::1", 80, b"/")),
            (b"http://t1/\xe4", ("http", "t1", None, b"/\xe4")),
            (b"http://t1:65535/", ("http", "t1", 65535, b"/")),
        ):
            self.assertEqual(TargetUrl.fromBytes(url), TargetUrl(*parts))

    def test_refused(self) -> None:
        """
        What is no absolute URL is refused, and shown in part: without a password.
        """
        for url in (
            b"",
            b"/metrics",
            b"t1:9100",
            b"http:/t1/",
            b"http:///",
            b"http://:80/",
            b"http://t1/a b",
            b"http://t1\n/",
            b"http://t1/\n",
            b"http://[t1]/",
            b"http://t1:http/",
            b"http://t1:123456/",
            b"1http://t1/",
        ):
            error = self.assertRaises(ValueError, TargetUrl.fromBytes, url)
            self.assertEqual(
                str(error),
                "expected an absolute URL like http://name:9100/metrics,"
                f" got {url.decode('ascii')!a}",
            )
        for user in (b"u@", b"u:p@", b"u:p@w@", b"u:" + b"p" * 300 + b"@"):
            error = self.assertRaises(
                ValueError, TargetUrl.fromBytes, b"http://%bt1/" % user
            )
            self.assertTrue(str(error).endswith("got 'http://...@t1/'"), str(error))
        error = self.assertRaises(ValueError, TargetUrl.fromBytes, b"x" * 300)
        self.assertTrue(str(error).endswith("got '" + "x" * 200 + "'"))

    def test_badPort(self) -> None:
        """
        A port that no connection can have is refused.
        """
        for port in (0, 65536, 99999):
            error = self.assertRaises(
                ValueError, TargetUrl.fromBytes, b"http://t1:%d/" % port
            )
            self.assertEqual(str(error), f"expected a port from 1 to 65535, got {port}")

    @given(
        st.sampled_from([b"http", b"https"]),
        st.from_regex(
            rb"[A-Za-z0-9_~.-]+|\[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]", fullmatch=True
        ),
        st.none() | st.integers(1, 65535),
        st.from_regex(rb"([/?][\x21-\x7e\x80-\xff]*)?", fullmatch=True),
    )
    def test_roundTrip(
        self, scheme: bytes, host: bytes, port: int | None, resource: bytes
    ) -> None:
        """
        The parts make up the URL again.
        """
        authority = host if port is None else b"%b:%d" % (host, port)
        url = b"%b://%b%b" % (scheme, authority, resource)
        taken = TargetUrl.fromBytes(url)
        self.assertEqual((taken.authority, taken.toBytes()), (authority, url))
