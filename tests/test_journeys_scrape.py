"""
Journeys of one scrape: from Prometheus through proxy and client to a target,
and all the way back.
"""

from __future__ import annotations

import gzip

from tests.journeys import METRICS, PLAIN, Journey, Visit


class ScrapeTests(Journey):
    """
    Targets that are well.
    """

    def setUp(self) -> None:
        """
        All is up.
        """
        super().setUp()
        self.proxy = self.startProxy()
        self.client = self.startClient()
        self.exporter = self.startExporter()
        self.net.pass_(1)

    def test_plain(self) -> None:
        """
        A scrape brings the target's answer, and takes no time but its own.
        """
        reply = self.scrape()
        self.assertMetrics(reply)
        self.assertEqual(reply.took, 0.0)
        self.assertEqual(
            reply.headers[b"content-type"], b"text/plain; version=0.0.4; charset=utf-8"
        )
        self.assertEqual(reply.headers[b"date"], b"Thu, 01 Jan 2026 00:00:00 GMT")
        self.assertEqual(len(self.exporter.requests), 1)

    def test_whatTheTargetSees(self) -> None:
        """
        The target gets the scraper's headers, but none that is for the proxy.
        """
        self.scrape(
            headers=[
                (b"Authorization", b"Basic dDE6c2VjcmV0"),
                (b"Proxy-Authorization", b"Basic cHJveHk6c2VjcmV0"),
                (b"Connection", b"X-Hop"),
                (b"X-Hop", b"1"),
                (b"Id", b"mine"),
            ]
        )
        line, *fields = self.exporter.requests[0].strip().split(b"\r\n")
        self.assertEqual(line, b"GET /metrics HTTP/1.1")
        names = [field.partition(b":")[0].lower() for field in fields]
        self.assertCountEqual(
            names,
            [
                b"host",
                b"user-agent",
                b"accept-encoding",
                b"authorization",
                b"x-prometheus-scrape-timeout-seconds",
            ],
        )

    def test_gzip(self) -> None:
        """
        What the target compressed stays as it is, byte for byte.
        """
        body = gzip.compress(METRICS * 500, mtime=0)
        self.exporter.answer = (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        reply = self.scrape()
        self.assertMetrics(reply, body)
        self.assertEqual(reply.headers[b"content-encoding"], b"gzip")

    def test_chunked(self) -> None:
        """
        A chunked answer arrives whole.
        """
        self.exporter.answer = (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"19\r\n%b\r\n%x;ext=1\r\n%b\r\n0\r\nTrailer: 1\r\n\r\n"
            % (METRICS[:25], len(METRICS) - 25, METRICS[25:])
        )
        self.assertMetrics(self.scrape())

    def test_closeDelimited(self) -> None:
        """
        An answer that the target ends by a clean close is whole.
        """

        def answer(visit: Visit, request: bytes) -> None:
            visit.transport.write(b"HTTP/1.0 200 OK\r\n\r\n" + METRICS)
            visit.transport.loseConnection()

        self.exporter.answer = answer
        self.assertMetrics(self.scrape())

    def test_empty(self) -> None:
        """
        An empty 200 and a 204 stay what they are.
        """
        self.exporter.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        reply = self.scrape()
        self.assertEqual((reply.said, reply.body), ("200 OK", b""))
        self.exporter.answer = b"HTTP/1.1 204 Nothing here\r\nX-A: b\r\n\r\n"
        reply = self.scrape()
        self.assertEqual((reply.said, reply.body), ("204 Nothing here", b""))
        self.assertNotIn(b"content-length", reply.headers)

    def test_errorOfTheTarget(self) -> None:
        """
        The target's own error is passed on with its words.
        """
        self.exporter.answer = (
            b"HTTP/1.1 503 Warming up\r\nContent-Length: 5\r\n\r\nlater"
        )
        reply = self.scrape()
        self.assertEqual((reply.said, reply.body), ("503 Warming up", b"later"))

    def test_head(self) -> None:
        """
        HEAD brings the head alone, with the length that the body would have.
        """
        self.exporter.answer = PLAIN.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        reply = self.scrape(method=b"HEAD")
        self.assertEqual((reply.said, reply.body), ("200 OK", b""))
        self.assertEqual(reply.headers[b"content-length"], b"%d" % len(METRICS))
        self.assertTrue(self.exporter.requests[0].startswith(b"HEAD /metrics "))

    def test_post(self) -> None:
        """
        A POST takes its body to the target.
        """
        self.assertMetrics(self.scrape(method=b"POST", body=b"match[]=up"))
        (request,) = self.exporter.requests
        self.assertTrue(request.startswith(b"POST /metrics HTTP/1.1\r\n"))
        self.assertTrue(request.endswith(b"\r\n\r\nmatch[]=up"))

    def test_redirectWithinTheName(self) -> None:
        """
        A redirect to another port of the same name is followed.
        """
        second = self.startExporter(port=9200)
        self.exporter.answer = (
            b"HTTP/1.1 302 Found\r\nLocation: http://t1:9200/other\r\n"
            b"Content-Length: 0\r\n\r\n"
        )
        self.assertMetrics(self.scrape())
        self.assertTrue(second.requests[0].startswith(b"GET /other HTTP/1.1\r\n"))

    def test_redirectElsewhere(self) -> None:
        """
        A redirect to another name is handed back, and not followed.
        """
        location = b"http://169.254.169.254/secrets"
        self.exporter.answer = (
            b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n"
            % location
        )
        reply = self.scrape()
        self.assertEqual(reply.said, "302 Found")
        self.assertEqual(reply.headers[b"location"], location)

    def test_megabytes(self) -> None:
        """
        A body of some megabytes arrives byte for byte.
        """
        body = bytes(range(256)) * 20000
        self.exporter.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (
            len(body),
            body,
        )
        reply = self.scrape()
        self.assertEqual(reply.said, "200 OK")
        self.assertEqual(reply.body, body)

    def test_manyInARow(self) -> None:
        """
        A hundred scrapes in a row are a hundred requests to the target.
        """
        for _ in range(100):
            self.assertMetrics(self.scrape())
            self.net.pass_(0.1)
        self.assertEqual(len(self.exporter.requests), 100)
        self.assertEqual(self.proxy.metric("pushprox_proxy_requeued_scrapes_total"), 0)

    def test_namesAreAlike(self) -> None:
        """
        A name in capitals, or with a trailing dot, is the same name.
        """
        for name in ("T1", "t1.", "T1."):
            self.assertMetrics(self.scrape(f"http://{name}:9100/metrics"))

    def test_withoutTimeout(self) -> None:
        """
        A scraper that tells no timeout has the proxy's default one.
        """
        self.exporter.answer = None
        reply = self.scrape(timeout=None)
        self.net.pass_(15)
        self.assertTrue(reply.said.startswith("504 "), reply.said)
        self.assertLess(reply.took, 15)
        (request,) = self.exporter.requests
        self.assertIn(b"\r\nX-Prometheus-Scrape-Timeout-Seconds: ", request)


class SpelledClientTests(Journey):
    """
    Clients that spell their own name unusually.
    """

    def test_capitalsAndDot(self) -> None:
        """
        A client that polls as C{T1.} serves C{t1}.
        """
        self.startProxy()
        self.startClient(name="T1.")
        exporter = self.startExporter()
        self.assertMetrics(self.scrape())
        self.assertMetrics(self.scrape("http://t1.:9100/metrics"))
        self.assertEqual(len(exporter.requests), 2)
