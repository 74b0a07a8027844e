"""
Tests for L{pushprox.proxy.doors}.

Most are conversations that were recorded between the programs of the
reference, curl and Prometheus: what clients and scrapers say is played back to
the byte, but for the ids of scrapes, which the proxy makes up anew.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request

from pushprox.proxy.coordinator import Rules
from pushprox.proxy.doors import MAX_SCRAPE_BODY, Door, Timeouts
from pushprox.site import Site
from tests.internet import Internet, Talker
from tests.rigs import (
    SIGNED,
    ProxyRig,
    heard,
    idIn,
    pollBytes,
    pushBytes,
    rejected,
    scrapeBytes,
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

#: What the proxy says to a push that it took.
PUSHED = (
    b"HTTP/1.1 200 OK\r\n"
    b"Server: pushprox/ours\r\n"
    b"Date: now\r\n"
    b"Pushprox-Version: ours\r\n"
    b"Content-Length: 0\r\n\r\n"
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

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nId: %b\r\n\r\nok"


def refusal(status: bytes, text: bytes, more: bytes = b"", short: int = 0) -> bytes:
    """
    What a request is answered that cannot be served.

    @param status: with its reason.
    @param more: headers before the Content-Type.
    @param short: how many bytes are announced that do not come.
    """
    return (
        b"HTTP/1.1 %b\r\n%b%bContent-Type: text/plain; charset=utf-8\r\n"
        b"X-Content-Type-Options: nosniff\r\nContent-Length: %d\r\n\r\n%b"
        % (status, SIGNED, more, len(text) + short, text)
    )


def closing(reply: bytes) -> bytes:
    """
    A reply that is the last one on its connection, and says so.
    """
    return reply.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)


def pushRefusal(status: bytes, text: bytes) -> bytes:
    """
    What a push is answered that was not taken.
    """
    return refusal(status, b"Error pushing: " + text + b"\n")


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
            pushRefusal(b"400 Bad Request", b"the answer broke off in its head"),
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


class ScrapeTests(SynchronousTestCase):
    """
    What passes between a scraper and a client, and what does not.
    """

    def setUp(self) -> None:
        """
        Start a proxy that one client polls.
        """
        self.rig = ProxyRig(self)
        self.polling = self.rig.poll(b"t1")

    def given(self, scrape: bytes) -> bytes:
        """
        What the client is given for a scrape, which then hangs up.
        """
        scraping = self.rig.talk(scrape)
        given = heard(self.polling).partition(b"\r\n\r\n")[2]
        self.assertEqual(heard(scraping), b"")
        self.rig.hangUp(scraping)
        self.rig.say(self.polling, pollBytes(b"t1"))
        return given

    def answered(self, answer: bytes, method: bytes = b"GET") -> bytes:
        """
        What the scraper is given for an answer of the client.

        @param answer: with C{%b} for the id.
        """
        scraping = self.rig.talk(scrapeBytes(method=method))
        id = idIn(heard(self.polling))
        self.assertEqual(self.rig.push(answer % id), PUSHED)
        self.rig.say(self.polling, pollBytes(b"t1"))
        reply = heard(scraping)
        self.rig.hangUp(scraping)
        return reply

    def test_request(self) -> None:
        """
        A client is given no credentials for the proxy, no headers that ended
        at the proxy, and no Id but the proxy's; those for the target pass.
        """
        given = self.given(
            b"GET http://t1:9100/metrics HTTP/1.1\r\n"
            b"Host: t1:9100\r\n"
            b"Authorization: Basic dGFyZ2V0\r\n"
            b"Proxy-Authorization: Basic cHJveHk=\r\n"
            b"Proxy-Connection: Keep-Alive\r\n"
            b"Connection: close, X-Mine, Authorization\r\n"
            b"Keep-Alive: timeout=5\r\n"
            b"TE: trailers\r\n"
            b"Trailer: X-Late\r\n"
            b"Upgrade: h2c\r\n"
            b"X-Mine: secret\r\n"
            b"Id: 00000000-0000-4000-8000-000000000000\r\n"
            b"X-Scope-OrgID: one\r\n"
            b"X-Scope-OrgID: two\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 10\r\n"
            b"\r\n"
        )
        self.assertEqual(
            given.replace(idIn(given), ID),
            b"GET http://t1:9100/metrics HTTP/1.1\r\n"
            b"Host: t1:9100\r\n"
            b"Authorization: Basic dGFyZ2V0\r\n"
            b"X-Scope-OrgID: one\r\n"
            b"X-Scope-OrgID: two\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 9.5\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"\r\n",
        )
        self.assertNotEqual(idIn(given), b"00000000-0000-4000-8000-000000000000")

    def test_requestInChunks(self) -> None:
        """
        A body in chunks reaches the client with a length; what the scraper
        expected of the proxy, it gets from the proxy.
        """
        scraping = self.rig.talk(
            b"PUT http://t1/x HTTP/1.1\r\n"
            b"Host: t1\r\n"
            b"Expect: 100-continue\r\n"
            b"Transfer-Encoding: chunked\r\n"
            b"\r\n"
        )
        self.assertEqual(heard(scraping), b"HTTP/1.1 100 Continue\r\n\r\n")
        self.rig.say(scraping, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        given = heard(self.polling).partition(b"\r\n\r\n")[2]
        self.assertEqual(
            given.replace(idIn(given), ID),
            b"PUT http://t1/x HTTP/1.1\r\n"
            b"Host: t1\r\n"
            b"Content-Length: 5\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 14.5\r\n"
            b"Id: b7e61297-bd5b-4161-a5ed-a80975e7fbf7\r\n"
            b"\r\n"
            b"abcde",
        )

    def test_response(self) -> None:
        """
        A scraper is given nothing that the two programs say to each other, and
        no headers that ended at the client; all others pass, repeated ones too.
        """
        self.assertEqual(
            self.answered(
                b"HTTP/1.1 200 Fine\r\n"
                b"Content-Length: 2\r\n"
                b"Server: exporter\r\n"
                b"Set-Cookie: a=1\r\n"
                b"Set-Cookie: b=2\r\n"
                b"Connection: X-Mine, Content-Type\r\n"
                b"X-Mine: secret\r\n"
                b"Keep-Alive: timeout=5\r\n"
                b"Proxy-Authenticate: Basic\r\n"
                b"Upgrade: h2c\r\n"
                b"Content-Type: text/plain\r\n"
                b"Id: %b\r\n"
                b"X-Prometheus-Scrape-Timeout: 4\r\n"
                b"X-Prometheus-Scrape-Timeout-Seconds: 4\r\n"
                b"\r\n"
                b"ok"
            ),
            b"HTTP/1.1 200 Fine\r\n"
            b"Date: now\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Server: exporter\r\n"
            b"Set-Cookie: a=1\r\n"
            b"Set-Cookie: b=2\r\n"
            b"Content-Type: text/plain\r\n"
            b"Content-Length: 2\r\n"
            b"\r\n"
            b"ok",
        )

    def test_targetIsAProxy(self) -> None:
        """
        The version of a proxy that is itself the target is not told as that of
        this one.
        """
        self.assertEqual(
            self.answered(
                b"HTTP/1.1 200 OK\r\nPushprox-Version: 99\r\nId: %b\r\n\r\nok"
            ),
            b"HTTP/1.1 200 OK\r\n"
            b"Date: now\r\n"
            b"Pushprox-Version: ours\r\n"
            b"Content-Length: 2\r\n"
            b"\r\n"
            b"ok",
        )

    def test_noBody(self) -> None:
        """
        Where an answer can have no body, no length is made up: for HEAD only
        the target's own passes, for a 304 none.
        """
        for answer, method, reply in (
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nId: %b\r\n\r\n",
                b"HEAD",
                b"HTTP/1.1 200 OK\r\nDate: now\r\nPushprox-Version: ours\r\n\r\n",
            ),
            (
                b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nId: %b\r\n\r\n",
                b"GET",
                b"HTTP/1.1 304 Not Modified\r\n"
                b"Date: now\r\nPushprox-Version: ours\r\n\r\n",
            ),
        ):
            self.assertEqual(self.answered(answer, method), reply)

    def test_binary(self) -> None:
        """
        All bytes of a large body arrive as they are.
        """
        body = bytes(range(256)) * 4096
        reply = self.answered(
            b"HTTP/1.1 200 OK\r\nId: %b\r\n\r\n" + body.replace(b"%", b"%%")
        )
        self.assertEqual(reply.partition(b"\r\n\r\n")[2], body)
        self.assertEqual(
            self.rig.metric("pushprox_proxy_carried_bytes_total"), len(body)
        )

    def test_oldScraper(self) -> None:
        """
        A scraper that speaks HTTP/1.0 gets its answer and the end of the
        connection.
        """
        scraping = self.rig.talk(b"GET http://t1/ HTTP/1.0\r\n\r\n")
        self.rig.push(OK % idIn(heard(self.polling)))
        self.assertEqual(
            heard(scraping),
            b"HTTP/1.0 200 OK\r\nDate: now\r\nPushprox-Version: ours\r\n"
            b"Content-Length: 2\r\nConnection: close\r\n\r\nok",
        )
        self.assertIsNotNone(scraping.lost)

    def test_spelling(self) -> None:
        """
        Names are compared without case and without a trailing dot; the client
        is given the host as it spells it itself, and the rest of the URL as
        the scraper wrote it, but for the case of the scheme.
        """
        for polled, url, respelled, host in (
            (
                b"T2.Example.",
                b"HTTP://t2.EXAMPLE/A?B=%2f",
                b"http://T2.Example./A?B=%2f",
                b"T2.Example.",
            ),
            (b"t3", b"hTTp://T3.:9100", b"http://t3:9100", b"t3:9100"),
            (b"t4\r\n", b"http://T4:/?x", b"http://t4/?x", b"t4"),
            (
                b"2001:DB8::1",
                b"http://[2001:db8::1]:80/",
                b"http://[2001:DB8::1]:80/",
                b"[2001:DB8::1]:80",
            ),
        ):
            polling = self.rig.poll(polled)
            self.rig.scrape(url)
            given = heard(polling).partition(b"\r\n\r\n")[2]
            self.assertEqual(
                given.split(b"\r\n")[:2],
                [b"GET " + respelled + b" HTTP/1.1", b"Host: " + host],
            )

    def test_badUrl(self) -> None:
        """
        A URL that leads nowhere is a 400 that shows it; one that is none ends
        the connection, too.
        """
        self.assertEqual(
            self.rig.ask(scrapeBytes(b"t1:9100/")), rejected(b"400 Bad Request")
        )
        for url, why in (
            (
                b"http:///",
                b"expected an absolute URL like http://name:9100/metrics, got 'http:///'",
            ),
            (
                b"http://u@t1/",
                b"expected an absolute URL like http://name:9100/metrics, got 'http://u@t1/'",
            ),
            (b"http://t1:99999/", b"expected a port from 1 to 65535, got 99999"),
            (b"ftp://t1/", b"no absolute http(s) URL: 'ftp://t1/'"),
        ):
            self.assertEqual(
                self.rig.ask(scrapeBytes(url)),
                refusal(b"400 Bad Request", why + b"\n"),
            )

    def test_timeouts(self) -> None:
        """
        The client is told what remains: of the scraper's timeout, which is
        clamped, less the margin; of the default where that is no number above
        0.
        """
        for announced, remaining in (
            (b"10", b"9.5"),
            (b"1.5", b"1.35"),
            (b"1e1", b"9.5"),
            (b"100000", b"299.5"),
            (b"0", b"14.5"),
            (b"-1", b"14.5"),
            (b"inf", b"14.5"),
            (b"NaN", b"14.5"),
            (b"1e999", b"14.5"),
            (b"soon", b"14.5"),
        ):
            given = self.given(
                b"GET http://t1/ HTTP/1.1\r\nHost: t1\r\n"
                b"X-Prometheus-Scrape-Timeout-Seconds: " + announced + b"\r\n\r\n"
            )
            self.assertIn(
                b"\r\nX-Prometheus-Scrape-Timeout-Seconds: " + remaining + b"\r\n",
                given,
            )

    def test_remaining(self) -> None:
        """
        What a scrape spent in the queue does not remain.
        """
        self.rig.hangUp(self.polling)
        self.rig.scrape()
        self.rig.net.pass_(2)
        self.assertIn(
            b"\r\nX-Prometheus-Scrape-Timeout-Seconds: 2.5\r\n",
            heard(self.rig.poll()),
        )

    def test_notTaken(self) -> None:
        """
        A known name that nobody polls for is a 504 that tells for how long.
        """
        self.rig.hangUp(self.polling)
        self.rig.net.pass_(100)
        scraping = self.rig.scrape()
        self.rig.net.pass_(4.25)
        self.assertEqual(heard(scraping), b"")
        self.rig.net.pass_(0.25)
        self.assertEqual(
            heard(scraping),
            refusal(b"504 No poll from t1 for 104 s", b"No poll from t1 for 104 s\n"),
        )

    def test_notTakenBetweenPolls(self) -> None:
        """
        A scrape whose deadline comes while the client that has the name is
        between two polls, and another stands by, says that nobody took it.
        """
        self.rig.poll(b"t1", b"Pushprox-Instance: other\r\n")
        self.rig.scrape()
        heard(self.polling)
        scraping = self.rig.talk(
            b"GET http://t1/ HTTP/1.1\r\nHost: t1\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 1\r\n\r\n"
        )
        self.rig.net.pass_(1)
        self.assertEqual(
            heard(scraping),
            refusal(b"504 t1 took no scrape in 0.9 s", b"t1 took no scrape in 0.9 s\n"),
        )

    def test_hangUp(self) -> None:
        """
        A scraper that hangs up leaves nothing behind, and an answer that comes
        after all is late.
        """
        scraping = self.rig.scrape()
        id = idIn(heard(self.polling))
        self.assertEqual(self.rig.metric("pushprox_proxy_scrapes_in_flight"), 1)
        self.rig.hangUp(scraping)
        self.assertEqual(self.rig.metric("pushprox_proxy_scrapes_in_flight"), 0)
        self.assertTrue(self.rig.push(OK % id).startswith(b"HTTP/1.1 404 "))

    def test_hangUpInQueue(self) -> None:
        """
        A scrape whose scraper hung up is not given to a client.
        """
        self.rig.hangUp(self.polling)
        self.rig.hangUp(self.rig.scrape())
        self.assertEqual(self.rig.metric("pushprox_proxy_queued_scrapes"), 0)
        self.assertEqual(heard(self.rig.poll()), b"")


class LimitTests(SynchronousTestCase):
    """
    What is refused when there is too much of it.
    """

    def test_queued(self) -> None:
        """
        A scrape that would pass a limit is a 503 that tells the limit.
        """
        rig = ProxyRig(self, Rules(warmup=60.0, queued=2, queuedPerName=1))
        rig.scrape(b"http://t1/")
        for name, why in (
            (b"t1", b"The proxy is full: 1 scrapes queued for t1"),
            (b"t2", b""),
            (b"t3", b"The proxy is full: 2 scrapes queued"),
        ):
            reply = heard(rig.scrape(b"http://" + name + b"/"))
            self.assertEqual(reply, why and refusal(b"503 " + why, why + b"\n"))

    def test_polls(self) -> None:
        """
        So is a poll, and it registers nothing.
        """
        rig = ProxyRig(self, Rules(warmup=0.0, polls=1))
        rig.poll(b"t1")
        why = b"The proxy is full: 1 polls parked"
        self.assertEqual(
            heard(rig.poll(b"t2")),
            refusal(b"503 " + why, why + b"\n", b"Pushprox-Max-Polls: 16\r\n"),
        )
        self.assertEqual(rig.metric("pushprox_proxy_clients"), 1)

    def test_pollsOfAnInstance(self) -> None:
        """
        Past its limit an instance's oldest poll is ended as the reference ends
        it; the limit is told in every reply to a poll.
        """
        rig = ProxyRig(self, Rules(warmup=0.0, pollsPerInstance=2))
        polls = [rig.poll() for _ in range(3)]
        self.assertEqual(
            [heard(poll) for poll in polls],
            [
                refusal(
                    b"408 Request Timeout",
                    b"Error WaitForScrapeInstruction: request is expired\n",
                    b"Pushprox-Max-Polls: 2\r\n",
                ),
                b"",
                b"",
            ],
        )

    def test_warmUp(self) -> None:
        """
        While the proxy is young it waits for a client that it does not know;
        at the deadline of the scrape nobody is named so.
        """
        rig = ProxyRig(self, Rules(warmup=30.0))
        first = rig.scrape(b"http://t1/")
        second = rig.scrape(b"http://t2/")
        rig.net.pass_(4)
        polling = rig.poll(b"t1")
        rig.push(OK % idIn(heard(polling)))
        self.assertTrue(heard(first).endswith(b"\r\n\r\nok"))
        self.assertEqual(heard(second), b"")
        rig.net.pass_(0.5)
        self.assertEqual(
            heard(second),
            refusal(
                b"503 No PushProx client named t2", b"No PushProx client named t2\n"
            ),
        )


class PollTests(SynchronousTestCase):
    """
    Tests for the polls.
    """

    def setUp(self) -> None:
        """
        Start a proxy that knows no client.
        """
        self.rig = ProxyRig(self, nameLimit=20)

    def test_badName(self) -> None:
        """
        What can be no name is a 400 that says so, and is not registered.
        """
        for name, why in (
            (b"", b"expected the name of a client, got nothing"),
            (b" \r\n\t", b"expected the name of a client, got nothing"),
            (b".", b"expected the name of a client, got '.'"),
            (b"t 1", b"expected the name of a client, got 't 1'"),
            (b"t1/x", b"expected the name of a client, got 't1/x'"),
            (b"t\xc3\xa4", b"expected the name of a client, got 't\\xc3\\xa4'"),
            (b"t\x001", b"expected the name of a client, got 't\\x001'"),
            (b"t" * 21, b"expected a name of at most 20 bytes, got 21"),
        ):
            self.assertEqual(
                heard(self.rig.poll(name)),
                refusal(b"400 Bad Request", why + b"\n", b"Pushprox-Max-Polls: 16\r\n"),
            )
        self.assertEqual(self.rig.metric("pushprox_proxy_clients"), 0)

    def test_scrapeOfBigBody(self) -> None:
        """
        A scrape's own body is limited, since it travels in a reply to a poll.
        """
        head = scrapeBytes(
            b"http://t1:9100/",
            b"Content-Length: %d" % (MAX_SCRAPE_BODY + 1),
            method=b"POST",
        )
        answer = self.rig.ask(head + bytes(MAX_SCRAPE_BODY + 1))
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 A scrape may have"), answer)
        self.assertEqual(self.rig.metric("pushprox_proxy_scrapes_in_flight"), 0)

    def test_betweenTwoPolls(self) -> None:
        """
        A client that polled a moment ago is not said to be away.
        """
        self.rig.hangUp(self.rig.poll())
        taken, left = self.rig.scrape(), self.rig.scrape()
        self.rig.net.pass_(4.2)
        self.assertIn(b"GET http://t1:9100/", heard(self.rig.poll()))
        self.rig.net.pass_(0.3)
        self.assertIn(b"504 t1 did not answer in 4.5 s", heard(taken))
        self.assertIn(b"504 t1 took no scrape in 4.5 s", heard(left))

    def test_scrapeOfBadName(self) -> None:
        """
        A scrape for what can be no name is a 400, in warm-up too.
        """
        for host in (b"t" * 21, b"."):
            answer = self.rig.ask(scrapeBytes(b"http://%b:9100/metrics" % host))
            self.assertTrue(answer.startswith(b"HTTP/1.1 400 Bad Request"), answer)
        self.assertEqual(self.rig.metric("pushprox_proxy_scrapes_in_flight"), 0)

    def test_longestName(self) -> None:
        """
        A name may be as long as the limit, not counting white space.
        """
        self.assertEqual(heard(self.rig.poll(b" " + b"t" * 20 + b"\n")), b"")
        self.assertEqual(self.rig.metric("pushprox_proxy_clients"), 1)

    def test_wait(self) -> None:
        """
        A poll that tells how long it wants to wait is a 204 by then, if there
        is no work; it waits 1 s at least.
        """
        for prefer, seconds, applied in (
            (b"wait=25", 25, b"wait=25"),
            (b"respond-async, WAIT = 7; x=y", 7, b"wait=7"),
            (b"wait=0", 1, b"wait=1"),
            (b"wait=999999", 999999, b"wait=999999"),
        ):
            polling = self.rig.poll(b"t1", b"Prefer: " + prefer + b"\r\n")
            self.rig.net.advance(seconds - 0.5)
            self.rig.net.settle()
            self.assertEqual(heard(polling), b"")
            self.rig.net.pass_(0.5)
            self.assertEqual(
                heard(polling),
                b"HTTP/1.1 204 No Content\r\n"
                b"Server: pushprox/ours\r\n"
                b"Date: now\r\n"
                b"Pushprox-Version: ours\r\n"
                b"Pushprox-Max-Polls: 16\r\n"
                b"Preference-Applied: " + applied + b"\r\n\r\n",
            )
            self.rig.hangUp(polling)

    def test_noWait(self) -> None:
        """
        A poll that does not tell, or tells nothing sensible, is held for as
        long as it stays connected, and what is applied with work is told.
        """
        for prefer in (
            b"",
            b"wait=-1",
            b"wait=1.5",
            b"wait=99999999",
            b"wait",
            b"await=5",
        ):
            polling = self.rig.poll(b"t1", b"Prefer: " + prefer + b"\r\n")
            self.rig.net.advance(86400)
            self.rig.net.settle()
            self.assertEqual(heard(polling), b"")
            self.rig.scrape()
            self.assertNotIn(b"Preference-Applied", heard(polling))
            self.rig.hangUp(polling)
            self.rig.net.pass_(5)

    def test_waitWithWork(self) -> None:
        """
        A poll that is given work is told that its preference would have
        counted.
        """
        polling = self.rig.poll(b"t1", b"Prefer: wait=25\r\n")
        self.rig.scrape()
        self.assertIn(b"\r\nPreference-Applied: wait=25\r\n", heard(polling))

    def test_hangUp(self) -> None:
        """
        A client that hangs up is not parked any more, and gets no scrape.
        """
        staying, going = self.rig.poll(), self.rig.poll()
        self.assertEqual(self.rig.metric("pushprox_proxy_parked_polls"), 2)
        self.rig.hangUp(going)
        self.assertEqual(self.rig.metric("pushprox_proxy_parked_polls"), 1)
        self.rig.scrape()
        idIn(heard(staying))

    def test_taken(self) -> None:
        """
        A client that lists the scrapes it has in hand is given one that it
        does not list once more, and one that it lists never.
        """
        me = b"Pushprox-Instance: me\r\n"
        for taken, again in ((b"", True), (b"Pushprox-Taken: other, %b\r\n", False)):
            first = self.rig.poll(b"t1", me)
            scraping = self.rig.scrape()
            id = idIn(heard(first))
            more = taken % id if taken else taken
            second = self.rig.poll(b"t1", me + more)
            self.rig.net.pass_(2)
            self.assertEqual(id in heard(second), again)
            self.rig.push(OK % id)
            self.assertTrue(heard(scraping).endswith(b"ok"))
            self.rig.hangUp(first)
            self.rig.hangUp(second)

    def test_deadLine(self) -> None:
        """
        A scrape that was written to a line that then broke is given to the
        next poll at once, under the same id.
        """
        first, second = self.rig.poll(), self.rig.poll()
        self.rig.scrape()
        given = heard(second)
        self.rig.net.cut([second.transport])
        self.assertEqual(idIn(heard(first)), idIn(given))
        self.assertEqual(self.rig.metric("pushprox_proxy_requeued_scrapes_total"), 1)

    def test_cleanEnd(self) -> None:
        """
        A line that ended cleanly may be a load balancer's habit: the scrape is
        given to another only when no receipt came in time.
        """
        first, second = self.rig.poll(), self.rig.poll()
        self.rig.scrape()
        id = idIn(heard(second))
        self.rig.hangUp(second)
        self.assertEqual(heard(first), b"")
        self.rig.net.pass_(2)
        self.assertEqual(idIn(heard(first)), id)


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

    def test_lineBreaks(self) -> None:
        """
        A push whose line breaks before its end is none, however it is framed:
        the scraper learns at its deadline that there was no answer.
        """
        answer = b"HTTP/1.1 200 OK\r\nId: %b\r\n\r\nmetric" % self.scrapeId
        for push in (
            pushBytes(answer)[:-3],
            b"POST /push HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"%x\r\n%b\r\n" % (len(answer), answer),
        ):
            pushing = self.rig.talk(push)
            self.rig.hangUp(pushing)
            self.assertEqual(heard(pushing), b"")
            self.assertEqual(heard(self.scraping), b"")
        self.rig.net.pass_(4.5)
        self.assertTrue(
            heard(self.scraping).startswith(b"HTTP/1.1 504 t1 did not answer in 4.5 s")
        )

    def test_inChunks(self) -> None:
        """
        A push may come in chunks itself.
        """
        answer = b"HTTP/1.1 200 OK\r\nId: %b\r\n\r\nmetric" % self.scrapeId
        self.assertEqual(
            self.rig.ask(
                b"POST /push HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"%x\r\n%b\r\n0\r\n\r\n" % (len(answer), answer)
            ),
            PUSHED,
        )
        self.assertTrue(heard(self.scraping).endswith(b"\r\n\r\nmetric"))

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


class TimeoutsTests(SynchronousTestCase):
    """
    Tests for L{Timeouts}.
    """

    def test_budget(self) -> None:
        """
        The budget is the timeout or the default, clamped, less the margin.
        """
        timeouts = Timeouts(default=20.0, maximum=12.0, offset=1.0)
        self.assertEqual(timeouts.budget(b"11"), 10.0)
        self.assertEqual(timeouts.budget(b"5"), 4.5)
        self.assertEqual(timeouts.budget(b"13"), 11.0)
        self.assertEqual(timeouts.budget(None), 11.0)


class BrokenDoor(Door):
    """
    A door with a bug behind it.
    """

    async def answer(self, request: Request) -> None:
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
