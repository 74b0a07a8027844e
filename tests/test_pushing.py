"""
Tests for L{pushprox.client.pushing}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import UNKNOWN_LENGTH

from pushprox.client.arriving import Arriving
from pushprox.client.failures import ScrapeFailed
from pushprox.client.pushing import (
    mustBeHeld,
    pushOf,
    refusalOf,
    shown,
    untaken,
)
from pushprox.framing import IncompleteMessage
from pushprox.headers import Headers
from pushprox.message import Response, ResponseDecoder, ResponseHead


def answered(
    status: int = 200,
    length: int | None = None,
    chunked: bool = False,
    body: bytes = b"",
    whole: bool = True,
    headers: Headers = (),
) -> Arriving:
    """
    @return: an answer of which so much has come.
    """
    answer = Arriving(StringTransport(), lambda error: error)
    exchange: Deferred[None] = Deferred()
    answer.comeBy(exchange)
    answer.headReceived(ResponseHead(status, b"Fine", headers, length, chunked))
    if body:
        answer.bodyReceived(body)
    if whole:
        exchange.callback(None)
    else:
        answer.readEnded()
    return answer


class PushTests(SynchronousTestCase):
    """
    Answers, as they are pushed.
    """

    def pushed(
        self, answer: Arriving, method: bytes = b"GET"
    ) -> tuple[object, list[bytes], bytes]:
        """
        @return: the length of a push, the lines of the head in it, and what comes
            behind those at once.
        """
        body = pushOf(answer, method, b"id-1", 4.5)
        transport = StringTransport()
        body.startProducing(transport)
        head, _, rest = transport.value().partition(b"\r\n\r\n")
        if body.length is not UNKNOWN_LENGTH:
            self.assertEqual(
                body.length - len(head) - 4, len(rest) if answer.whole else 5
            )
        return body.length, head.split(b"\r\n"), rest

    def test_marks(self) -> None:
        """
        A push says which scrape it answers and for how long somebody waits, in
        place of what the target says of that, and leaves the rest as it is.
        """
        headers = (
            (b"X-A", b"1"),
            (b"id", b"id-2"),
            (b"x-prometheus-scrape-timeout-seconds", b"9"),
            (b"x-a", b"2"),
        )
        _, lines, _ = self.pushed(answered(headers=headers))
        self.assertEqual(
            lines,
            [
                b"HTTP/1.1 200 Fine",
                b"Content-Length: 0",
                b"X-A: 1",
                b"x-a: 2",
                b"Id: id-1",
                b"X-Prometheus-Scrape-Timeout-Seconds: 4.5",
            ],
        )

    def test_framing(self) -> None:
        """
        What is whole has a length; what is not has that which the target told, and
        is chunked where it told none.
        """
        for told, chunked, whole, line, rest in [
            (5, False, True, b"Content-Length: 5", b"up 1\n"),
            (None, True, True, b"Content-Length: 5", b"up 1\n"),
            (None, False, True, b"Content-Length: 5", b"up 1\n"),
            (5, False, False, b"Content-Length: 5", b"up"),
            (None, True, False, b"Transfer-Encoding: chunked", b"2\r\nup\r\n"),
            (None, False, False, b"Transfer-Encoding: chunked", b"2\r\nup\r\n"),
        ]:
            body = b"up 1\n" if whole else b"up"
            answer = answered(200, told, chunked, body, whole)
            length, lines, pushed = self.pushed(answer)
            self.assertEqual((lines[1], pushed), (line, rest))
            self.assertEqual(length is UNKNOWN_LENGTH, b"chunked" in line)

    def test_noBody(self) -> None:
        """
        What has no body tells what the target told of one; 204 tells nothing.
        """
        for method, status, told, line in [
            (b"HEAD", 200, 4711, b"Content-Length: 4711"),
            (b"HEAD", 200, None, b"Id: id-1"),
            (b"GET", 304, 4711, b"Content-Length: 4711"),
            (b"GET", 304, None, b"Id: id-1"),
            (b"GET", 204, None, b"Id: id-1"),
        ]:
            _, lines, rest = self.pushed(answered(status, told), method)
            self.assertEqual((lines[1], rest), (line, b""))

    def test_mustBeHeld(self) -> None:
        """
        For the reference an answer is held that is not whole and has no length.
        """
        self.assertTrue(mustBeHeld(answered(whole=False)))
        self.assertTrue(mustBeHeld(answered(chunked=True, whole=False)))
        self.assertFalse(mustBeHeld(answered(length=5, whole=False)))
        self.assertFalse(mustBeHeld(answered(chunked=True)))


class RefusalTests(SynchronousTestCase):
    """
    The news that there is no answer.
    """

    def test_refusal(self) -> None:
        """
        Its reason is ASCII, its text can be anything, and it is marked as answers
        are.
        """
        error = ScrapeFailed(502, "caf\xe9", "t\udcff")
        answer = Response.fromBytes(refusalOf(error, b"GET", b"id-1", 4.5))
        self.assertEqual((answer.head.status, answer.head.reason), (502, b"caf?"))
        self.assertEqual(answer.body, b"Scrape of t? failed: caf?\n")
        self.assertEqual(
            answer.head.headers,
            (
                (b"Content-Type", b"text/plain; charset=utf-8"),
                (b"Id", b"id-1"),
                (b"X-Prometheus-Scrape-Timeout-Seconds", b"4.5"),
            ),
        )

    def test_brokeOff(self) -> None:
        """
        It lacks its last byte where the target's answer lacked something.
        """
        error = ScrapeFailed(502, "oh", brokeOff=True)
        decoder = ResponseDecoder()
        body = decoder.feed(refusalOf(error, b"GET", b"id-1", 4.5))
        self.assertEqual(body, b"oh")
        self.assertRaises(IncompleteMessage, decoder.end)

    def test_head(self) -> None:
        """
        To HEAD there is no body, which could be short.
        """
        for brokeOff in (False, True):
            error = ScrapeFailed(502, "oh", brokeOff=brokeOff)
            octets = refusalOf(error, b"HEAD", b"id-1", 4.5)
            answer = Response.fromBytes(octets, b"HEAD")
            self.assertEqual((answer.head.length, answer.body), (3, b""))


class WordsTests(SynchronousTestCase):
    """
    Texts about what others said.
    """

    def test_untaken(self) -> None:
        """
        What was refused on the way is told, with its length as far as that is
        known; what the proxy itself wanted no more is not.
        """
        size = b"x" * 2000
        refused = "A web server on the way to the proxy refused the target's answer"
        for answer, words in [
            (answered(body=size), "2000 bytes"),
            (answered(length=9000, body=size, whole=False), "9000 bytes"),
            (answered(chunked=True, body=size, whole=False), "over 2000 bytes"),
        ]:
            news = untaken(413, answer)
            assert news is not None
            self.assertEqual((news.status, news.reason), (502, f"{refused} ({words})"))
        news = untaken(400, answered(body=size))
        assert news is not None
        self.assertEqual(
            news.reason, "The proxy could not read the target's answer (2000 bytes)"
        )
        for status in (200, 404, 502, None):
            self.assertIsNone(untaken(status, answered()))

    def test_shown(self) -> None:
        """
        What is logged of a body is short, printable and one line.
        """
        self.assertEqual(shown("a\n\x1b[31mb\ufffd\u2028" + "\n"), "a  [31mb\ufffd")
        self.assertEqual(len(shown("x" * 1000)), 200)
