"""
Who may do what, from end to end: every kind of person, by every kind of
identity, at every place, over TLS and without.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import attrs
import trustme
from twisted.internet.protocol import ClientFactory
from twisted.trial.unittest import SynchronousTestCase

from pushprox.credentials import digestOf
from tests.internet import Machine, Talker
from tests.rigs import ProxyRig, pollBytes, pushBytes, scrapeBytes
from tests.test_guard import FOR_OWNER, FOR_PROXY, page, statusOf, with_
from tests.test_passwords import basic, hashed
from tests.test_tls import Whisperer

PEOPLE = ("scraper", "a", "b", "admin")

#: What is asked for, and whether by way of the proxy.
PLACES = {
    "page": page(b"/"),
    "clients": page(b"/clients"),
    "metrics": page(b"/metrics"),
    "ready": page(b"/-/ready"),
    "healthy": page(b"/-/healthy"),
    "nothing": page(b"/nothing"),
    "star": page(b"*", b"OPTIONS"),
    "poll a": pollBytes(b"a.example"),
    "poll A.": pollBytes(b"A.Example."),
    "poll b": pollBytes(b"b.example"),
    "poll c": pollBytes(b"c.example"),
    "poll nobody": pollBytes(b""),
    "push": pushBytes(b"nonsense\r\n\r\n"),
    "scrape a": scrapeBytes(b"http://a.example/metrics"),
    "scrape B.": scrapeBytes(b"HTTP://B.Example.:9100/metrics"),
    "scrape c": scrapeBytes(b"http://c.example/metrics"),
    "connect": scrapeBytes(b"a.example:443", method=b"CONNECT"),
}

#: What those are told who may; a poll that is parked is told nothing.
ANSWERS = {
    "page": 200,
    "clients": 200,
    "metrics": 200,
    "ready": 200,
    "healthy": 200,
    "nothing": 404,
    "star": 200,
    "poll a": 0,
    "poll A.": 0,
    "poll b": 0,
    "poll c": 0,
    "poll nobody": 400,
    "push": 400,
    "scrape a": 503,
    "scrape B.": 503,
    "scrape c": 503,
    "connect": 501,
}

_ALL = {"healthy", "nothing", "star"}
_POLLING = {"poll nobody", "push"}

#: Who may what.
MAY: dict[str, set[str]] = {
    "scraper": _ALL | {"clients", "scrape a", "scrape B.", "connect"},
    "a": _ALL | _POLLING | {"poll a", "poll A."},
    "b": _ALL | _POLLING | {"poll b"},
    "admin": _ALL | {"page", "clients", "metrics", "ready"},
    "nobody": _ALL,
}

#: By what somebody is known, as it stands in his role.
KINDS = {
    "user": "users: [{0}]",
    "token": "tokens: [{0}]",
    "certificate": "certificates: [{{authority: ours, name: {0}.people}}]",
    "network": "networks: [10.7.{1}.0/24]",
}

ROLES = """
    scraper:
      {scraper}
      scrape: [a.example, "B.*"]
      pages: [clients]
    client-a:
      {a}
      poll: [a.example]
    client-b:
      {b}
      poll: ["b.exampl?"]
    admin:
      {admin}
      pages: [page, clients, metrics, ready]
"""


@attrs.frozen
class Person:
    """
    Somebody, and by what he is known.
    """

    name: str
    kind: str
    address: str
    header: bytes | None = None
    context: ssl.SSLContext | None = None

    def asks(self, place: str) -> bytes:
        """
        @return: his request.
        """
        isForOthers = place.startswith(("scrape", "connect"))
        field = FOR_PROXY if isForOthers else FOR_OWNER
        return with_(PLACES[place], field, self.header)


def talkFrom(rig: ProxyRig, address: str) -> Talker:
    """
    @return: a connection to the proxy from this address.
    """
    talkers: list[Talker] = []

    class Opening(ClientFactory):
        noisy = False

        def buildProtocol(self, addr: object) -> Talker:
            talkers.append(Talker())
            return talkers[0]

    Machine(rig.net, address).connectTCP(rig.host, rig.port, Opening())
    rig.net.settle()
    return talkers[0]


class MatrixTests(SynchronousTestCase):
    """
    A proxy with roles.
    """

    authority = trustme.CA()
    stranger = trustme.CA()
    leaf = authority.issue_cert("proxy.example")
    passwords = {name: hashed(name.encode()) for name in PEOPLE}

    def context(self, bearer: trustme.LeafCert | None = None) -> ssl.SSLContext:
        """
        @return: what to speak TLS by.
        """
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if bearer is not None:
            bearer.configure_cert(context)
        return context

    def start(self, overTLS: bool, kind: str) -> None:
        """
        Start the proxy. All four kinds are known to it; the roles are for one.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        lines = []
        if overTLS:
            self.leaf.private_key_pem.write_to_path(str(folder / "k.pem"))
            self.leaf.cert_chain_pems[0].write_to_path(str(folder / "c.pem"))
            self.authority.cert_pem.write_to_path(str(folder / "ca.pem"))
            lines += [
                "tls_server_config:",
                "  {cert_file: c.pem, key_file: k.pem,",
                "   client_auth_type: VerifyClientCertIfGiven}",
            ]
        if kind != "network":
            lines.append("basic_auth_users:")
            lines += [f"  {name}: {h.decode()}" for name, h in self.passwords.items()]
        lines.append("pushprox:")
        if kind != "network":
            lines.append("  tokens:")
            lines += [
                f"    {name}: {digestOf(self.token(name)).decode()}" for name in PEOPLE
            ]
        if overTLS:
            lines.append("  authorities: {ours: {ca_file: ca.pem}}")
        whos = {
            name: KINDS[kind].format(name, number) for number, name in enumerate(PEOPLE)
        }
        lines += ["  roles:", ROLES.format(**whos)]
        web = folder / "web.yml"
        web.write_text("\n".join(lines))
        self.rig = ProxyRig(self, web=web)
        self.overTLS = overTLS

    def token(self, name: str) -> bytes:
        """
        @return: the token of this one.
        """
        return f"token-of-{name}".encode()

    def person(self, name: str, kind: str) -> Person:
        """
        @return: one of those who are known, or nobody.
        """
        address = "10.9.9.9"
        header = context = None
        if name != "nobody":
            if kind == "user":
                header = basic(name.encode(), name.encode())
            elif kind == "token":
                header = b"Bearer " + self.token(name)
            elif kind == "network":
                address = f"10.7.{PEOPLE.index(name)}.1"
            else:
                context = self.context(self.authority.issue_cert(f"{name}.people"))
        return Person(name, kind, address, header, context or self.context())

    def ask(self, person: Person, place: str) -> int:
        """
        @return: the status of what a person is told on a new connection.
        """
        talker = talkFrom(self.rig, person.address)
        if self.overTLS:
            assert person.context is not None
            secret = Whisperer(self.rig.net, person.context, talker=talker)
            secret.say(person.asks(place))
            heard = secret.heard
        else:
            talker.transport.write(person.asks(place))
            self.rig.net.settle()
            heard = talker.received
        self.rig.hangUp(talker)
        return statusOf(heard)

    def expected(self, person: Person, place: str) -> int:
        """
        @return: what he ought to be told.
        """
        if place in MAY[person.name]:
            return ANSWERS[place]
        if person.name != "nobody" and person.kind != "network":
            return 403
        if person.kind == "network":
            return 403  # there is nobody he could be
        return 407 if place.startswith(("scrape", "connect")) else 401

    def check(self, overTLS: bool, kind: str) -> None:
        """
        Have everybody ask for everything.
        """
        self.start(overTLS, kind)
        found, wanted = {}, {}
        for name in (*PEOPLE, "nobody"):
            person = self.person(name, kind)
            for place in PLACES:
                found[name, place] = self.ask(person, place)
                wanted[name, place] = self.expected(person, place)
        self.assertEqual(found, wanted)

    def test_users(self) -> None:
        """
        Who has a password may do what his role says, and nothing else.
        """
        self.check(False, "user")

    def test_tokens(self) -> None:
        """
        Likewise who has a token.
        """
        self.check(False, "token")

    def test_networks(self) -> None:
        """
        Likewise who comes from some network.
        """
        self.check(False, "network")

    def test_usersOverTLS(self) -> None:
        """
        A password counts the same over TLS.
        """
        self.check(True, "user")

    def test_tokensOverTLS(self) -> None:
        """
        Likewise a token.
        """
        self.check(True, "token")

    def test_networksOverTLS(self) -> None:
        """
        Likewise a network.
        """
        self.check(True, "network")

    def test_certificates(self) -> None:
        """
        Who shows a certificate of our CA may do what the role of its name says.
        """
        self.check(True, "certificate")
