"""
Tests for L{pushprox.client.polling}.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import LoopingCall
from twisted.trial.unittest import SynchronousTestCase

from pushprox.client.credentials import CredentialsFile
from pushprox.client.polling import Pace, Polling
from tests.fakeproxy import (
    URL,
    Call,
    ClientTestCase,
    FakeProxy,
    GoProxy,
    Server,
    work,
)


class PaceTests(SynchronousTestCase):
    """
    How long a client waits after a failure.
    """

    def test_grows(self) -> None:
        """
        Each pause is half as long again as the one before, up to the longest.
        """
        pauses = [Pace().pause(n, lambda low, high: 1.0) for n in range(1, 7)]
        self.assertEqual(pauses, [1.0, 1.5, 2.25, 3.375, 5.0, 5.0])

    def test_jitter(self) -> None:
        """
        A pause is half longer or shorter by chance, but never above the longest.
        """
        pace = Pace(initialWait=2.0, maxWait=4.0)
        self.assertEqual(pace.pause(1, lambda low, high: low), 1.0)
        self.assertEqual(pace.pause(1, lambda low, high: high), 3.0)
        self.assertEqual(pace.pause(2, lambda low, high: high), 4.0)

    def test_long(self) -> None:
        """
        After years of failures there still is a pause.
        """
        self.assertEqual(Pace().pause(10**9, lambda low, high: high), 5.0)


class PollingTestCase(ClientTestCase):
    """
    A client, a proxy that announces itself, and a target.
    """

    makeProxy: Callable[..., FakeProxy] = FakeProxy

    def setUp(self) -> None:
        """
        The proxy listens.
        """
        super().setUp()
        self.proxy = self.proxyAt(8080, self.makeProxy(self.net))
        self.target = Server(self.net, lambda call: call.reply(200, b"up 1\n"))
        self.net.listenTCP(9100, self.target)

    def scrapes(self, perSecond: float) -> LoopingCall:
        """
        @return: what hands the proxy so many scrapes each second, until it is
            stopped.
        """

        def one() -> None:
            number = len(self.proxy.pushes) + len(self.proxy.queue)
            self.proxy.scrape(work(b"%d-%f" % (number, self.net.seconds())))

        loop = LoopingCall(one)
        loop.clock = self.net
        loop.start(1 / perSecond)
        return loop

    def pushed(self, id: bytes) -> bool:
        """
        @return: whether the answer to a scrape was pushed.
        """
        return any((b"Id", id) in answer.head.headers for answer in self.proxy.answers)

    def assertServes(self, id: bytes = b"last") -> None:
        """
        A scrape that comes now is answered, within the longest of pauses.
        """
        self.proxy.scrape(work(id))
        self.net.pass_(6.0)
        self.assertTrue(self.pushed(id))


class GoodTimesTests(PollingTestCase):
    """
    The proxy does as it should.
    """

    def test_firstPoll(self) -> None:
        """
        The first poll is a short one, whose reply shows that the proxy is
        there.
        """
        client = self.start()
        [poll] = self.proxy.polls
        self.assertEqual(poll.header(b"Prefer"), b"wait=2")
        self.assertFalse(client.connected)
        self.net.pass_(2.0)
        self.assertTrue(client.connected)
        self.assertEqual(self.proxy.polls[-1].header(b"Prefer"), b"wait=25")

    def test_againAfterAScrape(self) -> None:
        """
        A poll that brought a scrape is followed by another at once, before the
        target has answered, and tells that the scrape has arrived.
        """
        self.target.onCall = lambda call: None
        self.start()
        self.proxy.scrape(work(b"id-1"))
        self.net.settle()
        self.assertEqual(len(self.target.calls), 1)
        [_, poll] = self.proxy.polls
        self.assertTrue(poll.waiting)
        self.assertEqual(poll.header(b"Pushprox-Taken"), b"id-1")
        self.target.calls[0].reply(200, b"up 1\n")
        self.net.settle()
        self.assertEqual(self.proxy.answers[0].body, b"up 1\n")

    def test_againAfterNoScrape(self) -> None:
        """
        The word that there is no scrape is answered with another poll.
        """
        self.start()
        self.net.pass_(2.0)
        for _ in range(4):
            self.assertTrue(self.proxy.polls[-1].waiting)
            self.net.pass_(25.0)
        self.assertEqual(len(self.proxy.polls), 6)
        self.assertEqual(self.measured("pushprox_client_poll_errors_total"), 0)

    def test_wait(self) -> None:
        """
        C{--poll.wait} says for how long.
        """
        self.start(wait=1.5)
        self.assertEqual(self.proxy.polls[-1].header(b"Prefer"), b"wait=2")
        self.net.pass_(2.0)
        self.assertEqual(self.proxy.polls[-1].header(b"Prefer"), b"wait=2")

    def test_log(self) -> None:
        """
        The log says where it polls and that it is connected, and then nothing
        more but each scrape at debug, however long all goes well.
        """
        self.start()
        self.net.pass_(300.0)
        self.proxy.scrape(work())
        self.net.pass_(300.0)
        self.assertEqual(
            self.said("debug", "info", "warn", "error", "critical"),
            [
                f"Polling {URL} as t1",
                f"Connected as t1 to the proxy at {URL} (version 1.2.3)",
                "Scraped http://t1:9100/x: 200, 5 bytes",
            ],
        )

    def test_metrics(self) -> None:
        """
        The metrics show whether there is a proxy, the polls and the scrapes.
        """
        self.target.onCall = lambda call: None
        self.start()
        names = ["connected", "polls", "scrapes_in_hand"]
        seen = [self.measured(f"pushprox_client_{name}") for name in names]
        self.assertEqual(seen, [0, 1, 0])
        self.proxy.scrape(work())
        self.net.settle()
        seen = [self.measured(f"pushprox_client_{name}") for name in names]
        self.assertEqual(seen, [1, 1, 1])

    def test_realJitter(self) -> None:
        """
        A client's pauses are random unless it is told otherwise.
        """
        jitter = Polling.__attrs_attrs__.jitter.default
        self.assertTrue(all(0.5 <= jitter(0.5, 1.5) <= 1.5 for _ in range(100)))
        self.assertNotEqual(jitter(0.5, 1.5), jitter(0.5, 1.5))


def saying(data: bytes) -> Callable[[Call], None]:
    """
    @return: what answers with these bytes and closes.
    """

    def say(call: Call) -> None:
        call.say(data)
        call.close()

    return say


#: What stands where the proxy should be, and how it answers polls.
BAD = {
    "garbage": saying(b"\x00\xff garbage \r\n\r\n"),
    "noEnd": lambda call: call.say(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "tlsAlert": saying(b"\x15\x03\x01\x00\x02\x02\x46"),
    "empty200": lambda call: call.reply(200),
    "html200": lambda call: call.reply(200, b"<html><p>Log in!</p></html>"),
    "noId": lambda call: call.reply(
        200, b"GET http://t1/ HTTP/1.1\r\nHost: t1\r\n\r\n"
    ),
    "otherwise200": lambda call: call.reply(201, work()),
    "204atOnce": lambda call: call.reply(204),
    "301": lambda call: call.reply(301, b"", b"Location: https://proxy/poll"),
    "400": lambda call: call.reply(400, b"expected a name"),
    "401": lambda call: call.reply(401, b"", b'WWW-Authenticate: Basic realm="x"'),
    "404": lambda call: call.reply(404, b"no such page"),
    "408": lambda call: call.reply(408),
    "429": lambda call: call.reply(429),
    "500": lambda call: call.reply(500, b"\x00\xff\n\xe2\x80\xa8"),
    "502": lambda call: call.reply(502, b"<html>Bad Gateway</html>"),
    "503": lambda call: call.reply(503, b"", b"Retry-After: 1"),
    "cut": lambda call: call.cut(),
    "closed": lambda call: call.close(),
    "shortBody": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nGET"),
    "oddHeaders": saying(b"HTTP/1.1 200 OK\r\nPushprox-Version: \xff\r\n\r\n"),
    "100": saying(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "101": saying(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
}


class BadTimesTests(PollingTestCase):
    """
    The proxy, or what stands before it or in its place, does as it should not.
    """

    def pollsInAMinute(self, proxy: FakeProxy) -> int:
        """
        @return: how many there are once the pauses are at their longest.
        """
        self.net.pass_(20.0)
        before = len(proxy.polls)
        self.net.pass_(60.0)
        return len(proxy.polls) - before

    def test_noBusyLoop(self) -> None:
        """
        Whatever the answer is, a client backs off, says so once, and counts each
        failure; and once the proxy is well the client is, too.
        """
        for name, answer in BAD.items():
            with self.subTest(name):
                self.renew()
                self.proxy.onPoll = answer
                client = self.start()
                # One that is held does its part for the pause.
                polls = self.pollsInAMinute(self.proxy)
                self.assertTrue(1 <= polls <= 12, f"{polls} polls")
                self.assertFalse(client.connected)
                self.assertEqual(len(self.said("warn")), 1, self.said("warn"))
                errors = self.measured("pushprox_client_poll_errors_total")
                self.assertTrue(errors > 0)
                self.proxy.onPoll = None
                # A poll without an end was given up only then.
                self.net.pass_(20.0)
                self.assertServes()
                self.assertTrue(client.connected)
                self.assertEqual(self.said("error", "critical"), [])
                self.cleanUp(client)
        self.assertEqual(self.flushLoggedErrors(), [])

    def cleanUp(self, client: Polling) -> None:
        """
        Stop a client, and see that nothing is left.
        """
        stopped = client.stopService()
        self.net.pass_(1.0)
        self.successResultOf(stopped)
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_pauses(self) -> None:
        """
        The pauses grow from the first to the longest.
        """
        self.proxy.onPoll = BAD["502"]
        self.start(initialWait=2.0, maxWait=6.0)
        self.net.pass_(30.0)
        times = [poll.at for poll in self.proxy.polls]
        self.assertEqual(times, [0, 2, 5, 9.5, 15.5, 21.5, 27.5])

    def test_pausesBeginAnew(self) -> None:
        """
        After good times the first pause is short again.
        """
        self.proxy.onPoll = BAD["502"]
        self.start()
        self.net.pass_(30.0)
        self.proxy.onPoll = None
        self.net.pass_(10.0)
        self.proxy.onPoll = BAD["502"]
        self.proxy.waiting[0].reply(502)
        self.net.settle()
        before = len(self.proxy.polls)
        self.net.pass_(1.0)
        self.assertEqual(len(self.proxy.polls), before + 1)

    def test_nobodyThere(self) -> None:
        """
        A client may be started before its proxy.
        """
        self.proxy = FakeProxy(self.net)
        self.start("http://proxy:8081/")
        self.net.pass_(60.0)
        self.proxyAt(8081, self.proxy)
        self.assertServes()

    def test_closesAllConnections(self) -> None:
        """
        Who takes connections only to close them sees few.
        """
        self.proxy.onConnect = lambda line: line.transport.loseConnection()
        self.start()
        self.net.pass_(60.0)
        self.assertTrue(5 <= self.proxy.connections <= 20)

    def test_neverAnswers(self) -> None:
        """
        A port that takes polls and answers none gets one at a time, each for
        as long as a proxy of the reference may hold it.
        """
        self.proxy.onPoll = lambda call: None
        self.start()
        self.net.pass_(12.0 + 35.0 + 1.0)
        self.assertEqual([poll.at for poll in self.proxy.polls], [0, 12, 47])
        self.assertEqual(len(self.proxy.waiting), 1)

    def test_deadLine(self) -> None:
        """
        A poll at a proxy that always answered in time is given up 10 s after
        that time, and the next one follows at once on a new line: those that
        rested may be as dead.
        """
        self.start()
        self.proxy.scrape(work())
        self.net.pass_(2.0)
        self.assertEqual(len(self.net.linesTo(8080)), 2)
        self.net.kill(self.net.linesTo(8080))
        self.net.pass_(32.5)
        self.assertEqual(len(self.proxy.polls), 2)
        self.net.pass_(0.5)
        self.assertEqual(len(self.proxy.polls), 3)
        self.assertServes()
        [warning] = self.said("warn")
        self.assertIn("no reply in 35 s", warning)

    def test_machineGone(self) -> None:
        """
        While the proxy's machine is gone without a word, each attempt to
        connect takes its time and is followed by a pause; that is not taken for
        an idle timeout on the way.
        """
        client = self.start()
        self.net.pass_(5.0)
        self.net.blackHoles.add("10.0.0.1")
        self.net.unplug(lambda port: port.number == 8080)
        self.net.pass_(120.0)
        self.assertFalse(client.connected)
        self.net.blackHoles.clear()
        self.proxyAt(8080, self.proxy)
        self.net.pass_(20.0)
        self.assertServes()
        self.assertEqual(self.proxy.polls[-1].header(b"Prefer"), b"wait=25")
        self.assertEqual(len(self.said("warn")), 2)

    def test_restart(self) -> None:
        """
        The log tells of a proxy that goes and comes, once each, and each time.
        """
        self.start()
        for _ in range(2):
            self.net.pass_(5.0)
            self.net.unplug(lambda port: port.number == 8080)
            self.net.pass_(60.0)
            self.proxyAt(8080, self.proxy)
            self.net.pass_(60.0)
        kinds = [text.split(" ", 1)[0] for text in self.said("info", "warn")]
        # Cut first, and then refused.
        once = ["Poll", "Poll", "Connected"]
        self.assertEqual(kinds, ["Polling", "Connected", *once, *once])

    def test_otherBodies(self) -> None:
        """
        A web server's error page that is never twice the same is still one kind
        of trouble.
        """
        self.proxy.onPoll = lambda call: call.reply(
            502, b"<html>Request %d" % len(self.proxy.polls)
        )
        self.start()
        self.net.pass_(60.0)
        [warning] = self.said("warn")
        self.assertIn("502 Bad Gateway: <html>Request 1", warning)

    def test_otherKinds(self) -> None:
        """
        Two kinds of trouble in turn are told of once each.
        """
        self.proxy.onPoll = lambda call: call.reply(502 + len(self.proxy.polls) % 2)
        self.start()
        self.net.pass_(60.0)
        self.assertEqual(len(self.said("warn")), 2)

    def test_redirectTold(self) -> None:
        """
        Where a redirect leads is likely to be what should have been configured;
        its query may be a secret, and is not told.
        """
        self.proxy.onPoll = lambda call: call.reply(
            301, b"", b"Location: https://proxy/poll?token=s3cret"
        )
        self.start()
        [warning] = self.said("warn")
        self.assertIn("https://proxy/poll", warning)
        self.assertNotIn("s3cret", warning)

    def test_refusals(self) -> None:
        """
        Where a proxy, or a web proxy before it, refuses, one warning says whose
        fault it is and where to look, and polls go on, with pauses.
        """
        token = Path(self.mktemp())
        token.write_text("s3kr1t")
        flag = "proxy.token-file"
        for status, hasToken, body, says in (
            (
                b"403 Forbidden",
                False,
                b"<html>",
                "403 Forbidden: the proxy, or a web server before it, does not let us"
                " poll as t1 (<html>)",
            ),
            (
                b"401 Unauthorized",
                False,
                b"Unauthorized\n",
                "401 Unauthorized: the proxy wants to know who we are: see"
                " --proxy.token-file or --proxy.basic-auth-file",
            ),
            (
                b"401 Unauthorized",
                True,
                b"<html>You said Bearer s3kr1t",
                "401 Unauthorized: the proxy does not know our credentials: see"
                " --proxy.token-file (<html>You said Bearer ***)",
            ),
            (
                b"403 Forbidden",
                True,
                b"No role lets you poll as t1\n",
                "403 Forbidden: the proxy does not let us poll as t1 (No role lets"
                " you poll as t1)",
            ),
            (
                b"407 Proxy Authentication Required",
                True,
                b"",
                "407 Proxy Authentication Required: a web proxy on the way does not"
                " know us: HTTP_PROXY may have user:password@",
            ),
            (
                b"418 I heard s3kr1t",
                True,
                b"Teapot: s3kr1t",
                "418 I heard ***: Teapot: ***",
            ),
            (
                b"301 Moved\r\nLocation: http://proxy/s3kr1t/",
                True,
                b"",
                "301 Moved: redirected to http://proxy/***/, which may be the right"
                " URL",
            ),
            (
                b"200 OK",
                True,
                b"s3kr1t",
                "expected a scrape from the proxy: no request but '***'",
            ),
            (
                b"429 Too Many Requests",
                True,
                b"Too Many Requests\n",
                "429 Too Many Requests: the proxy lets us wait: it has more requests"
                " than its rate_limit, or too many wrong passwords from our address",
            ),
        ):
            self.renew()
            version = b"" if body == b"<html>" else b"Pushprox-Version: 1.2.3\r\n"
            self.proxy.onPoll = saying(
                b"HTTP/1.1 %b\r\n%b\r\n%b" % (status, version, body)
            )
            credentials = CredentialsFile(flag, str(token), self.net)
            client = self.start(credentials=credentials if hasToken else None)
            self.assertTrue(2 <= self.pollsInAMinute(self.proxy) <= 20)
            self.assertEqual(
                self.said("warn", "error"), [f"Poll at {URL} failed: {says}"]
            )
            self.assertNotIn("s3kr1t", repr(self.events) + repr(client))
            self.proxy.onPoll = None
            self.assertServes()

    def test_ownFault(self) -> None:
        """
        A fault in the client itself is logged with its traceback, and polls go
        on after a pause.
        """
        client = self.start()
        scraping = client.scraping

        class Broken:
            """
            What cannot take a scrape.
            """

            inHand: tuple[bytes, ...] = ()

            def take(self, request: object, announced: bool) -> None:
                """
                Fail.
                """
                raise ZeroDivisionError("oh")

        client.scraping = Broken()
        self.proxy.scrape(work())
        self.net.settle()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.proxy.waiting, [])
        client.scraping = scraping
        self.net.pass_(1.0)
        self.assertServes()

    def test_noSecretsTold(self) -> None:
        """
        Passwords stay out of the log.
        """
        self.proxy.onPoll = BAD["401"]
        client = self.start("http://me:secret@proxy:8080/")
        self.net.pass_(10.0)
        self.assertEqual(len(self.proxy.polls), 5)
        everything = repr(self.events) + repr(client) + repr(client.uplink)
        self.assertNotIn("secret", everything)
        self.assertNotIn("bWU6c2VjcmV0", everything)


#: What a load balancer says in place of the proxy.
GATEWAY = b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n"


class CutTestCase(PollingTestCase):
    """
    Polls that are held for long and then cut.
    """

    def cutAfter(self, seconds: float, cut: Callable[[Call], None]) -> None:
        """
        Something on the way ends polls that are held for so long.
        """
        original = self.proxy.park

        def park(poll: Call) -> None:
            original(poll)
            if poll.timer is None or poll.timer.getTime() > poll.at + seconds:
                poll.after(seconds, lambda: cut(poll))

        self.proxy.park = park


class CutTests(CutTestCase):
    """
    The same with a proxy that announces itself.
    """

    def test_atOnce(self) -> None:
        """
        A poll that was held for 10 s and then cut is followed by another at
        once, and nobody is told of a lost proxy.
        """
        client = self.start()
        self.net.pass_(12.0)
        self.proxy.waiting[0].cut()
        self.net.settle()
        self.assertEqual(len(self.proxy.waiting), 1)
        self.assertTrue(client.connected)

    def test_notAtOnce(self) -> None:
        """
        Where it was held for less, there is a pause.
        """
        self.start()
        self.net.pass_(11.0)
        self.proxy.waiting[0].cut()
        self.net.settle()
        self.assertEqual(self.proxy.waiting, [])

    def test_learns(self) -> None:
        """
        After three cuts at about the same age polls are made to end earlier.
        """
        for kind in (Call.cut, lambda call: call.say(GATEWAY)):
            self.renew()
            self.cutAfter(20.0, kind)
            self.start()
            self.net.pass_(2.0 + 60.0)
            self.assertEqual(self.proxy.polls[-1].header(b"Prefer"), b"wait=16")
            errors = self.measured("pushprox_client_poll_errors_total")
            self.net.pass_(600.0)
            self.assertEqual(self.measured("pushprox_client_poll_errors_total"), errors)
            self.assertIn("cut after 20 s", self.said("info")[-1])

    def test_ownRefusalsAreNoCuts(self) -> None:
        """
        A refusal by the proxy itself tells nothing about what is on the way.
        """
        self.cutAfter(20.0, lambda call: call.reply(503))
        self.start()
        self.net.pass_(120.0)
        self.assertEqual(self.proxy.polls[-1].header(b"Prefer"), b"wait=25")

    def test_neverBelowASecond(self) -> None:
        """
        Where polls are cut all too soon they stay as long as they have to be.
        """
        self.cutAfter(1.1, Call.cut)
        self.start()
        self.net.pass_(60.0)
        self.assertEqual(self.proxy.polls[-1].header(b"Prefer"), b"wait=1")
        self.assertServes()

    def test_afterFewSeconds(self) -> None:
        """
        Where they are cut after a few seconds, they end before that: it is whole
        seconds that the proxy is asked for.
        """
        self.cutAfter(3.0, Call.cut)
        self.start()
        self.net.pass_(60.0)
        self.assertEqual(self.proxy.polls[-1].header(b"Prefer"), b"wait=2")
        self.assertServes()

    def test_otherAges(self) -> None:
        """
        Cuts at different ages are no idle timeout.
        """
        self.start()
        self.net.pass_(2.0)
        for seconds in (11.0, 18.0, 13.0, 20.0, 11.0, 24.0):
            self.net.pass_(seconds)
            self.proxy.waiting[0].cut()
            self.net.settle()
        self.assertEqual(self.proxy.polls[-1].header(b"Prefer"), b"wait=25")

    def test_oldCuts(self) -> None:
        """
        Cuts before a poll that was held for longer are forgotten.
        """
        self.start()
        self.net.pass_(2.0)
        for _ in range(2):
            for _ in range(2):
                self.net.pass_(12.0)
                self.proxy.waiting[0].cut()
                self.net.settle()
            self.net.pass_(25.0)
        self.assertEqual(self.proxy.polls[-1].header(b"Prefer"), b"wait=25")


class CutReferenceTests(CutTestCase):
    """
    The same with a proxy of the reference, which holds polls without end.
    """

    makeProxy = GoProxy

    def test_atOnce(self) -> None:
        """
        A poll that is cut at a steady age, whatever it asks for, is followed by
        another at once each time: there never is a hole.
        """
        self.cutAfter(20.0, Call.cut)
        self.start(wait=30.0)
        self.net.pass_(12.0)
        for _ in range(20):
            self.assertEqual(len(self.proxy.waiting), 1)
            self.net.pass_(20.0)
        self.assertTrue(len(self.proxy.polls) < 40)


class ManyPollsTests(PollingTestCase):
    """
    More polls than one, where a proxy takes them.
    """

    def setUp(self) -> None:
        """
        The proxy is far away.
        """
        super().setUp()
        self.proxy.latency = 0.5

    def busy(self, seconds: float = 8.0, **options: object) -> Polling:
        """
        @return: a client after some time with ten scrapes a second.
        """
        client = self.start(**options)
        scrapes = self.scrapes(10.0)
        self.net.pass_(seconds)
        scrapes.stop()
        return client

    def test_grows(self) -> None:
        """
        While scrapes come faster than polls can fetch them one by one, there
        are more polls, up to the client's limit.
        """
        client = self.busy()
        self.assertEqual(client.open, 4)
        # Two a second with one poll.
        self.assertTrue(len(self.proxy.pushes) > 25)

    def test_clientsLimit(self) -> None:
        """
        C{--polls} is the limit.
        """
        self.assertEqual(self.busy(polls=2).open, 2)

    def test_one(self) -> None:
        """
        A client may be told to have only one.
        """
        self.assertEqual(self.busy(polls=1).open, 1)

    def test_proxysLimit(self) -> None:
        """
        And the proxy's is, too.
        """
        self.proxy.announcement = (b"Pushprox-Version: 1", b"Pushprox-Max-Polls: 3")
        self.assertEqual(self.busy().open, 3)

    def test_shrinks(self) -> None:
        """
        When there is less to do, the polls that end without a scrape are not
        repeated, but for one.
        """
        client = self.busy()
        self.proxy.queue.clear()
        self.net.pass_(30.0)
        self.assertEqual(client.open, 1)
        self.assertServes()
        self.assertEqual(self.said("warn"), [])

    def test_idleScrapes(self) -> None:
        """
        Scrapes that find a poll parked need no second one.
        """
        client = self.start()
        scrapes = self.scrapes(0.25)
        self.net.pass_(60.0)
        scrapes.stop()
        self.assertEqual(client.open, 1)

    def test_one408(self) -> None:
        """
        After the proxy has ended one of its polls, a client has one for a
        minute, and more again after that.
        """
        client = self.busy()
        self.proxy.queue.clear()
        self.net.pass_(2.0)
        self.proxy.waiting[0].reply(408)
        scrapes = self.scrapes(10.0)
        self.net.pass_(5.0)
        for _ in range(10):
            self.assertEqual(client.open, 1)
            self.net.pass_(5.0)
        self.net.pass_(15.0)
        scrapes.stop()
        self.assertEqual(client.open, 4)

    def test_reference(self) -> None:
        """
        A proxy that did not say that it takes many never gets two.
        """
        self.net.unplug(lambda port: port.number == 8080)
        self.proxy = self.proxyAt(8080, GoProxy(self.net))
        self.proxy.latency = 0.5
        client = self.start()
        scrapes = self.scrapes(10.0)
        for _ in range(40):
            self.net.pass_(0.25)
            self.assertTrue(client.open <= 1)
        scrapes.stop()

    def rolledBack(self, *, seconds: float) -> GoProxy:
        """
        @return: the proxy of the reference in the place of ours, which had many
            polls for so many seconds.
        """
        self.busy()
        self.proxy.queue.clear()
        self.net.pass_(seconds)
        self.assertTrue(self.proxy.waiting)
        # From one moment to the next, as behind a load balancer.
        for port in list(self.net.ports.values()):
            if port.number == 8080:
                port.stopListening()
        self.proxy = GoProxy(self.net)
        self.proxyAt(8080, self.proxy)
        self.net.cut(self.net.linesTo(8080))
        return self.proxy

    def test_rolledBack(self) -> None:
        """
        Nor does one that stands where there was one that said so.
        """
        for seconds in (0.6, 1.0, 5.0):
            self.renew()
            proxy = self.rolledBack(seconds=seconds)
            scrapes = self.scrapes(10.0)
            for _ in range(40):
                self.net.pass_(0.25)
                self.assertTrue(len(proxy.waiting) <= 1)
            scrapes.stop()
            statuses = self.said("warn")
            self.assertNotIn("408", repr(statuses))
            proxy.queue.clear()
            self.assertServes()

    def test_cutWithMany(self) -> None:
        """
        When the proxy dies, only one poll is tried again, so that a thousand
        clients do not come back with four each.
        """
        client = self.busy()
        self.proxy.queue.clear()
        self.net.pass_(2.0)
        self.net.unplug(lambda port: port.number == 8080)
        self.net.pass_(30.0)
        self.assertTrue(client.open <= 1)
        self.proxyAt(8080, self.proxy)
        self.net.pass_(10.0)
        self.assertEqual(client.open, 1)


class ReferenceTests(PollingTestCase):
    """
    The proxy is one of the reference.
    """

    makeProxy = GoProxy

    def test_serves(self) -> None:
        """
        Scrapes are answered, also after the polls that the client gave up in
        between.
        """
        client = self.start()
        self.assertServes(b"first")
        for _ in range(3):
            self.net.pass_(100.0)
            self.assertServes(b"%d" % len(self.proxy.polls))
        self.assertTrue(client.connected)
        self.assertEqual(self.measured("pushprox_client_poll_errors_total"), 0)
        self.assertEqual(self.said("warn"), [])
        self.assertIn("an unknown version", self.said("info")[1])

    def test_twoOfOneName(self) -> None:
        """
        Two clients of one name end each other's polls, and do not chase each
        other for that.
        """
        self.start()
        other = self.makeClient(registry=type(self.registry)())
        other.startService()
        self.net.pass_(60.0)
        before = len(self.proxy.polls)
        self.net.pass_(60.0)
        polls = len(self.proxy.polls) - before
        self.assertTrue(polls <= 30, f"{polls} polls a minute")

    def test_once408(self) -> None:
        """
        A poll that the proxy ended after 10 s or more is repeated at once, a
        younger one is not.
        """
        self.start()
        for seconds, polls in ((11.0, 1), (9.5, 0)):
            self.net.pass_(seconds)
            self.proxy.waiting[0].reply(408)
            self.net.settle()
            self.assertEqual(len(self.proxy.waiting), polls)


class StopTests(PollingTestCase):
    """
    The end.
    """

    def stop(self, client: Polling) -> object:
        """
        @return: fires when the client has stopped.
        """
        stopped = client.stopService()
        self.net.settle()
        return stopped

    def assertNothingLeft(self) -> None:
        """
        No timer and no connection is there.
        """
        self.net.pass_(1.0)
        self.assertEqual(self.net.getDelayedCalls(), [])
        self.assertEqual(self.net.ends, [])
        self.assertEqual(self.net.dialling, [])

    def test_idle(self) -> None:
        """
        A client that waits for work just goes, and its poll with it.
        """
        client = self.start()
        self.net.pass_(5.0)
        self.successResultOf(self.stop(client))
        self.assertEqual(self.proxy.waiting, [])
        self.assertEqual(client.open, 0)
        self.assertNothingLeft()

    def test_many(self) -> None:
        """
        Many polls go like one.
        """
        self.proxy.latency = 0.5
        client = self.start()
        scrapes = self.scrapes(10.0)
        self.net.pass_(20.0)
        scrapes.stop()
        stopped = self.stop(client)
        self.net.pass_(1.0)
        self.successResultOf(stopped)
        self.assertEqual(client.open, 0)
        self.assertNothingLeft()

    def test_inThePause(self) -> None:
        """
        A client that waits after a failure goes, too.
        """
        self.proxy.onPoll = BAD["502"]
        client = self.start()
        self.successResultOf(self.stop(client))
        self.net.pass_(10.0)
        self.assertEqual(len(self.proxy.polls), 1)
        self.assertNothingLeft()

    def test_onTheWay(self) -> None:
        """
        And so does one that is just connecting, or whose reply has begun.
        """
        self.net.blackHoles.add("10.0.0.1")
        client = self.start()
        self.successResultOf(self.stop(client))
        self.net.blackHoles.clear()
        self.net.pass_(10.0)
        self.assertEqual(self.proxy.polls, [])
        self.assertNothingLeft()
        self.proxy.onPoll = lambda call: call.say(b"HTTP/1.1 200 OK\r\n\r\nGET")
        client = self.start(registry=type(self.registry)())
        self.successResultOf(self.stop(client))
        self.assertNothingLeft()

    def test_scrapesInHand(self) -> None:
        """
        What is in hand is finished and pushed first; nothing more is taken.
        """
        self.target.onCall = lambda call: None
        client = self.start()
        self.proxy.scrape(work())
        self.net.settle()
        stopped = self.stop(client)
        self.assertNoResult(stopped)
        self.assertEqual(self.proxy.waiting, [])
        self.target.calls[0].reply(200, b"up 1\n")
        self.net.settle()
        [answer] = self.proxy.answers
        self.assertEqual(answer.body, b"up 1\n")
        self.successResultOf(stopped)
        self.assertNothingLeft()

    def test_notForEver(self) -> None:
        """
        A target that never answers holds the end up until its deadline.
        """
        self.target.onCall = lambda call: None
        client = self.start()
        self.proxy.scrape(work(timeout=b"5"))
        self.net.settle()
        stopped = self.stop(client)
        self.net.pass_(5.0)
        self.successResultOf(stopped)
        self.assertEqual([answer.head.status for answer in self.proxy.answers], [504])
        self.assertNothingLeft()

    def test_quiet(self) -> None:
        """
        To stop is no trouble.
        """
        client = self.start()
        self.net.pass_(5.0)
        self.stop(client)
        self.assertEqual(self.said("warn", "error", "critical"), [])


#: Replies to a poll, from nearly right to not at all.
REPLIES = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda status, reason, headers, body: (
            b"HTTP/1.1 %d %b\r\n%b\r\n%b"
            % (
                status,
                reason,
                b"".join(b"%b: %b\r\n" % header for header in headers),
                body,
            )
        ),
        st.sampled_from([100, 101, 200, 200, 200, 204, 206, 301, 304, 408, 500, 999]),
        st.binary(max_size=10).map(lambda text: text.replace(b"\n", b"")),
        st.lists(
            st.tuples(
                st.sampled_from(
                    [
                        b"Pushprox-Version",
                        b"Pushprox-Max-Polls",
                        b"Location",
                        b"Content-Length",
                        b"Content-Encoding",
                        b"Transfer-Encoding",
                        b"Connection",
                        b"Set-Cookie",
                    ]
                ),
                st.one_of(
                    st.sampled_from([b"2", b"gzip", b"chunked", b"close", b"http://["]),
                    st.binary(max_size=20).map(
                        lambda text: text.replace(b"\n", b"").replace(b"\r", b"")
                    ),
                ),
            ),
            max_size=4,
        ),
        st.one_of(
            st.binary(max_size=100),
            st.just(work()),
            st.binary(max_size=10).map(lambda junk: work()[:-20] + junk),
        ),
    ),
)


class SurvivalTests(PollingTestCase):
    """
    Whatever comes.
    """

    @settings(max_examples=60)
    @given(
        st.lists(st.tuples(REPLIES, st.sampled_from(["hold", "close", "cut"]))),
        st.booleans(),
    )
    def test_survives(self, replies: list[tuple[bytes, str]], busy: bool) -> None:
        """
        No sequence of replies keeps a client from serving once the proxy is
        well, or makes it ask without end.
        """
        self.renew()
        script = iter(replies)

        def answer(call: Call) -> None:
            data, then = next(script, (None, ""))
            if data is None:
                self.proxy.onPoll = None
                self.proxy.hold(call)
                return
            call.say(data)
            if then != "hold":
                getattr(call, then)()

        self.proxy.onPoll = answer
        client = self.start()
        self.net.pass_(36.0 * (len(replies) + 1))
        self.assertEqual(next(script, None), None)
        self.assertServes()
        stopped = client.stopService()
        self.net.pass_(20.0)
        self.successResultOf(stopped)
        self.assertEqual(self.net.getDelayedCalls(), [])
        self.assertEqual(self.said("error", "critical"), [])
        self.flushLoggedErrors()
