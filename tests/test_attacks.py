"""
What the hostile try, and how little comes of it: each attack is refused, is
counted, leaves nothing behind, and a good client beside it is served as ever.
"""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import bcrypt
import trustme
from twisted.internet.defer import execute

from pushprox.limits import Limits
from pushprox.passwords import LOOKED_AT, hashOfNobody, matches
from tests.internet import Talker
from tests.rigs import OK, PUSHED, heard, idIn, pollBytes, pushBytes, scrapeBytes
from tests.test_gate import (
    NOBODY_WAITS,
    SCRAPER,
    TLS,
    A,
    B,
    CertificateTestCase,
    GateTestCase,
)
from tests.test_guard import DENIED, FOR_OWNER, FOR_PROXY, page, statusOf, with_
from tests.test_matrix import talkFrom
from tests.test_passwords import basic, hashed
from tests.test_tls import Whisperer

#: What a proxy holds at any time.
HELD = (
    "pushprox_proxy_clients",
    "pushprox_proxy_connections",
    "pushprox_proxy_parked_polls",
    "pushprox_proxy_queued_scrapes",
    "pushprox_proxy_scrapes_in_flight",
)

REQUESTS = "pushprox_http_requests_total"
PROXIED = "pushproxy_proxied_requests_total"
REFUSED = "pushprox_http_refused_requests_total"


class AttackTestCase(GateTestCase):
    """
    A proxy with roles, and the good ones: a client C{a.example}, and a scraper.
    """

    def setUp(self) -> None:
        """
        All is well.
        """
        self.gate()
        self.parked = self.poll(A, b"a.example")

    def tearDown(self) -> None:
        """
        All is well.
        """
        self.hangUp(self.parked)

    def scrapeSucceeds(self) -> None:
        """
        The good ones are served at once.
        """
        scrape = self.scrape(SCRAPER, b"a.example")
        id = idIn(heard(self.parked))
        self.hangUp(self.parked)
        self.assertEqual(self.push(A, id), PUSHED)
        self.assertEqual(statusOf(heard(scrape)), 200)
        self.parked = self.poll(A, b"a.example")
        self.hangUp(scrape)

    def held(self) -> list[float | None]:
        """
        @return: what the proxy holds.
        """
        return [self.rig.metric(name) for name in HELD]

    def counted(self, name: str, **labels: str) -> float:
        """
        @return: how often that was counted.
        """
        return self.rig.metric(name, **labels) or 0.0

    @contextmanager
    def attack(self, name: str, times: int = 1, **labels: str) -> Iterator[None]:
        """
        What happens within is counted so often under this name, leaves nothing
        behind, and does not touch the good ones.
        """
        before, counted = self.held(), self.counted(name, **labels)
        yield
        self.scrapeSucceeds()
        self.assertEqual(self.counted(name, **labels) - counted, times)
        self.assertEqual(self.held(), before)


class AnswerTests(AttackTestCase):
    """
    Who would answer in another's place.
    """

    def test_foreignPush(self) -> None:
        """
        An answer to a scrape of another is not taken, though its id is right.
        """
        scrape = self.scrape(SCRAPER, b"a.example")
        id = idIn(heard(self.parked))
        reason = "not whom the scrape was given to"
        before = self.counted(DENIED, reason=reason)
        self.assertEqual(self.push(B, id), NOBODY_WAITS)
        self.assertEqual(self.counted(DENIED, reason=reason), before + 1)
        self.assertEqual(heard(scrape), b"")
        self.assertEqual(self.push(A, id), PUSHED)
        self.assertTrue(heard(scrape).endswith(b"\r\n\r\nok"))
        self.hangUp(scrape, self.parked)
        self.parked = self.poll(A, b"a.example")
        self.scrapeSucceeds()

    def test_guessedId(self) -> None:
        """
        An answer to no scrape at all is not taken: its id was guessed.
        """
        scrape = self.scrape(SCRAPER, b"a.example")
        id = idIn(heard(self.parked))
        guesses = [id[:-1] + b"%x" % (int(id[-1:], 16) ^ 1), id.upper() + b"0", b"1"]
        for guess in guesses:
            self.assertEqual(self.push(B, guess), NOBODY_WAITS)
        self.assertEqual(self.counted(REQUESTS, code="404", path="/push"), 3)
        self.assertEqual(heard(scrape), b"")
        self.assertEqual(self.push(A, id), PUSHED)
        self.hangUp(scrape, self.parked)
        self.parked = self.poll(A, b"a.example")
        self.scrapeSucceeds()

    def test_idOfScraper(self) -> None:
        """
        An id that a scraper sends goes no further, so that it cannot choose whose
        answer it gets.
        """
        request = scrapeBytes(b"http://a.example/metrics", b"Id: mine", b"ID: mine")
        scrape = self.rig.talk(with_(request, FOR_PROXY, SCRAPER))
        instruction = heard(self.parked)
        self.assertNotIn(b"mine", instruction)
        self.assertEqual(self.push(A, b"mine"), NOBODY_WAITS)
        self.assertEqual(self.push(A, idIn(instruction)), PUSHED)
        self.assertNotIn(b"mine", heard(scrape))
        self.hangUp(scrape, self.parked)
        self.parked = self.poll(A, b"a.example")
        self.scrapeSucceeds()

    def test_pollAsAnother(self) -> None:
        """
        Who polls as somebody else is refused, and takes nothing from him.
        """
        with self.attack(DENIED, 3, reason="not allowed"):
            for name in (b"a.example", b"A.EXAMPLE.", b" a.example"):
                poll = self.poll(B, name)
                self.assertEqual(statusOf(heard(poll)), 403)
                self.hangUp(poll)


#: Requests that two readers could understand in two ways; C{$} is one more.
SMUGGLED = (
    b"POST /push HTTP/1.1\r\nHost: p\r\nContent-Length: 4\r\n"
    b"Content-Length: 0\r\n\r\n$",
    b"POST /push HTTP/1.1\r\nHost: p\r\nContent-Length: 4, 0\r\n\r\n$",
    b"POST /push HTTP/1.1\r\nHost: p\r\nContent-Length: +4\r\n\r\n$",
    b"POST /push HTTP/1.1\r\nHost: p\r\nContent-Length: 4\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n$",
    b"POST /push HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked, identity\r\n\r\n$",
    b"POST /push HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: xchunked\r\n\r\n$",
    b"POST /push HTTP/1.1\r\nHost: p\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n$",
    b"POST /push HTTP/1.1\r\nHost: p\r\nTransfer-Encoding:\r\n chunked\r\n\r\n$",
    b"POST /push HTTP/1.0\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n$",
    b"POST /push HTTP/1.1\r\nHost: p\r\nX: a\rContent-Length: 9\r\n\r\n$",
    b"POST /push HTTP/1.1\r\nHost: p\r\nX: a\nContent-Length: 9\r\n\r\n$",
    b"POST /push HTTP/1.1\r\nHost: p\r\nHost: q\r\n\r\n$",
    b"POST /push HTTP/1.1\r\n\r\n$",
    b"POST /push HTTP/1.1\r\nHost: p\r\nUpgrade: x\r\nConnection: upgrade\r\n"
    b"Content-Length: 4\r\n\r\n$",
)


class InjectionTests(AttackTestCase):
    """
    Who would have more said than is his to say.
    """

    def test_smuggled(self) -> None:
        """
        A request in which another is hidden is refused, and so is the other.
        """
        hidden = with_(page(b"/clients"), FOR_OWNER, SCRAPER)
        for request in SMUGGLED:
            before = self.held()
            talker = self.rig.talk(request.replace(b"$", hidden))
            answer = heard(talker)
            self.assertIn(statusOf(answer), (400, 501), request)
            self.assertEqual(answer.count(b"HTTP/1.1 "), 1, request)
            self.assertNotIn(b"a.example", answer)
            self.rig.net.pass_(Limits().linger + 1)
            self.assertEqual(self.held(), before)
        codes = [self.counted(REFUSED, code=code) for code in ("400", "501")]
        self.assertEqual(sum(codes), len(SMUGGLED))
        self.scrapeSucceeds()

    def test_name(self) -> None:
        """
        A name with a line end in it, or anything else that no name has, is
        refused, and does not come back in the reply as it was.
        """
        for name in (b"a\r\nX: y", b"a\nb", b"a\x00b", b"a b", b"\xff", b"a/b", b"@"):
            before = self.held()
            poll = self.poll(B, name)
            answer = heard(poll)
            self.assertEqual(statusOf(answer), 400)
            self.assertNotIn(b"X: y\r\n", answer.partition(b"\r\n\r\n")[0])
            self.hangUp(poll)
            self.assertEqual(self.held(), before)
        self.assertEqual(self.counted(REQUESTS, code="400", path="/poll"), 7)
        self.scrapeSucceeds()

    def test_url(self) -> None:
        """
        A URL with a user, a line end, or spaces in it is refused.
        """
        for url in (
            b"http://a.example@b.example/",
            b"http://b.example:80@a.example/",
            b"http://a.example/\x0bx",
            b"http:// a.example/",
            b"http://a.example\\@b.example/",
            b"http://a.example#b.example/",
        ):
            request = with_(scrapeBytes(url), FOR_PROXY, SCRAPER)
            scrape = self.rig.talk(request)
            self.assertEqual(statusOf(heard(scrape)), 400, url)
            self.rig.net.cut([scrape.transport])
            self.assertEqual(heard(self.parked), b"")
        proxied = self.counted(PROXIED, code="400")
        self.assertEqual(proxied + self.counted(REFUSED, code="400"), 6)
        self.scrapeSucceeds()

    def answered(self, answer: bytes) -> bytes:
        """
        @return: what the scraper gets where the client pushes this.
        """
        scrape = self.scrape(SCRAPER, b"a.example")
        id = idIn(heard(self.parked))
        push = pushBytes(answer.replace(b"$", id))
        told = self.rig.ask(with_(push, FOR_OWNER, A))
        self.assertIn(statusOf(told), (200, 400))
        got = heard(scrape)
        if not got:
            # The proxy could not tell whose that was.
            self.rig.net.pass_(5)
            got = heard(scrape)
        self.hangUp(scrape, self.parked)
        self.parked = self.poll(A, b"a.example")
        return got

    def test_target(self) -> None:
        """
        A target cannot add lines, or a second reply, by its status line or by a
        header: what keeps no rules is a 502, in a line of its own.
        """
        for answer in (
            b"HTTP/1.1 200 O\rX-Evil: y\r\nContent-Length: 2\r\nId: $\r\n\r\nok",
            b"HTTP/1.1 200 O\nX-Evil: y\r\nContent-Length: 2\r\nId: $\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nId: $\r\nA: b\rX-Evil: y\r\n"
            b"Content-Length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nId: $\r\nA: b\nX-Evil: y\r\n"
            b"Content-Length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nId: $\r\n X-Evil: y\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nId: $\r\nX-Evil : y\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nId: $\r\nContent-Length: 2\r\nContent-Length: 9\r\n"
            b"\r\nokX-Evil: y",
            b"HTTP/1.1 200 OK\r\nId: $\r\nContent-Length: 2\r\n"
            b"Transfer-Encoding: chunked\r\n\r\nokX-Evil: y",
        ):
            got = self.answered(answer)
            self.assertIn(statusOf(got), (502, 504), answer)
            self.assertNotIn(b"X-Evil: y", got, answer)
            self.assertEqual(got.count(b"HTTP/1.1 "), 1, answer)
        self.assertEqual(self.counted(REQUESTS, code="400", path="/push"), 8)
        self.scrapeSucceeds()

    def test_second(self) -> None:
        """
        What follows the end of a target's answer is not handed on as another.
        """
        got = self.answered(OK.replace(b"%b", b"$") + b"HTTP/1.1 200 OK\r\n\r\n")
        self.assertEqual(got.count(b"HTTP/1.1 "), 1)
        self.assertEqual(statusOf(got), 502)
        broken = self.counted("pushprox_proxy_scrapes_total", outcome="broken")
        self.assertEqual(broken, 1)
        self.scrapeSucceeds()


class SizeTests(AttackTestCase):
    """
    Who sends more than anybody wants.
    """

    def test_longName(self) -> None:
        """
        A name of 10 MB is refused before all of it has come.
        """
        with self.attack(REFUSED, code="413"):
            head = b"POST /poll HTTP/1.1\r\nHost: p\r\nContent-Length: %d\r\n\r\n"
            talker = self.rig.talk(with_(head % 10_000_000, FOR_OWNER, B))
            for _ in range(160):
                self.rig.say(talker, b"x" * 62_500)
            self.assertEqual(statusOf(heard(talker)), 413)
            self.rig.net.pass_(Limits().linger + 1)

    def test_endlessHead(self) -> None:
        """
        A head that never ends is refused once it is too long.
        """
        with self.attack(REFUSED, code="431"):
            talker = self.rig.talk(b"GET / HTTP/1.1\r\nHost: p\r\n")
            for n in range(100):
                self.rig.say(talker, b"X-%d: %b\r\n" % (n, b"y" * 1000))
            self.assertEqual(statusOf(heard(talker)), 431)
            self.rig.net.pass_(Limits().linger + 1)

    def test_slowHead(self) -> None:
        """
        A head that comes byte by byte is refused once it has taken too long.
        """
        with self.attack(REFUSED, code="408"):
            talker = self.rig.talk(b"GET / HTTP/1.1\r\nHost: p\r\n")
            for _ in range(30):
                self.rig.say(talker, b"X")
                self.rig.net.pass_(1)
            self.assertEqual(statusOf(heard(talker)), 408)
            self.rig.net.pass_(Limits().linger + 1)

    def test_endlessPush(self) -> None:
        """
        A push that never ends breaks off at the deadline of its scrape, and the
        scraper sees that.
        """
        scrape = self.scrape(SCRAPER, b"a.example")
        id = idIn(heard(self.parked))
        before = self.counted("pushprox_proxy_scrapes_total", outcome="broken")
        answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nId: %b\r\n\r\n" % id
        head = (
            b"POST /push HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"%x\r\n%b\r\n" % (len(answer), answer)
        )
        push = self.rig.talk(with_(head, FOR_OWNER, A))
        for _ in range(12):
            self.rig.say(push, b"6\r\n1\r\nx\r\n\r\n")
            self.rig.net.pass_(0.5)
        self.assertEqual(statusOf(heard(push)), 404)
        got = heard(scrape)
        self.assertEqual(statusOf(got), 200)
        self.assertFalse(got.endswith(b"0\r\n\r\n"))
        self.assertIsNotNone(scrape.lost)
        counted = self.counted("pushprox_proxy_scrapes_total", outcome="broken")
        self.assertEqual(counted, before + 1)
        self.hangUp(self.parked, push)
        self.parked = self.poll(A, b"a.example")
        self.scrapeSucceeds()

    def test_bomb(self) -> None:
        """
        A chunked poll that would be endless is refused at the limit; a small body
        that says it is compressed is looked at as it is.
        """
        with self.attack(REFUSED, code="413"):
            head = (
                b"POST /poll HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            talker = self.rig.talk(with_(head, FOR_OWNER, B))
            chunk = b"10000\r\n%b\r\n" % (b"x" * 0x10000)
            for _ in range(129):
                self.rig.say(talker, chunk)
            self.assertEqual(statusOf(heard(talker)), 413)
            self.rig.net.pass_(Limits().linger + 1)
        with self.attack(REQUESTS, code="400", path="/poll"):
            zipped = pollBytes(
                b"\x1f\x8b" + b"\x00" * 20, b"Content-Encoding: gzip\r\n"
            )
            answer = self.rig.ask(with_(zipped, FOR_OWNER, B))
            self.assertEqual(statusOf(answer), 400)

    def test_idle(self) -> None:
        """
        5,000 who connect and say nothing keep nobody out, and are gone soon.
        """
        self.hangUp(self.parked)
        self.gate(limits=Limits(connections=1000))
        self.parked = self.poll(A, b"a.example")
        before, closed = self.held(), "pushprox_proxy_closed_connections_total"
        for n in range(50):
            for _ in range(100):
                self.rig.net.talk(self.rig.host, self.rig.port)
            self.rig.net.pass_(0.01)
            if n % 10 == 0:
                self.scrapeSucceeds()
        self.assertLessEqual(self.counted("pushprox_proxy_connections"), 1000)
        self.scrapeSucceeds()
        self.rig.net.pass_(Limits().head + 2)
        self.assertEqual(self.held(), before)
        gone = [self.counted(closed, why=why) for why in ("displaced", "silent")]
        self.assertEqual(sum(gone), 5000)

    def test_silentPush(self) -> None:
        """
        A push that does not say what it answers is refused once it has taken too
        long to.
        """
        with self.attack(REFUSED, code="408"):
            head = b"POST /push HTTP/1.1\r\nHost: p\r\nContent-Length: 900\r\n\r\n"
            talker = self.rig.talk(with_(head, FOR_OWNER, B))
            for octet in b"HTTP/1.1 200 OK\r\nX-Whose: mine, mine":
                self.rig.say(talker, bytes([octet]))
                self.rig.net.pass_(1)
            self.assertEqual(statusOf(heard(talker)), 408)
            self.rig.net.pass_(Limits().linger + 1)

    def test_manyScrapes(self) -> None:
        """
        Scrapes of very many names that there are not leave nothing behind.
        """
        with self.attack(PROXIED, 5000, code="503"):
            line = self.rig.talk()
            for n in range(5000):
                url = b"http://n%d.example/" % n
                self.rig.say(line, with_(scrapeBytes(url), FOR_PROXY, SCRAPER))
                self.assertEqual(statusOf(heard(line)), 503)
            self.hangUp(line)

    def test_manyNames(self) -> None:
        """
        Who may poll as one name cannot fill the list with many.
        """
        with self.attack(DENIED, 5000, reason="not allowed"):
            line = self.rig.talk()
            for n in range(5000):
                self.rig.say(line, with_(pollBytes(b"n%d.example" % n), FOR_OWNER, B))
                self.assertEqual(statusOf(heard(line)), 403)
            self.hangUp(line)


class SecretTests(AttackTestCase):
    """
    Who would find out what he is not told.
    """

    def test_errorText(self) -> None:
        """
        Who may not see a name does not learn of it by what he is told.
        """
        with self.attack(DENIED, 6, reason="not allowed"):
            for ask in (self.scrape, self.poll):
                told = set()
                for name in (b"a.example", b"z.example", b"a.example"):
                    talker: Talker = ask(B, name)
                    told.add(heard(talker).replace(name, b"NAME"))
                    self.hangUp(talker)
                self.assertEqual(len(told), 1)

    def test_timing(self) -> None:
        """
        A user there is not costs the same as a wrong password: one comparison, with
        a hash that takes as long, whatever he sends as a password.
        """
        cheap, dear = hashed(b"x"), bcrypt.hashpw(b"x", bcrypt.gensalt(6))
        nobody = hashOfNobody({b"a": cheap, b"b": dear})
        self.assertEqual(nobody[:7], dear[:7])
        for password in (b"", b"x", b"x" * LOOKED_AT, b"\xff\x00" * 500):
            self.assertFalse(matches(password, nobody))
        compared: list[Callable[[], bool]] = []

        def work(compare: Callable[[], bool]) -> object:
            compared.append(compare)
            return execute(compare)

        users = f"basic_auth_users: {{good: {dear.decode()}}}\n"
        self.hangUp(self.parked)
        self.gate(users, work=work)
        for user in (b"good", b"bad"):
            answer = self.rig.ask(with_(page(b"/"), FOR_OWNER, basic(user, b"wrong")))
            self.assertEqual(statusOf(answer), 401)
        self.assertEqual(len(compared), 2)
        costs = [compare.args[1][:7] for compare in compared]
        self.assertEqual(costs, [dear[:7]] * 2)
        self.parked = self.rig.talk()


class ForgedTests(GateTestCase):
    """
    Who would come from somewhere else.
    """

    roles = """\
  roles:
    near: {networks: [10.1.0.0/16], poll: [a.example], scrape: [a.example]}
"""

    def told(self, address: str, *forwarded: bytes) -> int:
        """
        @return: the status for who polls from there and says this.
        """
        talker = talkFrom(self.rig, address)
        request = pollBytes(b"a.example")
        for value in forwarded:
            request = with_(request, b"X-Forwarded-For", value)
        self.rig.say(talker, request)
        status = statusOf(heard(talker))
        self.hangUp(talker)
        return status

    def test_forwarded(self) -> None:
        """
        Where somebody comes from is not for him to say: a proxy that is trusted
        says it, at the end of the list, and nobody is believed in his own right.
        """
        self.gate("pushprox:\n  trusted_proxies: [10.9.0.1, 10.9.0.2]\n" + self.roles)
        for status, address, *forwarded in (
            (0, "10.1.2.3"),
            (403, "10.2.2.3"),
            (403, "10.2.2.3", b"10.1.2.3"),
            (0, "10.1.2.3", b"10.2.2.3"),
            (0, "10.9.0.1", b"10.1.2.3"),
            (0, "10.9.0.1", b"10.2.2.3, 10.1.2.3"),
            (403, "10.9.0.1", b"10.1.2.3, 10.2.2.3"),
            # The last is sent first.
            (403, "10.9.0.1", b"10.2.2.3", b"10.1.2.3"),
            (0, "10.9.0.1", b"6.6.6.6, 10.1.2.3, 10.9.0.2"),
            (403, "10.9.0.1", b"10.1.2.3, 6.6.6.6, 10.9.0.2"),
            (403, "10.9.0.1", b"10.1.2.3, nonsense"),
            (403, "10.9.0.1", b"10.1.2.3,"),
            (403, "10.9.0.1"),
        ):
            self.assertEqual(self.told(address, *forwarded), status, forwarded)
        self.assertDenied(not_allowed=8)


class TLSAttackTests(CertificateTestCase):
    """
    Who would be another by a certificate, or speak what anybody can read.
    """

    def test_mintedName(self) -> None:
        """
        The CA of one tenant makes a certificate for the name of another: it counts
        for nothing, and the other is served as ever.
        """
        foreign = trustme.CA()
        self.tenants(foreign)
        good = self.whisper(self.authority.issue_cert("a.example"))
        good.say(pollBytes(b"a.example"))
        bad = self.whisper(foreign.issue_cert("a.example"))
        self.assertEqual(statusOf(self.ask(bad, pollBytes(b"a.example"))), 403)
        self.assertDenied(not_allowed=1)
        scraper = self.whisper()
        scraper.say(scrapeBytes(b"http://a.example/metrics"))
        good.listen()
        id = idIn(good.heard)
        self.assertEqual(statusOf(self.ask(bad, pushBytes(OK % id))), 404)
        self.assertEqual(statusOf(self.ask(good, pushBytes(OK % id))), 200)
        scraper.listen()
        self.assertEqual(statusOf(scraper.heard), 200)
        self.hangUpAll(good, bad, scraper)

    def assertUnheard(self) -> None:
        """
        The one who tried is gone, and that is counted.
        """
        self.rig.net.settle()
        self.assertEqual(self.rig.metric("pushprox_proxy_connections"), 0)
        closed = "pushprox_proxy_closed_connections_total"
        self.assertEqual(self.rig.metric(closed, why="tls"), 1)

    def test_strangersCA(self) -> None:
        """
        A certificate of a CA that nobody here knows gets no connection.
        """
        self.gate(TLS)
        stranger = trustme.CA().issue_cert("a.example")
        with self.assertRaises(ssl.SSLError):
            self.whisper(stranger).say(pollBytes(b"a.example"))
        self.assertUnheard()

    def test_downgrade(self) -> None:
        """
        TLS 1.1 is not spoken.
        """
        self.gate(TLS)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_ciphers("ALL:@SECLEVEL=0")
        self.authority.configure_trust(context)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            for name, version in (
                ("minimum_version", ssl.TLSVersion.TLSv1),
                ("maximum_version", ssl.TLSVersion.TLSv1_1),
            ):
                setattr(context, name, version)
        with self.assertRaises(ssl.SSLError):
            Whisperer(self.rig.net, context, port=self.rig.port).say(
                page(b"/-/healthy")
            )
        self.assertUnheard()
        self.assertEqual(statusOf(self.ask(self.whisper(), page(b"/-/healthy"))), 200)
        self.rig.net.cut(self.rig.net.linesTo(self.rig.port))
