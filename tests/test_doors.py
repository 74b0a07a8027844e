"""
Tests for L{pushprox.proxy.doors}.

Most are conversations that were recorded between the programs of the
reference, curl and Prometheus: what clients and scrapers say is played back to
the byte, but for the ids of scrapes, which the proxy makes up anew.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request

from pushprox.message import ResponseHead
from pushprox.proxy.coordinator import Rules
from pushprox.proxy.delivery import Delivery
from pushprox.proxy.doors import Door
from pushprox.proxy.poll import PollDoor
from pushprox.proxy.scrape import ScrapeDoor, Timeouts
from pushprox.site import Site
from tests.internet import Internet, Talker
from tests.rigs import (
    PUSHED,
    ProxyRig,
    closing,
    heard,
    idIn,
    pushRefusal,
    refusal,
)

#: A poll of a client of the reference.
POLL = (
    b"POST /poll HTTP/1.1\r\n"
    b"Host: 127.0.0.1:18081\r\n"
    b"User-Agent: Go-http-client/1.1\r\n"
    b"Content-Length: 2\r\n"
    b"Content-Type: \r\n"
    b"Accept-Encoding: gzip\r\n"
    b"\r\n"
    b"t1"
)

#: The head of a push of a client of the reference, but for the length.
PUSH = (
    b"POST /push HTTP/1.1\r\n"
    b"Host: 127.0.0.1:18081\r\n"
    b"User-Agent: Go-http-client/1.1\r\n"
    b"Content-Length: %d\r\n"
    b"Accept-Encoding: gzip\r\n"
    b"\r\n"
)


#: The head of the reply to a poll, but for the length.
INSTRUCTION = (
    b"HTTP/1.1 200 OK\r\n"
    b"Server: pushprox/ours\r\n"
    b"Date: now\r\n"
    b"Pushprox-Version: ours\r\n"
    b"Pushprox-Max-Polls: 16\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\n\r\n"
)

#: Stands for the id of any scrape.
ID = b"b7e61297-bd5b-4161-a5ed-a80975e7fbf7"

#: The metrics of the target.
DEMO = b"# HELP demo_metric A demo.\n# TYPE demo_metric gauge\n" + b"".join(
    b'demo_metric{i="%d"} %d\n' % (number, number) for number in range(40)
)

#: The same, compressed.
GZIPPED = (
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03e\xd2-OCQ\x10\x84a\x7f\x7f\xc5I\xebIg"
    b"\xa6_W *\x9a \x10\x15\x18\x14!p\xd3T4$\x84*\xc2\x7fg\xe7*8#\xcf{\xcc>\xd9]"
    b"\xb6\x87\xe3\xe3\xa9\xbdO\xd7\x8f\x97\xeb\xf4\xf5yyk\x87\xf9u7,\xdb\xd3\xf3"
    b"\xe9\xf8\xef\xeb\xfcz;O\xc3\x9f\xf2}\xb9_\xac\x16?m\xd5GTD\x1fY\x91}TE\xf5q]q"
    b"\xdd\xc7M\xc5M\x1f\xb7\x15\xb7}\xdcU\xdc\xf5q_q\xdf\xc7\xb1\xe2\x18\xc3\x9b"
    b"\x844\xcd\xa8P\xc1,\x84\x0b\x86!d0\ra\x83q\x08\x1d\xccC\xf8` B\x08\x13\x11F"
    b"\x18\x89P\xd2J\x86\x92V2w7//\x94\xb4\x92\xa1\xa4\x95\x0c%\xadd(i%CI+\x19JZ"
    b"\xc9P\xd2J\x86RV*\x94\xb2R\xa1\x94\x95\xca\x1b\x9d\x8f4\x94\xb2R\xa1\x94\x95"
    b"\n\xa5\xacT(e\xa5B)+\x15JY\xa9q\xf8\x05}\x8d\xe59\xb8\x03\x00\x00"
)


class RecordedTests(SynchronousTestCase):
    """
    Conversations of the reference's programs, played back to this proxy.
    """

    def setUp(self) -> None:
        """
        Start a proxy that knows no client.
        """
        self.rig = ProxyRig(self)
        self.polling: Talker | None = None
        self.pushing: Talker | None = None
        self.scraping: Talker | None = None

    def play(
        self,
        scrape: bytes,
        instruction: bytes,
        push: bytes,
        reply: bytes,
    ) -> None:
        """
        Play a scrape: the client has a line for its polls and one for its
        pushes, and polls again before it scrapes its target.

        @param instruction: the request that the client must be given.
        @param push: what the client then says.
        @param reply: what the scraper must be given.
        """
        rig = self.rig
        if self.polling is None:
            self.polling = rig.talk(POLL)
        if self.scraping is None:
            self.scraping = rig.talk(scrape)
        else:
            rig.say(self.scraping, scrape)
        given = heard(self.polling)
        id = idIn(given)
        self.assertEqual(
            given.replace(id, ID), INSTRUCTION % len(instruction) + instruction
        )
        rig.say(self.polling, POLL)
        push = push.replace(ID, id)
        if self.pushing is None:
            self.pushing = rig.talk(push)
        else:
            rig.say(self.pushing, push)
        self.assertEqual(heard(self.pushing), PUSHED)
        self.assertEqual(heard(self.scraping), reply)

    def playCurl(self, path: bytes, push: bytes, reply: bytes) -> None:
        """
        Play a scrape of curl, with 5 s to go, of a path of the target.
        """
        self.play(
            b"GET http://t1:19100" + path + b" HTTP/1.1\r\n"
            b"Host: t1:19100\r\n"
            b"User-Agent: curl/7.88.1\r\n"
            b"Accept: */*\r\n"
            b"Proxy-Connection: Keep-Alive\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 5\r\n"
            b"\r\n",
            b"GET http://t1:19100" + path + b" HTTP/1.1\r\n"
            b"Host: t1:19100\r\n"
            b"User-Agent: curl/7.88.1\r\n"
            b"Accept: */*\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 4.5\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"\r\n",
            push,
            reply,
        )

    def test_success(self) -> None:
        """
        The target's answer reaches the scraper with its headers and its body,
        and without the Id and the timeout that the client wrote into it.
        """
        self.playCurl(
            b"/plain",
            PUSH % 1166 + b"HTTP/1.1 200 OK\r\n"
            b"Content-Length: 952\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.997377\r\n"
            b"\r\n" + DEMO,
            b"HTTP/1.1 200 OK\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Content-Length: 952\r\n"
            b"\r\n" + DEMO,
        )

    def test_refused(self) -> None:
        """
        An error of the client itself, which comes as HTTP/0.0 and without a
        length, reaches the scraper as the 500 that it is, with its text.
        """
        text = (
            b'failed to scrape http://t1:19999/metrics: Get "http://t1:19999/metrics":'
            b" dial tcp 127.0.0.1:19999: connect: connection refused"
        )
        self.play(
            b"GET http://t1:19999/metrics HTTP/1.1\r\n"
            b"Host: t1:19999\r\n"
            b"User-Agent: curl/7.88.1\r\n"
            b"Accept: */*\r\n"
            b"Proxy-Connection: Keep-Alive\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 5\r\n"
            b"\r\n",
            b"GET http://t1:19999/metrics HTTP/1.1\r\n"
            b"Host: t1:19999\r\n"
            b"User-Agent: curl/7.88.1\r\n"
            b"Accept: */*\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 4.5\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"\r\n",
            PUSH % 245 + b"HTTP/0.0 500 Internal Server Error\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.999731\r\n"
            b"\r\n" + text,
            b"HTTP/1.1 500 Internal Server Error\r\n"
            b"Date: now\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Content-Length: 126\r\n\r\n" + text,
        )

    def test_gzipChunked(self) -> None:
        """
        A compressed body in chunks reaches the scraper as it is, with a length.
        """
        self.play(
            b"GET http://t1:19100/gzchunk HTTP/1.1\r\n"
            b"Host: t1:19100\r\n"
            b"User-Agent: curl/7.88.1\r\n"
            b"Accept: */*\r\n"
            b"Proxy-Connection: Keep-Alive\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 5\r\n"
            b"Accept-Encoding: gzip\r\n"
            b"\r\n",
            b"GET http://t1:19100/gzchunk HTTP/1.1\r\n"
            b"Host: t1:19100\r\n"
            b"User-Agent: curl/7.88.1\r\n"
            b"Accept: */*\r\n"
            b"Accept-Encoding: gzip\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 4.5\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"\r\n",
            PUSH % 528 + b"HTTP/1.1 200 OK\r\n"
            b"Transfer-Encoding: chunked\r\n"
            b"Content-Encoding: gzip\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"Vary: Accept-Encoding\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.997603\r\n"
            b"\r\n"
            b"f9\r\n" + GZIPPED + b"\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Content-Encoding: gzip\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Vary: Accept-Encoding\r\n"
            b"Content-Length: 249\r\n"
            b"\r\n" + GZIPPED,
        )

    def test_gzipChunkedUnasked(self) -> None:
        """
        What the client decompressed, for a scraper that did not ask for gzip,
        reaches it so, though the Vary of the target stands there still.
        """
        self.playCurl(
            b"/gzchunk",
            PUSH % 1208 + b"HTTP/1.1 200 OK\r\n"
            b"Transfer-Encoding: chunked\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"Vary: Accept-Encoding\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.997654\r\n"
            b"\r\n"
            b"3b8\r\n" + DEMO + b"\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Vary: Accept-Encoding\r\n"
            b"Content-Length: 952\r\n"
            b"\r\n" + DEMO,
        )

    def test_gzipWithLengthUnasked(self) -> None:
        """
        A push that has neither a length nor chunks inside runs to its end.
        """
        self.playCurl(
            b"/gzcl",
            PUSH % 1145 + b"HTTP/1.1 200 OK\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.998039\r\n"
            b"\r\n" + DEMO,
            b"HTTP/1.1 200 OK\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Content-Length: 952\r\n"
            b"\r\n" + DEMO,
        )

    def test_chunkedPlain(self) -> None:
        """
        A plain body in chunks reaches the scraper whole.
        """
        self.playCurl(
            b"/chunk",
            PUSH % 1185 + b"HTTP/1.1 200 OK\r\n"
            b"Transfer-Encoding: chunked\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.998358\r\n"
            b"\r\n"
            b"3b8\r\n" + DEMO + b"\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Content-Length: 952\r\n"
            b"\r\n" + DEMO,
        )

    def test_oldTarget(self) -> None:
        """
        The connection of an HTTP/1.0 target is its client's affair: the
        scraper's stays open.
        """
        self.playCurl(
            b"/old",
            PUSH % 1164 + b"HTTP/1.0 200 OK\r\n"
            b"Connection: close\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.998244\r\n"
            b"\r\n" + DEMO,
            b"HTTP/1.1 200 OK\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Content-Length: 952\r\n"
            b"\r\n" + DEMO,
        )
        assert self.scraping is not None
        self.assertIsNone(self.scraping.lost)

    def test_closeDelimited(self) -> None:
        """
        So is that of an HTTP/1.1 target that closes after its answer.
        """
        self.playCurl(
            b"/close11",
            PUSH % 1164 + b"HTTP/1.1 200 OK\r\n"
            b"Connection: close\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.998472\r\n"
            b"\r\n" + DEMO,
            b"HTTP/1.1 200 OK\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Content-Length: 952\r\n"
            b"\r\n" + DEMO,
        )
        assert self.scraping is not None
        self.assertIsNone(self.scraping.lost)

    def test_targetFails(self) -> None:
        """
        An error of the target keeps its status and, since Prometheus shows
        it, its reason.
        """
        self.playCurl(
            b"/err",
            PUSH % 157 + b"HTTP/1.1 503 Busy Here\r\n"
            b"Content-Length: 5\r\n"
            b"Content-Type: text/plain\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.997624\r\n"
            b"\r\n"
            b"busy\n",
            b"HTTP/1.1 503 Busy Here\r\n"
            b"Date: now\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Content-Type: text/plain\r\n"
            b"Content-Length: 5\r\n"
            b"\r\n"
            b"busy\n",
        )

    def test_noTimeoutHeader(self) -> None:
        """
        A scraper that tells no timeout gets the default one, and the client is
        told what remains of it: those of the reference cannot do without.
        """
        self.play(
            b"GET http://t1:19100/plain HTTP/1.1\r\n"
            b"Host: t1:19100\r\n"
            b"User-Agent: curl/7.88.1\r\n"
            b"Accept: */*\r\n"
            b"Proxy-Connection: Keep-Alive\r\n"
            b"\r\n",
            b"GET http://t1:19100/plain HTTP/1.1\r\n"
            b"Host: t1:19100\r\n"
            b"User-Agent: curl/7.88.1\r\n"
            b"Accept: */*\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 14.5\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"\r\n",
            PUSH % 175 + b"HTTP/0.0 500 Internal Server Error\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"X-Prometheus-Scrape-Timeout: -9223372036.854776\r\n"
            b"\r\n"
            b'strconv.ParseFloat: parsing "": invalid syntax',
            b"HTTP/1.1 500 Internal Server Error\r\n"
            b"Date: now\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Content-Length: 46\r\n"
            b"\r\n"
            b'strconv.ParseFloat: parsing "": invalid syntax',
        )

    def test_slowTarget(self) -> None:
        """
        A target that is too slow is a 504 that says so, before the scraper
        hangs up: curl here, which would wait, and Prometheus, which does not.
        """
        polling = self.rig.talk(POLL)
        for agent in (b"curl/7.88.1", b"Prometheus/2.42.0+ds"):
            scraping = self.rig.talk(
                b"GET http://t1:19100/slow HTTP/1.1\r\n"
                b"Host: t1:19100\r\n"
                b"User-Agent: " + agent + b"\r\n"
                b"Accept: */*\r\n"
                b"Proxy-Connection: Keep-Alive\r\n"
                b"X-Prometheus-Scrape-Timeout-Seconds: 1.5\r\n"
                b"\r\n"
            )
            instruction = (
                b"GET http://t1:19100/slow HTTP/1.1\r\n"
                b"Host: t1:19100\r\n"
                b"User-Agent: " + agent + b"\r\n"
                b"Accept: */*\r\n"
                b"X-Prometheus-Scrape-Timeout-Seconds: 1.35\r\n"
                b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
                b"\r\n"
            )
            given = heard(polling)
            self.assertEqual(
                given.replace(idIn(given), ID),
                INSTRUCTION % len(instruction) + instruction,
            )
            self.rig.say(polling, POLL)
            self.rig.net.pass_(1.3)
            self.assertEqual(heard(scraping), b"")
            self.rig.net.pass_(0.1)
            self.assertEqual(
                heard(scraping),
                refusal(
                    b"504 t1 did not answer in 1.35 s", b"t1 did not answer in 1.35 s\n"
                ),
            )

    def test_garbageTarget(self) -> None:
        """
        What the client says of a target that speaks no HTTP reaches the
        scraper.
        """
        text = (
            b'failed to scrape http://t1:19100/garbage: Get "http://t1:19100/garbage":'
            b" net/http: HTTP/1.x transport connection broken: malformed HTTP status"
            b' code "is"'
        )
        self.playCurl(
            b"/garbage",
            PUSH % 271 + b"HTTP/0.0 500 Internal Server Error\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.997660\r\n"
            b"\r\n" + text,
            b"HTTP/1.1 500 Internal Server Error\r\n"
            b"Date: now\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Content-Length: 152\r\n\r\n" + text,
        )

    def test_redirectFollowed(self) -> None:
        """
        A client of the reference follows redirects itself: what it brings
        from there is the answer.
        """
        self.playCurl(
            b"/redir",
            PUSH % 1166 + b"HTTP/1.1 200 OK\r\n"
            b"Content-Length: 952\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.997012\r\n"
            b"\r\n" + DEMO,
            b"HTTP/1.1 200 OK\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Content-Length: 952\r\n"
            b"\r\n" + DEMO,
        )

    def test_head(self) -> None:
        """
        The answer to HEAD keeps the length of the body that it lacks.
        """
        self.play(
            b"HEAD http://t1:19100/plain HTTP/1.1\r\n"
            b"Host: t1:19100\r\n"
            b"User-Agent: curl/7.88.1\r\n"
            b"Accept: */*\r\n"
            b"Proxy-Connection: Keep-Alive\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 5\r\n"
            b"\r\n",
            b"HEAD http://t1:19100/plain HTTP/1.1\r\n"
            b"Host: t1:19100\r\n"
            b"User-Agent: curl/7.88.1\r\n"
            b"Accept: */*\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 4.5\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"\r\n",
            PUSH % 214 + b"HTTP/1.1 200 OK\r\n"
            b"Content-Length: 952\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.997286\r\n"
            b"\r\n",
            b"HTTP/1.1 200 OK\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Content-Length: 952\r\n"
            b"\r\n",
        )

    def test_post(self) -> None:
        """
        The body of a scrape reaches the client.
        """
        self.play(
            b"POST http://t1:19100/plain HTTP/1.1\r\n"
            b"Host: t1:19100\r\n"
            b"User-Agent: curl/7.88.1\r\n"
            b"Accept: */*\r\n"
            b"Proxy-Connection: Keep-Alive\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 5\r\n"
            b"Content-Length: 7\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n"
            b"\r\n"
            b"a=b&c=d",
            b"POST http://t1:19100/plain HTTP/1.1\r\n"
            b"Host: t1:19100\r\n"
            b"User-Agent: curl/7.88.1\r\n"
            b"Content-Length: 7\r\n"
            b"Accept: */*\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 4.5\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"\r\n"
            b"a=b&c=d",
            PUSH % 1166 + b"HTTP/1.1 200 OK\r\n"
            b"Content-Length: 952\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.998768\r\n"
            b"\r\n" + DEMO,
            b"HTTP/1.1 200 OK\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Content-Length: 952\r\n"
            b"\r\n" + DEMO,
        )

    def test_noContent(self) -> None:
        """
        A 204 has neither a body nor a length.
        """
        self.playCurl(
            b"/204",
            PUSH % 145 + b"HTTP/1.1 204 No Content\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.997111\r\n"
            b"\r\n",
            b"HTTP/1.1 204 No Content\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"\r\n",
        )

    def test_empty(self) -> None:
        """
        An empty answer is one with a length of 0.
        """
        self.playCurl(
            b"/empty",
            PUSH % 212 + b"HTTP/1.1 200 OK\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.998266\r\n"
            b"Content-Length: 0\r\n"
            b"\r\n",
            b"HTTP/1.1 200 OK\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Content-Length: 0\r\n"
            b"\r\n",
        )

    def test_bigInstruction(self) -> None:
        """
        A scrape with a big head reaches the client, with a length like any
        other.
        """
        self.play(
            b"GET http://t1:19100/plain HTTP/1.1\r\n"
            b"Host: t1:19100\r\n"
            b"User-Agent: curl/7.88.1\r\n"
            b"Accept: */*\r\n"
            b"Proxy-Connection: Keep-Alive\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 5\r\n"
            b"X-Big: " + b"a" * 3000 + b"\r\n"
            b"\r\n",
            b"GET http://t1:19100/plain HTTP/1.1\r\n"
            b"Host: t1:19100\r\n"
            b"User-Agent: curl/7.88.1\r\n"
            b"Accept: */*\r\n"
            b"X-Big: " + b"a" * 3000 + b"\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 4.5\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"\r\n",
            PUSH % 1166 + b"HTTP/1.1 200 OK\r\n"
            b"Content-Length: 952\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.997637\r\n"
            b"\r\n" + DEMO,
            b"HTTP/1.1 200 OK\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Content-Length: 952\r\n"
            b"\r\n" + DEMO,
        )

    def playPrometheus(self, agent: bytes, accept: bytes, seconds: bytes) -> None:
        """
        Play a scrape of a Prometheus, with 2 s to go, of a target that
        compresses.

        @param seconds: what the client says that is left.
        """
        self.play(
            b"GET http://t1:19100/metrics HTTP/1.1\r\n"
            b"Host: t1:19100\r\n"
            b"User-Agent: " + agent + b"\r\n"
            b"Accept: " + accept + b"\r\n"
            b"Accept-Encoding: gzip\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 2\r\n"
            b"\r\n",
            b"GET http://t1:19100/metrics HTTP/1.1\r\n"
            b"Host: t1:19100\r\n"
            b"User-Agent: " + agent + b"\r\n"
            b"Accept: " + accept + b"\r\n"
            b"Accept-Encoding: gzip\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 1.8\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"\r\n",
            PUSH % 528 + b"HTTP/1.1 200 OK\r\n"
            b"Transfer-Encoding: chunked\r\n"
            b"Content-Encoding: gzip\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"Vary: Accept-Encoding\r\n"
            b"X-Prometheus-Scrape-Timeout: " + seconds + b"\r\n"
            b"\r\n"
            b"f9\r\n" + GZIPPED + b"\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Content-Encoding: gzip\r\n"
            b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Vary: Accept-Encoding\r\n"
            b"Content-Length: 249\r\n"
            b"\r\n" + GZIPPED,
        )

    def test_prometheus2(self) -> None:
        """
        Three scrapes of a Prometheus 2.42 pass, 3 s apart, over the same
        lines.
        """
        for seconds in (b"1.997964", b"1.999411", b"1.998599"):
            self.playPrometheus(
                b"Prometheus/2.42.0+ds",
                b"application/openmetrics-text;version=1.0.0,"
                b"application/openmetrics-text;version=0.0.1;q=0.75,"
                b"text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                seconds,
            )
            self.rig.net.pass_(3)

    def test_prometheus3(self) -> None:
        """
        And three of a Prometheus 3.5.
        """
        for seconds in (b"1.997225", b"1.998766", b"1.999324"):
            self.playPrometheus(
                b"Prometheus/3.5.3+ds1",
                b"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8"
                b";q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
                b"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                b"text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                seconds,
            )
            self.rig.net.pass_(3)

    def test_prometheusRefused(self) -> None:
        """
        A Prometheus 2.42 is told that the target refused the connection.
        """
        accept = (
            b"application/openmetrics-text;version=1.0.0,"
            b"application/openmetrics-text;version=0.0.1;q=0.75,"
            b"text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        )
        text = (
            b'failed to scrape http://t1:19999/metrics: Get "http://t1:19999/metrics":'
            b" dial tcp 127.0.0.1:19999: connect: connection refused"
        )
        self.play(
            b"GET http://t1:19999/metrics HTTP/1.1\r\n"
            b"Host: t1:19999\r\n"
            b"User-Agent: Prometheus/2.42.0+ds\r\n"
            b"Accept: " + accept + b"\r\n"
            b"Accept-Encoding: gzip\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 2\r\n"
            b"\r\n",
            b"GET http://t1:19999/metrics HTTP/1.1\r\n"
            b"Host: t1:19999\r\n"
            b"User-Agent: Prometheus/2.42.0+ds\r\n"
            b"Accept: " + accept + b"\r\n"
            b"Accept-Encoding: gzip\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 1.8\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"\r\n",
            PUSH % 245 + b"HTTP/0.0 500 Internal Server Error\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"X-Prometheus-Scrape-Timeout: 1.999557\r\n"
            b"\r\n" + text,
            b"HTTP/1.1 500 Internal Server Error\r\n"
            b"Date: now\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Content-Length: 126\r\n\r\n" + text,
        )

    def test_unknownName(self) -> None:
        """
        A scrape for a name nobody polls for is a 503 at once, for Prometheus
        and for curl, though somebody polls for another.
        """
        self.rig.talk(POLL)
        for scrape in (
            b"GET http://absent:19100/metrics HTTP/1.1\r\n"
            b"Host: absent:19100\r\n"
            b"User-Agent: Prometheus/2.42.0+ds\r\n"
            b"Accept: application/openmetrics-text;version=1.0.0,"
            b"application/openmetrics-text;version=0.0.1;q=0.75,"
            b"text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n"
            b"Accept-Encoding: gzip\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 1.5\r\n"
            b"\r\n",
            b"GET http://absent:1/x HTTP/1.1\r\n"
            b"Host: absent:1\r\n"
            b"User-Agent: curl/7.88.1\r\n"
            b"Accept: */*\r\n"
            b"Proxy-Connection: Keep-Alive\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 1\r\n"
            b"\r\n",
        ):
            self.assertEqual(
                self.rig.ask(scrape),
                refusal(
                    b"503 No PushProx client named absent",
                    b"No PushProx client named absent\n",
                ),
            )

    def test_https(self) -> None:
        """
        C{_scheme} and the other parameters pass as they were written: it is
        the client that takes the one out.
        """
        self.play(
            b"GET http://t1:19443/plain?x=1&_scheme=https&a=b+c HTTP/1.1\r\n"
            b"Host: t1:19443\r\n"
            b"User-Agent: curl/7.88.1\r\n"
            b"Accept: */*\r\n"
            b"Proxy-Connection: Keep-Alive\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 5\r\n"
            b"\r\n",
            b"GET http://t1:19443/plain?x=1&_scheme=https&a=b+c HTTP/1.1\r\n"
            b"Host: t1:19443\r\n"
            b"User-Agent: curl/7.88.1\r\n"
            b"Accept: */*\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 4.5\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"\r\n",
            PUSH % 152 + b"HTTP/1.1 200 OK\r\n"
            b"Content-Length: 7\r\n"
            b"Content-Type: text/plain\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"X-Prometheus-Scrape-Timeout: 4.991963\r\n"
            b"\r\n"
            b"tls 1\n\n",
            b"HTTP/1.1 200 OK\r\n"
            b"Date: now\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Content-Type: text/plain\r\n"
            b"Content-Length: 7\r\n"
            b"\r\n"
            b"tls 1\n\n",
        )

    def test_secondPoll(self) -> None:
        """
        A second poll of one name parks beside the first; a scrape goes to the
        newer.
        """
        first = self.rig.talk(
            b"POST /poll HTTP/1.1\r\nHost: p\r\nContent-Length: 3\r\n\r\ndup"
        )
        second = self.rig.talk(
            b"POST /poll HTTP/1.1\r\nHost: p\r\nContent-Length: 5\r\n\r\n dup\n"
        )
        self.rig.net.pass_(3)
        self.assertEqual((heard(first), heard(second)), (b"", b""))
        self.rig.scrape(b"http://dup/")
        self.assertEqual(heard(first), b"")
        idIn(heard(second))

    def test_pushWithUnknownId(self) -> None:
        """
        A push that nobody waits for is refused at once, not held.
        """
        for push in (
            b"POST /push HTTP/1.1\r\nHost: p\r\nContent-Length: 92\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nId: nobody\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 1\r\nContent-Length: 2\r\n\r\nok",
            b"POST /push HTTP/1.1\r\nHost: p\r\nContent-Length: 85\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nId: nobody2\r\n"
            b"X-Prometheus-Scrape-Timeout: 1\r\nContent-Length: 2\r\n\r\nok",
        ):
            self.assertEqual(
                self.rig.ask(push),
                pushRefusal(
                    b"404 Not Found",
                    b"nobody waits for this scrape: it is late, or was never given out",
                ),
            )

    def test_oddPushes(self) -> None:
        """
        A push that is no answer is a 400 that says why; a GET is a 405.
        """
        self.assertEqual(
            self.rig.ask(
                b"POST /push HTTP/1.1\r\nHost: p\r\nContent-Length: 7\r\n\r\ngarbage"
            ),
            pushRefusal(b"400 Bad Request", b"no response but 'garbage'"),
        )
        self.assertEqual(
            self.rig.ask(
                b"POST /push HTTP/1.1\r\nHost: p\r\nContent-Length: 0\r\n\r\n"
            ),
            pushRefusal(b"400 Bad Request", b"the response broke off in its head"),
        )
        self.assertEqual(
            self.rig.ask(b"GET /push HTTP/1.1\r\nHost: p\r\n\r\n"),
            refusal(
                b"405 Method Not Allowed", b"Method Not Allowed\n", b"Allow: POST\r\n"
            ),
        )

    def test_oddPolls(self) -> None:
        """
        A GET of the polls is a 405, and registers no empty name.
        """
        self.assertEqual(
            self.rig.ask(b"GET /poll HTTP/1.1\r\nHost: p\r\n\r\n"),
            refusal(
                b"405 Method Not Allowed", b"Method Not Allowed\n", b"Allow: POST\r\n"
            ),
        )
        self.assertEqual(self.rig.metric("pushprox_proxy_clients"), 0)

    def test_connect(self) -> None:
        """
        A CONNECT is refused at once, with the way that does work, wherever it
        would lead.
        """
        why = b"CONNECT is not supported: scrape http with the parameter _scheme=https"
        self.rig.poll(b"t9")
        for target in (b"t9:443", b"http://t9:443/", b"/clients"):
            self.assertEqual(
                self.rig.ask(
                    b"CONNECT " + target + b" HTTP/1.1\r\nHost: t9:443\r\n"
                    b"X-Prometheus-Scrape-Timeout-Seconds: 0.3\r\n\r\n"
                ),
                closing(refusal(b"501 " + why, why + b"\n")),
            )

    def test_oddScrapes(self) -> None:
        """
        A scrape is one by its form: also where its URL leads to the proxy
        itself, its Host to another, and its timeout to the past.
        """
        for scrape, name in (
            (
                b"GET http://127.0.0.1:18080/clients HTTP/1.1\r\n"
                b"Host: 127.0.0.1:18080\r\n"
                b"X-Prometheus-Scrape-Timeout-Seconds: 0.3\r\n\r\n",
                b"127.0.0.1",
            ),
            (
                b"GET http://t9/ HTTP/1.1\r\nHost: t9\r\n"
                b"X-Prometheus-Scrape-Timeout-Seconds: -1\r\n\r\n",
                b"t9",
            ),
            (
                b"GET http://t9/ HTTP/1.1\r\nHost: other\r\n"
                b"X-Prometheus-Scrape-Timeout-Seconds: 0.3\r\n\r\n",
                b"t9",
            ),
        ):
            why = b"No PushProx client named " + name
            self.assertEqual(self.rig.ask(scrape), refusal(b"503 " + why, why + b"\n"))


class BrokenDoor(Door):
    """
    A door with a bug behind it.
    """

    def open(self, request: Request) -> None:
        """
        Fail.
        """
        raise ZeroDivisionError


class BrokenCoordinator:
    """
    A coordinator with a bug, which shows late.
    """

    rules = Rules()

    def __init__(self, outcome: Deferred[Any]) -> None:
        self.outcome = outcome

    def scrape(self, *_: object) -> Deferred[Delivery]:
        """
        Come to something else than an answer.
        """
        return self.outcome

    def poll(self, *_: object) -> Deferred[Any]:
        """
        Come to something else than work.
        """
        return self.outcome


class BrokenDelivery:
    """
    An answer whose beginning can be given, and nothing more.
    """

    head = ResponseHead(200, b"OK", (), 9)
    length = 9
    first = b"abc"
    whole = False

    @property
    def source(self) -> None:
        """
        Fail.
        """
        raise ZeroDivisionError


class DoorTests(SynchronousTestCase):
    """
    Tests for L{Door}.
    """

    def test_bug(self) -> None:
        """
        A bug of the proxy is logged, and a 500 that says no more than that.
        """
        net = Internet()
        port = net.listenTCP(80, Site(BrokenDoor(), net))
        talker = net.talk("10.0.0.1", 80, b"GET / HTTP/1.0\r\n\r\n")
        self.assertIn(b"\r\n\r\nThe proxy failed; its log says more\n", heard(talker))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        port.stopListening()

    def test_lateBug(self) -> None:
        """
        So is one that shows only when a scrape or a poll is under way.
        """
        net = Internet()
        for outcome, error in (
            (Failure(ZeroDivisionError()), ZeroDivisionError),
            ("nothing that can be given", AttributeError),
        ):
            for kind, request in (
                (
                    lambda coordinator: ScrapeDoor(
                        coordinator, Timeouts(), 253, lambda size: None
                    ),
                    b"GET http://t1/ HTTP/1.0\r\n\r\n",
                ),
                (
                    lambda coordinator: PollDoor(coordinator, 253),
                    b"POST /poll HTTP/1.0\r\nContent-Length: 2\r\n\r\nt1",
                ),
            ):
                waiting: Deferred[Any] = Deferred()
                coordinator: Any = BrokenCoordinator(waiting)
                port = net.listenTCP(80, Site(kind(coordinator), net))
                talker = net.talk("10.0.0.1", 80, request)
                self.assertEqual(heard(talker), b"")
                waiting.callback(outcome)
                net.settle()
                self.assertIn(
                    b"\r\n\r\nThe proxy failed; its log says more\n", heard(talker)
                )
                self.assertEqual(len(self.flushLoggedErrors(error)), 1)
                port.stopListening()

    def test_bugInTheMiddle(self) -> None:
        """
        One that shows when a reply has begun breaks it off: nothing that is not
        the target's gets into its body.
        """
        net = Internet()
        waiting: Deferred[Any] = Deferred()
        coordinator: Any = BrokenCoordinator(waiting)
        door = ScrapeDoor(coordinator, Timeouts(), 253, lambda size: None)
        port = net.listenTCP(80, Site(door, net))
        talker = net.talk(
            "10.0.0.1", 80, b"GET http://t1/ HTTP/1.1\r\nHost: t1\r\n\r\n"
        )
        waiting.callback(BrokenDelivery())
        net.settle()
        self.assertTrue(heard(talker).endswith(b"Content-Length: 9\r\n\r\nabc"))
        self.assertIsNotNone(talker.lost)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        port.stopListening()
