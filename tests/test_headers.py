"""
Tests for L{pushprox.headers}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pushprox.headers import (
    Headers,
    MalformedMessage,
    ReadHeaders,
    allHeaders,
    checkHeaders,
    endToEnd,
    firstHeader,
    isText,
    isToken,
    joinFields,
    replaceHeader,
    shown,
    splitFields,
    without,
    withoutAll,
)


class HeadersTests(SynchronousTestCase):
    """
    Tests for the functions on headers.
    """

    HEADERS: Headers = ((b"A", b"1"), (b"b", b"2"), (b"a", b"3"))

    def test_first(self) -> None:
        """
        The first header of a name is found in whatever case, or there is none.
        """
        self.assertEqual(firstHeader(self.HEADERS, b"a"), b"1")
        self.assertEqual(firstHeader(self.HEADERS, b"B"), b"2")
        self.assertIsNone(firstHeader(self.HEADERS, b"c"))

    def test_all(self) -> None:
        """
        All headers of a name are found in whatever case, in order.
        """
        self.assertEqual(allHeaders(self.HEADERS, b"A"), [b"1", b"3"])
        self.assertEqual(allHeaders(self.HEADERS, b"c"), [])

    def test_without(self) -> None:
        """
        Headers are dropped by name, in whatever case.
        """
        self.assertEqual(without(self.HEADERS, b"A"), ((b"b", b"2"),))
        self.assertEqual(without(self.HEADERS, b"c", b"B", b"a"), ())
        self.assertEqual(withoutAll(self.HEADERS, {b"a"}), ((b"b", b"2"),))

    def test_replace(self) -> None:
        """
        A header that is replaced takes the place of all of its name.
        """
        self.assertEqual(
            replaceHeader(self.HEADERS, b"A", b"9"), ((b"b", b"2"), (b"A", b"9"))
        )

    def test_hopByHop(self) -> None:
        """
        What concerns one hop is dropped, and the rest stays in order.
        """
        hop: Headers = (
            (b"Connection", b"close"),
            (b"Keep-Alive", b"timeout=5"),
            (b"Proxy-Authenticate", b"Basic"),
            (b"PROXY-AUTHORIZATION", b"Basic eDp5"),
            (b"Proxy-Authentication-Info", b"x"),
            (b"Proxy-Connection", b"Keep-Alive"),
            (b"TE", b"trailers"),
            (b"Trailer", b"x"),
            (b"Transfer-Encoding", b"chunked"),
            (b"Upgrade", b"h2c"),
        )
        self.assertEqual(endToEnd(self.HEADERS + hop + self.HEADERS), self.HEADERS * 2)

    def test_connectionNames(self) -> None:
        """
        What a Connection header names goes with it, however many there are.
        """
        headers: Headers = (
            (b"Connection", b"keep-alive, X-Hop ,\tx-other,,"),
            (b"x-hop", b"1"),
            (b"X-Third", b"2"),
            (b"X-OTHER", b"3"),
            (b"connection", b"x-third"),
            (b"X-Stays", b"4"),
        )
        self.assertEqual(endToEnd(headers), ((b"X-Stays", b"4"),))

    def test_connectionCannotRemove(self) -> None:
        """
        A Connection header cannot take away what says where a message goes and
        ends, what it is, who asks, and which scrape it belongs to.
        """
        for name in (
            b"Authorization",
            b"Content-Encoding",
            b"Content-Length",
            b"Content-Type",
            b"Host",
            b"Id",
            b"X-Prometheus-Scrape-Timeout",
            b"X-Prometheus-Scrape-Timeout-Seconds",
        ):
            field = (name, b"1")
            self.assertEqual(endToEnd(((b"Connection", name), field)), (field,))
            self.assertEqual(endToEnd((field, (b"Connection", name.upper()))), (field,))


class LinesTests(SynchronousTestCase):
    """
    Headers as lines, and what may stand in them.
    """

    def test_token(self) -> None:
        """
        A name has letters, digits and some signs, and at least one of them.
        """
        for name in (b"Id", b"!#$%&'*+-.^_`|~09azAZ"):
            self.assertTrue(isToken(name))
        for name in (b"", b"a b", b"a:", b"a\n", b"a/b", b"\xe9", b"(a)", b"a\0"):
            self.assertFalse(isToken(name))

    def test_text(self) -> None:
        """
        A value has anything but control bytes, or nothing.
        """
        self.assertTrue(isText(b""))
        self.assertTrue(isText(bytes([9, *range(32, 127), *range(128, 256)])))
        for control in (*range(9), *range(10, 32), 127):
            self.assertFalse(isText(b"a%cb" % control))

    def test_split(self) -> None:
        """
        Lines become headers, less the white space around their values.
        """
        self.assertEqual(splitFields(b""), ())
        self.assertEqual(
            splitFields(b"A: b\r\na:\t c : d \r\nE:"),
            ((b"A", b"b"), (b"a", b"c : d"), (b"E", b"")),
        )

    def test_refused(self) -> None:
        """
        What is no header is refused by its number, and a value by its name, but
        no value is quoted.
        """
        for block, why in {
            b"A: b\r\nsecret": "header 2 has no colon",
            b"A: b\r\n\r\nC: d": "header 2 has no colon",
            b"A : secret": "header 1 has no valid name",
            b"A: b\r\n secret: c": "header 2 has no valid name",
            b": secret": "header 1 has no valid name",
            b"A: b\r\nC: secret\n": "header 'C' has a control byte in it",
        }.items():
            error = self.assertRaises(MalformedMessage, splitFields, block)
            self.assertEqual(str(error), why)

    @given(st.lists(st.tuples(st.binary(max_size=4), st.binary(max_size=9))).map(tuple))
    def test_anything(self, headers: Headers) -> None:
        """
        What passes the check is read from its lines as it was, less white space
        at the edges.
        """
        try:
            checkHeaders(headers)
        except MalformedMessage:
            return
        lines = joinFields(headers)
        self.assertEqual(lines.count(b"\n"), len(headers))
        self.assertEqual(
            splitFields(lines.removesuffix(b"\r\n")),
            tuple([(name, value.strip(b" \t")) for name, value in headers]),
        )

    def test_shown(self) -> None:
        """
        Bytes are shown as plain ASCII, and not too many.
        """
        self.assertEqual(shown(b"a\r\n\xe9"), "'a\\r\\n\\xe9'")
        self.assertEqual(shown(b"x" * 60), f"'{'x' * 60}'")
        self.assertEqual(shown(b"x" * 61), f"'{'x' * 60}'...")


class ReadTests(SynchronousTestCase):
    """
    Tests for L{ReadHeaders}.
    """

    def test_checkedOnce(self) -> None:
        """
        What was read was checked by that, and so was all that is left of it;
        not so what anything was added to.
        """
        read = splitFields(b"A: b\r\nConnection: x\r\nX: y")
        self.assertIsInstance(read, ReadHeaders)
        self.assertIsInstance(endToEnd(read), ReadHeaders)
        self.assertEqual(endToEnd(read), ((b"A", b"b"),))
        added = replaceHeader(read, b"A", b"\0")
        self.assertNotIsInstance(added, ReadHeaders)
        self.assertRaises(MalformedMessage, checkHeaders, added)
        self.assertRaises(MalformedMessage, splitFields, b"A: b\r\nB: \0")
