"""
Tests for L{pushprox.heads}.

How these heads look on the wire, and what becomes of them there, is in
L{tests.test_channel}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pushprox.heads import BadHead, readHead

HOST = (b"Host", b"p")
CHUNKED = (b"transfer-Encoding", b"Chunked")
ME = (b"Authorization", b"Basic bWU6")


class HeadTests(SynchronousTestCase):
    """
    Tests for L{readHead}.
    """

    def test_body(self) -> None:
        """
        A head tells how many bytes the body has, that it comes in chunks, or
        that there is none.
        """
        for fields, size in (
            ([], 0),
            ([(b"content-LENGTH", b"007")], 7),
            ([CHUNKED], None),
        ):
            head = readHead("1.1", [HOST, *fields], False)
            self.assertEqual(head.size, size)

    def test_named(self) -> None:
        """
        Fields are found by their names in small letters; the last counts.
        """
        fields = [HOST, (b"X-One", b"1"), (b"x-ONE", b"2")]
        self.assertEqual(
            readHead("1.1", fields, False).named, {b"host": b"p", b"x-one": b"2"}
        )

    def test_expects(self) -> None:
        """
        A body waits to be asked for if there is one, and HTTP/1.1 is spoken.
        """
        expects, length = (b"Expect", b"100-Continue"), (b"Content-Length", b"1")
        for version, fields, waits in (
            ("1.1", [HOST, expects, length], True),
            ("1.1", [HOST, expects, CHUNKED], True),
            ("1.1", [HOST, expects], False),
            ("1.0", [HOST, expects, length], False),
            ("1.1", [HOST, (b"Expect", b"202"), length], False),
        ):
            head = readHead(version, fields, False)
            self.assertEqual(head.expectsContinue, waits)

    def test_refused(self) -> None:
        """
        What two readers could understand in two ways is refused, with its
        reason.
        """
        length = (b"Content-Length", b"1")
        for version, fields, upgrades, status, reason in (
            ("0.9", [], False, 505, b"HTTP Version Not Supported"),
            ("2.0", [HOST], False, 505, b"HTTP Version Not Supported"),
            ("1.1", [], False, 400, b"Expected one Host header"),
            ("1.1", [HOST, HOST], False, 400, b"Expected one Host header"),
            ("1.0", [HOST, HOST], False, 400, b"Expected one Host header"),
            ("1.0", [CHUNKED], False, 400, b"Transfer-Encoding needs HTTP/1.1"),
            (
                "1.1",
                [HOST, (b"Transfer-Encoding", b"gzip, chunked")],
                False,
                501,
                b"No Transfer-Encoding but chunked",
            ),
            (
                "1.1",
                [HOST, CHUNKED, CHUNKED],
                False,
                501,
                b"No Transfer-Encoding but chunked",
            ),
            ("1.1", [HOST, ME, ME], False, 400, b"Expected one Authorization header"),
            (
                "1.0",
                [(b"proxy-authorization", b"a"), (b"Proxy-Authorization", b"b")],
                False,
                400,
                b"Expected one Proxy-Authorization header",
            ),
            ("1.1", [HOST, length], True, 400, b"No Upgrade with a body"),
            ("1.1", [HOST, CHUNKED], True, 400, b"No Upgrade with a body"),
        ):
            error = self.assertRaises(BadHead, readHead, version, fields, upgrades)
            self.assertEqual((error.status, error.reason), (status, reason))

    def test_good(self) -> None:
        """
        What can be understood in one way only is not.
        """
        length = (b"Content-Length", b"1")
        for version, fields, upgrades in (
            ("1.0", [], False),
            ("1.0", [length], False),
            ("1.1", [HOST], True),
            ("1.1", [HOST, ME, (b"Proxy-Authorization", b"Basic Og==")], False),
            ("1.1", [HOST, length], False),
        ):
            readHead(version, fields, upgrades)
