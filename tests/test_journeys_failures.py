"""
Journeys of scrapes that fail: the scraper sees that they did, why, and in time.
"""

from __future__ import annotations

from tests.internet import End
from tests.journeys import METRICS, PLAIN, Journey, Reply, Visit


class TargetTests(Journey):
    """
    Targets that are not well.
    """

    def setUp(self) -> None:
        """
        All is up but the target.
        """
        super().setUp()
        self.proxy = self.startProxy()
        self.client = self.startClient()
        self.net.pass_(1)

    def test_down(self) -> None:
        """
        A target that refuses the connection is a 502 that says so.
        """
        reply = self.scrape()
        self.net.pass_(1)
        self.assertEqual(reply.said, "502 Target refused the connection")
        self.assertEqual(self.client.metric("pushprox_client_scrape_errors_total"), 1)

    def test_gone(self) -> None:
        """
        A target from which nothing comes back is a 504 before the deadline.
        """
        self.net.blackHoles.add("10.1.0.1")
        reply = self.scrape(timeout="10")
        self.net.pass_(10)
        self.assertEqual(reply.said, "504 Target did not answer in 9 s")
        self.assertLess(reply.took, 9.5)

    def test_slow(self) -> None:
        """
        A target that is too slow is a 504 before the scraper's own deadline, and
        the connection to it is closed.
        """
        exporter = self.startExporter()
        exporter.answer = None
        for timeout in ("0.5", "3", "10", "60"):
            reply = self.scrape(timeout=timeout)
            self.net.pass_(float(timeout))
            self.assertTrue(reply.said.startswith("504 Target did not answer in "))
            self.assertLess(reply.took, float(timeout))
            self.assertFalse(exporter.visits[-1].isOpen)

    def test_garbage(self) -> None:
        """
        A target that does not speak HTTP is a 502 that says so.
        """
        self.startExporter().answer = b"220 mail ESMTP\r\n"
        reply = self.scrape()
        self.assertTrue(
            reply.said.startswith("502 Target did not answer with HTTP"), reply.said
        )

    def test_fiveSecondsOnce(self) -> None:
        """
        A target that takes 5 s is scraped once, and its answer arrives.
        """
        exporter = self.startExporter()
        exporter.delay = 5.0
        reply = self.scrape(timeout="10")
        self.net.pass_(6)
        self.assertMetrics(reply)
        self.assertEqual(reply.took, 5.0)
        self.assertEqual(len(exporter.requests), 1)

    def breakOff(
        self, answer: bytes, reset: bool = False, method: bytes = b"GET"
    ) -> Reply:
        """
        Scrape a target that says this and breaks off.
        """

        def end(line: End) -> None:
            if reset:
                line.abortConnection()
            else:
                line.loseConnection()

        def answerInPart(visit: Visit, request: bytes) -> None:
            visit.transport.write(answer)
            self.net.callLater(1, end, visit.transport)

        exporter = self.startExporter()
        exporter.answer = answerInPart
        reply = self.scrape(method=method)
        self.net.pass_(2)
        return reply

    def test_cutWithLength(self) -> None:
        """
        A body shorter than its length does not arrive as the whole.
        """
        self.assertBrokenAmid(self.breakOff(PLAIN[:-1]))

    def test_cutChunked(self) -> None:
        """
        A chunked body without its end does not arrive as the whole.
        """
        reply = self.breakOff(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"%x\r\n%b\r\n" % (len(METRICS), METRICS)
        )
        self.assertBrokenAmid(reply)

    def test_cutCloseDelimited(self) -> None:
        """
        A body without a length that ends in a reset does not arrive as the whole.
        """
        reply = self.breakOff(b"HTTP/1.1 200 OK\r\n\r\n" + METRICS, reset=True)
        self.assertBrokenAmid(reply)

    def test_cutInTheHead(self) -> None:
        """
        A head that breaks off is a 502 as well.
        """
        reply = self.breakOff(b"HTTP/1.1 200 OK\r\nContent-")
        self.assertBrokenOff(reply, "Target's answer broke off after 0 bytes")

    def test_cutInTheHeadOfHEAD(self) -> None:
        """
        So it is for HEAD, whose reply has no body that could be short.
        """
        reply = self.breakOff(b"HTTP/1.1 200 OK\r\nContent-", method=b"HEAD")
        self.assertEqual(reply.said, "502 Target's answer broke off after 0 bytes")
        self.assertEqual(reply.took, 1.0)

    def test_wrongName(self) -> None:
        """
        Nobody polls for the name: 503 at once, and the name leaves no trace.
        """
        reply = self.scrape("http://unknown:9100/metrics")
        self.assertEqual(reply.said, "503 No PushProx client named unknown")
        self.assertEqual(reply.took, 0.0)
        self.assertEqual(self.proxy.metric("pushprox_proxy_clients"), 1)


class HangUpTests(Journey):
    """
    Scrapers that do not wait for the answer.
    """

    def test_whileQueued(self) -> None:
        """
        A scrape whose scraper hung up before a poll came is never done.
        """
        proxy = self.startProxy(settled=False)
        exporter = self.startExporter()
        reply = self.scrape()
        self.assertEqual(proxy.metric("pushprox_proxy_queued_scrapes"), 1)
        self.hangUp(reply)
        self.assertEqual(proxy.metric("pushprox_proxy_queued_scrapes"), 0)
        self.startClient()
        self.net.pass_(5)
        self.assertEqual(exporter.requests, [])

    def test_whileScraped(self) -> None:
        """
        A hang-up during the scrape leaves nothing in the proxy, the late answer
        is refused, and the next scrape succeeds.
        """
        proxy = self.startProxy()
        client = self.startClient()
        exporter = self.startExporter()
        exporter.delay = 2.0
        reply = self.scrape()
        self.net.pass_(1)
        self.hangUp(reply)
        self.assertEqual(proxy.metric("pushprox_proxy_scrapes_in_flight"), 0)
        self.net.pass_(2)
        self.assertEqual(client.metric("pushprox_client_push_errors_total"), 1)
        self.assertEqual(
            proxy.metric("pushprox_proxy_scrapes_total", outcome="cancelled"), 1
        )
        exporter.delay = 0.0
        self.assertMetrics(self.scrape())

    def test_whileAnswered(self) -> None:
        """
        A scraper that reads no further and hangs up leaves nothing behind.
        """
        proxy = self.startProxy()
        self.startClient()
        body = b"x" * 2**20
        self.startExporter().answer = (
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        self.net.pass_(1)
        reading = self.net.talk("10.0.0.1", 8080)
        reading.transport.pauseProducing()
        reading.transport.write(
            b"GET http://t1:9100/ HTTP/1.1\r\nHost: t1:9100\r\n\r\n"
        )
        self.net.pass_(1)
        self.net.cut([reading.transport])
        self.assertEqual(proxy.metric("pushprox_proxy_scrapes_in_flight"), 0)
