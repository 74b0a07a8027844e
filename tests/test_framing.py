"""
Tests for L{pushprox.framing}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pushprox.framing import (
    MAX_CHUNK_LINE,
    MAX_TRAILERS,
    Body,
    IncompleteMessage,
    Section,
    bodyReader,
    framingOf,
    hasNoBody,
)
from pushprox.headers import MalformedMessage


def inPieces(data: bytes, size: int) -> list[bytes]:
    """
    Cut bytes into pieces of a size.
    """
    return [data[i : i + size] for i in range(0, len(data), size)]


class SectionTests(SynchronousTestCase):
    """
    Tests for L{Section}.
    """

    def test_whole(self) -> None:
        """
        A section ends with its empty line, whatever the pieces; what follows is
        handed back.
        """
        data = b"first\r\nsecond\r\nthird\r\n\r\nrest"
        for size in (1, 2, 3, 7, 100):
            section, found, rest = Section("head", 100), None, b""
            for piece in inPieces(data, size):
                if found:
                    rest += piece
                elif found := section.feed(piece):
                    first, others, rest = found
            self.assertEqual(
                (first, others, rest), (b"first", b"second\r\nthird", b"rest")
            )

    def test_oneLine(self) -> None:
        """
        A section may be one line.
        """
        self.assertEqual(Section("head", 9).feed(b"a\r\n\r\n"), (b"a", b"", b""))

    def test_limit(self) -> None:
        """
        A section has its limit to the byte, whether it comes whole or in
        pieces, ended or not.
        """
        for length, isTooLong in ((100, False), (101, True)):
            data = b"x" * (length - 4) + b"\r\n\r\n"
            for size in (1, 99, 100, 101, 200):
                section = Section("head", 100)
                *pieces, last = inPieces(data, size)
                for piece in pieces:
                    self.assertIsNone(section.feed(piece))
                if isTooLong:
                    error = self.assertRaises(MalformedMessage, section.feed, last)
                    self.assertEqual(str(error), "the head has over 100 bytes")
                else:
                    self.assertEqual(
                        section.feed(last + b"rest"), (b"x" * 96, b"", b"rest")
                    )
        self.assertIsNone(Section("head", 100).feed(b"x" * 100))
        self.assertRaises(MalformedMessage, Section("head", 100).feed, b"x" * 101)

    def test_bareLineFeed(self) -> None:
        """
        A line that ends without a CR is refused as soon as it does.
        """
        for pieces in ([b"a\n"], [b"a", b"\n"], [b"a\r\nb\r", b"\n\n"]):
            section = Section("head", 100)
            for piece in pieces[:-1]:
                self.assertIsNone(section.feed(piece))
            error = self.assertRaises(MalformedMessage, section.feed, pieces[-1])
            self.assertEqual(str(error), "a line of the head ends without a CR")


class FramingTests(SynchronousTestCase):
    """
    Which body a head announces.
    """

    def test_announced(self) -> None:
        """
        A body has a length, comes in chunks, or neither.
        """
        length, chunked = (b"content-Length", b"07"), (b"transfer-Encoding", b"Chunked")
        self.assertEqual(framingOf((), b"1.1"), (None, False))
        self.assertEqual(framingOf((length,), b"1.0"), (7, False))
        self.assertEqual(framingOf((chunked,), b"1.1"), (None, True))

    def test_ambiguous(self) -> None:
        """
        What two readers could understand in two ways is refused.
        """
        one, chunked = (b"Content-Length", b"1"), (b"Transfer-Encoding", b"chunked")
        for headers, version in (
            ((one, one), b"1.1"),
            ((chunked, chunked), b"1.1"),
            ((one, chunked), b"1.1"),
            ((chunked,), b"1.0"),
            ((chunked,), b"0.0"),
            (((b"Transfer-Encoding", b"gzip, chunked"),), b"1.1"),
            (((b"Transfer-Encoding", b""),), b"1.1"),
            *(
                (((b"Content-Length", value),), b"1.1")
                for value in (b"", b"+1", b"-1", b"1,1", b"1_0", b"0x1", b"1" * 19)
            ),
        ):
            self.assertRaises(MalformedMessage, framingOf, headers, version)

    def test_noBody(self) -> None:
        """
        Answers to HEAD, 1xx, 204 and 304 have no body, and others have.
        """
        for status in (100, 199, 204, 304):
            self.assertTrue(hasNoBody(status, b"GET"))
        self.assertTrue(hasNoBody(200, b"HEAD"))
        for status in (200, 203, 205, 303, 305, 500):
            self.assertFalse(hasNoBody(status, b"GET"))


class BodyTests(SynchronousTestCase):
    """
    Tests for what L{bodyReader} makes.
    """

    def read(self, body: Body, pieces: list[bytes]) -> bytes:
        """
        @return: the content of a whole body.
        """
        content = b"".join([body.feed(piece) for piece in pieces])
        body.end()
        return content

    def test_counted(self) -> None:
        """
        A body with a length has exactly that.
        """
        self.assertEqual(self.read(bodyReader(0, False), []), b"")
        self.assertEqual(self.read(bodyReader(3, False), [b"ab", b"", b"c"]), b"abc")
        self.assertRaises(MalformedMessage, bodyReader(3, False).feed, b"abcd")
        error = self.assertRaises(
            IncompleteMessage, self.read, bodyReader(3, False), [b"a"]
        )
        self.assertEqual(str(error), "the body is 2 bytes short")

    def test_toTheEnd(self) -> None:
        """
        A body without a length is all that comes.
        """
        self.assertEqual(self.read(bodyReader(None, False), []), b"")
        self.assertEqual(self.read(bodyReader(None, False), [b"ab", b"c"]), b"abc")

    def test_chunksInPieces(self) -> None:
        """
        Of chunks, what came passes; extensions and trailers are dropped.
        """
        body = bodyReader(None, True)
        for piece, content in (
            (b"0", b""),
            (b'5;a="b', b""),
            (b'"\r\nab', b"ab"),
            (b"cd", b"cd"),
            (b"e\r", b"e"),
            (b"\nA\r\n0123456789\r\n1\r\nx\r\n0", b"0123456789x"),
            (b"00;x\r\nA: ", b""),
            (b"b\r\nC:d\r\n\r", b""),
        ):
            self.assertEqual(body.feed(piece), content)
        self.assertRaises(IncompleteMessage, body.end)
        self.assertEqual(body.feed(b"\n"), b"")
        body.end()
        self.assertEqual(body.feed(b""), b"")
        body.end()
        self.assertRaises(MalformedMessage, body.feed, b"x")

    def test_noChunks(self) -> None:
        """
        What does not begin with the size of a chunk, or does not end as its
        chunk should, is refused; and so are trailers that are none.
        """
        for data in (
            b"\r\n",
            b"g\r\n",
            b";a\r\n",
            b"1\nx",
            b"1 \r\n",
            b"0x1\r\n",
            b"1" * 17 + b"\r\n",
            b"1;\0\r\n",
            b"1\r\nxx\r\n",
            b"1\r\nx0\r\n",
            b"0\r\n\r\nx",
            b"0\r\nA\r\n\r\n",
            b"0\r\nA : b\r\n\r\n",
        ):
            for size in (1, 100):
                error = self.assertRaises(
                    MalformedMessage,
                    self.read,
                    bodyReader(None, True),
                    inPieces(data, size),
                )
                self.assertNotIsInstance(error, IncompleteMessage)

    def test_chunkLimits(self) -> None:
        """
        Extensions and trailers have limits, whether whole or in pieces.
        """
        # Less the line end before, which the first chunk lacks.
        extension = b"x" * (MAX_CHUNK_LINE - len(b"\r\n0;\r\n"))
        trailer = b"x" * (MAX_TRAILERS - len(b"\r\nA:\r\n\r\n"))
        for more in (b"", b"x"):
            for data in (
                b"0;" + extension + more + b"\r\n\r\n",
                b"0\r\nA:" + trailer + more + b"\r\n\r\n",
            ):
                for size in (1, 300, 511, len(data)):
                    body, pieces = bodyReader(None, True), inPieces(data, size)
                    if more:
                        self.assertRaises(MalformedMessage, self.read, body, pieces)
                    else:
                        self.assertEqual(self.read(body, pieces), b"")
        # Without the end of the line too.
        self.assertRaises(
            MalformedMessage, bodyReader(None, True).feed, b"1;" + b"x" * MAX_CHUNK_LINE
        )

    def test_bigBody(self) -> None:
        """
        2 MB in chunks of 32 KB come out of pieces of 64 KB as they went in.
        """
        chunk = bytes(range(256)) * 128
        data = (b"8000\r\n" + chunk + b"\r\n") * 64 + b"0\r\n\r\n"
        self.assertEqual(
            self.read(bodyReader(None, True), inPieces(data, 65536)), chunk * 64
        )

    @given(
        st.lists(st.binary(min_size=1, max_size=40), max_size=5),
        st.integers(1, 20),
    )
    def test_anyChunks(self, chunks: list[bytes], size: int) -> None:
        """
        Chunks come out as they went in, whatever they hold and the pieces.
        """
        data = b"".join([b"%X\r\n%b\r\n" % (len(each), each) for each in chunks])
        pieces = inPieces(data + b"0\r\n\r\n", size)
        self.assertEqual(self.read(bodyReader(None, True), pieces), b"".join(chunks))
        pieces[-1] = pieces[-1][:-1]
        self.assertRaises(IncompleteMessage, self.read, bodyReader(None, True), pieces)
