"""
Tests for L{pushprox.client.answer}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pushprox.client.answer import Answer, NotHTTP
from pushprox.framing import MAX_HEAD
from pushprox.message import ResponseHead

HTTP = b"HTTP/1.1 200 OK\r\n"


class Pieces:
    """
    A receiver that keeps what it gets.
    """

    def __init__(self) -> None:
        self.heads: list[ResponseHead] = []
        self.pieces: list[bytes] = []

    def headReceived(self, head: ResponseHead) -> None:
        """
        Only one head comes, and it comes before the body.
        """
        assert not self.heads
        assert not self.pieces
        self.heads.append(head)

    def bodyReceived(self, piece: bytes) -> None:
        """
        Only what is not empty is told.
        """
        assert self.heads
        assert piece
        self.pieces.append(piece)

    def readEnded(self) -> None:
        """
        Only an answer that has begun has reads.
        """

    @property
    def body(self) -> bytes:
        """
        The body so far.
        """
        return b"".join(self.pieces)


def read(
    *pieces: bytes, method: bytes = b"GET", end: bool | None = None
) -> tuple[Answer, Pieces]:
    """
    Read an answer.

    @param end: whether the connection then ends cleanly; L{None} if it stays.
    """
    received = Pieces()
    answer = Answer(method, received)
    for piece in pieces:
        answer.feed(piece)
    if end is not None:
        answer.connectionEnded(end)
    return answer, received


CHUNKED = (
    HTTP + b"Transfer-Encoding: chunked\r\n\r\n"
    b"3;extension=1\r\nab \r\nA\r\n1234567890\r\n0\r\nDigest: x\r\n\r\n"
)


class FramingTests(SynchronousTestCase):
    """
    Where an answer ends.
    """

    def test_length(self) -> None:
        """
        An answer with a length is whole at its last byte, and not before.
        """
        data = HTTP + b"Content-Length: 5\r\n\r\nhell"
        answer, received = read(data, end=True)
        self.assertFalse(answer.whole)
        self.assertEqual(answer.received, 4)
        answer, received = read(data + b"o")
        self.assertTrue(answer.whole)
        self.assertTrue(answer.reusable)
        self.assertEqual(received.body, b"hello")
        self.assertEqual(received.heads, [ResponseHead(200, b"OK", (), 5)])

    def test_empty(self) -> None:
        """
        An answer of length 0 is whole with its head.
        """
        answer, received = read(HTTP + b"Content-Length: 0\r\n\r\n")
        self.assertTrue(answer.whole)
        self.assertEqual(received.pieces, [])

    def test_chunked(self) -> None:
        """
        Chunks are put together; extensions and trailers are dropped.
        """
        answer, received = read(CHUNKED)
        self.assertTrue(answer.whole)
        self.assertTrue(answer.reusable)
        self.assertEqual(received.body, b"ab 1234567890")
        self.assertEqual(received.heads, [ResponseHead(200, b"OK", (), None, True)])

    def test_chunkedNotEnded(self) -> None:
        """
        Without its last chunk, or the empty line after it, an answer in chunks
        is not whole, however the connection ended.
        """
        for size in range(1, len(CHUNKED)):
            self.assertFalse(read(CHUNKED[:size], end=True)[0].whole, size)

    def test_endsWithConnection(self) -> None:
        """
        Without length or chunks, an answer is whole when the target closes the
        connection, and not if that was torn.
        """
        for version in (b"HTTP/1.0", b"HTTP/1.1"):
            data = version + b" 200 OK\r\nServer: x\r\n\r\n"
            answer, received = read(data, b"he", b"llo")
            self.assertFalse(answer.whole)
            self.assertEqual(received.pieces, [b"he", b"llo"])
            self.assertEqual(
                received.heads,
                [ResponseHead(200, b"OK", ((b"Server", b"x"),), None)],
            )
            answer.connectionEnded(False)
            self.assertFalse(answer.whole)
            answer.connectionEnded(True)
            self.assertTrue(answer.whole)
            self.assertFalse(answer.reusable)

    def test_headNotEnded(self) -> None:
        """
        A connection that ends within the head does not end an answer.
        """
        data = HTTP + b"Server: x\r\n\r\n"
        for size in range(1, len(data)):
            self.assertFalse(read(data[:size], end=True)[0].whole, size)

    def test_noBody(self) -> None:
        """
        204 and 304 are whole with their heads, whatever those announce.
        """
        for head in [
            b"HTTP/1.1 204 No Content\r\n",
            b"HTTP/1.1 304 Not Modified\r\n",
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n",
            b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n",
        ]:
            answer, received = read(head + b"\r\n")
            self.assertTrue(answer.whole)
            self.assertTrue(answer.reusable)
            self.assertFalse(received.heads[0].chunked)
            self.assertEqual(received.heads[0].length, 9 if b"9" in head else None)

    def test_head(self) -> None:
        """
        An answer to HEAD tells the length of the body that it lacks. Nothing
        that follows on the connection is read.
        """
        for framing, length in [
            (b"Content-Length: 7\r\n", 7),
            (b"Content-Length: 0\r\n", 0),
            (b"Transfer-Encoding: chunked\r\n", None),
            (b"", None),
        ]:
            for rest in [b"", b"surplus", b"3\r\nabc\r\n0\r\n\r\n", HTTP + b"\r\n"]:
                answer, received = read(HTTP + framing + b"\r\n" + rest, method=b"HEAD")
                self.assertTrue(answer.whole)
                self.assertFalse(answer.reusable)
                self.assertEqual(received.heads, [ResponseHead(200, b"OK", (), length)])
                self.assertEqual(received.body, b"")

    def test_interim(self) -> None:
        """
        Interim answers are skipped, with their headers.
        """
        interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
        answer, received = read(interim)
        self.assertFalse(answer.whole)
        self.assertEqual(received.heads, [])
        answer.feed(HTTP + b"Content-Length: 1\r\n\r\nx")
        self.assertTrue(answer.whole)
        self.assertTrue(answer.reusable)
        self.assertEqual(received.heads, [ResponseHead(200, b"OK", (), 1)])

    def test_anyPieces(self) -> None:
        """
        How the bytes are cut changes nothing.
        """
        data = (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nA: b\r\n"
            + CHUNKED.partition(b"\r\n")[2]
        )
        _, whole = read(data)
        self.assertEqual(
            whole.heads, [ResponseHead(404, b"Not Found", ((b"A", b"b"),), None, True)]
        )
        for step in (1, 2, 3, 7):
            answer, received = read(
                *[data[at : at + step] for at in range(0, len(data), step)]
            )
            self.assertTrue(answer.whole)
            self.assertEqual(received.heads, whole.heads)
            self.assertEqual(received.body, whole.body)

    def test_lineFeeds(self) -> None:
        """
        Lines of the head may end with LF alone, as they do in small exporters.
        """
        answer, received = read(b"HTTP/1.1 200 OK\nA: b\nContent-Length: 1\n\nx")
        self.assertTrue(answer.whole)
        self.assertEqual(received.heads, [ResponseHead(200, b"OK", ((b"A", b"b"),), 1)])


class ReuseTests(SynchronousTestCase):
    """
    Whether another request may follow.
    """

    def test_persistence(self) -> None:
        """
        HTTP/1.1 persists unless the answer says close, HTTP/1.0 only if it says
        keep-alive (RFC 9112 section 9.3).
        """
        for version, options, reusable in [
            (b"1.1", b"", True),
            (b"1.1", b"Connection: close\r\n", False),
            (b"1.1", b"Connection: Foo, CLOSE\r\n", False),
            (b"1.0", b"", False),
            (b"1.0", b"Connection: Keep-Alive\r\n", True),
        ]:
            answer, _ = read(
                b"HTTP/%b 200 OK\r\n%bContent-Length: 1\r\n\r\nx" % (version, options)
            )
            self.assertTrue(answer.whole)
            self.assertEqual(answer.reusable, reusable, (version, options))

    def test_surplus(self) -> None:
        """
        What follows the end of an answer belongs to nobody: the answer stays as
        it is, and the connection is not used again.
        """
        for surplus in [
            b"x",
            b"HTTP/1.1 500 Oops\r\nA: b\r\nContent-Length: 1\r\n\r\nx",
            b"HTTP/1.1 101 Up\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx",
            b"HTTP/1.1 500 Oops\r\nA: " + b"b" * MAX_HEAD + b"\r\n\r\n",
        ]:
            answer, received = read(
                HTTP + b"Content-Length: 5\r\n\r\nhello" + surplus, end=True
            )
            self.assertTrue(answer.whole)
            self.assertFalse(answer.reusable)
            self.assertEqual(received.heads, [ResponseHead(200, b"OK", (), 5)])
            self.assertEqual(received.body, b"hello")


class HeadTests(SynchronousTestCase):
    """
    What is told of the head.
    """

    def test_asWritten(self) -> None:
        """
        Reason and headers come as the target wrote them and in its order, less
        white space around values and what ends at this hop.
        """
        _, received = read(
            b"HTTP/1.1 207 Fein, \xfcberaus\r\n"
            b"X-B: 2 \t\r\nx-a:1\r\nX-B:\r\n"
            b"Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
            b"Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"
        )
        self.assertEqual(
            received.heads,
            [
                ResponseHead(
                    207,
                    b"Fein, \xfcberaus",
                    (
                        (b"X-B", b"2"),
                        (b"x-a", b"1"),
                        (b"X-B", b""),
                        (b"Content-Encoding", b"gzip"),
                    ),
                    1,
                )
            ],
        )

    def test_noReason(self) -> None:
        """
        The reason phrase may be missing.
        """
        for line in (b"HTTP/1.1 200\r\n", b"HTTP/1.1 200 \r\n"):
            _, received = read(line + b"Content-Length: 0\r\n\r\n")
            self.assertEqual(received.heads, [ResponseHead(200, b"", (), 0)])

    def test_upgradeOffered(self) -> None:
        """
        A target may offer other protocols, as Apache does.
        """
        answer, received = read(
            HTTP + b"Upgrade: h2\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\nx"
        )
        self.assertTrue(answer.whole)
        self.assertEqual(received.heads, [ResponseHead(200, b"OK", (), 1)])


class StrictTests(SynchronousTestCase):
    """
    What is no answer.
    """

    def test_refused(self) -> None:
        """
        What two readers could understand in two ways, or is not HTTP/1.1 or
        HTTP/1.0, is refused, however it is cut.
        """
        for data in [
            b"hello\n",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"\x15\x03\x01\x00\x02\x02\x0a",
            b"<html></html>",
            b"HTTP/0.9 200 OK\r\n\r\n",
            b"HTTP/2.0 200 OK\r\n\r\n",
            b"HTTP/1.1 OK\r\n\r\n",
            b"HTTP/1.1 099 OK\r\n\r\n",
            b"HTTP/1.1 200 O\x01K\r\n\r\n",
            b"HTTP/1.1 101 Up\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx",
            b"HTTP/1.1 101 Up\r\n\r\n",
            HTTP + b"A : b\r\n\r\n",
            HTTP + b"A: b\r\n folded\r\n\r\n",
            HTTP + b"A: b\x00\r\n\r\n",
            HTTP + b"no colon\r\n\r\n",
            HTTP + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            HTTP + b"Content-Length: 5, 6\r\n\r\nhello",
            HTTP + b"Content-Length: -5\r\n\r\nhello",
            HTTP + b"Content-Length:\r\n\r\nhello",
            HTTP + b"Content-Length: 1%b\r\n\r\nhello" % (b"0" * 18),
            HTTP + b"Content-Length: %b5\r\n\r\nhello" % (b"0" * 5000),
            HTTP + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            HTTP + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
            HTTP + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
            HTTP + b"Transfer-Encoding: chunked, gzip\r\n\r\n",
            HTTP + b"Transfer-Encoding: identity\r\n\r\n",
            HTTP + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            HTTP + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
            HTTP + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
        ]:
            self.assertRaises(NotHTTP, read, data)
            self.assertRaises(NotHTTP, read, *[bytes([byte]) for byte in data])

    def test_otherProtocol(self) -> None:
        """
        A target that changes to another protocol, or begins with one, is told
        from one that makes no sense.
        """
        for data in [
            b"HTTP/2.0 200 OK\r\n\r\n",
            b"HTTP/1.1 101 Up\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx",
        ]:
            error = self.assertRaises(NotHTTP, read, data)
            self.assertEqual(str(error), "another protocol than HTTP/1.1")

    def test_longHead(self) -> None:
        """
        A head may have 64 KiB, in one header or in many, in one piece or in
        many, finished or not.
        """
        most = MAX_HEAD - len(b"A: \r\n")
        answer, _ = read(
            HTTP + b"A: " + b"x" * (most - 60) + b"\r\nContent-Length: 0\r\n\r\n"
        )
        self.assertTrue(answer.whole)
        for data in [
            HTTP + b"A: " + b"x" * (most + 1) + b"\r\n\r\n",
            HTTP + b"A: x\r\n" * (MAX_HEAD // 6 + 1) + b"\r\n",
            HTTP + b"A: x\r\n" * (MAX_HEAD // 6) + b"Content-Length: 0\r\n\r\n",
            HTTP + b"A: " + b"x" * MAX_HEAD,
            b"HTTP/1.1 200 " + b"O" * MAX_HEAD,
            b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_HEAD // 25 + 1),
        ]:
            self.assertRaises(NotHTTP, read, data)
            half = len(data) // 2
            self.assertRaises(NotHTTP, read, data[:half], data[half:])

    def test_longTrailers(self) -> None:
        """
        Trailers and chunk extensions are as limited as a head.
        """
        chunked = HTTP + b"Transfer-Encoding: chunked\r\n\r\n"
        for rest in [
            b"0\r\n" + b"A: x\r\n" * (MAX_HEAD // 6 + 1),
            b"0\r\nA: " + b"x" * MAX_HEAD,
            b"1;" + b"x" * MAX_HEAD,
        ]:
            self.assertRaises(NotHTTP, read, chunked, rest)

    def test_longBody(self) -> None:
        """
        A body is not limited, and pays for no header.
        """
        length = 3 * MAX_HEAD
        piece = b"x" * 16384
        answer, received = read(
            HTTP + b"Content-Length: %d\r\n\r\n" % length, *[piece] * (length // 16384)
        )
        self.assertTrue(answer.whole)
        self.assertEqual(len(received.body), length)

    def test_receiverFails(self) -> None:
        """
        An error of the receiver is its own, and not the target's.
        """

        class Broken(Pieces):
            def bodyReceived(self, piece: bytes) -> None:
                raise ZeroDivisionError

        answer = Answer(b"GET", Broken())
        self.assertRaises(
            ZeroDivisionError, answer.feed, HTTP + b"Content-Length: 1\r\n\r\nx"
        )
