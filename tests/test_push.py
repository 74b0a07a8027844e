"""
Tests for L{pushprox.proxy.push}, and for what reaches the scraper of it.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.trial.unittest import SynchronousTestCase

from pushprox.proxy.coordinator import Rules
from tests.internet import Talker
from tests.rigs import (
    OK,
    PUSHED,
    ProxyRig,
    heard,
    idIn,
    pollBytes,
    pushBytes,
    pushRefusal,
    refusal,
)

NOBODY_WAITS = b"nobody waits for this scrape: it is late, or was never given out"


class PushTests(SynchronousTestCase):
    """
    Tests for the pushes.
    """

    def setUp(self) -> None:
        """
        Start a proxy with a scrape in the hands of a client.
        """
        self.rig = ProxyRig(self)
        polling = self.rig.poll()
        self.scraping = self.rig.scrape()
        self.scrapeId = idIn(heard(polling))

    def broken(self, answer: bytes, why: bytes) -> None:
        """
        Check that both sides are told that an answer is broken.

        @param answer: with C{%b} for the id.
        """
        self.assertEqual(
            self.rig.push(answer % self.scrapeId), pushRefusal(b"400 Bad Request", why)
        )
        self.assertBrokeOff(b"The answer of t1 broke off", why)

    def assertBrokeOff(self, reason: bytes, why: bytes) -> None:
        """
        Check that the scraper got a 502 that breaks off as well.
        """
        self.assertEqual(
            heard(self.scraping),
            refusal(b"502 " + reason, b"t1: " + why + b"\n", short=1),
        )
        self.assertIsNotNone(self.scraping.lost)

    def test_newsOfABreak(self) -> None:
        """
        A failure that a client tells of, and that breaks off, is that of a
        target: its reason reaches the scraper, and the client did well.
        """
        news = (
            b"HTTP/1.1 502 Target's answer broke off after 3 bytes\r\n"
            b"Content-Length: 5\r\nId: %b\r\n\r\nwhat"
        )
        self.assertEqual(self.rig.push(news % self.scrapeId), PUSHED)
        self.assertBrokeOff(
            b"Target's answer broke off after 3 bytes",
            b"Target's answer broke off after 3 bytes",
        )

    def test_shortOfLength(self) -> None:
        """
        An answer that is shorter than its length is never a 200.
        """
        self.broken(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nId: %b\r\n\r\nmetric",
            b"the body is 3 bytes short",
        )

    def test_beyondLength(self) -> None:
        """
        Nor is one that is longer.
        """
        self.broken(
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nId: %b\r\n\r\nmetric",
            b"bytes follow the end of the body",
        )

    def test_noLastChunk(self) -> None:
        """
        Nor is one that broke off between two chunks.
        """
        self.broken(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nId: %b\r\n\r\n"
            b"6\r\nmetric\r\n",
            b"the chunked body broke off before its last chunk",
        )

    def test_noTrailer(self) -> None:
        """
        Nor is one that broke off in the last line.
        """
        self.broken(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nId: %b\r\n\r\n"
            b"6\r\nmetric\r\n0\r\n",
            b"the chunked body broke off before its last chunk",
        )

    def test_garbledChunk(self) -> None:
        """
        Nor is one whose chunks make no sense.
        """
        self.broken(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nId: %b\r\n\r\n"
            b"6\r\nmetric\r\nsix\r\n",
            b"no valid chunk size where one should be",
        )

    def test_interim(self) -> None:
        """
        Nor is a status that only announces an answer.
        """
        self.broken(
            b"HTTP/1.1 100 Continue\r\nId: %b\r\n\r\n", b"status 100 is no answer"
        )

    def test_failureWithTooMuch(self) -> None:
        """
        A failure that is followed by more than it announced is no news: only one
        that breaks off is.
        """
        self.broken(
            b"HTTP/1.1 500 Oops\r\nContent-Length: 3\r\nId: %b\r\n\r\nmetric",
            b"bytes follow the end of the body",
        )

    def test_sizeOfAnother(self) -> None:
        """
        One whose push has not the size for it is refused at its head: nothing of
        it is handed on.
        """
        for length, size, why in (
            (9, 8, b"the body is 1 bytes short"),
            (9, 10, b"bytes follow the end of the body"),
        ):
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nId: %b\r\n\r\n"
            answer %= length, self.scrapeId
            push = pushBytes(answer + bytes(size))
            self.assertEqual(
                heard(self.rig.talk(push[:-size])),
                pushRefusal(b"400 Bad Request", why),
            )
            self.assertBrokeOff(b"The answer of t1 broke off", why)
            self.setUp()

    def test_lineBreaks(self) -> None:
        """
        A push whose line breaks before its head is whole is none: the scraper
        learns at its deadline that there was no answer.
        """
        answer = b"HTTP/1.1 200 OK\r\nId: %b\r\n\r\nmetric" % self.scrapeId
        self.rig.hangUp(self.rig.talk(pushBytes(answer)[:-9]))
        self.assertEqual(heard(self.scraping), b"")
        self.rig.net.pass_(4.5)
        self.assertTrue(
            heard(self.scraping).startswith(b"HTTP/1.1 504 t1 did not answer in 4.5 s")
        )

    def test_inChunks(self) -> None:
        """
        A push may come in chunks itself; the scraper is then given its body in
        chunks, if it cannot know the length.
        """
        answer = b"HTTP/1.1 200 OK\r\nId: %b\r\n\r\nmetric" % self.scrapeId
        self.assertEqual(
            self.rig.ask(
                b"POST /push HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"%x\r\n%b\r\n0\r\n\r\n" % (len(answer), answer)
            ),
            PUSHED,
        )
        self.assertEqual(
            heard(self.scraping),
            b"HTTP/1.1 200 OK\r\nDate: now\r\nPushprox-Version: ours\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n6\r\nmetric\r\n0\r\n\r\n",
        )

    def test_ids(self) -> None:
        """
        A push needs exactly one id.
        """
        for ids, count in ((b"", b"0"), (b"Id: %b\r\n" % self.scrapeId * 2, b"2")):
            self.assertEqual(
                self.rig.push(b"HTTP/1.1 200 OK\r\n" + ids + b"\r\nok"),
                pushRefusal(
                    b"400 Bad Request", b"expected one Id header, got " + count
                ),
            )
        self.assertEqual(heard(self.scraping), b"")

    def test_twice(self) -> None:
        """
        The first answer wins; a second is told that nobody waits.
        """
        self.assertEqual(self.rig.push(OK % self.scrapeId), PUSHED)
        self.assertTrue(
            self.rig.push(OK % self.scrapeId).startswith(b"HTTP/1.1 404 Not Found\r\n")
        )
        self.assertTrue(heard(self.scraping).endswith(b"\r\n\r\nok"))

    def test_garbledHead(self) -> None:
        """
        An answer whose head makes no sense belongs to nobody.
        """
        self.assertEqual(
            self.rig.push(b"HTTP/1.1 200 OK\r\nId : %b\r\n\r\nok" % self.scrapeId),
            pushRefusal(b"400 Bad Request", b"header 1 has no valid name"),
        )
        self.assertEqual(heard(self.scraping), b"")


class StreamingTests(SynchronousTestCase):
    """
    Answers that take a while to come.
    """

    def setUp(self) -> None:
        """
        Start a proxy.
        """
        self.rig = ProxyRig(self, Rules(warmup=0.0, receiptWait=1.0))

    def begin(self, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
        """
        Have a client take a scrape that has 100 s to go.

        @return: its id.
        """
        polling = self.rig.poll()
        self.scraping = self.rig.talk(
            b"%b http://t1/ HTTP/%b\r\nHost: t1\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 100.5\r\n\r\n" % (method, version)
        )
        self.scrapeId = idIn(heard(polling))
        self.rig.hangUp(polling)
        return self.scrapeId

    def send(self, head: bytes, rest: bytes, outer: bytes = b"") -> None:
        """
        Push an answer up to some point in it.

        @param head: of the answer, with C{%b} for the id.
        @param rest: how the answer goes on.
        @param outer: how the push is framed, if not by the length of both.
        """
        answer = head % self.begin()
        outer = outer or b"Content-Length: %d" % (len(answer) + len(rest))
        self.pushing = self.rig.talk(
            b"POST /push HTTP/1.1\r\nHost: p\r\n%b\r\n\r\n" % outer
        )
        if outer.startswith(b"Transfer"):
            answer = b"%x\r\n%b\r\n" % (len(answer), answer)
        self.rig.say(self.pushing, answer)

    def assertBroken(self, head: bytes, body: bytes) -> None:
        """
        The scraper was given a reply that breaks off, and the end of its
        connection.
        """
        self.rig.net.settle()
        self.assertEqual(
            heard(self.scraping),
            b"HTTP/1.1 200 OK\r\nDate: now\r\nPushprox-Version: ours\r\n%b\r\n\r\n%b"
            % (head, body),
        )
        self.assertIsNotNone(self.scraping.lost)
        self.assertEqual(
            self.rig.metric("pushprox_proxy_scrapes_total", outcome="broken"), 1
        )
        self.assertEqual(self.rig.metric("pushprox_proxy_scrapes_in_flight"), 0)

    #: An answer, how it goes on, how the push is framed, and how the scraper's
    #: reply is.
    FRAMINGS = (
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nId: %b\r\n\r\nabc",
            b"defghi",
            b"",
            (b"Content-Length: 9", b"abc", b"defghi"),
        ),
        (
            b"HTTP/1.1 200 OK\r\nId: %b\r\n\r\nabc",
            b"defghi",
            b"",
            (b"Content-Length: 9", b"abc", b"defghi"),
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nId: %b\r\n\r\n"
            b"3\r\nabc\r\n6",
            b"\r\ndefghi\r\n0\r\n\r\n",
            b"",
            (
                b"Transfer-Encoding: chunked",
                b"3\r\nabc\r\n",
                b"6\r\ndefghi\r\n0\r\n\r\n",
            ),
        ),
        (
            b"HTTP/1.1 200 OK\r\nId: %b\r\n\r\nabc",
            b"6\r\ndefghi\r\n0\r\n\r\n",
            b"Transfer-Encoding: chunked",
            (
                b"Transfer-Encoding: chunked",
                b"3\r\nabc\r\n",
                b"6\r\ndefghi\r\n0\r\n\r\n",
            ),
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nId: %b\r\n\r\nabc",
            b"6\r\ndefghi\r\n0\r\n\r\n",
            b"Transfer-Encoding: chunked",
            (b"Content-Length: 9", b"abc", b"defghi"),
        ),
    )

    def test_early(self) -> None:
        """
        The scraper is given the head, and what there is of the body, while the
        rest is still to come; then the rest.
        """
        for head, rest, outer, (framing, first, second) in self.FRAMINGS:
            self.send(head, rest, outer)
            self.assertEqual(
                heard(self.scraping),
                b"HTTP/1.1 200 OK\r\nDate: now\r\nPushprox-Version: ours\r\n"
                b"%b\r\n\r\n%b" % (framing, first),
            )
            self.assertEqual(heard(self.pushing), b"")
            self.rig.say(self.pushing, rest)
            self.assertEqual(heard(self.scraping), second)
            self.assertIsNone(self.scraping.lost)
            self.assertEqual(heard(self.pushing), PUSHED)
            self.assertIsNone(self.pushing.lost)
        self.assertEqual(
            self.rig.metric("pushprox_proxy_scrapes_total", outcome="answered"), 5
        )
        self.assertEqual(self.rig.metric("pushprox_proxy_carried_bytes_total"), 45)

    def test_byteByByte(self) -> None:
        """
        However small the pieces of a push are, the scraper gets all.
        """
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nId: %b\r\n\r\nabcdefghi"
        self.pushing = self.rig.talk()
        for byte in pushBytes(answer % self.begin()):
            self.rig.say(self.pushing, bytes([byte]))
        self.assertEqual(heard(self.pushing), PUSHED)
        self.assertTrue(heard(self.scraping).endswith(b"\r\n\r\nabcdefghi"))

    def test_break(self) -> None:
        """
        A push whose line breaks in the body breaks the scraper's reply, however
        either is framed.
        """
        for head, rest, outer, (framing, first, _) in self.FRAMINGS:
            self.rig = ProxyRig(self)
            self.send(head, rest, outer)
            self.rig.hangUp(self.pushing)
            self.assertBroken(framing, first)

    def test_badEnd(self) -> None:
        """
        So does one that goes on or ends otherwise than it may, of which the
        client is told; even where the scraper has all bytes but the last.
        """
        head, outer = self.FRAMINGS[4][0], self.FRAMINGS[4][2]
        chunked = self.FRAMINGS[2][0]
        for answer, framing, rest, why, first in (
            (
                head,
                outer,
                b"7\r\ndefghij\r\n",
                b"bytes follow the end of the body",
                (b"Content-Length: 9", b"abc"),
            ),
            (
                head,
                outer,
                b"6\r\ndefghi\r\n1\r\nj\r\n",
                b"bytes follow the end of the body",
                (b"Content-Length: 9", b"abc"),
            ),
            (
                head,
                outer,
                b"1\r\nd\r\n0\r\n\r\n",
                b"the body is 5 bytes short",
                (b"Content-Length: 9", b"abcd"),
            ),
            (
                chunked,
                b"Content-Length: 999",
                b"six\r\n",
                b"no valid chunk size where one should be",
                (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n"),
            ),
        ):
            self.rig = ProxyRig(self)
            self.send(answer, rest, framing)
            self.rig.say(self.pushing, rest)
            self.assertEqual(heard(self.pushing), pushRefusal(b"400 Bad Request", why))
            self.assertBroken(*first)

    def test_badPush(self) -> None:
        """
        So does one that stops being HTTP.
        """
        head, rest, outer, (framing, first, _) = self.FRAMINGS[3]
        self.send(head, rest, outer)
        self.rig.say(self.pushing, b"six\r\n")
        self.assertIn(b"400 Bad Request", heard(self.pushing))
        self.assertBroken(framing, first)

    def test_oldScraper(self) -> None:
        """
        A scraper of HTTP/1.0 gets a body of unknown length up to the end of its
        connection; if the body breaks off, the connection is reset.
        """
        head, rest, outer, _ = self.FRAMINGS[3]
        for ends in (True, False):
            answer = head % self.begin(version=b"1.0")
            pushing = self.rig.talk(
                b"POST /push HTTP/1.1\r\nHost: p\r\n%b\r\n\r\n%x\r\n%b\r\n"
                % (outer, len(answer), answer)
            )
            if ends:
                self.rig.say(pushing, rest)
            else:
                self.rig.hangUp(pushing)
            received = heard(self.scraping)
            self.assertTrue(received.startswith(b"HTTP/1.0 200 OK\r\n"))
            self.assertIn(b"\r\nConnection: close\r\n\r\nabc", received)
            self.assertEqual(received.endswith(b"abcdefghi"), ends)
            assert self.scraping.lost is not None
            self.assertEqual(self.scraping.lost.check(ConnectionDone) is not None, ends)

    def test_oldScraperThatStays(self) -> None:
        """
        That goes for one that asks to keep its connection, too.
        """
        head, rest, outer, _ = self.FRAMINGS[3]
        answer = head % self.begin(version=b"1.0\r\nConnection: keep-alive")
        pushing = self.rig.talk(
            b"POST /push HTTP/1.1\r\nHost: p\r\n%b\r\n\r\n%x\r\n%b\r\n"
            % (outer, len(answer), answer)
        )
        self.rig.say(pushing, rest)
        self.assertTrue(
            heard(self.scraping).endswith(b"\r\nConnection: close\r\n\r\nabcdefghi")
        )
        self.assertIsNotNone(self.scraping.lost)

    def test_headOfHead(self) -> None:
        """
        An answer to HEAD has no body to wait for; one that brings a body is
        broken.
        """
        for body, reply in (
            (b"", b"HTTP/1.1 200 OK\r\nDate: now\r\n"),
            (b"1\r\nx\r\n", b"HTTP/1.1 502 The answer of t1 broke off\r\n"),
        ):
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nId: %b\r\n\r\n"
            answer %= self.begin(b"HEAD")
            pushing = self.rig.talk(
                b"POST /push HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"%x\r\n%b\r\n" % (len(answer), answer)
            )
            self.rig.say(pushing, body)
            self.assertEqual(heard(self.scraping), b"")
            self.rig.say(pushing, b"0\r\n\r\n")
            self.assertTrue(heard(self.scraping).startswith(reply))

    def test_slowScraper(self) -> None:
        """
        A scraper that does not read makes the client wait, and what the proxy
        holds for it is bounded; that counts as nobody's silence. When it reads
        on, it gets all.
        """
        size = 5_000_000
        body = bytes(range(250)) * (size // 250)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nId: " % size
        self.send(head + b"%b\r\n\r\n", body)
        self.scraping.transport.pauseProducing()
        pushed = 0
        while pushed < size and not self.pushing.transport.peer.paused:
            self.rig.say(self.pushing, body[pushed : pushed + 50_000])
            pushed += 50_000
        self.assertLess(pushed, 300_000)
        self.rig.net.pass_(90)
        self.assertIsNone(self.pushing.lost)
        self.assertEqual(heard(self.pushing), b"")
        self.scraping.transport.resumeProducing()
        self.rig.say(self.pushing, body[pushed:])
        self.assertEqual(heard(self.pushing), PUSHED)
        received = heard(self.scraping)
        self.assertEqual(received.partition(b"\r\n\r\n")[2], body)

    def test_slowClient(self) -> None:
        """
        A client that does not go on while nobody stops it is too slow.
        """
        head, rest, outer, (framing, first, _) = self.FRAMINGS[0]
        self.send(head, rest, outer)
        self.rig.net.pass_(62)
        self.assertTrue(heard(self.pushing).startswith(b"HTTP/1.1 408 "))
        self.assertBroken(framing, first)

    def test_nobodys(self) -> None:
        """
        A push that does not tell in time whose it is is ended, however many bytes
        of its head come.
        """
        push = pushBytes(OK % self.begin())
        at = push.index(b"\r\n\r\n") + 10
        pushing = self.rig.talk(push[:at])
        for _ in range(3):
            self.rig.net.pass_(6)
            at += 1
            self.rig.say(pushing, push[at - 1 : at])
        self.assertIsNone(pushing.lost)
        self.rig.net.pass_(3)
        self.assertTrue(heard(pushing).startswith(b"HTTP/1.1 408 "))
        self.assertIsNotNone(pushing.lost)
        self.assertEqual(
            self.rig.metric("pushprox_http_refused_requests_total", code="408"), 1
        )
        # The scrape waits for another, which has as long as the scrape has.
        head, rest, _, (framing, begins, ends) = self.FRAMINGS[0]
        push = pushBytes(head % self.scrapeId + rest)
        pushing = self.rig.talk(push[: -len(rest)])
        self.rig.net.pass_(40)
        self.rig.say(pushing, rest)
        self.assertEqual(heard(pushing), PUSHED)
        received = heard(self.scraping)
        self.assertTrue(received.endswith(framing + b"\r\n\r\n" + begins + ends))

    def test_endlessOfNobody(self) -> None:
        """
        What goes on after its scraper hung up is not read for ever.
        """
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nId: %b\r\n\r\n"
        self.send(head, b"x" * 1000)
        self.rig.say(self.pushing, b"x")
        self.rig.hangUp(self.scraping)
        self.assertEqual(
            heard(self.pushing), pushRefusal(b"404 Not Found", NOBODY_WAITS)
        )
        for _ in range(4):
            self.rig.net.pass_(1)
            self.rig.say(self.pushing, b"x")
        self.assertIsNone(self.pushing.lost)
        self.rig.net.pass_(2)
        self.assertIsNotNone(self.pushing.lost)

    def test_slowClientOfSlowScraper(self) -> None:
        """
        Once the scraper has caught up, the client has no more time than others.
        """
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nId: %b\r\n\r\n"
        self.send(head, b"x" * 1_000_000)
        self.scraping.transport.pauseProducing()
        self.rig.say(self.pushing, b"x" * 200_000)
        self.assertTrue(self.pushing.transport.peer.paused)
        self.rig.net.pass_(30)
        self.scraping.transport.resumeProducing()
        self.rig.net.settle()
        self.rig.net.pass_(58)
        self.assertEqual(heard(self.pushing), b"")
        self.rig.net.pass_(4)
        self.assertTrue(heard(self.pushing).startswith(b"HTTP/1.1 408 "))

    def test_refusedInItsTurn(self) -> None:
        """
        One that waited as a whole behind a poll is refused once.
        """
        talker = self.rig.talk(pollBytes() + pushBytes(OK % b"nobody"))
        scraping = self.rig.scrape()
        _, _, after = heard(talker).partition(b"\r\n\r\n")
        self.assertTrue(
            after.endswith(b"\r\n\r\n" + pushRefusal(b"404 Not Found", NOBODY_WAITS))
        )
        self.assertIsNone(talker.lost)
        self.rig.hangUp(scraping)

    def test_scraperHangsUp(self) -> None:
        """
        A push whose scraper hangs up is refused, and what still comes of it is
        thrown away.
        """
        head, rest, outer, _ = self.FRAMINGS[0]
        for hangUp in (self.rig.hangUp, lambda t: self.rig.net.cut([t.transport])):
            self.send(head, rest, outer)
            hangUp(self.scraping)
            self.assertEqual(
                heard(self.pushing), pushRefusal(b"404 Not Found", NOBODY_WAITS)
            )
            self.rig.say(self.pushing, rest + pushBytes(OK % b"x"))
            self.assertEqual(
                heard(self.pushing), pushRefusal(b"404 Not Found", NOBODY_WAITS)
            )
        self.assertEqual(
            self.rig.metric("pushprox_proxy_scrapes_total", outcome="cancelled"), 2
        )

    def test_deadline(self) -> None:
        """
        An answer that is not whole at the deadline breaks off there, and the
        client is told.
        """
        head, rest, outer, (framing, first, _) = self.FRAMINGS[0]
        self.send(head, rest, outer)
        self.rig.net.pass_(50)
        self.rig.say(self.pushing, rest[:1])
        self.rig.net.pass_(49.9)
        self.assertIsNone(self.scraping.lost)
        self.rig.net.pass_(0.1)
        self.assertEqual(
            heard(self.pushing), pushRefusal(b"404 Not Found", NOBODY_WAITS)
        )
        self.assertBroken(framing, first + rest[:1])

    def test_deadlineOfSlowScraper(self) -> None:
        """
        A scraper that reads nothing holds nothing for longer than a moment
        after its deadline.
        """
        body = b"x" * 1_000_000
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nId: %b\r\n\r\n"
        self.send(head, body)
        self.scraping.transport.pauseProducing()
        self.rig.say(self.pushing, body[:500_000])
        self.rig.net.pass_(100)
        self.assertIn(b"404 Not Found", heard(self.pushing))
        self.assertIsNone(self.scraping.lost)
        self.rig.net.pass_(7)
        self.scraping.transport.resumeProducing()
        self.rig.net.settle()
        self.assertIsNotNone(self.scraping.lost)

    def test_secondPush(self) -> None:
        """
        While one answer is on its way, another is refused at its head.
        """
        head, rest, outer, (_, _, second) = self.FRAMINGS[0]
        self.send(head, rest, outer)
        heard(self.scraping)
        self.assertEqual(
            self.rig.push(OK % self.scrapeId),
            pushRefusal(b"404 Not Found", NOBODY_WAITS),
        )
        self.rig.say(self.pushing, rest)
        self.assertEqual(heard(self.scraping), second)

    def inChunks(self, answer: bytes) -> Talker:
        """
        Push a whole answer, without the end of the push.
        """
        return self.rig.talk(
            b"POST /push HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"%x\r\n%b\r\n" % (len(answer), answer)
        )

    def test_cutBeforeItsEnd(self) -> None:
        """
        A push that is cut when its answer is whole was none: the client may push
        once more.
        """
        self.rig.hangUp(self.inChunks(OK % self.begin()))
        self.assertEqual(heard(self.scraping), b"")
        self.assertEqual(self.rig.push(OK % self.scrapeId), PUSHED)
        self.assertTrue(heard(self.scraping).endswith(b"\r\n\r\nok"))

    def test_lateEnd(self) -> None:
        """
        An answer that was waited for at its head, and is not any more at its end,
        is refused, be it whole or broken.
        """
        for end in (b"0\r\n\r\n", b"1\r\nx\r\n"):
            pushing = self.inChunks(OK % self.begin())
            self.assertEqual(self.rig.push(OK % self.scrapeId), PUSHED)
            self.rig.say(pushing, end)
            self.assertEqual(
                heard(pushing), pushRefusal(b"404 Not Found", NOBODY_WAITS)
            )

    def test_besideAnother(self) -> None:
        """
        Nor does a broken one disturb another that is on its way by then.
        """
        first = self.inChunks(OK % self.begin())
        head, rest, _, (framing, begins, ends) = self.FRAMINGS[0]
        push = pushBytes(head % self.scrapeId + rest)
        second = self.rig.talk(push[: -len(rest)])
        self.rig.say(first, b"1\r\nx\r\n")
        self.assertEqual(heard(first), pushRefusal(b"404 Not Found", NOBODY_WAITS))
        self.rig.say(second, rest)
        self.assertEqual(heard(second), PUSHED)
        received = heard(self.scraping)
        self.assertTrue(received.endswith(framing + b"\r\n\r\n" + begins + ends))

    def test_refusedAtItsHead(self) -> None:
        """
        A push that nobody waits for is refused as soon as that is known.
        """
        pushing = self.rig.talk(
            b"POST /push HTTP/1.1\r\nHost: p\r\nContent-Length: 10000000\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nId: nobody\r\n\r\n"
        )
        self.assertEqual(heard(pushing), pushRefusal(b"404 Not Found", NOBODY_WAITS))
        self.rig.net.pass_(7)
        self.assertIsNotNone(pushing.lost)

    def test_stop(self) -> None:
        """
        A proxy that stops lets an answer come that has begun to.
        """
        head, rest, outer, (_, _, second) = self.FRAMINGS[0]
        self.send(head, rest, outer)
        heard(self.scraping)
        stopped = self.rig.stop()
        self.assertNoResult(stopped)
        self.rig.say(self.pushing, rest)
        self.assertEqual(heard(self.scraping), second)
        self.successResultOf(stopped)

    def test_receipt(self) -> None:
        """
        An answer that has begun to come is its own receipt: the scrape is given
        to nobody else.
        """
        self.send(*self.FRAMINGS[0][:3])
        other = self.rig.poll(b"t1", b"Pushprox-Instance: other\r\n")
        self.rig.net.pass_(30)
        self.assertEqual(heard(other), b"")
