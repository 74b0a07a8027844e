"""
Tests for L{pushprox.guard}, with a whole proxy behind it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet.defer import execute
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pushprox import guard
from pushprox.credentials import digestOf
from pushprox.guard import ATTEMPTS, LINES, REGAIN
from pushprox.metrics import Ledger
from pushprox.passwords import QUEUED, THREADS, Work
from pushprox.request import HELD
from pushprox.watched import LOOK_EVERY
from pushprox.webconfig import WebConfig
from pushprox.webfile import WebFile
from tests.internet import Machine
from tests.journeys import openLine
from tests.rigs import (
    OK,
    PUSHED,
    SIGNED,
    ProxyRig,
    closing,
    heard,
    idIn,
    pollBytes,
    pushBytes,
    scrapeBytes,
)
from tests.test_passwords import LongWork, basic, hashed

USERS = f"""\
basic_auth_users:
  alice: {hashed(b"wonderland").decode()}
  bob: {hashed(b"builder").decode()}
"""

RIGHT = basic(b"alice", b"wonderland")
OTHER = basic(b"bob", b"builder")
WRONG = basic(b"alice", b"s3kr1t")
UNKNOWN = basic(b"mallory", b"wonderland")

FOR_PROXY = b"Proxy-Authorization"
FOR_OWNER = b"Authorization"

DENIED = "pushprox_http_denied_requests_total"


def denial(status: bytes, line: bytes, isHead: bool = False) -> bytes:
    """
    What is answered to who does not pass.

    @param status: with its reason.
    @param line: what is to be done about it.
    """
    text = status[4:] + b"\n"
    return (
        b"HTTP/1.1 %b\r\n%b%b\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: %d\r\n\r\n%b"
        % (status, SIGNED, line, len(text), b"" if isHead else text)
    )


ASKS_PROXY = denial(
    b"407 Proxy Authentication Required",
    b'Proxy-Authenticate: Basic realm="pushprox"',
)
ASKS_OWNER = denial(
    b"401 Unauthorized",
    b'WWW-Authenticate: Basic realm="pushprox"',
)
SLOWER = denial(b"429 Too Many Requests", b"Retry-After: 1")
BUSY = denial(b"503 Service Unavailable", b"Retry-After: 1")


def with_(request: bytes, name: bytes, value: bytes | None) -> bytes:
    """
    @return: the request with one more header.
    """
    if value is None:
        return request
    return request.replace(b"\r\n", b"\r\n%b: %b\r\n" % (name, value), 1)


def page(path: bytes, method: bytes = b"GET") -> bytes:
    """
    @return: a request for one of the proxy's own pages.
    """
    return b"%b %b HTTP/1.1\r\nHost: proxy\r\n\r\n" % (method, path)


def statusOf(answer: bytes) -> int:
    """
    @return: its status; 0 where there is no answer.
    """
    return int(answer[9:12] or b"0")


class GuardTestCase(SynchronousTestCase):
    """
    A proxy with a web config file.
    """

    def guard(self, config: str = USERS, work: Work = execute) -> None:
        """
        Start it.
        """
        self.path = Path(self.mktemp())
        self.path.write_text(config)
        self.rig = ProxyRig(self, web=self.path, work=work)
        self.logged: list[str] = []

        def keep(event: LogEvent) -> None:
            if event.get("log_namespace") == "pushprox.guard.Guard":
                self.logged.append(formatEvent(event))

        globalLogPublisher.addObserver(keep)
        self.addCleanup(globalLogPublisher.removeObserver, keep)

    def change(self, config: str) -> None:
        """
        Change the file, and wait until that has been seen.
        """
        self.path.write_text(config)
        self.rig.net.pass_(LOOK_EVERY)

    def assertDenied(self, why: str, count: int) -> None:
        """
        So many requests were denied for this reason.
        """
        self.assertEqual(self.rig.metric(DENIED, reason=why), count)


class CredentialsTests(GuardTestCase):
    """
    Who is asked for what, and who passes.
    """

    #: What may be asked for, and its status for who may.
    own = (
        (page(b"/"), 200),
        (page(b"/clients"), 200),
        (page(b"/metrics"), 200),
        (page(b"/-/ready"), 200),
        (page(b"/-/healthy/"), 404),
        (page(b"/nothing"), 404),
        (page(b"/metrics", b"DELETE"), 501),
        (pollBytes(b""), 400),
        (pushBytes(b"nonsense\r\n\r\n"), 400),
        (page(b"/poll"), 405),
        (page(b"*", b"OPTIONS"), 200),
        (page(b"*"), 405),
        (page(b"*", b"OPTIONS").replace(b"*", b"*://t1/"), 404),
    )
    scrapes = (
        (scrapeBytes(), 503),
        (scrapeBytes(method=b"POST"), 503),
        (scrapeBytes(b"HTTP://t1/"), 503),
        (scrapeBytes(b"ftp://t1/"), 400),
        (scrapeBytes(b"http://proxy/-/healthy"), 503),
        (scrapeBytes(b"t1:443", method=b"CONNECT"), 501),
        (scrapeBytes(b"/-/healthy", method=b"CONNECT"), 501),
    )

    def test_matrix(self) -> None:
        """
        Scrapes are challenged by 407 and want a Proxy-Authorization; all else is
        by 401 and wants an Authorization. The other header counts for nothing.
        """
        self.guard()
        for requests, field, other, asks in (
            (self.scrapes, FOR_PROXY, FOR_OWNER, ASKS_PROXY),
            (self.own, FOR_OWNER, FOR_PROXY, ASKS_OWNER),
        ):
            for request, status in requests:
                # Twice: when it is new, and when it is known.
                for _ in range(2):
                    for value in (RIGHT, OTHER, RIGHT.replace(b"Basic", b"bAsIc")):
                        passed = self.rig.ask(with_(request, field, value))
                        self.assertEqual(statusOf(passed), status, request)
                    for name, wrong in (
                        (field, None),
                        (field, WRONG),
                        (field, UNKNOWN),
                        (field, b"Basic nonsense"),
                        (field, RIGHT.replace(b"Basic", b"Bearer")),
                        (field, b""),
                        (other, RIGHT),
                    ):
                        denied = self.rig.ask(with_(request, name, wrong))
                        isLast = request.startswith(b"CONNECT")
                        expected = closing(asks) if isLast else asks
                        self.assertEqual(denied, expected, (request, name, wrong))

    def test_healthy(self) -> None:
        """
        Whether the proxy is alive, everybody may ask.
        """
        self.guard()
        for value in (None, RIGHT, WRONG):
            answer = self.rig.ask(with_(page(b"/-/healthy"), FOR_OWNER, value))
            self.assertEqual(statusOf(answer), 200)

    def test_bodyForHealthy(self) -> None:
        """
        What a stranger sends with that question is not waited for nor kept.
        """
        self.guard()
        head = page(b"/-/healthy").replace(b"\r\n", b"\r\nContent-Length: 900\r\n", 1)
        talker = self.rig.talk(head)
        self.assertEqual(statusOf(heard(talker)), 200)
        self.rig.say(talker, b"x" * 900)
        self.rig.say(talker, page(b"/-/healthy"))
        self.assertEqual(statusOf(heard(talker)), 200)
        self.rig.hangUp(talker)

    def test_head(self) -> None:
        """
        A denial of a HEAD has no body, and the connection can be used again.
        """
        self.guard()
        talker = self.rig.talk(page(b"/metrics", b"HEAD"))
        self.assertEqual(
            heard(talker),
            denial(
                b"401 Unauthorized",
                b'WWW-Authenticate: Basic realm="pushprox"',
                isHead=True,
            ),
        )
        self.rig.say(talker, with_(page(b"/-/ready"), FOR_OWNER, RIGHT))
        self.assertEqual(statusOf(heard(talker)), 200)
        self.rig.hangUp(talker)

    def test_journey(self) -> None:
        """
        A poll, a scrape and a push with credentials work as they do without. The
        scraper's for the proxy go no further, those for the target do.
        """
        self.guard()
        poll = self.rig.talk(with_(pollBytes(), FOR_OWNER, OTHER))
        request = with_(scrapeBytes(), FOR_PROXY, RIGHT)
        scrape = self.rig.talk(with_(request, FOR_OWNER, b"Bearer targets"))
        instruction = heard(poll)
        self.assertNotIn(FOR_PROXY, instruction)
        self.assertNotIn(RIGHT, instruction)
        self.assertNotIn(OTHER, instruction)
        self.assertIn(b"\r\nAuthorization: Bearer targets\r\n", instruction)
        answer = OK % idIn(instruction)
        self.assertEqual(self.rig.push(answer), ASKS_OWNER)
        self.assertEqual(heard(scrape), b"")
        push = self.rig.ask(with_(pushBytes(answer), FOR_OWNER, OTHER))
        self.assertEqual(push, PUSHED)
        self.assertEqual(statusOf(heard(scrape)), 200)
        for talker in (poll, scrape):
            self.rig.hangUp(talker)

    def test_nobodyIsAsked(self) -> None:
        """
        Without users everybody passes.
        """
        self.guard("http_server_config: {http2: false}")
        for request, status in (*self.own, *self.scrapes):
            self.assertEqual(statusOf(self.rig.ask(request)), status, request)

    def test_changed(self) -> None:
        """
        Who is struck off the list does not pass a second later, and who is new
        does. When there is no list any more, as in a file that is just being
        written, the old one stays in force.
        """
        self.guard()
        right = with_(page(b"/-/ready"), FOR_OWNER, RIGHT)
        new = with_(page(b"/-/ready"), FOR_OWNER, WRONG)
        for config, statuses in (
            (USERS, (200, 401)),
            (f"basic_auth_users: {{alice: {hashed(b's3kr1t').decode()}}}", (401, 200)),
            ("", (401, 200)),
            (USERS, (200, 401)),
            ("nonsense", (200, 401)),
        ):
            self.change(config)
            asked = tuple(statusOf(self.rig.ask(request)) for request in (right, new))
            self.assertEqual(asked, statuses, config)
        read = "pushprox_web_config_last_reload_successful"
        self.assertEqual(self.rig.metric(read), 0)
        self.change(USERS)
        self.rig.ask(right)
        self.assertEqual(self.rig.metric(read), 1)

    def test_bodyOfStranger(self) -> None:
        """
        The body of who does not pass is not waited for, and nothing is kept of it.
        """
        self.guard()
        head = b"POST /poll HTTP/1.1\r\nHost: p\r\nContent-Length: 1000000\r\n\r\n"
        talker = self.rig.talk(head)
        self.assertEqual(heard(talker), ASKS_OWNER)
        self.rig.say(talker, b"x" * 1_000_000)
        self.rig.say(talker, with_(page(b"/-/ready"), FOR_OWNER, RIGHT))
        self.assertEqual(statusOf(heard(talker)), 200)
        self.rig.hangUp(talker)


class DoubtTests(GuardTestCase):
    """
    While it is not known yet who asks.
    """

    def setUp(self) -> None:
        """
        Passwords are compared when the test says so.
        """
        self.work = LongWork()
        self.guard(work=self.work)

    def finish(self) -> None:
        """
        All that is begun comes to its end.
        """
        while self.work.begun:
            self.work.finish()
        self.rig.net.settle()

    def test_waits(self) -> None:
        """
        A request waits for the verdict, and later ones with the same credentials
        do not.
        """
        for request, field, status in (
            (page(b"/-/ready"), FOR_OWNER, 200),
            (scrapeBytes(), FOR_PROXY, 503),
        ):
            for value in (RIGHT, WRONG):
                asked = with_(request, field, value)
                talker = self.rig.talk(asked)
                isNew = request.startswith(b"GET /")
                self.assertEqual(heard(talker) == b"", isNew)
                self.finish()
                again = statusOf(self.rig.ask(asked))
                denied = 401 if field == FOR_OWNER else 407
                self.assertEqual(again, status if value == RIGHT else denied)
                self.assertEqual(self.work.begun, [])
                self.rig.hangUp(talker)

    def test_streamedPush(self) -> None:
        """
        A push that waits loses nothing of its body, in whatever pieces it comes;
        once it passes it is handed on as it comes.
        """
        poll = self.rig.talk(with_(pollBytes(), FOR_OWNER, OTHER))
        self.finish()
        scrape = self.rig.talk(with_(scrapeBytes(), FOR_PROXY, RIGHT))
        self.finish()
        content = bytes(range(256)) * 4096
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nId: %b\r\n\r\n%b" % (
            len(content), idIn(heard(poll)), content,
        )  # fmt: skip
        self.change(f"{USERS}  carol: {hashed(b'x').decode()}\n")
        push = with_(pushBytes(answer), FOR_OWNER, OTHER)
        talker = self.rig.talk(push[:500])
        for at in range(500, len(push) // 2, 10_000):
            self.rig.say(talker, push[at : at + 10_000])
        self.assertEqual((heard(talker), heard(scrape)), (b"", b""))
        end = talker.transport.peer
        self.assertTrue(end.paused)
        [request] = [line._answering for line in self.lines() if line._receiving]
        self.assertLess(request.content.tell(), HELD + 30_000)
        self.finish()
        self.assertFalse(end.paused)
        first = heard(scrape)
        self.assertIn(content[:100_000], first)
        at = 500 + -(-(len(push) // 2 - 500) // 10_000) * 10_000
        self.rig.say(talker, push[at:])
        self.assertEqual(heard(talker), PUSHED)
        self.assertTrue((first + heard(scrape)).endswith(b"\r\n\r\n" + content))
        for each in (poll, scrape, talker):
            self.rig.hangUp(each)

    def lines(self) -> list[Any]:
        """
        @return: the proxy's lines.
        """
        site: Any = next(iter(self.rig.services))
        [(_, served)] = site._listeners
        return list(served.lines)

    def test_wrongPush(self) -> None:
        """
        One that does not pass is answered, though its body is on its way still,
        and the connection goes on after it.
        """
        push = with_(pushBytes(b"x" * 3 * HELD), FOR_OWNER, WRONG)
        talker = self.rig.talk(push[:1000])
        self.rig.say(talker, push[1000 : HELD * 2])
        self.assertEqual(heard(talker), b"")
        self.finish()
        self.assertEqual(heard(talker), ASKS_OWNER)
        self.rig.say(talker, push[HELD * 2 :] + page(b"/-/healthy"))
        self.assertEqual(statusOf(heard(talker)), 200)
        self.rig.hangUp(talker)

    def test_continue(self) -> None:
        """
        A body that waits to be asked for is asked for once it is known who sends it,
        and never from who does not pass: their connection ends.
        """
        for request, field in ((pollBytes(), FOR_OWNER), (pushBytes(b"xx"), FOR_OWNER)):
            expecting = with_(request, b"Expect", b"100-continue")
            for value, answer in (
                (RIGHT, b"HTTP/1.1 100 Continue\r\n\r\n"),
                (WRONG, closing(ASKS_OWNER)),
                (None, closing(ASKS_OWNER)),
            ):
                talker = self.rig.talk(with_(expecting, field, value)[:-2])
                self.finish()
                self.assertEqual(heard(talker), answer)
                self.assertEqual(talker.lost is None, value == RIGHT)
                self.rig.hangUp(talker)

    def test_lateBody(self) -> None:
        """
        A poll whose body comes only after the verdict is served when it is there.
        """
        poll = with_(pollBytes(b"t1"), FOR_OWNER, RIGHT)
        talker = self.rig.talk(poll[:-1])
        self.finish()
        self.assertEqual(self.rig.metric("pushprox_proxy_parked_polls"), 0)
        self.rig.say(talker, poll[-1:])
        self.assertEqual(self.rig.metric("pushprox_proxy_parked_polls"), 1)
        self.rig.hangUp(talker)

    def test_pipelined(self) -> None:
        """
        Replies go in the order of the requests, whichever is known first.
        """
        self.rig.talk(with_(page(b"/-/ready"), FOR_OWNER, OTHER))
        self.finish()
        talker = self.rig.talk(
            with_(page(b"/-/ready"), FOR_OWNER, RIGHT)
            + page(b"/-/healthy")
            + with_(page(b"/-/ready"), FOR_OWNER, WRONG)
            + with_(page(b"/nothing"), FOR_OWNER, OTHER)
        )
        self.assertEqual(heard(talker), b"")
        self.work.finish()
        self.rig.net.settle()
        ours = rb"^HTTP/1\.1 (\d+)"
        self.assertEqual(
            re.findall(ours, heard(talker), re.MULTILINE), [b"200", b"200"]
        )
        self.finish()
        self.assertEqual(
            re.findall(ours, heard(talker), re.MULTILINE), [b"401", b"404"]
        )

    def test_hangUp(self) -> None:
        """
        Who hangs up meanwhile leaves nothing behind, and disturbs nobody who
        waits for the same.
        """
        asked = with_(page(b"/-/ready"), FOR_OWNER, RIGHT)
        gone, stays = self.rig.talk(asked), self.rig.talk(asked)
        self.rig.hangUp(gone)
        self.finish()
        self.assertEqual(statusOf(heard(stays)), 200)
        self.assertEqual(heard(gone), b"")
        self.assertEqual(self.flushLoggedErrors(), [])
        alone = self.rig.talk(with_(page(b"/-/ready"), FOR_OWNER, WRONG))
        self.rig.hangUp(alone)
        self.finish()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_deadline(self) -> None:
        """
        The time that a scrape waits for this is the scraper's: it has so much
        less to be done in.
        """
        poll = self.rig.talk(with_(pollBytes(), FOR_OWNER, OTHER))
        self.finish()
        scrape = self.rig.talk(with_(scrapeBytes(), FOR_PROXY, RIGHT))
        late = self.rig.talk(
            scrapeBytes(b"http://t1/", FOR_PROXY + b": " + RIGHT).replace(
                b"Seconds: 5", b"Seconds: 2"
            )
        )
        self.rig.net.pass_(3.0)
        self.finish()
        left = b"\r\nX-Prometheus-Scrape-Timeout-Seconds: 1.5\r\n"
        self.assertIn(left, heard(poll))
        self.rig.net.pass_(0.1)
        self.assertEqual(statusOf(heard(late)), 504)
        self.rig.net.pass_(1.3)
        self.assertEqual(heard(scrape), b"")
        self.rig.net.pass_(0.2)
        self.assertEqual(statusOf(heard(scrape)), 504)
        for each in (poll, scrape, late):
            self.rig.hangUp(each)

    def test_changedMeanwhile(self) -> None:
        """
        If the users change meanwhile, the new ones count.
        """
        talker = self.rig.talk(with_(page(b"/-/ready"), FOR_OWNER, RIGHT))
        self.change(USERS.replace("alice", "carol"))
        self.finish()
        self.assertEqual(statusOf(heard(talker)), 401)
        self.rig.hangUp(talker)

    def test_failed(self) -> None:
        """
        If it cannot be found out, the request fails and does not pass.
        """
        talker = self.rig.talk(with_(page(b"/-/ready"), FOR_OWNER, RIGHT))
        self.work.finish(ZeroDivisionError())
        self.rig.net.settle()
        self.assertEqual(statusOf(heard(talker)), 500)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.work.begun, [])
        self.rig.hangUp(talker)

    def test_busy(self) -> None:
        """
        When too many passwords are to be compared, one more is refused; who waits
        for one of them, or is known, is not.
        """
        self.rig.talk(with_(page(b"/-/ready"), FOR_OWNER, OTHER))
        self.finish()
        talkers = []
        for n in range(THREADS + QUEUED):
            # A while between them, for the sake of the address.
            self.rig.net.pass_(REGAIN)
            header = basic(b"alice", b"%d" % n)
            talkers.append(self.rig.talk(with_(page(b"/"), FOR_OWNER, header)))
        self.assertEqual(len(self.work.begun), THREADS)
        right = with_(page(b"/-/ready"), FOR_OWNER, RIGHT)
        self.assertEqual(self.rig.ask(right), BUSY)
        self.assertDenied("too many passwords to compare", 1)
        known = with_(page(b"/-/ready"), FOR_OWNER, OTHER)
        self.assertEqual(statusOf(self.rig.ask(known)), 200)
        for talker in talkers:
            self.rig.hangUp(talker)
        self.finish()
        talker = self.rig.talk(right)
        self.finish()
        self.assertEqual(statusOf(heard(talker)), 200)


class RecalledTests(SynchronousTestCase):
    """
    Credentials that come again and again.
    """

    def test_many(self) -> None:
        """
        However somebody spells his token, no more than so many are recalled.
        """
        self.patch(guard, "RECALLED", 2)
        path = Path(self.mktemp())
        path.write_text("")
        clock = Clock()
        ledger = Ledger(CollectorRegistry(), "proxy")
        one = guard.Guard(WebFile(str(path), clock), clock, ledger, execute)
        config = WebConfig(tokens={digestOf(b"t"): "a"})
        for spaces in range(1, 9):
            isRight, _ = one._recall(config, b"Bearer%bt" % (b" " * spaces))
            self.assertTrue(isRight)
            self.assertLessEqual(len(one._rightful), 2)


class AttemptsTests(GuardTestCase):
    """
    Who tries many passwords.
    """

    def setUp(self) -> None:
        """
        What is compared is counted.
        """
        self.compared = 0

        def work(compare: Any) -> Any:
            self.compared += 1
            return execute(compare)

        self.guard(work=work)

    def try_(self, password: bytes, user: bytes = b"alice") -> bytes:
        """
        @return: what is said to who tries this one.
        """
        return self.rig.ask(with_(page(b"/"), FOR_OWNER, basic(user, password)))

    def test_limited(self) -> None:
        """
        After some wrong ones an address has to wait, also for the right one: that
        costs no comparison. Each second one more may be tried.
        """
        for n in range(ATTEMPTS):
            self.assertEqual(self.try_(b"%d" % n), ASKS_OWNER)
        self.assertEqual(self.try_(b"more"), SLOWER)
        self.assertEqual(self.try_(b"wonderland"), SLOWER)
        self.assertEqual(self.compared, ATTEMPTS)
        self.assertDenied("too many wrong credentials", 2)
        self.rig.net.pass_(REGAIN)
        self.assertEqual(statusOf(self.try_(b"wonderland")), 200)
        self.assertEqual(statusOf(self.try_(b"wonderland")), 200)

    def test_known(self) -> None:
        """
        Who is known passes all the while, from the same address too; and a wrong
        one that is known costs nothing.
        """
        self.assertEqual(statusOf(self.try_(b"wonderland")), 200)
        for n in range(ATTEMPTS * 2):
            self.try_(b"%d" % n)
        self.assertEqual(statusOf(self.try_(b"wonderland")), 200)
        self.assertEqual(self.try_(b"1"), ASKS_OWNER)
        self.assertEqual(self.compared, ATTEMPTS + 1)

    def test_right(self) -> None:
        """
        Right ones do not count.
        """
        for _ in range(ATTEMPTS * 2):
            self.change(USERS + "# again\n")
            self.rig.net.pass_(LOOK_EVERY)
            self.assertEqual(statusOf(self.try_(b"wonderland")), 200)
        for n in range(ATTEMPTS):
            self.assertEqual(self.try_(b"%d" % n), ASKS_OWNER)

    def test_others(self) -> None:
        """
        Other addresses do not suffer from it.
        """
        for n in range(ATTEMPTS + 1):
            self.try_(b"%d" % n)
        self.assertEqual(self.try_(b"more"), SLOWER)
        line = openLine(Machine(self.rig.net, "10.9.9.9"), self.rig.host, 8080)
        fields = [(b"Host", b"proxy"), (FOR_OWNER, WRONG)]
        reply = line.ask(b"GET", b"/", fields)
        self.rig.net.settle()
        self.assertEqual(reply.said, "401 Unauthorized")


class SourceTests(GuardTestCase):
    """
    Whose attempts are counted where a proxy stands before us.
    """

    def test_forwarded(self) -> None:
        """
        A proxy that is trusted says who it was; whoever else says so is taken for
        a liar himself, and what he writes before it changes nothing.
        """
        self.guard(USERS + "pushprox: {trusted_proxies: [192.0.2.1]}\n")
        for n in range(ATTEMPTS + 2):
            request = with_(page(b"/"), FOR_OWNER, basic(b"alice", b"%d" % n))
            said = with_(request, b"X-Forwarded-For", b"203.0.113.%d, 198.51.100.1" % n)
            answer = self.rig.ask(said)
        self.assertEqual(answer, SLOWER)
        said = "to user alice at 198.51.100.%d: wrong credentials"
        self.assertIn(said % 1, self.logged[0])
        other = with_(page(b"/"), FOR_OWNER, WRONG)
        other = with_(other, b"x-forwarded-for", b"198.51.100.2")
        self.rig.net.pass_(1)  # the log is told so much at a time
        self.assertEqual(self.rig.ask(other), ASKS_OWNER)
        self.assertIn(said % 2, self.logged[-1])

    def test_notTrusted(self) -> None:
        """
        Without trusted proxies the connection alone tells.
        """
        self.guard()
        request = with_(page(b"/"), FOR_OWNER, WRONG)
        self.rig.ask(with_(request, b"X-Forwarded-For", b"203.0.113.1"))
        self.assertIn("to user alice at 192.0.2.1: wrong credentials", self.logged[0])


class LogTests(GuardTestCase):
    """
    What is counted and logged of denials.
    """

    def test_told(self) -> None:
        """
        The log tells who was denied what, and why; no password, no user there is
        none of, no query, and no line of its own by whoever asks.
        """
        self.guard()
        for request, field, value, said in (
            (page(b"/metrics?token=s3kr1t"), FOR_OWNER, None,
             "GET /metrics to 10.0.0.9: no credentials"),
            (pollBytes(b"s3kr1t"), FOR_OWNER, WRONG,
             "POST /poll to user alice at 10.0.0.9: wrong credentials"),
            (page(b"/clients"), FOR_OWNER, basic(b"s3kr1t", b"alice"),
             "GET /clients to 10.0.0.9: wrong credentials"),
            (page(b"/clients"), FOR_OWNER, b"Bearer s3kr1t",
             "GET /clients to 10.0.0.9: wrong credentials"),
            (scrapeBytes(b"http://me:s3kr1t@t1:9100/?s3kr1t"), FOR_PROXY, UNKNOWN,
             "GET http://t1:9100/ to 10.0.0.9: wrong credentials"),
            (scrapeBytes(b"http://me:@s3kr1t@t1/"), FOR_PROXY, None,
             "GET http://t1/ to 10.0.0.9: no credentials"),
            (scrapeBytes(b"http://me:%b@t1/" % (b"s3kr1t" * 40)), FOR_PROXY, None,
             "GET http://t1/ to 10.0.0.9: no credentials"),
            (scrapeBytes(b"me:s3kr1t@t1:443", method=b"CONNECT"), FOR_PROXY, None,
             "CONNECT t1:443 to 10.0.0.9: no credentials"),
            (page(b"//x@y/"), FOR_OWNER, None,
             "GET //y/ to 10.0.0.9: no credentials"),
        ):  # fmt: skip
            self.rig.ask(with_(request, field, value))
            line = self.logged.pop()
            line = re.sub(r"\b\d+(\.\d+){3}", "10.0.0.9", line)
            self.assertEqual(line, f"Denied {said}")
        self.assertDenied("no credentials", 5)
        self.assertDenied("wrong credentials", 4)
        self.assertDenied("too many wrong credentials", 0)
        self.assertDenied("rate limit", 0)

    def test_flood(self) -> None:
        """
        Whoever is denied often does not fill the log; all are counted.
        """
        self.guard()
        for _ in range(LINES * 3):
            self.rig.ask(page(b"/"))
        self.assertEqual(len(self.logged), LINES)
        self.assertDenied("no credentials", LINES * 3)
        self.rig.net.pass_(1.0)
        self.rig.ask(page(b"/"))
        self.rig.ask(page(b"/"))
        self.assertEqual(len(self.logged), LINES + 1)

    def test_counted(self) -> None:
        """
        Denials count among the requests as all others do.
        """
        self.guard()
        self.rig.ask(page(b"/metrics"))
        self.rig.scrape()
        requests = "pushprox_http_requests_total"
        self.assertEqual(self.rig.metric(requests, code="401", path="/metrics"), 1)
        scrapes = "pushproxy_proxied_requests_total"
        self.assertEqual(self.rig.metric(scrapes, code="407"), 1)


class RateTests(GuardTestCase):
    """
    C{rate_limit}.
    """

    def test_limit(self) -> None:
        """
        As many requests as the burst are served at once, then one after each
        interval, whatever is asked for and by whomever; the others are told to
        wait, before anything is done for them.
        """
        self.guard(USERS + "rate_limit: {interval: 1500ms, burst: 3}")
        later = denial(b"429 Too Many Requests", b"Retry-After: 2")
        right = with_(page(b"/-/ready"), FOR_OWNER, RIGHT)
        self.assertEqual(statusOf(self.rig.ask(right)), 200)
        self.assertEqual(statusOf(self.rig.ask(page(b"/-/healthy"))), 200)
        self.assertEqual(self.rig.ask(scrapeBytes()), ASKS_PROXY)
        for request in (right, page(b"/-/healthy"), scrapeBytes(), pollBytes()):
            self.assertEqual(self.rig.ask(request), later)
        self.assertDenied("rate limit", 4)
        self.rig.net.pass_(1.5)
        self.assertEqual(statusOf(self.rig.ask(right)), 200)
        self.assertEqual(self.rig.ask(right), later)

    def test_once(self) -> None:
        """
        A request that waited counts once.
        """
        work = LongWork()
        self.guard(USERS + "rate_limit: {interval: 1h, burst: 1}", work)
        talker = self.rig.talk(with_(page(b"/-/ready"), FOR_OWNER, RIGHT))
        work.finish()
        self.rig.net.settle()
        self.assertEqual(statusOf(heard(talker)), 200)

    def test_changed(self) -> None:
        """
        It can be changed, and switched off.
        """
        self.guard("rate_limit: {interval: 1h, burst: 1}")
        asked = [statusOf(self.rig.ask(page(b"/"))) for _ in range(2)]
        self.assertEqual(asked, [200, 429])
        self.change("rate_limit: {interval: 30m, burst: 2}")
        asked = [statusOf(self.rig.ask(page(b"/"))) for _ in range(3)]
        self.assertEqual(asked, [200, 200, 429])
        self.change("")
        asked = [statusOf(self.rig.ask(page(b"/"))) for _ in range(3)]
        self.assertEqual(asked, [200, 200, 200])


class HeadersTests(GuardTestCase):
    """
    C{http_server_config.headers}.
    """

    config = """\
http_server_config:
  headers:
    X-Frame-Options: deny
    X-Content-Type-Options: nosniff
    Content-Security-Policy: "default-src 'self'"
"""

    def assertHas(self, answer: bytes, isIn: bool = True) -> None:
        """
        The answer has each of the headers once, or none.
        """
        head, _, _ = answer.partition(b"\r\n\r\n")
        for line in (
            b"\r\nX-Frame-Options: deny",
            b"\r\nContent-Security-Policy: default-src 'self'",
        ):
            self.assertEqual(head.count(line), isIn, answer)
        if isIn:
            self.assertEqual(head.count(b"\r\nX-Content-Type-Options: nosniff"), 1)

    def test_own(self) -> None:
        """
        Every reply of the proxy's own has them: pages, polls, pushes, denials,
        and what is no good HTTP.
        """
        self.guard(self.config + USERS)
        for request, field in (
            *((request, FOR_OWNER) for request, _ in CredentialsTests.own),
            *((request, FOR_PROXY) for request, _ in CredentialsTests.scrapes),
        ):
            for value in (None, RIGHT):
                self.assertHas(self.rig.ask(with_(request, field, value)))
        self.assertHas(self.rig.ask(b"nonsense\r\n\r\n"))

    def test_targets(self) -> None:
        """
        Answers of targets have not: they are as the target made them.
        """
        self.guard(self.config)
        poll, scrape = self.rig.poll(), self.rig.scrape()
        instruction = heard(poll)
        self.assertHas(instruction)
        pushed = self.rig.push(OK % idIn(instruction))
        self.assertHas(pushed)
        answer = heard(scrape)
        self.assertEqual(statusOf(answer), 200)
        self.assertHas(answer, isIn=False)
        self.assertIn(b"\r\nDate: now\r\n", b"\r\n" + answer)
        for talker in (poll, scrape):
            self.rig.hangUp(talker)

    def test_changed(self) -> None:
        """
        They change with the file.
        """
        self.guard(self.config)
        self.assertHas(self.rig.ask(page(b"/")))
        self.change("")
        self.assertHas(self.rig.ask(page(b"/")), isIn=False)
