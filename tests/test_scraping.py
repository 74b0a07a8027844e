"""
Tests for L{pushprox.client.scraping}.
"""

from __future__ import annotations

import gzip

from twisted.internet.defer import fail

from pushprox.client.polling import Polling
from pushprox.framing import IncompleteMessage
from pushprox.message import Response, ResponseDecoder
from tests.fakeproxy import Call, ClientTestCase, FakeProxy, Server, work

TIMEOUT = b"X-Prometheus-Scrape-Timeout-Seconds"


class ScrapingTestCase(ClientTestCase):
    """
    A client with a proxy, and a target that leaves scrapes to the test.
    """

    def setUp(self) -> None:
        """
        All are there.
        """
        super().setUp()
        self.proxy = self.proxyAt(8080, FakeProxy(self.net))
        self.target = Server(self.net)
        self.net.listenTCP(9100, self.target)
        # The garbage collector would end what is in hand in any order, and in
        # some other test.
        self.addCleanup(self.net.pass_, 60.0)

    def scrape(self, *scrapes: bytes) -> None:
        """
        Hand scrapes to the client.
        """
        for each in scrapes:
            self.proxy.scrape(each)
            self.net.settle()

    def headers(self, answer: int = -1) -> dict[bytes, bytes]:
        """
        @return: those of an answer that was pushed, each of them there once.
        """
        headers = self.proxy.answers[answer].head.headers
        names = [name.lower() for name, _ in headers]
        self.assertEqual(len(names), len(set(names)))
        return dict(headers)

    def answer(self) -> Response:
        """
        @return: the only one that was pushed.
        """
        [answer] = self.proxy.answers
        return answer

    def reason(self, status: int) -> str:
        """
        @return: what the scraper reads in the only answer.
        """
        answer = self.answer()
        self.assertEqual(answer.head.status, status)
        return answer.head.reason.decode()

    def idle(self) -> None:
        """
        Nothing is in hand any more.
        """
        self.assertEqual(self.measured("pushprox_client_scrapes_in_hand"), 0)


class AnswerTests(ScrapingTestCase):
    """
    What is pushed.
    """

    def test_answer(self) -> None:
        """
        An answer is pushed as the target gave it, with the scrape's id and with
        the seconds that somebody still waits for it.
        """
        self.start()
        self.scrape(work(b"id-1", b"10"))
        self.net.pass_(4.0)
        self.target.calls[0].reply(
            200, b"up 1\n", b"Content-Type: text/plain", b"X-Odd: 1"
        )
        self.net.settle()
        answer = self.answer()
        self.assertEqual((answer.head.status, answer.head.reason), (200, b"OK"))
        self.assertEqual(answer.body, b"up 1\n")
        self.assertEqual(answer.head.length, 5)
        self.assertEqual(
            self.headers(),
            {
                b"Content-Type": b"text/plain",
                b"X-Odd": b"1",
                b"Id": b"id-1",
                TIMEOUT: b"6",
            },
        )
        self.idle()

    def test_targetsOwnHeaders(self) -> None:
        """
        A target cannot answer another scrape than its own.
        """
        self.target.onCall = lambda call: call.reply(
            200, b"", b"id: id-2", b"x-prometheus-scrape-timeout-seconds: 999"
        )
        self.start()
        self.scrape(work(b"id-1", b"10"))
        self.assertEqual(self.headers(), {b"Id": b"id-1", TIMEOUT: b"10"})

    def test_asItIs(self) -> None:
        """
        What is compressed stays so.
        """
        body = gzip.compress(b"up 1\n")
        self.target.onCall = lambda call: call.reply(
            200, body, b"Content-Encoding: gzip"
        )
        self.start()
        self.scrape(work())
        self.assertEqual(self.answer().body, body)
        self.assertEqual(self.headers()[b"Content-Encoding"], b"gzip")

    def test_chunked(self) -> None:
        """
        An answer in chunks is pushed as a whole, with its length.
        """
        self.target.onCall = lambda call: call.say(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nup \r\n2\r\n1\n\r\n0\r\n\r\n"
        )
        self.start()
        self.scrape(work())
        self.assertEqual(self.answer().body, b"up 1\n")
        self.assertEqual(self.answer().head.length, 5)

    def test_status(self) -> None:
        """
        A status of the target is the target's to choose, and no scrape error.
        """
        for status in (204, 304, 404, 500, 503):
            self.renew()
            self.target.onCall = lambda call, status=status: call.reply(status)
            self.start()
            self.scrape(work())
            self.assertEqual(self.answer().head.status, status)
            errors = self.measured("pushprox_client_scrape_errors_total")
            self.assertEqual(errors, 0)
            name, code = "pushprox_client_scrapes_total", str(status)
            self.assertEqual(self.measured(name, code=code), 1)

    def test_head(self) -> None:
        """
        An answer to HEAD tells the length of a body that it does not have.
        """
        self.target.onCall = lambda call: call.say(
            b"HTTP/1.1 200 OK\r\nContent-Length: 952\r\n\r\n"
        )
        self.start()
        self.scrape(work().replace(b"GET", b"HEAD"))
        pushed = self.proxy.pushes[0].body
        self.assertTrue(pushed.startswith(b"HTTP/1.1 200 OK\r\nContent-Length: 952\r"))
        self.assertTrue(pushed.endswith(b"\r\n\r\n"))
        self.assertEqual(self.target.calls[0].method, b"HEAD")

    def test_failedHead(self) -> None:
        """
        A failed HEAD has no body either.
        """
        self.start()
        self.scrape(work().replace(b"GET", b"HEAD"), work(b"id-2"))
        self.net.pass_(20.0)
        pushed = self.proxy.pushes[0].body
        self.assertTrue(pushed.startswith(b"HTTP/1.1 504 Target did not answer"))
        self.assertTrue(pushed.endswith(b"\r\n\r\n"))
        self.idle()

    def test_measured(self) -> None:
        """
        Scrapes are counted by status, with the seconds they took and the bytes
        they carried.
        """
        self.start()
        self.scrape(work())
        self.net.pass_(2.0)
        self.target.calls[0].reply(200, b"up 1\n")
        self.net.settle()
        self.assertEqual(
            [
                self.measured("pushprox_client_scrapes_total", code="200"),
                self.measured("pushprox_client_scrape_duration_seconds_sum"),
                self.measured("pushprox_client_pushed_bytes_total"),
                self.measured("pushprox_client_push_errors_total"),
            ],
            [1, 2, len(self.proxy.pushes[0].body), 0],
        )
        self.assertEqual(self.said("warn", "error"), [])


class RequestTests(ScrapingTestCase):
    """
    What the proxy asks for.
    """

    def test_targetsTime(self) -> None:
        """
        The target is told what it has: what remains, less the margin that its
        answer needs to arrive in time.
        """
        self.start()
        self.scrape(work(b"id-1", b"10"), work(b"id-2", b"2"))
        times = [call.header(TIMEOUT) for call in self.target.calls]
        self.assertEqual(times, [b"9.5", b"1.8"])

    def test_noTime(self) -> None:
        """
        A proxy that does not say how long it waits waits 15 s, and what makes no
        sense says nothing.
        """
        self.start()
        for number, odd in enumerate(
            [None, b"", b"soon", b"-1", b"0", b"nan", b"1e999"]
        ):
            self.scrape(work(b"%d" % number, odd))
            self.assertEqual(self.target.calls[-1].header(TIMEOUT), b"14.5")

    def test_idStaysHere(self) -> None:
        """
        The target does not get to see the id.
        """
        self.start()
        self.scrape(work())
        self.assertIsNone(self.target.calls[0].header(b"Id"))

    def test_again(self) -> None:
        """
        A scrape that is in hand already is not done twice, since a proxy that is
        not sure that it arrived sends it again.
        """
        self.start()
        self.scrape(work(b"id-1"), work(b"id-1"), work(b"id-2"), work(b"id-1"))
        self.assertEqual(len(self.target.calls), 2)
        self.assertEqual(self.proxy.polls[-1].header(b"Pushprox-Taken"), b"id-1, id-2")
        for call in self.target.calls:
            call.reply(200)
        self.net.settle()
        self.assertEqual(len(self.proxy.pushes), 2)

    def test_againLater(self) -> None:
        """
        One that was answered is forgotten, and is a scrape like any other if it
        comes again.
        """
        self.target.onCall = lambda call: call.reply(200)
        self.start()
        self.scrape(work(b"id-1"), work(b"id-1"))
        self.assertEqual(len(self.proxy.pushes), 2)
        self.idle()

    def test_noId(self) -> None:
        """
        A scrape without an id could not be answered: the poll that brought it
        has failed.
        """
        self.start()
        self.scrape(work().replace(b"Id: id-1\r\n", b""))
        self.assertEqual(self.target.calls, [])
        self.assertEqual(self.measured("pushprox_client_poll_errors_total"), 1)
        [warning] = self.said("warn")
        self.assertIn("no Id header", warning)

    def test_post(self) -> None:
        """
        A scrape may have a body.
        """
        self.start()
        head = (
            work()
            .replace(b"GET", b"POST")
            .replace(b"\r\n\r\n", b"\r\nContent-Length: 4\r\n\r\n")
        )
        self.scrape(head + b"body")
        [call] = self.target.calls
        self.assertEqual((call.method, call.body), (b"POST", b"body"))


class FailureTests(ScrapingTestCase):
    """
    Targets that do not answer.
    """

    def assertFailed(self, status: int, reason: str) -> None:
        """
        The scraper is told, and the failure is logged and counted.
        """
        self.assertEqual(self.reason(status), reason)
        self.assertIn(reason, self.answer().body.decode())
        self.assertEqual(
            dict(self.headers())[b"Content-Type"], b"text/plain; charset=utf-8"
        )
        self.assertEqual(self.measured("pushprox_client_scrape_errors_total"), 1)
        name = "pushprox_client_scrapes_total"
        self.assertEqual(self.measured(name, code=str(status)), 1)
        self.assertEqual(self.said("warn", "error", "critical"), [])
        self.assertIn(reason, self.said("info")[-1])
        self.assertIn("http://t1:9100/x", self.said("info")[-1])
        self.idle()

    def test_down(self) -> None:
        """
        Nobody listens.
        """
        self.net.unplug(lambda port: port.number == 9100)
        self.start()
        self.scrape(work())
        self.net.pass_(1.0)
        self.assertFailed(502, "Target refused the connection")

    def test_brokenOff(self) -> None:
        """
        A target that dies within its head has given no answer; the push that
        says so breaks off too.
        """
        self.start()
        self.scrape(work())
        self.target.calls[0].say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n")
        self.net.settle()
        self.target.calls[0].cut()
        self.net.settle()
        decoder = ResponseDecoder()
        decoder.feed(self.proxy.pushes[0].body)
        assert decoder.head is not None
        self.assertEqual(decoder.head.status, 502)
        self.assertEqual(
            decoder.head.reason, b"Target's answer broke off after 0 bytes"
        )
        self.assertRaises(IncompleteMessage, decoder.end)

    def test_slow(self) -> None:
        """
        The news of a slow target reaches the proxy before the time that the
        proxy said.
        """
        for timeout, seconds in ((b"10", 9.5), (b"1", 0.9), (b"0.01", 0.009)):
            self.renew()
            self.start()
            self.scrape(work(timeout=timeout))
            self.net.pass_(seconds + 1e-6)
            self.assertFailed(504, f"Target did not answer in {round(seconds, 2):g} s")
            self.assertAlmostEqual(self.proxy.pushes[0].at, seconds)
            self.assertTrue(0 < float(self.headers()[TIMEOUT]) < 1)

    def test_othersName(self) -> None:
        """
        A client serves its own name only.
        """
        self.start()
        self.scrape(work().replace(b"//t1:", b"//other:"))
        self.assertEqual(self.reason(403), "This client serves t1, not other")
        self.assertEqual(self.target.calls, [])

    def test_surprise(self) -> None:
        """
        What nobody thought of is logged with its traceback, and forgotten; the
        client goes on.
        """
        client = self.start()
        targets = client.scraping.targets

        class Broken:
            """
            Targets with a fault.
            """

            def scrape(self, request: object, timeout: float) -> object:
                """
                Fail.
                """
                return fail(ZeroDivisionError("oh"))

        client.scraping.targets = Broken()
        self.scrape(work(b"id-1"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        head = self.answer().head
        self.assertEqual((head.status, head.reason[:17]), (500, b"The client failed"))
        self.idle()
        client.scraping.targets = targets
        self.target.onCall = lambda call: call.reply(200)
        self.scrape(work(b"id-2"))
        self.assertEqual(self.headers()[b"Id"], b"id-2")

    def test_surpriseAtThePush(self) -> None:
        """
        The same holds for what nobody thought of in a push.
        """
        client = self.start()
        uplink = client.scraping.uplink

        class Broken:
            """
            A way to the proxy with a fault.
            """

            def push(self, data: bytes, timeout: float) -> object:
                """
                Fail.
                """
                return fail(ZeroDivisionError("oh"))

        client.scraping.uplink = Broken()
        self.target.onCall = lambda call: call.reply(200)
        self.scrape(work(b"id-1"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.idle()
        client.scraping.uplink = uplink
        self.scrape(work(b"id-2"))
        self.assertEqual(self.headers()[b"Id"], b"id-2")


class ConcurrencyTests(ScrapingTestCase):
    """
    So many at a time.
    """

    def test_waits(self) -> None:
        """
        Scrapes beyond the limit wait their turn, in order, while polls go on.
        """
        self.start(concurrency=2)
        self.scrape(*[work(b"%d" % n, path=str(n)) for n in range(4)])
        self.assertEqual([call.path for call in self.target.calls], [b"/0", b"/1"])
        self.assertEqual(len(self.proxy.waiting), 1)
        taken = self.proxy.waiting[0].header(b"Pushprox-Taken")
        self.assertEqual(taken, b"0, 1, 2, 3")
        self.target.calls[1].reply(200)
        self.net.settle()
        self.assertEqual(self.target.calls[-1].path, b"/2")
        self.assertEqual(self.headers()[b"Id"], b"1")

    def test_whatRemains(self) -> None:
        """
        The time that a scrape waited is lost to its target.
        """
        self.start(concurrency=1)
        self.scrape(work(b"0"), work(b"1", b"10"))
        self.net.pass_(4.0)
        self.target.calls[0].reply(200)
        self.net.settle()
        self.assertEqual(self.target.calls[-1].header(TIMEOUT), b"5.5")

    def test_busyAndSlow(self) -> None:
        """
        A target that had little time left since the client was busy is not
        blamed alone.
        """
        self.start(concurrency=1)
        self.scrape(work(b"0", b"10"), work(b"1", b"5"))
        self.net.pass_(4.0)
        self.target.calls[0].reply(200)
        self.net.pass_(1.0)
        self.assertEqual(
            self.proxy.answers[-1].head.reason,
            b"Client was busy for 4 s. Target did not answer in 0.9 s",
        )

    def test_inVain(self) -> None:
        """
        One that waits for too long is told so, and not done.
        """
        self.start(concurrency=1)
        self.scrape(work(b"0", b"10"), work(b"1", b"5"))
        self.net.pass_(4.5)
        self.assertEqual(self.reason(504), "Client is busy with 1 other scrapes")
        self.assertEqual(self.headers()[b"Id"], b"1")
        self.target.calls[0].reply(200)
        self.net.settle()
        self.assertEqual(len(self.target.calls), 1)
        self.idle()

    def test_turnsComeBack(self) -> None:
        """
        However a scrape ends, its turn is the next one's.
        """
        self.start(concurrency=1)
        self.scrape(work(b"0", b"1"), work(b"1"), work(b"2"))
        self.net.pass_(1.0)
        self.target.calls[1].cut()
        self.net.settle()
        self.target.calls[2].reply(200)
        self.net.settle()
        statuses = [answer.head.status for answer in self.proxy.answers]
        self.assertEqual(statuses, [504, 502, 200])


class PushTests(ScrapingTestCase):
    """
    The way back.
    """

    def setUp(self) -> None:
        """
        The target answers at once.
        """
        super().setUp()
        self.target.onCall = lambda call: call.reply(200, b"x" * 1000)

    def assertPushFailed(self, problem: str, count: int = 1) -> None:
        """
        It is logged and counted, and nothing is left of it.
        """
        self.assertEqual(self.measured("pushprox_client_push_errors_total"), count)
        warning = self.said("warn")[0]
        self.assertIn("Push for http://t1:9100/x failed", warning)
        self.assertIn(problem, warning)
        self.assertNotIn("\n", warning)
        self.idle()

    def test_refused(self) -> None:
        """
        A proxy that does not want an answer any more says why.
        """
        self.proxy.onPush = lambda call: call.reply(404, b"nobody\nwaits")
        self.start()
        self.scrape(work())
        self.assertPushFailed("404 Not Found: nobody waits")
        self.assertEqual(self.measured("pushprox_client_pushed_bytes_total"), 0)

    def test_notKnown(self) -> None:
        """
        That the proxy does not know us is said as it is of a poll.
        """
        self.proxy.onPush = lambda call: call.reply(401, b"Unauthorized")
        self.start()
        self.scrape(work())
        self.assertPushFailed("401 Unauthorized: the proxy wants to know who we are")

    def test_broken(self) -> None:
        """
        The line breaks, and the next one too.
        """
        self.proxy.onPush = lambda call: call.cut()
        self.start()
        self.scrape(work())
        self.assertPushFailed("Connection to the other side was lost")

    def test_ignored(self) -> None:
        """
        A push is given up when nobody waits for its answer any more.
        """
        self.proxy.onPush = lambda call: None
        self.start()
        self.scrape(work(timeout=b"5"))
        self.net.pass_(4.75)
        self.assertEqual(self.measured("pushprox_client_scrapes_in_hand"), 1)
        self.net.pass_(0.25)
        self.assertPushFailed("the proxy did not take it in time")
        self.assertIsNotNone(self.proxy.pushes[0].line.lost)

    def test_notReadable(self) -> None:
        """
        A scraper hears at once of an answer that the proxy could not read.
        """

        def push(call: Call) -> None:
            call.reply(400 if len(call.body) > 1000 else 200)

        self.proxy.onPush = push
        self.start()
        self.scrape(work(timeout=b"10"))
        head = self.proxy.answers[-1].head
        self.assertEqual(head.status, 502)
        self.assertEqual(
            head.reason, b"The proxy could not read the target's answer (1000 bytes)"
        )

    def test_tooLong(self) -> None:
        """
        A web server on the way that takes no long body is named in a short one.
        """

        def push(call: Call) -> None:
            call.reply(413 if len(call.body) > 1000 else 200, b"<html>too large")

        self.proxy.onPush = push
        self.start()
        self.scrape(work(timeout=b"10"))
        answer = self.proxy.answers[-1]
        self.assertEqual(answer.head.status, 502)
        self.assertEqual(
            answer.head.reason,
            b"A web server on the way to the proxy refused the target's answer"
            b" (1000 bytes)",
        )
        self.assertEqual(self.headers(), {
            b"Content-Type": b"text/plain; charset=utf-8",
            b"Id": b"id-1",
            TIMEOUT: b"10",
        })  # fmt: skip
        self.assertPushFailed("413 Request Entity Too Large: <html>too large")

    def test_alwaysTooLong(self) -> None:
        """
        Where even that is too long there is no third push.
        """
        self.proxy.onPush = lambda call: call.reply(413)
        self.start()
        self.scrape(work())
        self.assertEqual(len(self.proxy.pushes), 2)
        self.assertPushFailed("413", count=2)

    def test_end(self) -> None:
        """
        A client that stops waits for its pushes.
        """
        self.proxy.onPush = lambda call: None
        client: Polling = self.start()
        self.scrape(work())
        stopped = client.stopService()
        self.net.settle()
        self.assertNoResult(stopped)
        self.proxy.pushes[0].reply(200)
        self.net.settle()
        self.successResultOf(stopped)
