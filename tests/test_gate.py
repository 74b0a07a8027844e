"""
Tests for L{pushprox.proxy.gate} and L{pushprox.proxy.admission}, with a whole
proxy around them.
"""

from __future__ import annotations

import datetime
import re
import ssl
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from twisted.internet.defer import execute
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pushprox.credentials import digestOf
from pushprox.limits import Limits
from pushprox.passwords import Work
from pushprox.proxy import gate
from pushprox.proxy.coordinator import Rules
from pushprox.proxy.resources import SETTLING
from pushprox.watched import LOOK_EVERY
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
    scrapeBytes,
)
from tests.test_guard import (
    DENIED,
    FOR_OWNER,
    FOR_PROXY,
    denial,
    page,
    statusOf,
    with_,
)
from tests.test_matrix import talkFrom
from tests.test_passwords import basic, hashed
from tests.test_tls import Whisperer

A, B, SCRAPER = (b"Bearer token-%b" % name for name in (b"a", b"b", b"scraper"))


def digest(name: str) -> str:
    """
    @return: the digest of the token of this name.
    """
    return digestOf(f"token-{name}".encode()).decode()


TOKENS = f"""\
  tokens:
    a.example: {digest("a")}
    b.example: {digest("b")}
    scraper: {digest("scraper")}
"""

ROLES = """\
  roles:
    scraper:
      tokens: [scraper]
      scrape: ["*.example"]
      pages: [clients]
    fleet:
      tokens: ["*.example"]
      poll: ["*.example"]
      from_token: true
"""

CONFIG = "pushprox:\n" + TOKENS + ROLES

# Where there are tokens and no users.
ASKS_OWNER = denial(b"401 Unauthorized", b'WWW-Authenticate: Bearer realm="pushprox"')
ASKS_PROXY = denial(
    b"407 Proxy Authentication Required",
    b'Proxy-Authenticate: Bearer realm="pushprox"',
)

NOBODY_WAITS = pushRefusal(
    b"404 Not Found",
    b"nobody waits for this scrape: it is late, or was never given out",
)


class GateTestCase(SynchronousTestCase):
    """
    A proxy with roles.
    """

    authority = trustme.CA()
    leaf = authority.issue_cert("proxy.example")

    def gate(
        self,
        config: str = CONFIG,
        at: float = 0.0,
        work: Work = execute,
        limits: Limits = Limits(),  # noqa: B008 (a frozen value)
        rules: Rules | None = None,
    ) -> None:
        """
        Start it.

        @param at: what time it is.
        @param work: compares passwords.
        @param limits: the proxy's.
        @param rules: the coordinator's.
        """
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.put("k.pem", self.leaf.private_key_pem.bytes())
        self.put("c.pem", self.leaf.cert_chain_pems[0].bytes())
        self.put("ca.pem", self.authority.cert_pem.bytes())
        self.put("web.yml", config.encode())
        self.logged: list[str] = []

        def keep(event: LogEvent) -> None:
            if event.get("log_namespace") in (
                "pushprox.guard.Guard",
                "pushprox.proxy.gate.Gate",
            ):
                self.logged.append(formatEvent(event))

        globalLogPublisher.addObserver(keep)
        self.addCleanup(globalLogPublisher.removeObserver, keep)
        web = self.folder / "web.yml"
        self.rig = ProxyRig(self, rules, web=web, work=work, limits=limits)
        self.rig.net.rightNow = at

    def put(self, name: str, content: bytes) -> None:
        """
        Put a file in the folder of the config file.
        """
        (self.folder / name).write_bytes(content)

    def change(self, config: str) -> None:
        """
        Change the config file, and wait until that can be seen.
        """
        self.put("web.yml", config.encode())
        self.rig.net.pass_(LOOK_EVERY)

    def poll(self, header: bytes, name: bytes) -> Talker:
        """
        Poll on a new connection.
        """
        return self.rig.talk(with_(pollBytes(name), FOR_OWNER, header))

    def scrape(self, header: bytes | None, name: bytes) -> Talker:
        """
        Scrape on a new connection.
        """
        request = scrapeBytes(b"http://%b/metrics" % name)
        return self.rig.talk(with_(request, FOR_PROXY, header))

    def push(self, header: bytes, id: bytes) -> bytes:
        """
        @return: what is said to who brings the answer of a scrape.
        """
        return self.rig.ask(with_(pushBytes(OK % id), FOR_OWNER, header))

    def hangUp(self, *talkers: Talker) -> None:
        """
        Close connections.
        """
        for talker in talkers:
            self.rig.hangUp(talker)

    def assertDenied(self, **counts: int) -> None:
        """
        So many requests were denied, by why.
        """
        for why, count in counts.items():
            reason = why.replace("_", " ")
            self.assertEqual(self.rig.metric(DENIED, reason=reason), count)


class PushTests(GateTestCase):
    """
    Whose answers are taken.
    """

    def test_foreign(self) -> None:
        """
        An answer is taken only from whom the scrape was given to: to anybody else
        it is as if there were no such scrape. That is counted and logged, and the
        scraper gets the right one.
        """
        self.gate()
        poll = self.poll(A, b"a.example")
        other = self.poll(B, b"b.example")
        scrape = self.scrape(SCRAPER, b"a.example")
        id = idIn(heard(poll))
        self.assertEqual(self.push(B, id), NOBODY_WAITS)
        self.assertEqual(self.push(B, b"no-such-id"), NOBODY_WAITS)
        self.assertDenied(not_whom_the_scrape_was_given_to=1)
        self.assertIn("to token b.example at", self.logged[-1])
        self.assertEqual(heard(scrape), b"")
        self.assertEqual(self.push(A, id), PUSHED)
        self.assertEqual(statusOf(heard(scrape)), 200)
        self.hangUp(poll, other, scrape)

    def test_foreignUser(self) -> None:
        """
        It is the same where all who have a password may do everything.
        """
        users = "".join(f"  {n}: {hashed(n.encode()).decode()}\n" for n in "ab")
        self.gate(f"basic_auth_users:\n{users}")
        a, b = basic(b"a", b"a"), basic(b"b", b"b")
        poll, scrape = self.poll(a, b"t1"), self.scrape(b, b"t1")
        id = idIn(heard(poll))
        self.assertEqual(self.push(b, id), NOBODY_WAITS)
        self.assertEqual(self.push(a, id), PUSHED)
        self.hangUp(poll, scrape)

    def test_elsewhere(self) -> None:
        """
        Where somebody is known by his network alone, an answer may come from
        another address of it, and from no other network.
        """
        self.gate(
            "pushprox:\n  roles:\n"
            "    scraper: {anyone: true, scrape: [t1]}\n"
            "    one: {networks: [10.1.0.0/16], poll: [t1]}\n"
            "    two: {networks: [10.2.0.0/16], poll: [t1]}\n"
        )
        poll = talkFrom(self.rig, "10.1.0.1")
        self.rig.say(poll, pollBytes(b"t1"))
        scrape = self.rig.scrape()
        push = pushBytes(OK % idIn(heard(poll)))
        for address, expected in (("10.2.0.1", NOBODY_WAITS), ("10.1.9.9", PUSHED)):
            talker = talkFrom(self.rig, address)
            self.rig.say(talker, push)
            self.assertEqual(heard(talker), expected)
            self.hangUp(talker)
        self.hangUp(poll, scrape)


class RevokedTests(GateTestCase):
    """
    Who loses what he had.
    """

    def assertDismissed(self, poll: Talker) -> None:
        """
        A poll was ended, and says why.
        """
        answer = heard(poll)
        self.assertEqual(
            answer.partition(b"\r\n")[0],
            b"HTTP/1.1 403 Not allowed to poll as a.example any more",
        )
        self.hangUp(poll)

    def test_parked(self) -> None:
        """
        Who is struck off, has another token or another role, or is not let do
        that any more, loses his parked poll as soon as anybody asks for anything;
        the others keep theirs.
        """
        for config in (
            CONFIG.replace(f"    a.example: {digest('a')}\n", ""),
            CONFIG.replace(digest("a"), digest("A")),
            CONFIG.replace('poll: ["*.example"]', "poll: [b.example]"),
            CONFIG.replace("    fleet:\n", "    fleet:\n      anyone: false\n").replace(
                '      tokens: ["*.example"]', "      tokens: [b.example]"
            ),
        ):
            self.gate()
            poll, other = self.poll(A, b"a.example"), self.poll(B, b"b.example")
            self.change(config)
            scrape = self.scrape(SCRAPER, b"b.example")
            self.assertDismissed(poll)
            self.assertEqual(self.push(B, idIn(heard(other))), PUSHED)
            again = self.poll(A, b"a.example")
            self.assertIn(statusOf(heard(again)), (401, 403))
            self.hangUp(other, scrape, again)

    def test_unchanged(self) -> None:
        """
        A change that is not about him leaves him his poll.
        """
        self.gate()
        poll = self.poll(A, b"a.example")
        self.change(CONFIG + "# again\n")
        scrape = self.scrape(SCRAPER, b"a.example")
        self.assertEqual(self.push(A, idIn(heard(poll))), PUSHED)
        self.hangUp(poll, scrape)

    def test_users(self) -> None:
        """
        Likewise who has a password: another password ends his poll. So does the
        first section that says who may do what.
        """
        own, others = hashed(b"a").decode(), hashed(b"b").decode()
        config = f"basic_auth_users:\n  a: {own}\n"
        for change in (
            config.replace(own, others),
            config + "pushprox: {roles: {}}\n",
        ):
            self.gate(config)
            poll = self.poll(basic(b"a", b"a"), b"a.example")
            self.change(change)
            self.rig.ask(page(b"/"))
            self.assertDismissed(poll)

    def test_pushed(self) -> None:
        """
        Who is struck off after he took a scrape cannot bring its answer any more.
        """
        self.gate()
        poll = self.poll(A, b"a.example")
        scrape = self.scrape(SCRAPER, b"a.example")
        id = idIn(heard(poll))
        self.change(CONFIG.replace(f"    a.example: {digest('a')}\n", ""))
        self.assertEqual(self.push(A, id), ASKS_OWNER)
        self.rig.net.pass_(5)
        self.assertEqual(statusOf(heard(scrape)), 504)
        self.hangUp(poll, scrape)

    def test_liar(self) -> None:
        """
        Where a proxy is not trusted any more, a poll is not from where it said, also
        if that was parked before.
        """
        config = (
            "pushprox:\n  trusted_proxies: [192.0.2.1]\n  roles:\n"
            "    scraper: {networks: [0.0.0.0/0], scrape: ['*']}\n"
            "    site: {networks: [10.1.0.0/16], poll: [a.example]}\n"
        )
        self.gate(config)
        forwarded = b"X-Forwarded-For: 10.1.0.1\r\n"
        poll = self.rig.talk(pollBytes(b"a.example", forwarded))
        self.change(config + "# again\n")
        self.rig.ask(page(b"/-/healthy"))
        self.assertEqual(heard(poll), b"")
        self.change(config.replace("[192.0.2.1]", "[]"))
        scrape = self.scrape(None, b"a.example")
        self.assertDismissed(poll)
        self.hangUp(scrape)

    def test_waiting(self) -> None:
        """
        Who is struck off while his scrape waits for a client, or for its answer, is
        told so at once, and the answer is for nobody.
        """
        without = CONFIG.replace(f"    scraper: {digest('scraper')}\n", "")
        for isTaken in (False, True):
            self.gate()
            poll = self.poll(A, b"a.example")
            if not isTaken:
                self.hangUp(poll)
            scrape = self.scrape(SCRAPER, b"a.example")
            self.assertEqual(heard(scrape), b"")
            self.change(without)
            self.rig.ask(page(b"/-/healthy"))
            self.assertIn(
                b"403 Not allowed to scrape a.example any more", heard(scrape)
            )
            if isTaken:
                self.assertEqual(self.push(A, idIn(heard(poll))), NOBODY_WAITS)
                self.hangUp(poll)
            self.hangUp(scrape)

    def test_amid(self) -> None:
        """
        Where an answer is on its way, it breaks off for both sides when one of them
        is struck off.
        """
        for name, key in (("scraper", "scraper"), ("a.example", "a")):
            self.gate()
            poll = self.poll(A, b"a.example")
            scrape = self.scrape(SCRAPER, b"a.example")
            push = with_(pushBytes(OK % idIn(heard(poll))), FOR_OWNER, A)
            pushing = self.rig.talk(push[:-1])
            begun = heard(scrape)
            self.assertEqual(statusOf(begun), 200)
            self.change(CONFIG + "# again\n")
            self.rig.ask(page(b"/-/healthy"))
            self.assertFalse(scrape.lost or heard(pushing))
            self.change(CONFIG.replace(f"    {name}: {digest(key)}\n", ""))
            self.rig.ask(page(b"/-/healthy"))
            self.assertTrue(scrape.lost)
            self.assertEqual(statusOf(heard(pushing)), 404)
            self.assertEqual(
                self.rig.metric("pushprox_proxy_scrapes_total", outcome="broken"), 1
            )
            self.hangUp(poll, pushing)

    def test_amidReply(self) -> None:
        """
        The file is looked at when a request begins, and never in the midst of a
        reply, which might be to who is struck off.
        """
        self.gate()
        poll = self.poll(A, b"a.example")
        scrape = self.scrape(SCRAPER, b"a.example")
        push = with_(pushBytes(OK % idIn(heard(poll))), FOR_OWNER, A)
        head, body = push.split(b"\r\n\r\n", 1)
        pushing = self.rig.talk(head + b"\r\n\r\n" + body[:1])
        self.change(CONFIG.replace(f"    scraper: {digest('scraper')}\n", ""))
        self.rig.say(pushing, body[1:-1])
        self.assertEqual(statusOf(heard(scrape)), 200)
        self.assertFalse(scrape.lost)
        self.rig.ask(page(b"/-/healthy"))
        self.assertTrue(scrape.lost)
        self.hangUp(poll, pushing)

    def test_lessRights(self) -> None:
        """
        Nor can who has lost that role only, and is known still.
        """
        self.gate()
        poll = self.poll(A, b"a.example")
        scrape = self.scrape(SCRAPER, b"a.example")
        id = idIn(heard(poll))
        self.change(
            CONFIG.replace('tokens: ["*.example"]', "tokens: [b.example]")
            + "    more: {tokens: [a.example], poll: [else]}\n"
        )
        self.assertIn(
            b"403 Not allowed to poll as a.example any more", self.push(A, id)
        )
        self.rig.net.pass_(5)
        self.assertEqual(statusOf(heard(scrape)), 504)
        self.hangUp(poll, scrape)

    def test_late(self) -> None:
        """
        Who is struck off, or loses his role, between the head of a request and the
        end of its body is out as well.
        """
        scrape = scrapeBytes(b"http://b.example/metrics", b"Content-Length: 1") + b"x"
        for header, field, request, without in (
            (SCRAPER, FOR_PROXY, scrape, f"    scraper: {digest('scraper')}\n"),
            (SCRAPER, FOR_PROXY, scrape, 'scrape: ["*.example"]'),
            (A, FOR_OWNER, pollBytes(b"a.example"), f"    a.example: {digest('a')}\n"),
            (A, FOR_OWNER, pollBytes(b"a.example"), '      poll: ["*.example"]\n'
             "      from_token: true\n"),
        ):  # fmt: skip
            self.gate()
            poll = self.poll(B, b"b.example")
            whole = with_(request, field, header)
            talker = self.rig.talk(whole[:-1])
            self.assertEqual(heard(talker), b"")
            self.change(CONFIG.replace(without, ""))
            self.rig.ask(page(b"/-/healthy"))
            heard(poll)
            self.rig.say(talker, whole[-1:])
            self.assertEqual(statusOf(heard(talker)), 403)
            self.assertEqual(heard(poll), b"")
            self.hangUp(talker, poll)

    def test_latePages(self) -> None:
        """
        Who asks what the proxy knows cannot put the answer off by a body that does
        not come.
        """
        self.gate(CONFIG.replace("[clients]", "[clients, metrics]"))
        for path in (b"/clients", b"/metrics"):
            request = with_(page(path), b"Content-Length", b"1")
            talker = self.rig.talk(with_(request, FOR_OWNER, SCRAPER))
            self.assertEqual(statusOf(heard(talker)), 200, path)
            self.hangUp(talker)

    def test_latePush(self) -> None:
        """
        So is who brings an answer that has not told yet whose it is.
        """
        self.gate()
        poll = self.poll(A, b"a.example")
        scrape = self.scrape(SCRAPER, b"a.example")
        push = with_(pushBytes(OK % idIn(heard(poll))), FOR_OWNER, A)
        head, body = push.split(b"\r\n\r\n", 1)
        talker = self.rig.talk(head + b"\r\n\r\n" + body[:1])
        self.change(CONFIG.replace(f"    a.example: {digest('a')}\n", ""))
        self.rig.ask(page(b"/-/healthy"))
        self.rig.say(talker, body[1:])
        self.assertEqual(statusOf(heard(talker)), 403)
        self.assertEqual(heard(scrape), b"")
        self.hangUp(talker, poll, scrape)


TLS = """\
tls_server_config:
  cert_file: c.pem
  key_file: k.pem
  client_auth_type: VerifyClientCertIfGiven
pushprox:
  authorities:
    ours: {ca_file: ca.pem}
  roles:
    scraper: {networks: [0.0.0.0/0], scrape: ["*"]}
    fleet:
      certificates: [{authority: ours}]
      poll: ["*.example"]
      from_certificate: true
"""


class CertificateTestCase(GateTestCase):
    """
    A proxy that those talk to who show certificates.
    """

    def whisper(self, leaf: trustme.LeafCert | None = None) -> Whisperer:
        """
        @return: a connection of who shows this one.
        """
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if leaf is not None:
            leaf.configure_cert(context)
        return Whisperer(self.rig.net, context, port=self.rig.port)

    def ask(self, whisperer: Whisperer, request: bytes) -> bytes:
        """
        @return: what is said to this.
        """
        whisperer.heard = b""
        whisperer.say(request)
        return whisperer.heard

    def hangUpAll(self, *whisperers: Whisperer) -> None:
        """
        Close connections.
        """
        self.hangUp(*(whisperer.talker for whisperer in whisperers))

    def tenants(self, other: trustme.CA) -> None:
        """
        Start it for two tenants: ours, who has C{a.example}, and another, who has
        C{*.b.example}.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        path = folder.absolute() / "b.pem"
        other.cert_pem.write_to_path(str(path))
        ours = "    ours: {ca_file: ca.pem}\n"
        config = TLS.replace(ours, f"{ours}    b: {{ca_file: {path}}}\n") + (
            "    tenant:\n      certificates: [{authority: b}]\n"
            "      poll: ['*.b.example']\n      from_certificate: true\n"
        )
        self.gate(config.replace('"*.example"', "a.example"))

    def revocations(self, *leaves: trustme.LeafCert, until: float = 9e9) -> bytes:
        """
        @return: our CA's list of what it takes back.
        """
        key: Any = load_pem_private_key(
            self.authority.private_key_pem.bytes(), password=None
        )
        ca = x509.load_pem_x509_certificate(self.authority.cert_pem.bytes())
        utc = datetime.UTC
        made = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(ca.subject)
            .last_update(datetime.datetime.fromtimestamp(0, utc))
            .next_update(datetime.datetime.fromtimestamp(until, utc))
        )
        for leaf in leaves:
            pem = leaf.cert_chain_pems[0].bytes()
            serial = x509.load_pem_x509_certificate(pem).serial_number
            entry = (
                x509.RevokedCertificateBuilder()
                .serial_number(serial)
                .revocation_date(datetime.datetime.fromtimestamp(0, utc))
                .build()
            )
            made = made.add_revoked_certificate(entry)
        return made.sign(key, SHA256()).public_bytes(Encoding.PEM)


class CertificateTests(CertificateTestCase):
    """
    Who shows a certificate.
    """

    def test_names(self) -> None:
        """
        Who may poll as what his certificate is for may poll as exactly that: not
        as a name beside it, not by a star, not by a common name.
        """
        self.gate(TLS)
        for leaf, name, status in (
            (self.authority.issue_cert("a.example", "b.example"), b"a.example", 0),
            (self.authority.issue_cert("a.example", "b.example"), b"B.example", 0),
            (self.authority.issue_cert("a.example"), b"b.example", 403),
            (self.authority.issue_cert("a.elsewhere"), b"a.elsewhere", 403),
            (self.authority.issue_cert("*.example"), b"a.example", 403),
            (self.authority.issue_cert("x.example", common_name="a.example"),
             b"a.example", 403),
            (self.authority.issue_cert("10.1.2.3"), b"10.1.2.3", 403),
        ):  # fmt: skip
            whisperer = self.whisper(leaf)
            answer = self.ask(whisperer, pollBytes(name))
            self.assertEqual(statusOf(answer), status, (name, answer))
            self.hangUpAll(whisperer)

    def test_tenants(self) -> None:
        """
        The CA of one tenant cannot make certificates for the names of another.
        """
        other = trustme.CA()
        self.tenants(other)
        for authority, name, status in (
            (self.authority, "a.example", 0),
            (self.authority, "t.b.example", 403),
            (other, "t.b.example", 0),
            (other, "a.example", 403),
        ):
            whisperer = self.whisper(authority.issue_cert(name))
            answer = self.ask(whisperer, pollBytes(name.encode()))
            self.assertEqual(statusOf(answer), status, name)
            self.hangUpAll(whisperer)

    def test_expires(self) -> None:
        """
        A certificate that expires is no good from that moment on, also on a
        connection that is open and for a poll that is parked.
        """
        leaf = self.authority.issue_cert("a.example")
        pem = leaf.cert_chain_pems[0].bytes()
        until = x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()
        self.gate(TLS, at=until - 10)
        line, parked, scraper = self.whisper(leaf), self.whisper(leaf), self.whisper()
        parked.say(pollBytes(b"a.example"))
        refused = self.ask(line, page(b"/clients"))
        self.assertTrue(refused.startswith(b"HTTP/1.1 403 Not allowed to read "))
        self.rig.net.pass_(10)
        self.assertEqual(statusOf(self.ask(line, pollBytes(b"a.example"))), 403)
        self.assertIn("(expired certificate)", self.logged[-1])
        scraper.say(scrapeBytes(b"http://a.example/metrics"))
        parked.listen()
        self.assertEqual(statusOf(parked.heard), 403)
        self.assertNotIn(b"GET http", parked.heard)
        self.hangUpAll(line, parked, scraper)

    def test_expiresUnderWay(self) -> None:
        """
        Nor is it good for a poll whose head came in time, and its body did not.
        """
        leaf = self.authority.issue_cert("a.example")
        pem = leaf.cert_chain_pems[0].bytes()
        until = x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()
        self.gate(TLS, at=until - 10)
        line = self.whisper(leaf)
        poll = pollBytes(b"a.example")
        self.assertEqual(self.ask(line, poll[:-1]), b"")
        self.rig.net.pass_(10)
        self.assertEqual(statusOf(self.ask(line, poll[-1:])), 403)
        self.hangUpAll(line)

    def test_revoked(self) -> None:
        """
        A certificate that its CA takes back is no good from the moment on in which
        the list is read, also on a connection that is open and for a poll that is
        parked; that of another is.
        """
        bad = self.authority.issue_cert("a.example")
        good = self.authority.issue_cert("b.example")
        self.gate(TLS)
        self.put("ca.crl", self.revocations())
        config = TLS.replace("ca_file: ca.pem", "ca_file: ca.pem, crl_file: ca.crl")
        self.change(config)
        line, other, parked = self.whisper(bad), self.whisper(good), self.whisper(bad)
        parked.say(pollBytes(b"a.example"))
        self.assertEqual(statusOf(self.ask(line, pollBytes(b"b.example"))), 403)
        self.put("ca.crl", self.revocations(bad))
        self.rig.net.pass_(LOOK_EVERY)
        self.assertEqual(statusOf(self.ask(line, pollBytes(b"a.example"))), 403)
        self.assertIn("(revoked certificate)", self.logged[-1])
        self.assertEqual(statusOf(self.ask(other, pollBytes(b"b.example"))), 0)
        parked.listen()
        self.assertEqual(statusOf(parked.heard), 403)
        self.hangUpAll(line, other, parked)

    def test_noGood(self) -> None:
        """
        Who shows a certificate that is no good is told so, and not asked for a
        password or a token, though others have some; also at the end of a poll
        that was parked. The log tells whose certificate it is.
        """
        leaf = self.authority.issue_cert("b.example", "a.example")
        self.gate(TLS)
        self.put("ca.crl", self.revocations())
        config = TLS.replace("ca_file: ca.pem", "ca_file: ca.pem, crl_file: ca.crl")
        self.change(config + TOKENS)
        line, parked, nobody = self.whisper(leaf), self.whisper(leaf), self.whisper()
        parked.say(pollBytes(b"a.example"))
        self.put("ca.crl", self.revocations(leaf))
        self.rig.net.pass_(LOOK_EVERY)
        self.assertEqual(statusOf(self.ask(nobody, page(b"/metrics"))), 401)
        again = self.ask(line, pollBytes(b"a.example"))
        parked.listen()
        bearer = "certificate of ours for a.example, b.example at 192.0.2.1:"
        for answer, logged, what in (
            (parked.heard, self.logged[-3], "poll as a.example any more"),
            (again, self.logged[-1], "poll"),
        ):
            told = f"Not allowed to {what} (revoked certificate)"
            self.assertIn(f"HTTP/1.1 403 {told}\r\n".encode(), answer)
            self.assertIn(f"Denied POST /poll to {bearer}", logged)
            self.assertIn(told, logged)
        self.hangUpAll(line, parked, nobody)

    def test_foreign(self) -> None:
        """
        Who brings another's answer, and who has a token as well, is told in the
        log by his certificate, too.
        """
        self.gate(TLS + TOKENS)
        a, other = (
            self.whisper(self.authority.issue_cert(name))
            for name in ("a.example", "*.b.example")
        )
        a.say(pollBytes(b"a.example"))
        scraper = self.whisper()
        scraper.say(scrapeBytes(b"http://a.example/metrics"))
        a.listen()
        push = with_(pushBytes(OK % idIn(a.heard)), FOR_OWNER, B)
        self.assertEqual(statusOf(self.ask(other, push)), 404)
        self.assertIn(
            "Denied POST /push to token b.example with certificate of ours for no name"
            " at 192.0.2.1: not whom",
            self.logged[-1],
        )
        self.hangUpAll(a, other, scraper)

    def forged(self, name: str) -> ssl.SSLContext:
        """
        @return: who shows a certificate for this name that says of itself that our
            CA had signed it, and our CA's with it.
        """
        ca = x509.load_pem_x509_certificate(self.authority.cert_pem.bytes())
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(ca.subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(ca.not_valid_before_utc)
            .not_valid_after(ca.not_valid_after_utc)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), True)
            .sign(key, SHA256())
        )
        shown = Path(self.mktemp())
        shown.write_bytes(
            leaf.public_bytes(Encoding.PEM)
            + self.authority.cert_pem.bytes()
            + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        context.load_cert_chain(shown)
        return context

    def test_forged(self) -> None:
        """
        Where certificates were asked for and not verified, one that anybody made is
        none, also on a connection that stays when a new file wants them verified.
        """
        before = TLS.partition("pushprox:")[0].replace("Verify", "Request")
        before = before.replace("CertIfGiven", "Cert")
        self.gate(f"{before}pushprox:\n  roles: {{all: {{anyone: true}}}}\n")
        line = Whisperer(self.rig.net, self.forged("a.example"), port=self.rig.port)
        self.assertEqual(statusOf(self.ask(line, page(b"/-/healthy"))), 200)
        self.change(TLS)
        self.assertEqual(statusOf(self.ask(line, pollBytes(b"a.example"))), 403)
        self.hangUpAll(line)

    def test_oldList(self) -> None:
        """
        Where the list of what was taken back is out of date, nobody knows what is
        on the new one: no certificate of that CA is good.
        """
        self.gate(TLS)
        self.put("ca.crl", self.revocations(until=100.0))
        self.change(TLS.replace("ca_file: ca.pem", "ca_file: ca.pem, crl_file: ca.crl"))
        line = self.whisper(self.authority.issue_cert("a.example"))
        self.assertEqual(statusOf(self.ask(line, pollBytes(b"b.example"))), 403)
        self.rig.net.pass_(100)
        self.assertEqual(statusOf(self.ask(line, pollBytes(b"a.example"))), 403)
        self.assertIn("(revocation list of its CA out of date)", self.logged[-1])
        self.hangUpAll(line)


class HiddenTests(GateTestCase):
    """
    What those learn who may not see.
    """

    def test_names(self) -> None:
        """
        Who may not scrape a name, or poll as it, is told the same whether there
        is one or not, whoever he is.
        """
        config = CONFIG.replace('scrape: ["*.example"]', "scrape: [b.example]")
        self.gate(config)
        poll = self.poll(A, b"a.example")
        for header in (SCRAPER, A, None):
            told = set()
            for name in (b"a.example", b"z.example"):
                talker = self.scrape(header, name)
                told.add(heard(talker).replace(name, b"NAME"))
                self.hangUp(talker)
            self.assertEqual(len(told), 1, told)
            self.assertIn(statusOf(told.pop()), (403, 407))
        told = set()
        for name in (b"a.example", b"z.example"):
            talker = self.poll(B, name)
            told.add(heard(talker).replace(name, b"NAME"))
            self.hangUp(talker)
        self.assertEqual(len(told), 1, told)
        self.hangUp(poll)

    def test_clients(self) -> None:
        """
        The list of clients has those that its reader may scrape.
        """
        pages = "pages: [clients]\n"
        fleet = ROLES.replace("      from_token: true\n", f"      {pages}")
        config = (
            "pushprox:\n"
            + TOKENS
            + fleet.replace('scrape: ["*.example"]', "scrape: [b.example]")
        )
        self.gate(config)
        polls = [self.poll(A, b"a.example"), self.poll(B, b"b.example")]
        for header, names in ((SCRAPER, [b"b.example"]), (A, [])):
            listed = self.rig.ask(with_(page(b"/clients"), FOR_OWNER, header))
            self.assertEqual(statusOf(listed), 200)
            self.assertEqual(re.findall(rb"[a-z]+\.example", listed), names)
        self.hangUp(*polls)

    def test_settling(self) -> None:
        """
        Just after the start the list waits for clients that its reader may scrape,
        and does not show that others are there: nor would it help him, whose targets
        an empty list would drop.
        """
        self.gate(
            CONFIG.replace('scrape: ["*.example"]', "scrape: [b.example]"),
            rules=Rules(warmup=30.0),
        )
        self.rig.net.pass_(SETTLING)
        listing = with_(page(b"/clients"), FOR_OWNER, SCRAPER)
        self.assertEqual(statusOf(self.rig.ask(listing)), 503)
        for header, name, status in ((A, b"a.example", 503), (B, b"b.example", 200)):
            self.addCleanup(self.hangUp, self.poll(header, name))
            self.assertEqual(statusOf(self.rig.ask(listing)), status)

    def test_early(self) -> None:
        """
        Who may poll as nobody, or scrape nothing, is refused before his body
        comes.
        """
        self.gate()
        for request, field, header in (
            (pollBytes(b"a.example"), FOR_OWNER, SCRAPER),
            (pushBytes(OK % b"x"), FOR_OWNER, SCRAPER),
            (scrapeBytes(b"http://a.example/", b"Content-Length: 9"), FOR_PROXY, A),
        ):
            head = with_(request, field, header).partition(b"\r\n\r\n")[0]
            talker = self.rig.talk(head + b"\r\n\r\n")
            self.assertEqual(statusOf(heard(talker)), 403)
            self.hangUp(talker)


class AskerTests(GateTestCase):
    """
    Who asks.
    """

    def test_anyone(self) -> None:
        """
        What everybody may do, nobody in particular may do, too; but who says who
        he is has to be right.
        """
        self.gate(CONFIG + "    all: {anyone: true, pages: [metrics]}\n")
        for header, status in ((None, 200), (A, 200), (b"Bearer wrong", 401)):
            answer = self.rig.ask(with_(page(b"/metrics"), FOR_OWNER, header))
            self.assertEqual(statusOf(answer), status, header)
        self.assertEqual(self.rig.ask(page(b"/")), ASKS_OWNER)
        self.assertEqual(self.rig.ask(scrapeBytes()), ASKS_PROXY)

    def test_eitherWay(self) -> None:
        """
        Where there are users and tokens, both ways to say who one is are told.
        """
        users = f"basic_auth_users: {{a: {hashed(b'a').decode()}}}\n"
        self.gate(users + CONFIG)
        line = b'WWW-Authenticate: Basic realm="pushprox", Bearer realm="pushprox"'
        self.assertEqual(self.rig.ask(page(b"/")), denial(b"401 Unauthorized", line))

    def test_noUsers(self) -> None:
        """
        Where there are tokens only, a password is wrong, and costs nothing.
        """
        self.gate()
        request = with_(page(b"/clients"), FOR_OWNER, basic(b"scraper", b"x"))
        self.assertEqual(self.rig.ask(request), ASKS_OWNER)
        self.assertDenied(wrong_credentials=1)

    def test_told(self) -> None:
        """
        The log tells who was not allowed what, and metrics count it.
        """
        self.gate()
        self.rig.ask(with_(page(b"/metrics"), FOR_OWNER, SCRAPER))
        said = re.sub(r"\b\d+(\.\d+){3}", "10.0.0.9", self.logged[-1])
        self.assertEqual(
            said,
            "Denied GET /metrics to token scraper at 10.0.0.9:"
            " Not allowed to read /metrics",
        )
        self.assertDenied(not_allowed=1, wrong_credentials=0)

    def test_doubts(self) -> None:
        """
        What may be a slip is said at the start, and again when the file is read
        again.
        """
        config = CONFIG.replace("tokens: [scraper]", "tokens: [scrapper]")
        self.gate(config)
        doubts = [
            f"{self.folder / 'web.yml'}: pushprox: {text}"
            for text in (
                "token scraper has no role, and may do nothing of his own",
                "role scraper is for token scrapper, and there is none",
            )
        ]
        self.assertEqual(self.logged, doubts)
        self.change(config + "# again\n")
        self.rig.ask(page(b"/-/healthy"))
        self.assertEqual(self.logged, doubts * 2)

    def test_forgets(self) -> None:
        """
        What askers may do is remembered of so many, and of more it is found out
        again.
        """
        made: list[gate.Gate] = []

        def keep(one: gate.Gate) -> None:
            made.append(one)

        self.patch(gate.Gate, "__attrs_post_init__", keep)
        self.patch(gate, "KEPT", 1)
        self.gate()
        for header, status in ((A, 403), (SCRAPER, 200), (B, 403), (SCRAPER, 200)):
            answer = self.rig.ask(with_(page(b"/clients"), FOR_OWNER, header))
            self.assertEqual(statusOf(answer), status)
            self.assertEqual(len(made[0]._known), 1)
