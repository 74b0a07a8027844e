"""
Journeys of answers that take their time: from the exporter through client and
proxy to the scraper, byte by byte, and at the pace of the slowest.
"""

from __future__ import annotations

import attrs

from tests.internet import End
from tests.journeys import Journey, Reply, Visit

HTTP = b"HTTP/1.1 200 OK\r\n"

#: As much as a connection gives at once.
READ = 64 * 1024

#: What a program may hold of a scrape, in bytes.
MOST = 512 * 1024


@attrs.define(eq=False)
class Flood:
    """
    A long body, at the pace of the connection.

    @ivar sent: bytes of it so far.
    """

    transport: End
    size: int
    sent: int = 0

    def resumeProducing(self) -> None:
        """
        Send as much as goes out at once.
        """
        piece = b"x" * min(READ, self.size - self.sent)
        self.sent += len(piece)
        self.transport.write(piece)
        if self.sent == self.size:
            self.transport.unregisterProducer()

    def stopProducing(self) -> None:
        """
        Nobody wants more.
        """


class StreamingTests(Journey):
    """
    Our proxy, our client, and an exporter that the test lets speak.
    """

    def setUp(self) -> None:
        """
        All is up.
        """
        super().setUp()
        self.proxy = self.startProxy()
        self.client = self.startClient()
        self.exporter = self.startExporter()
        self.exporter.answer = None
        self.net.pass_(1)

    def asked(self) -> tuple[Reply, Visit]:
        """
        @return: a scrape at its two ends.
        """
        reply = self.scrape()
        return reply, self.exporter.visits[-1]

    def say(self, visit: Visit, *pieces: bytes) -> None:
        """
        Let the exporter say something.
        """
        for piece in pieces:
            visit.transport.write(piece)
            self.net.settle()

    def test_asItComes(self) -> None:
        """
        The scraper reads what the exporter has said so far, whatever will mark the
        end.
        """
        for head, pieces, end in [
            (b"Content-Length: 5\r\n", [b"up", b" 1\n"], b""),
            (
                b"Transfer-Encoding: chunked\r\n",
                [b"2\r\nup\r\n", b"3\r\n 1\n\r\n"],
                b"0\r\n\r\n",
            ),
            (b"", [b"up", b" 1\n"], None),
        ]:
            reply, visit = self.asked()
            self.say(visit, HTTP + head + b"\r\n", pieces[0])
            self.assertEqual((reply.status, reply.body), (200, b"up"))
            self.net.pass_(3)
            self.assertIsNone(reply.answered)
            self.say(visit, pieces[1])
            self.assertEqual(reply.body, b"up 1\n")
            if end is None:
                visit.transport.loseConnection()
                self.net.settle()
            else:
                self.say(visit, end)
            self.assertMetrics(reply, b"up 1\n")

    def test_breaks(self) -> None:
        """
        A target that dies amid its answer breaks the scraper's off, at once.
        """
        for head, piece in [
            (b"Content-Length: 5\r\n", b"up"),
            (b"Transfer-Encoding: chunked\r\n", b"2\r\nup\r\n"),
            (b"", b"up"),
        ]:
            reply, visit = self.asked()
            self.say(visit, HTTP + head + b"\r\n", piece)
            visit.transport.abortConnection()
            self.net.settle()
            self.assertEqual((reply.status, reply.body), (200, b"up"))
            self.assertIsNotNone(reply.broken)

    def test_stalls(self) -> None:
        """
        One that goes silent amid its answer breaks the scraper's off, before that
        gives up by itself.
        """
        reply, visit = self.asked()
        self.say(visit, HTTP + b"Content-Length: 5\r\n\r\n", b"up")
        self.net.pass_(9.25)
        self.assertEqual(reply.body, b"up")
        self.assertIsNotNone(reply.broken)
        self.assertFalse(visit.isOpen)

    def test_slowScraper(self) -> None:
        """
        A scraper that does not read slows the exporter, and neither program holds
        more than it may; then all arrives.
        """
        reply, visit = self.asked()
        size = 200 * READ
        reply.line.transport.pauseProducing()
        self.say(visit, HTTP + b"Content-Length: %d\r\n\r\n" % size)
        flood = Flood(visit.transport, size)
        visit.transport.registerProducer(flood, False)
        self.net.settle()
        self.assertLess(flood.sent, 2 * MOST)
        self.net.pass_(2)
        self.assertLess(flood.sent, 2 * MOST)
        reply.line.transport.resumeProducing()
        self.net.settle()
        self.assertMetrics(reply, b"x" * size)

    def test_scraperGone(self) -> None:
        """
        Where the scraper hangs up amid the answer, the exporter has to say no more.
        """
        reply, visit = self.asked()
        size = 200 * READ
        reply.line.transport.pauseProducing()
        self.say(visit, HTTP + b"Content-Length: %d\r\n\r\n" % size)
        flood = Flood(visit.transport, size)
        visit.transport.registerProducer(flood, False)
        self.net.settle()
        self.hangUp(reply)
        self.assertFalse(visit.isOpen)
        self.assertLess(flood.sent, 2 * MOST)
        self.assertEqual(self.client.metric("pushprox_client_scrapes_in_hand"), 0)
