"""
Tests for L{pushprox.message}.

The literals are what the reference sent on the wire. The properties are held
against h11, which is somebody else's reading of the same RFCs.
"""

from __future__ import annotations

import gzip
from itertools import pairwise

import h11
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pushprox.framing import MAX_HEAD, IncompleteMessage
from pushprox.headers import (
    END_TO_END,
    HOP_BY_HOP,
    Headers,
    MalformedMessage,
    firstHeader,
    without,
)
from pushprox.message import Request, Response, ResponseDecoder, ResponseHead

# What the target of the transcripts answered: 952 bytes.
METRICS = b"# HELP demo_metric A demo.\n# TYPE demo_metric gauge\n" + b"".join(
    [b'demo_metric{i="%d"} %d\n' % (i, i) for i in range(40)]
)

GZIPPED = (
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03e\xd2-OCQ\x10\x84"
    b"a\x7f\x7f\xc5I\xebIg\xa6_W *\x9a \x10\x15\x18"
    b"\x14!p\xd3T4$\x84*\xc2\x7fg\xe7*8#\xcf{"
    b"\xcc>\xd9]\xb6\x87\xe3\xe3\xa9\xbdO\xd7\x8f\x97\xeb\xf4\xf5y"
    b"yk\x87\xf9u7,\xdb\xd3\xf3\xe9\xf8\xef\xeb\xfcz;O"
    b"\xc3\x9f\xf2}\xb9_\xac\x16?m\xd5GTD\x1fY\x91}"
    b"TE\xf5q]q\xdd\xc7M\xc5M\x1f\xb7\x15\xb7}\xdcU"
    b"\xdc\xf5q_q\xdf\xc7\xb1\xe2\x18\xc3\x9b\x844\xcd\xa8P\xc1"
    b",\x84\x0b\x86!d0\ra\x83q\x08\x1d\xccC\xf8` "
    b"B\x08\x13\x11F\x18\x89P\xd2J\x86\x92V2w7//"
    b"\x94\xb4\x92\xa1\xa4\x95\x0c%\xadd(i%CI+\x19J"
    b"Z\xc9P\xd2J\x86RV*\x94\xb2R\xa1\x94\x95\xca\x1b\x9d"
    b"\x8f4\x94\xb2R\xa1\x94\x95\n\xa5\xacT(e\xa5B)+"
    b"\x15JY\xa9q\xf8\x05}\x8d\xe59\xb8\x03\x00\x00"
)

CONTENT_TYPE = (b"Content-Type", b"text/plain; version=0.0.4; charset=utf-8")
DATE = (b"Date", b"Thu, 01 Jan 2026 00:00:00 GMT")


def scrapeHeaders(id: bytes) -> Headers:
    """
    What the reference's proxy makes of the headers of curl.
    """
    return (
        (b"User-Agent", b"curl/7.88.1"),
        (b"Accept", b"*/*"),
        (b"Id", id),
        (b"Proxy-Connection", b"Keep-Alive"),
        (b"X-Prometheus-Scrape-Timeout-Seconds", b"5"),
    )


def pushHeaders(id: bytes, timeout: bytes) -> Headers:
    """
    What the reference's client adds to every answer.
    """
    return ((b"Id", id), (b"X-Prometheus-Scrape-Timeout", timeout))


def outcome(
    pieces: list[bytes], method: bytes = b"GET"
) -> tuple[ResponseHead | None, bytes] | type[Exception]:
    """
    What a decoder makes of a push that comes in these pieces.
    """
    decoder = ResponseDecoder()
    try:
        body = b"".join([decoder.feed(piece) for piece in pieces])
        decoder.end(method)
    except MalformedMessage as error:
        return type(error)
    return decoder.head, body


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """
    Cut bytes into pieces.
    """
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


class RequestTests(SynchronousTestCase):
    """
    Tests for L{Request}.
    """

    def test_reference(self) -> None:
        """
        The scrape that the reference hands to a poll is read (wire/01).
        """
        id = b"b7e61297-bd5b-4161-a5ed-a80975e7fbf7"
        data = (
            b"GET http://t1:19100/plain HTTP/1.1\r\n"
            b"Host: t1:19100\r\n"
            b"User-Agent: curl/7.88.1\r\n"
            b"Accept: */*\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"Proxy-Connection: Keep-Alive\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 5\r\n"
            b"\r\n"
        )
        request = Request.fromBytes(data)
        self.assertEqual(
            request, Request(b"GET", b"http://t1:19100/plain", scrapeHeaders(id))
        )
        self.assertEqual(request.toBytes(), data)

    def test_referencePost(self) -> None:
        """
        The reference's request with a body is read and written (wire/17).
        """
        data = (
            b"POST http://t1:19100/plain HTTP/1.1\r\n"
            b"Host: t1:19100\r\n"
            b"User-Agent: curl/7.88.1\r\n"
            b"Content-Length: 7\r\n"
            b"Accept: */*\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n"
            b"Id: e12e4fa5-568c-4221-bb2e-16700319147d\r\n"
            b"Proxy-Connection: Keep-Alive\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 5\r\n"
            b"\r\n"
            b"a=b&c=d"
        )
        request = Request.fromBytes(data)
        self.assertEqual(request.method, b"POST")
        self.assertEqual(request.body, b"a=b&c=d")
        self.assertEqual(
            [name for name, _ in request.headers],
            [
                b"User-Agent",
                b"Accept",
                b"Content-Type",
                b"Id",
                b"Proxy-Connection",
                b"X-Prometheus-Scrape-Timeout-Seconds",
            ],
        )
        self.assertEqual(request.toBytes(), data)
        for end in range(len(data)):
            self.assertRaises(MalformedMessage, Request.fromBytes, data[:end])
        self.assertRaises(IncompleteMessage, Request.fromBytes, data[:-1])
        self.assertRaises(IncompleteMessage, Request.fromBytes, data[:60])

    def test_referenceBigHeaders(self) -> None:
        """
        The reference's request with 3000 bytes of a header is read (wire/21).
        """
        data = (
            b"GET http://t1:19100/plain HTTP/1.1\r\n"
            b"Host: t1:19100\r\n"
            b"User-Agent: curl/7.88.1\r\n"
            b"Accept: */*\r\n"
            b"Id: efae26ad-cb11-4fc8-b120-90f6e7b1382a\r\n"
            b"Proxy-Connection: Keep-Alive\r\n"
            b"X-Big: " + b"a" * 3000 + b"\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 5\r\n"
            b"\r\n"
        )
        request = Request.fromBytes(data)
        self.assertEqual(firstHeader(request.headers, b"x-big"), b"a" * 3000)
        self.assertEqual(request.toBytes(), data)

    def test_chunkedBody(self) -> None:
        """
        A body that the scraper sent in chunks, as the reference passes it on,
        is read and gets a length.
        """
        data = (
            b"POST http://t1/ HTTP/1.1\r\nHost: t1\r\nTransfer-Encoding: chunked\r\n"
            b"\r\n3\r\na=b\r\n0\r\n\r\n"
        )
        request = Request.fromBytes(data)
        self.assertEqual(request, Request(b"POST", b"http://t1/", (), b"a=b"))
        self.assertEqual(
            request.toBytes(),
            b"POST http://t1/ HTTP/1.1\r\nHost: t1\r\nContent-Length: 3\r\n\r\na=b",
        )
        self.assertRaises(IncompleteMessage, Request.fromBytes, data[:-1])

    def test_ownFraming(self) -> None:
        """
        Host and framing are written from the URL and the body, whatever the
        headers say; the User-Agent comes before the others.
        """
        request = Request(
            b"GET",
            b"HTTP://[::1]:9100?a=%20b&x=\xc3\xa9",
            (
                (b"Accept", b"*/*"),
                (b"host", b"elsewhere"),
                (b"content-length", b"9"),
                (b"Transfer-encoding", b"chunked"),
                (b"user-agent", b"x"),
            ),
        )
        self.assertEqual(
            request.toBytes(),
            b"GET HTTP://[::1]:9100?a=%20b&x=\xc3\xa9 HTTP/1.1\r\n"
            b"Host: [::1]:9100\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n",
        )

    def test_lengthWithoutBody(self) -> None:
        """
        Methods that usually have a body get a length even without one.
        """
        for method in (b"POST", b"PUT", b"PATCH"):
            self.assertEqual(
                Request(method, b"http://t1", ()).toBytes(),
                method + b" http://t1 HTTP/1.1\r\nHost: t1\r\n"
                b"Content-Length: 0\r\n\r\n",
            )

    def test_notARequest(self) -> None:
        """
        What is no request in absolute form is refused, and so is what could be
        understood in two ways.
        """
        good = b"GET http://t1/ HTTP/1.1\r\nHost: t1\r\n\r\n"
        Request.fromBytes(good)
        line = b"GET http://t1/ HTTP/1.1\r\n"
        for data in (
            b"",
            b"\r\n" + good,
            b"garbage",
            b"<html>\r\n<body>503 Service Unavailable</body>\r\n</html>\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nHost: t1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: t1\r\n\r\n",
            b"CONNECT t1:443 HTTP/1.1\r\nHost: t1:443\r\n\r\n",
            b"GET ftp://t1/ HTTP/1.1\r\nHost: t1\r\n\r\n",
            b"GET http:///metrics HTTP/1.1\r\nHost: t1\r\n\r\n",
            b"GET http://u:p@t1/ HTTP/1.1\r\nHost: t1\r\n\r\n",
            b"GET http://t1\\@x/ HTTP/1.1\r\nHost: t1\r\n\r\n",
            b"GET http://t1:x/ HTTP/1.1\r\nHost: t1\r\n\r\n",
            b"GET http://t1/#x HTTP/1.1\r\nHost: t1\r\n\r\n",
            b"GET http://t1/\x7f HTTP/1.1\r\nHost: t1\r\n\r\n",
            b"GET http://t1/ x HTTP/1.1\r\nHost: t1\r\n\r\n",
            b"GET  http://t1/ HTTP/1.1\r\nHost: t1\r\n\r\n",
            b"G:T http://t1/ HTTP/1.1\r\nHost: t1\r\n\r\n",
            b"GET http://t1/ HTTP/1.0\r\nHost: t1\r\n\r\n",
            b"GET http://t1/\r\nHost: t1\r\n\r\n",
            good.replace(b"\r\n", b"\n"),
            good.replace(b"\r\n", b"\r"),
            good + b"x",
            good + good,
            line + b"\r\n",
            line + b"Host: t1\r\nHost: t1\r\n\r\n",
            line + b"Host : t1\r\n\r\n",
            line + b"Host: t1\r\n folded\r\n\r\n",
            line + b"Host: t1\r\n folded: x\r\n\r\n",
            line + b"Host: t1\r\nno colon\r\n\r\n",
            line + b"Host: t1\r\n: nameless\r\n\r\n",
            line + b"Host: t1\r\nA: b\nC: d\r\n\r\n",
            line + b"Host: t1\r\nA: b\rC: d\r\n\r\n",
            line + b"Host: t1\r\nA: b\0\r\n\r\n",
            line + b"Host: t1\nA: b\r\n\r\n",
            line + b"Host: t1\r\nContent-Length: 1\r\n\r\n",
            line + b"Host: t1\r\nContent-Length: 1\r\n\r\nxx",
            line + b"Host: t1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            line + b"Host: t1\r\nTransfer-Encoding: gzip\r\n\r\n",
            line + b"Host: t1\r\nA: " + b"x" * MAX_HEAD + b"\r\n\r\n",
        ):
            error = self.assertRaises(MalformedMessage, Request.fromBytes, data)
            self.assertRegex(str(error), r"\A[\x20-\x7e]{10,200}\Z")

    def test_noInjection(self) -> None:
        """
        No part of a request can hold the end of a line: not even a value of it
        comes to be.
        """
        for nasty in (b"a\r\nB: c", b"a\nb", b"a\rb", b"a\0b"):
            for method, url, headers in (
                (nasty, b"http://t1/", ()),
                (b"GET", b"http://t1/" + nasty, ()),
                (b"GET", b"http://" + nasty, ()),
                (b"GET", b"http://t1/", ((nasty, b"x"),)),
                (b"GET", b"http://t1/", ((b"x", nasty),)),
                (b"GET", b"http://t1/", ((b"x", b"y"), (b"x", nasty + b"\r\n"))),
            ):
                self.assertRaises(MalformedMessage, Request, method, url, headers)
        self.assertRaises(MalformedMessage, Request, b"", b"http://t1/", ())
        self.assertRaises(MalformedMessage, Request, b"GET", b"/metrics", ())

    def test_secretsStayOut(self) -> None:
        """
        An error about a header does not quote its value, nor a folded line.
        """
        for lines in (
            b"Authorization: Bearer secret\0",
            b"Authorization: Bearer\r\n secret",
            b"Authorization: Bearer\r\n secret:x",
        ):
            data = b"GET http://t1/ HTTP/1.1\r\nHost: t1\r\n" + lines + b"\r\n\r\n"
            error = self.assertRaises(MalformedMessage, Request.fromBytes, data)
            self.assertNotIn("secret", str(error))


class ReferencePushTests(SynchronousTestCase):
    """
    What the reference's client pushes.
    """

    def check(
        self,
        data: bytes,
        head: ResponseHead,
        body: bytes,
        method: bytes = b"GET",
    ) -> None:
        """
        Whole, byte by byte and in between, it is read as expected; cut off
        anywhere in the head, it is incomplete; and what is written from it is
        read as the same.
        """
        expected = Response(head, body)
        self.assertEqual(Response.fromBytes(data, method), expected)
        for size in (1, 2, 3, 7, 100):
            pieces = [data[i : i + size] for i in range(0, len(data), size)]
            self.assertEqual(outcome(pieces, method), (head, body))
        for end in range(data.index(b"\r\n\r\n") + 4):
            self.assertIs(outcome([data[:end]], method), IncompleteMessage)
        written = expected.toBytes(method)
        self.assertEqual(Response.fromBytes(written, method), expected)

    def checkLengthCounts(self, data: bytes) -> None:
        """
        Cut off anywhere it is incomplete; with more it is malformed.
        """
        for end in range(len(data)):
            self.assertIs(outcome([data[:end]]), IncompleteMessage)
        self.assertIs(outcome([data + b"x"]), MalformedMessage)
        self.assertIs(outcome([data, b"x"]), MalformedMessage)

    def test_plain(self) -> None:
        """
        An answer with a length (wire/01).
        """
        data = (
            b"HTTP/1.1 200 OK\r\n"
            b"Content-Length: 952\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.997377\r\n"
            b"\r\n" + METRICS
        )
        added = pushHeaders(b"b7e61297-bd5b-4161-a5ed-a80975e7fbf7", b"4.997377")
        head = ResponseHead(200, b"OK", (CONTENT_TYPE, DATE, *added), 952)
        self.check(data, head, METRICS)
        self.assertEqual(Response(head, METRICS).toBytes(), data)
        self.checkLengthCounts(data)

    def test_refused(self) -> None:
        """
        The reference's own error, with its version 0.0 and no length (wire/02).
        """
        text = (
            b"failed to scrape http://t1:19999/metrics: "
            b'Get "http://t1:19999/metrics": '
            b"dial tcp 127.0.0.1:19999: connect: connection refused"
        )
        data = (
            b"HTTP/0.0 500 Internal Server Error\r\n"
            b"Id: 7069ea69-41c7-472a-b66b-9b0cf35c50db\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.999731\r\n"
            b"\r\n" + text
        )
        added = pushHeaders(b"7069ea69-41c7-472a-b66b-9b0cf35c50db", b"4.999731")
        head = ResponseHead(500, b"Internal Server Error", added, None)
        self.check(data, head, text)

    def test_gzipChunked(self) -> None:
        """
        A compressed answer in chunks stays compressed (wire/03).
        """
        data = (
            b"HTTP/1.1 200 OK\r\n"
            b"Transfer-Encoding: chunked\r\n"
            b"Content-Encoding: gzip\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: ceae63ab-b738-4718-9d92-72032e885ed6\r\n"
            b"Vary: Accept-Encoding\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.997603\r\n"
            b"\r\n"
            b"f9\r\n" + GZIPPED + b"\r\n0\r\n\r\n"
        )
        self.assertEqual(len(data), 528)
        headers = (
            (b"Content-Encoding", b"gzip"),
            CONTENT_TYPE,
            DATE,
            (b"Id", b"ceae63ab-b738-4718-9d92-72032e885ed6"),
            (b"Vary", b"Accept-Encoding"),
            (b"X-Prometheus-Scrape-Timeout", b"4.997603"),
        )
        head = ResponseHead(200, b"OK", headers, None, chunked=True)
        self.check(data, head, GZIPPED)
        self.assertEqual(Response(head, GZIPPED).toBytes(), data)
        self.assertEqual(gzip.decompress(GZIPPED), METRICS)
        self.checkLengthCounts(data)

    def test_chunked(self) -> None:
        """
        An answer in one chunk (wire/06).
        """
        data = (
            b"HTTP/1.1 200 OK\r\n"
            b"Transfer-Encoding: chunked\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: 665540d3-d1a6-4e6b-b93e-9ec07a8af8f0\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.998358\r\n"
            b"\r\n"
            b"3b8\r\n" + METRICS + b"\r\n0\r\n\r\n"
        )
        self.assertEqual(len(data), 1185)
        added = pushHeaders(b"665540d3-d1a6-4e6b-b93e-9ec07a8af8f0", b"4.998358")
        head = ResponseHead(200, b"OK", (CONTENT_TYPE, DATE, *added), None, True)
        self.check(data, head, METRICS)
        self.checkLengthCounts(data)

    def test_http10(self) -> None:
        """
        An HTTP/1.0 answer that runs to the end (wire/07).
        """
        data = (
            b"HTTP/1.0 200 OK\r\n"
            b"Connection: close\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: a140270b-e433-48b5-9f8e-8d9531444dfd\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.998244\r\n"
            b"\r\n" + METRICS
        )
        self.assertEqual(len(data), 1164)
        added = pushHeaders(b"a140270b-e433-48b5-9f8e-8d9531444dfd", b"4.998244")
        head = ResponseHead(200, b"OK", (CONTENT_TYPE, DATE, *added), None)
        self.check(data, head, METRICS)

    def test_closeDelimited(self) -> None:
        """
        An HTTP/1.1 answer that runs to the end (wire/08).
        """
        data = (
            b"HTTP/1.1 200 OK\r\n"
            b"Connection: close\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: 46b16690-3a98-49e4-869c-8735dd26fa3d\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.998472\r\n"
            b"\r\n" + METRICS
        )
        self.assertEqual(len(data), 1164)
        added = pushHeaders(b"46b16690-3a98-49e4-869c-8735dd26fa3d", b"4.998472")
        head = ResponseHead(200, b"OK", (CONTENT_TYPE, DATE, *added), None)
        self.check(data, head, METRICS)

    def test_targetError(self) -> None:
        """
        A target's own status and reason come through (wire/09).
        """
        data = (
            b"HTTP/1.1 503 Busy Here\r\n"
            b"Content-Length: 5\r\n"
            b"Content-Type: text/plain\r\n"
            b"Id: 693b10e9-cc47-4d19-a3b8-788266f05b47\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.997624\r\n"
            b"\r\n"
            b"busy\n"
        )
        added = pushHeaders(b"693b10e9-cc47-4d19-a3b8-788266f05b47", b"4.997624")
        headers = ((b"Content-Type", b"text/plain"), *added)
        self.check(data, ResponseHead(503, b"Busy Here", headers, 5), b"busy\n")
        self.checkLengthCounts(data)

    def test_noTimeout(self) -> None:
        """
        The reference's error with minus 292 years left (wire/12).
        """
        data = (
            b"HTTP/0.0 500 Internal Server Error\r\n"
            b"Id: d319a285-fcf6-4196-bc68-ef48c906f0cd\r\n"
            b"X-Prometheus-Scrape-Timeout: -9223372036.854776\r\n"
            b"\r\n"
            b'strconv.ParseFloat: parsing "": invalid syntax'
        )
        added = pushHeaders(
            b"d319a285-fcf6-4196-bc68-ef48c906f0cd", b"-9223372036.854776"
        )
        self.check(
            data,
            ResponseHead(500, b"Internal Server Error", added, None),
            b'strconv.ParseFloat: parsing "": invalid syntax',
        )

    def test_garbageTarget(self) -> None:
        """
        The reference's error about a target that talks nonsense (wire/15).
        """
        text = (
            b'failed to scrape http://t1:19100/garbage: Get "http://t1:19100/garbage": '
            b"net/http: HTTP/1.x transport connection broken: "
            b'malformed HTTP status code "is"'
        )
        data = (
            b"HTTP/0.0 500 Internal Server Error\r\n"
            b"Id: 38872a27-060a-43b1-bb6f-178a661753ab\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.997660\r\n"
            b"\r\n" + text
        )
        self.assertEqual(len(data), 271)
        added = pushHeaders(b"38872a27-060a-43b1-bb6f-178a661753ab", b"4.997660")
        head = ResponseHead(500, b"Internal Server Error", added, None)
        self.check(data, head, text)

    def test_head(self) -> None:
        """
        An answer to HEAD tells a length and has no body (wire/16); the same
        answer to GET is incomplete.
        """
        data = (
            b"HTTP/1.1 200 OK\r\n"
            b"Content-Length: 952\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: dceed7dc-3296-415b-9c3d-b2147501563b\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.997286\r\n"
            b"\r\n"
        )
        added = pushHeaders(b"dceed7dc-3296-415b-9c3d-b2147501563b", b"4.997286")
        head = ResponseHead(200, b"OK", (CONTENT_TYPE, DATE, *added), 952)
        self.check(data, head, b"", b"HEAD")
        self.assertIs(outcome([data]), IncompleteMessage)
        self.assertIs(outcome([data + METRICS], b"HEAD"), MalformedMessage)
        self.assertIs(outcome([data, b"x"], b"HEAD"), MalformedMessage)

    def test_scrapeOfPost(self) -> None:
        """
        An answer to POST is as one to GET (wire/17).
        """
        data = (
            b"HTTP/1.1 200 OK\r\n"
            b"Content-Length: 952\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: e12e4fa5-568c-4221-bb2e-16700319147d\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.998768\r\n"
            b"\r\n" + METRICS
        )
        added = pushHeaders(b"e12e4fa5-568c-4221-bb2e-16700319147d", b"4.998768")
        head = ResponseHead(200, b"OK", (CONTENT_TYPE, DATE, *added), 952)
        self.check(data, head, METRICS, b"POST")

    def test_noContent(self) -> None:
        """
        A 204 has no body, and is whole after its head (wire/18).
        """
        data = (
            b"HTTP/1.1 204 No Content\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: 63c2fc46-dad6-444c-bbcb-0130577aa7ee\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.997111\r\n"
            b"\r\n"
        )
        added = pushHeaders(b"63c2fc46-dad6-444c-bbcb-0130577aa7ee", b"4.997111")
        self.check(data, ResponseHead(204, b"No Content", (DATE, *added), None), b"")
        self.checkLengthCounts(data)

    def test_empty(self) -> None:
        """
        An answer of no bytes, its length being last (wire/19).
        """
        data = (
            b"HTTP/1.1 200 OK\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: a950bf39-e21d-426a-b4cb-80ff4f812c6d\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.998266\r\n"
            b"Content-Length: 0\r\n"
            b"\r\n"
        )
        added = pushHeaders(b"a950bf39-e21d-426a-b4cb-80ff4f812c6d", b"4.998266")
        head = ResponseHead(200, b"OK", (CONTENT_TYPE, DATE, *added), 0)
        self.check(data, head, b"")
        self.checkLengthCounts(data)


class ResponseTests(SynchronousTestCase):
    """
    Tests for L{Response}, L{ResponseHead} and L{ResponseDecoder}.
    """

    def test_reasons(self) -> None:
        """
        The reason may be missing, with or without the space before it, or hold
        any text; statuses have three digits.
        """
        for line, status, reason in (
            (b"HTTP/1.1 200", 200, b""),
            (b"HTTP/1.1 200 ", 200, b""),
            (b"HTTP/1.0 999 \xc3\xa9t\xc3\xa9\tx", 999, b"\xc3\xa9t\xc3\xa9\tx"),
            (b"HTTP/9.9 250 a b  c", 250, b"a b  c"),
        ):
            self.assertEqual(
                Response.fromBytes(line + b"\r\n\r\n").head,
                ResponseHead(status, reason, (), None),
            )

    def test_headersTrimmed(self) -> None:
        """
        White space around a value goes, text beyond ASCII stays.
        """
        data = b"HTTP/1.1 200 OK\r\nA:\t \xff\x80 b \t\r\nB:\r\nC:d\r\n\r\n"
        self.assertEqual(
            Response.fromBytes(data).head.headers,
            ((b"A", b"\xff\x80 b"), (b"B", b""), (b"C", b"d")),
        )

    def test_hopByHopGone(self) -> None:
        """
        What concerned the client's connection to the target is not in the head,
        and the Id is, even if the target tries to hide it.
        """
        data = (
            b"HTTP/1.1 200 OK\r\nConnection: x-hop, id\r\nX-Hop: 1\r\n"
            b"Keep-Alive: 5\r\nId: 1\r\n\r\n"
        )
        self.assertEqual(Response.fromBytes(data).head.headers, ((b"Id", b"1"),))

    def test_malformed(self) -> None:
        """
        What is no response is refused as soon as that is clear, and so is what
        could be understood in two ways.
        """
        ok = b"HTTP/1.1 200 OK\r\n"
        chunked = ok + b"Transfer-Encoding: chunked\r\n\r\n"
        for data in (
            b"garbage",
            b"\r\n\r\n",
            b"\r\n" + ok + b"\r\n",
            b"<html>\r\n<body>",
            b"HTTP/1.1 200 OK\nA: b\n\n",
            b"HTTP/1.1 200 OK\r\nA: b\n\n",
            b"HTTP/1.1 200 OK\nA: b\r\n\r\n",
            b"HTTP/1.1 99 x\r\n\r\n",
            b"HTTP/1.1 099 x\r\n\r\n",
            b"HTTP/1.1 1000 x\r\n\r\n",
            b"HTTP/1.1  200 OK\r\n\r\n",
            b"HTTP/1.1 200OK\r\n\r\n",
            b"HTTP/11 200 OK\r\n\r\n",
            b"HTTP/1.12 200 OK\r\n\r\n",
            b"http/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 O\x00K\r\n\r\n",
            b"HTTP/1.1 200 O\x1bK\r\n\r\n",
            b"HTTP/1.1 200 O\rK\r\n\r\n",
            ok + b"A : b\r\n\r\n",
            ok + b" A: b\r\n\r\n",
            ok + b"A: b\r\n c\r\n\r\n",
            ok + b"A\x80: b\r\n\r\n",
            ok + b"A: b\x01\r\n\r\n",
            ok + b"A: b\x7f\r\n\r\n",
            ok + b"A: b\0\r\n\r\n",
            ok + b"A: b\rc\r\n\r\n",
            ok + b"Connection: b\rc\r\n\r\n",
            ok + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            ok + b"Content-Length: 1\r\ncontent-length: 2\r\n\r\nx",
            ok + b"Content-Length: 1, 1\r\n\r\nx",
            ok + b"Content-Length: +1\r\n\r\nx",
            ok + b"Content-Length: -1\r\n\r\nx",
            ok + b"Content-Length: 1_0\r\n\r\nx",
            ok + b"Content-Length: 0x1\r\n\r\nx",
            ok + b"Content-Length: \r\n\r\n",
            ok + b"Content-Length: " + b"1" * 19 + b"\r\n\r\n",
            ok + b"Content-Length : 1\r\n\r\nx",
            ok + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            ok + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            ok + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            ok + b"Transfer-Encoding: identity\r\n\r\n",
            ok + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            ok + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
            ok + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            chunked + b"\r\n",
            chunked + b"1\nx\r\n0\r\n\r\n",
            chunked + b"1 \r\nx\r\n0\r\n\r\n",
            chunked + b"0x1\r\nx\r\n0\r\n\r\n",
            chunked + b"+1\r\nx\r\n0\r\n\r\n",
            chunked + b"g\r\n",
            chunked + b";a=b\r\n",
            chunked + b"1" * 17 + b"\r\n",
            chunked + b"1;a\0b\r\nx\r\n0\r\n\r\n",
            chunked + b"1;a\nb\r\nx\r\n0\r\n\r\n",
            chunked + b"1\r\nxx\r\n0\r\n\r\n",
            chunked + b"2\r\nx\r\n0\r\n\r\n",
            chunked + b"1\r\nx0\r\n\r\n",
            chunked + b"1\r\nx\n0\r\n\r\n",
            chunked + b"0\r\n\r\nx",
            chunked + b"0\r\nA: b\nC: d\r\n\r\n",
            chunked + b"0\r\nA : b\r\n\r\n",
            chunked + b"0\r\nno trailer\r\n\r\n",
            chunked + b"0\r\nA: b\r\n\r\n" + ok,
            b"HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\nx",
            b"HTTP/1.1 304 Not Modified\r\n\r\nx",
            b"HTTP/1.1 100 Continue\r\n\r\n" + ok + b"\r\n",
        ):
            self.assertIs(outcome([data]), MalformedMessage, data)
            each = [data[i : i + 1] for i in range(len(data))]
            self.assertIs(outcome(each), MalformedMessage, data)
            error = self.assertRaises(MalformedMessage, Response.fromBytes, data)
            self.assertRegex(str(error), r"\A[\x20-\x7e]{10,200}\Z")

    def test_faultStays(self) -> None:
        """
        After an error nothing more passes, and the push has no good end.
        """
        decoder = ResponseDecoder()
        decoder.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        self.assertRaises(MalformedMessage, decoder.feed, b"yz")
        again = self.assertRaises(MalformedMessage, decoder.feed, b"")
        self.assertIn("bytes follow the end", str(again))
        self.assertRaises(MalformedMessage, decoder.end)

    def test_length(self) -> None:
        """
        The length of a body is known by its head, or by the size of a push that
        has no chunks in it.
        """
        for head, size, length in (
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", None, 5),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 999, 5),
            (b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", None, None),
            (b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", 26, 1),
            (b"HTTP/1.1 200 OK\r\n\r\n", 20, 1),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 999, None),
            (b"HTTP/1.1 204 None\r\nContent-Length: 5\r\n\r\n", 999, 0),
        ):
            for pieces in ([head], [bytes([byte]) for byte in head]):
                decoder = ResponseDecoder(size)
                for piece in pieces:
                    self.assertIsNone(decoder.length)
                    decoder.feed(piece)
                self.assertEqual(decoder.length, length)

    def test_whole(self) -> None:
        """
        It is known when nothing more may follow: where the body has a length or
        is in chunks, or the push has a size.
        """
        for answer, size, isWhole in (
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", None, True),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", None, False),
            (b"HTTP/1.1 200 OK\r\n\r\nab", None, False),
            (b"HTTP/1.1 200 OK\r\n\r\nab", 21, True),
            (b"HTTP/1.1 200 OK\r\n\r\nab", 22, False),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"1\r\na\r\n0\r\n\r\n",
                None,
                True,
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n",
                None,
                False,
            ),
            (b"HTTP/1.1 200 OK\r\n", None, False),
        ):
            decoder = ResponseDecoder(size)
            decoder.feed(answer)
            self.assertIs(decoder.whole, isWhole)

    def test_check(self) -> None:
        """
        By its head alone it is known of a push with a size whether the body
        can be whole.
        """
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        for start, more, method, why in (
            (head, 5, b"GET", None),
            (head, None, b"GET", None),
            (head, 4, b"GET", "the body is 1 bytes short"),
            (head, 6, b"GET", "bytes follow the end of the body"),
            (head, 0, b"HEAD", None),
            (head, 5, b"HEAD", "a body follows the head of an answer to HEAD"),
            (chunked, 99, b"GET", None),
        ):
            decoder = ResponseDecoder(None if more is None else len(start) + more)
            decoder.feed(start)
            if why is None:
                decoder.check(method)
            else:
                error = self.assertRaises(MalformedMessage, decoder.check, method)
                self.assertEqual(str(error), why)

    def test_headAsSoonAsWhole(self) -> None:
        """
        The head is there as soon as its last byte is, and the body passes as it
        comes.
        """
        decoder = ResponseDecoder()
        self.assertEqual(decoder.feed(b""), b"")
        self.assertEqual(decoder.feed(b"HTTP/1.1 200 OK\r\n\r"), b"")
        self.assertIsNone(decoder.head)
        self.assertEqual(decoder.feed(b"\nab"), b"ab")
        self.assertEqual(decoder.head, ResponseHead(200, b"OK", (), None))
        self.assertEqual(decoder.feed(b""), b"")
        self.assertEqual(decoder.feed(b"c"), b"c")
        decoder.end()

    def test_headLimit(self) -> None:
        """
        A head has a limit, of 64 KB where no other is given.
        """
        start = b"HTTP/1.1 200 OK\r\nA: "
        for decoder, limit in (
            (ResponseDecoder(), MAX_HEAD),
            (ResponseDecoder(maxHead=100), 100),
        ):
            decoder.feed(start)
            decoder.feed(b"x" * (limit - len(start)))
            error = self.assertRaises(MalformedMessage, decoder.feed, b"x")
            self.assertEqual(str(error), f"the response's head has over {limit} bytes")

    def test_bodyless(self) -> None:
        """
        1xx, 204, 304 and answers to HEAD are whole after the head, whatever it
        says, and keep the length that it tells.
        """
        for framing, length, isChunked in (
            (b"", None, False),
            (b"Content-Length: 7\r\n", 7, False),
            (b"Transfer-Encoding: chunked\r\n", None, True),
        ):
            for status, method in (
                (101, b"GET"),
                (204, b"GET"),
                (304, b"POST"),
                (200, b"HEAD"),
            ):
                head = ResponseHead(status, b"x", (), length, isChunked)
                data = b"HTTP/1.1 %d x\r\n%b\r\n" % (status, framing)
                self.assertEqual(outcome([data], method), (head, b""))
                self.assertIs(outcome([data, b"0"], method), MalformedMessage)
                response = Response(head)
                if status in (101, 204):
                    # RFC 9110 section 8.6: no framing in these.
                    data = b"HTTP/1.1 %d x\r\n\r\n" % status
                self.assertEqual(response.toBytes(method), data)
                self.assertRaises(
                    MalformedMessage, Response(head, b"x").toBytes, method
                )

    def test_neverShort(self) -> None:
        """
        A body that is not what the head announces is not written.
        """
        head = ResponseHead(200, b"OK", (), 5)
        for body in (b"", b"1234", b"123456"):
            error = self.assertRaises(MalformedMessage, Response(head, body).toBytes)
            self.assertEqual(str(error), f"a body of {len(body)} bytes where 5 belong")

    def test_ownFraming(self) -> None:
        """
        A head's framing is written from its length, whatever its headers say.
        """
        head = ResponseHead(
            200,
            b"OK",
            (
                (b"content-length", b"9"),
                (b"A", b"b"),
                (b"Transfer-encoding", b"x"),
                (b"connection", b"close"),
            ),
            2,
        )
        self.assertEqual(
            head.toBytes(), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n\r\n"
        )
        self.assertEqual(
            ResponseHead(200, b"", (), None).toBytes(), b"HTTP/1.1 200 \r\n\r\n"
        )
        self.assertEqual(
            Response(ResponseHead(200, b"OK", (), None, True)).toBytes(),
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        )

    def test_invalidHeads(self) -> None:
        """
        A head that could not be written, or injects a line, does not come to be.
        """
        for status, reason, headers, length, isChunked in (
            (99, b"", (), None, False),
            (1000, b"", (), None, False),
            (200, b"a\r\nB: c", (), None, False),
            (200, b"a\nb", (), None, False),
            (200, b"a\0b", (), None, False),
            (200, b"", ((b"A", b"a\r\nB: c"),), None, False),
            (200, b"", ((b"A\r\nB", b"c"),), None, False),
            (200, b"", ((b"", b"c"),), None, False),
            (200, b"", (), -1, False),
            (200, b"", (), 1, True),
        ):
            self.assertRaises(
                MalformedMessage,
                ResponseHead,
                status,
                reason,
                headers,
                length,
                isChunked,
            )


tokens = st.text(
    "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    min_size=1,
    max_size=12,
).map(str.encode)
texts = (
    st.lists(st.sampled_from([9, *range(0x20, 0x7F), *range(0x80, 0x100)]), max_size=20)
    .map(bytes)
    .map(lambda value: value.strip(b" \t"))
)
# What both sides treat in a way of their own is left to the tables above.
SPECIAL = HOP_BY_HOP | END_TO_END | {b"expect"}
fields = st.tuples(tokens.filter(lambda name: name.lower() not in SPECIAL), texts)
headers = st.lists(fields, max_size=6).map(tuple)
places = st.lists(st.integers(0, 10_000), max_size=8)
bodies = st.binary(max_size=200)
authorities = st.sampled_from([b"t1", b"T1.example.:9100", b"[::1]:80", b"10.0.0.1:"])
paths = st.text("/?:@&=+$,;%-_.!~*'()\\{}|\"<>abcXYZ0189", max_size=20).map(
    lambda path: b"/" + path.encode() if path else b""
)


@st.composite
def responses(draw: st.DrawFn) -> tuple[Response, bytes]:
    """
    A response that may be written, and the method that it answers.
    """
    method = draw(st.sampled_from([b"GET", b"POST", b"HEAD"]))
    status = draw(st.integers(200, 999) | st.sampled_from([200, 204, 304]))
    body = draw(bodies)
    framing = draw(st.sampled_from(["length", "chunked", "end"]))
    length = len(body) if framing == "length" else None
    if method == b"HEAD" or status in (204, 304):
        body = b""
    if status == 204:
        framing, length = "end", None
    head = ResponseHead(
        status, draw(texts), draw(headers), length, framing == "chunked"
    )
    return Response(head, body), method


class OracleTests(SynchronousTestCase):
    """
    What is written here h11 reads, and what h11 writes is read here.
    """

    @given(responses())
    def test_responsesWritten(self, drawn: tuple[Response, bytes]) -> None:
        """
        h11 reads every response that is written as it was meant.
        """
        response, method = drawn
        connection = h11.Connection(h11.CLIENT)
        connection.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        connection.send(h11.EndOfMessage())
        connection.receive_data(response.toBytes(method))
        connection.receive_data(b"")
        head = connection.next_event()
        assert isinstance(head, h11.Response)
        self.assertEqual(head.status_code, response.head.status)
        self.assertEqual(head.reason, response.head.reason)
        received = tuple(head.headers.raw_items())
        self.assertEqual(
            without(received, b"content-length", b"transfer-encoding"),
            response.head.headers,
        )
        length = firstHeader(received, b"content-length")
        self.assertEqual(None if length is None else int(length), response.head.length)
        body = b""
        while isinstance(event := connection.next_event(), h11.Data):
            body += event.data
        self.assertIsInstance(event, h11.EndOfMessage)
        self.assertEqual(body, response.body)
        self.assertIn(connection.next_event(), (h11.PAUSED, h11.ConnectionClosed()))

    @given(
        st.sampled_from([b"GET", b"HEAD"]),
        st.sampled_from([b"1.0", b"1.1"]),
        st.integers(200, 999) | st.sampled_from([204, 304]),
        texts,
        headers,
        st.lists(st.binary(min_size=1, max_size=80), max_size=4),
        st.booleans(),
        places,
    )
    def test_responsesRead(
        self,
        method: bytes,
        version: bytes,
        status: int,
        reason: bytes,
        fields: Headers,
        pieces: list[bytes],
        counted: bool,
        places: list[int],
    ) -> None:
        """
        Every response that h11 writes is read as it was meant, whatever the
        pieces that it comes in.
        """
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(method + b" / HTTP/" + version + b"\r\nHost: x\r\n\r\n")
        connection.next_event()
        connection.next_event()
        body = b"".join(pieces)
        framing = [(b"Content-Length", b"%d" % len(body))] if counted else []
        sent = connection.send(
            h11.Response(status_code=status, reason=reason, headers=[*framing, *fields])
        )
        if method == b"HEAD" or status in (204, 304):
            pieces = []
            body = b""
        for piece in pieces:
            sent += connection.send(h11.Data(data=piece))
        sent += connection.send(h11.EndOfMessage())
        found = outcome(cut(sent, places), method)
        assert isinstance(found, tuple)
        head, content = found
        assert head is not None
        self.assertEqual(content, body)
        self.assertEqual((head.status, head.reason), (status, reason))
        self.assertEqual(head.headers, fields)
        if counted and status != 204:
            self.assertEqual(head.length, int(framing[0][1]))

    @given(
        tokens.filter(lambda method: method.upper() not in (b"CONNECT", b"HEAD")),
        st.sampled_from([b"http://", b"https://", b"HTTP://"]),
        authorities,
        paths,
        headers,
        bodies,
    )
    def test_requests(
        self,
        method: bytes,
        scheme: bytes,
        authority: bytes,
        path: bytes,
        fields: Headers,
        body: bytes,
    ) -> None:
        """
        h11 reads every request that is written as it was meant, and what is
        read here is what was written, but for the order of User-Agent.
        """
        url = scheme + authority + path
        request = Request(method, url, fields, body)
        data = request.toBytes()
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(data)
        head = connection.next_event()
        assert isinstance(head, h11.Request)
        self.assertEqual((head.method, head.target), (method, url))
        received = tuple(head.headers.raw_items())
        self.assertEqual(received[0], (b"Host", authority))
        self.assertEqual(without(received, b"host", b"content-length"), fields)
        content = b""
        while isinstance(event := connection.next_event(), h11.Data):
            content += event.data
        self.assertIsInstance(event, h11.EndOfMessage)
        self.assertEqual(content, body)
        self.assertEqual(connection.trailing_data, (b"", False))
        self.assertEqual(Request.fromBytes(data), request)

    @given(responses(), places)
    def test_roundTrip(self, drawn: tuple[Response, bytes], places: list[int]) -> None:
        """
        A response is read as it was written, whatever the pieces.
        """
        response, method = drawn
        data = response.toBytes(method)
        self.assertEqual(Response.fromBytes(data, method), response)
        self.assertEqual(
            outcome(cut(data, places), method), (response.head, response.body)
        )


nearly = st.lists(
    st.sampled_from(
        [
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 204\r\n",
            b"GET http://t1/ HTTP/1.1\r\n",
            b"Host: t1\r\n",
            b"Content-Length: 3\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Connection: x\r\n",
            b"A: b\r\n",
            b"\r\n",
            b"\r\n\r\n",
            b"\r",
            b"\n",
            b"3\r\nabc\r\n",
            b"0\r\n",
            b"abc",
            b";x",
            b"1",
            b" ",
            b":",
            b"\0",
        ]
    )
    | st.binary(max_size=3),
    max_size=10,
).map(b"".join)


class NonsenseTests(SynchronousTestCase):
    """
    Nothing but a message or its refusal comes of any bytes.
    """

    @given(
        st.binary(max_size=60)
        | nearly
        | nearly.map(lambda n: b"HTTP/1.1 200 OK\r\n" + n),
        places,
        st.sampled_from([b"GET", b"HEAD"]),
    )
    def test_pushes(self, data: bytes, places: list[int], method: bytes) -> None:
        """
        Any bytes are decoded or refused, and the pieces make no difference.
        """
        self.assertEqual(outcome(cut(data, places), method), outcome([data], method))

    @given(
        st.binary(max_size=60)
        | nearly
        | nearly.map(lambda n: b"GET http://t1/ HTTP/1.1\r\nHost: t1\r\n" + n)
    )
    def test_requests(self, data: bytes) -> None:
        """
        Any bytes are a request, which is written as one that reads the same, or
        refused.
        """
        try:
            request = Request.fromBytes(data)
        except MalformedMessage:
            return
        self.assertEqual(Request.fromBytes(request.toBytes()), request)
