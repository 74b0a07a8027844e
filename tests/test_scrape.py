"""
Tests for L{pushprox.proxy.scrape}: what passes between a scraper and a client,
what does not, and what a scrape is refused for.
"""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from pushprox.proxy.coordinator import Rules
from pushprox.proxy.scrape import Timeouts
from tests.rigs import (
    OK,
    PUSHED,
    ProxyRig,
    heard,
    idIn,
    pollBytes,
    refusal,
    rejected,
    scrapeBytes,
)

#: Stands for the id of any scrape.
ID = b"b7e61297-bd5b-4161-a5ed-a80975e7fbf7"


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

    def test_date(self) -> None:
        """
        A target's own date is the only one.
        """
        date = b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        received = self.answered(
            b"HTTP/1.1 200 OK\r\n%bContent-Length: 2\r\nId: %%b\r\n\r\nok" % date
        )
        self.assertEqual(received.count(b"\r\nDate: "), 1)

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
                b"expected an absolute URL like http://name:9100/metrics, got 'http://...@t1/'",
            ),
            (b"http://t1:99999/", b"expected a port from 1 to 65535, got 99999"),
            (b"ftp://t1/", b"expected http or https, got ftp"),
            (
                b"http://t1/#x",
                b"expected an absolute URL like http://name:9100/metrics, got 'http://t1/#x'",
            ),
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


class LogTests(SynchronousTestCase):
    """
    What is logged of scrapes.
    """

    def test_debug(self) -> None:
        """
        Each answer is logged, at debug, if that is wanted; without the query,
        which may hold a secret.
        """
        for tells in (False, True):
            rig = ProxyRig(self, tellsScrapes=tells)
            polling = rig.poll()
            with capturedLogs() as events:
                rig.scrape(b"http://t1:9100/metrics?secret=1")
                rig.push(OK % idIn(heard(polling)))
            told = [
                (event["log_level"], formatEvent(event))
                for event in events
                if event["log_namespace"].startswith("pushprox.")
            ]
            expected = (LogLevel.debug, "Scraped http://t1:9100/metrics: 200")
            self.assertEqual(told, [expected] * tells)


class OddTests(SynchronousTestCase):
    """
    Scrapes that are not quite what one expects.
    """

    def setUp(self) -> None:
        """
        Start a proxy that knows no client.
        """
        self.rig = ProxyRig(self, nameLimit=20)

    def test_bigBody(self) -> None:
        """
        A scrape's own body is limited, since it travels in a reply to a poll; and
        so is that of any other request whose body is kept until it is whole.
        """
        size = 8 * 1024 * 1024 + 1
        length = b"Content-Length: %d" % size
        for url in (b"http://t1:9100/", b"/", b"/poll"):
            answer = self.rig.ask(
                scrapeBytes(url, length, method=b"POST") + bytes(size)
            )
            self.assertTrue(answer.startswith(b"HTTP/1.1 413 Content Too"), answer)
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

    def test_badName(self) -> None:
        """
        A scrape for what can be no name is a 400, in warm-up too.
        """
        for host in (b"t" * 21, b"."):
            answer = self.rig.ask(scrapeBytes(b"http://%b:9100/metrics" % host))
            self.assertTrue(answer.startswith(b"HTTP/1.1 400 Bad Request"), answer)
        self.assertEqual(self.rig.metric("pushprox_proxy_scrapes_in_flight"), 0)


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
