"""
Who may do what, with the programs that operators have: Prometheus, curl,
openssl and our own.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import indent
from typing import Any

import attrs
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    load_pem_private_key,
)
from twisted.internet.defer import gatherResults

from integration.processes import (
    STARTUP,
    Process,
    Scraped,
    inReadme,
    pause,
    until,
)
from integration.prometheus import PrometheusTestCase
from integration.test_web import hashed
from pushprox.watched import LOOK_EVERY

#: Names of clients. Every resolver knows them as addresses of this machine, the
#: latter without asking anybody.
A, B, C = "localhost", "127.1", "127.0.1"

#: A name that nobody has.
NOBODYS = "nowhere.example"

TLS = """\
tls_server_config:
  cert_file: proxy.pem
  key_file: proxy.pem
  client_auth_type: VerifyClientCertIfGiven
"""


def revocations(authority: trustme.CA, *leaves: trustme.LeafCert) -> bytes:
    """
    @return: a CA's list of the certificates that it takes back.
    """
    key: Any = load_pem_private_key(authority.private_key_pem.bytes(), None)
    ca = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    now = datetime.now(UTC)
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca.subject)
        .last_update(now)
        .next_update(now + timedelta(days=1))
    )
    for leaf in leaves:
        pem = leaf.cert_chain_pems[0].bytes()
        serial = x509.load_pem_x509_certificate(pem).serial_number
        entry = x509.RevokedCertificateBuilder().serial_number(serial)
        made = made.add_revoked_certificate(entry.revocation_date(now).build())
    return made.sign(key, SHA256()).public_bytes(Encoding.PEM)


class RolesTestCase(PrometheusTestCase):
    """
    A test with a folder full of secrets. Our programs tell none of them, whatever
    becomes of the test.

    @ivar secrets: what stands in no log.
    """

    def setUp(self) -> None:
        """
        The folder, and the certificate of the proxy.
        """
        self.files = self.folder()
        self.secrets: set[str] = set()
        self._ours: list[Process] = []
        # It comes last, when they all have ended.
        self.addCleanup(self._assertKept)
        self.certificate("proxy", self.authority("ca"), "localhost")
        self.ca = str(self.files / "ca.pem")

    def _assertKept(self) -> None:
        self.assertTrue(self._ours)
        for process in self._ours:
            for secret in self.secrets:
                self.assertNotIn(secret, process.output)

    def start(self, *command: str | Path, **more: Any) -> Process:
        """
        Start a program. Ours are to say all that they have to say.
        """
        if command[0] != "twistd":
            return super().start(*command, **more)
        process = super().start(*command, "--log.level=debug", **more)
        self._ours.append(process)
        return process

    # What somebody is known by.

    def keep(self, file: str, content: bytes) -> Path:
        """
        Put something in a file that nobody else can read, as a whole.

        @return: where it is.
        """
        path, new = self.files / file, self.files / "new"
        new.touch(0o600)
        new.write_bytes(content)
        return new.replace(path)

    def authority(self, name: str) -> trustme.CA:
        """
        @return: a new CA, whose certificate is in a file.
        """
        made = trustme.CA()
        self.keep(f"{name}.pem", made.cert_pem.bytes())
        return made

    def certificate(
        self, file: str, authority: trustme.CA, *names: str, common: str | None = None
    ) -> trustme.LeafCert:
        """
        @return: a new certificate for names, which is in a file with its key.
        """
        leaf = authority.issue_cert(*names, common_name=common)
        self.keep(f"{file}.pem", leaf.private_key_and_cert_chain_pem.bytes())
        lines = leaf.private_key_pem.bytes().decode().splitlines()
        self.secrets.update(line for line in lines[1:-1] if len(line) > 16)
        return leaf

    def password(self, user: str) -> str:
        """
        @return: the user and his password, with a colon between.
        """
        password = f"{user}-has-this-one"
        pair = f"{user}:{password}"
        self.secrets |= {password, b64encode(pair.encode()).decode().rstrip("=")}
        return pair

    async def token(self, name: str) -> str:
        """
        Make a token, which is then in a file.

        @return: the line for the web config file.
        """
        process = await self.finished("pushprox-token", name)
        token = process.standardOutput.decode()
        self.keep(f"{name}.token", token.encode())
        self.secrets.add(token.strip())
        [comment, line] = process.output.replace(token, "").splitlines()
        self.assertEqual((comment[0], line.split()[0]), ("#", f"{name}:"))
        return line

    async def tokens(self, *names: str) -> list[str]:
        """
        The same for several.
        """
        making = [self.meanwhile(self.token(name)) for name in names]
        return await gatherResults(making)

    def configure(
        self,
        roles: str,
        users: Iterable[str] = (),
        tokens: Iterable[str] = (),
        more: str = TLS,
    ) -> str:
        """
        Write the web config file.

        @param roles: and authorities.
        @param users: with their passwords.
        @param more: other sections.
        @return: what stands there.
        """
        pairs = [user.split(":") for user in users]
        text = more + "basic_auth_users:\n"
        text += "".join(f"  {name}: {hashed(password)}\n" for name, password in pairs)
        text += "pushprox:\n  tokens:\n"
        text += "".join(f"    {line}\n" for line in tokens)
        text += indent(roles, "  ")
        self.keep("web.yml", text.encode())
        return text

    # What runs.

    async def guarded(self) -> tuple[Process, int]:
        """
        Start a proxy with that file.
        """
        return await self.proxy(
            f"--web.config.file={self.files / 'web.yml'}", "--registration.warmup=0s"
        )

    async def clientOf(self, url: str, name: str, *flags: str) -> tuple[Process, str]:
        """
        Start a client, and wait until it polls.

        @return: the process, and its target: itself.
        """
        client, port = self.clientWithMetrics(
            url, f"--fqdn={name}", f"--tls.cacert={self.ca}",
            "--proxy.retry.max-wait=1s", *flags,
        )  # fmt: skip
        await client.said(f"Connected as {name}")
        return client, f"{name}:{port}"

    def byToken(self, name: str) -> str:
        """
        @return: the flag for a client that has the token of this name.
        """
        return f"--proxy.token-file={self.files / f'{name}.token'}"

    def byCertificate(self, file: str) -> tuple[str, str]:
        """
        @return: the same for a certificate.
        """
        path = self.files / f"{file}.pem"
        return f"--tls.cert={path}", f"--tls.key={path}"


EVERYBODY = {"scraper", "a", "b", "admin", "nobody"}

#: What is asked for; the status for those who may have it; who they are.
MATRIX = (
    ("/", 200, {"admin"}),
    ("/clients", 200, {"scraper", "admin"}),
    ("/metrics", 200, {"admin"}),
    ("/-/ready", 200, {"admin"}),
    ("/-/healthy", 200, EVERYBODY),
    ("/nothing", 404, EVERYBODY),
    ("push", 400, {"a", "b"}),
    (f"poll {A}", 204, {"a"}),
    (f"poll {B}", 204, {"b"}),
    (f"scrape {A}", 200, {"scraper"}),
    (f"scrape {B}", 200, {"admin"}),
    (f"scrape {NOBODYS}", 503, {"scraper"}),
    ("CONNECT", 501, {"scraper", "admin"}),
)

ROLES = f"""\
roles:
  scraper:
    users: [scraper]
    tokens: [scraper]
    networks: [127.0.7.1/32]
    scrape: [{A}, {NOBODYS}]
    pages: [clients]
  a: {{users: [a], tokens: [a], networks: [127.0.7.2/32], poll: [{A}]}}
  b: {{users: [b], tokens: [b], networks: [127.0.7.3/32], poll: ["{B}"]}}
  admin:
    users: [admin]
    tokens: [admin]
    networks: [127.0.7.4/32]
    scrape: ["127.*"]
    pages: [page, clients, metrics, ready]
"""

ROLES_OF_BEARERS = f"""\
  tenant-a:
    certificates: [{{authority: tenant-a}}]
    poll: ["*"]
    from_certificate: true
  tenant-b:
    certificates: [{{authority: tenant-b}}]
    poll: ["127.*"]
    from_certificate: true
  ours-who-scrape:
    certificates: [{{authority: ours, name: "scraper.*"}}]
    scrape: [{A}, {NOBODYS}]
    pages: [clients]
  ours-who-look-after-it:
    certificates: [{{authority: ours, name: admin.people}}]
    scrape: ["127.*"]
    pages: [page, clients, metrics, ready]
authorities:
  ours: {{ca_file: ours.pem}}
  tenant-a: {{ca_file: tenant-a.pem}}
  tenant-b: {{ca_file: tenant-b.pem}}
"""


@attrs.frozen
class Person:
    """
    Somebody, as curl is to show who he is.

    @ivar direct: flags for what he asks the proxy itself.
    @ivar proxied: flags for what he asks for by way of it.
    """

    name: str
    kind: str
    direct: list[str] = attrs.field(repr=False)
    proxied: list[str] = attrs.field(repr=False)

    def expected(self, place: str, status: int, who: set[str]) -> int:
        """
        @return: what he is to be told there.
        """
        if self.name in who:
            return status
        if self.kind not in ("nobody", "network"):
            return 403
        # He may be somebody, if he only says so.
        return 407 if place.startswith(("scrape", "CONNECT")) else 401


class MatrixTests(RolesTestCase):
    """
    Everybody asks for everything.
    """

    async def begin(self, overTLS: bool) -> None:
        """
        Start a proxy that knows everybody.
        """
        names = ("scraper", "a", "b", "admin")
        users = {name: self.password(name) for name in names}
        tokens = await self.tokens(*names)
        self.people = [Person("nobody", "nobody", [], [])]
        for number, name in enumerate(names, 1):
            token = (self.files / f"{name}.token").read_text().strip()
            bearer, path = f"Bearer {token}", str(self.files / f"{name}.pem")
            address = ["--interface", f"127.0.7.{number}"]
            for kind, direct, proxied in (
                ("user", ["--user", users[name]], ["--proxy-user", users[name]]),
                (
                    "token",
                    ["--header", f"Authorization: {bearer}"],
                    ["--proxy-header", f"Proxy-Authorization: {bearer}"],
                ),
                ("network", address, address),
                ("certificate", ["--cert", path], ["--proxy-cert", path]),
            ):
                if overTLS or kind != "certificate":
                    self.people.append(Person(name, kind, direct, proxied))
        if overTLS:
            ours = self.authority("ours")
            self.tenantA = self.authority("tenant-a")
            self.tenantB = self.authority("tenant-b")
            self.certificate("scraper", ours, "scraper.people")
            self.certificate("admin", ours, "admin.people")
            self.certificate("a", self.tenantA, A)
            self.certificate("b", self.tenantB, "b.example", B)
            self.configure(ROLES + ROLES_OF_BEARERS, users.values(), tokens)
        else:
            self.configure(ROLES, users.values(), tokens, "")
        _, self.port = await self.guarded()
        scheme = "https" if overTLS else "http"
        self.base = f"{scheme}://localhost:{self.port}"

    def words(self, person: Person, place: str) -> list[str]:
        """
        @return: what curl is told, for this one to ask for that.
        """
        what, _, name = place.partition(" ")
        direct = ["--cacert", self.ca, *person.direct]
        proxied = ["--proxy", self.base, "--proxy-cacert", self.ca, *person.proxied]
        if what == "CONNECT":
            return [*proxied, "--proxytunnel", "http://localhost:1/"]
        if what == "scrape":
            url = f"http://{self.targets.get(name, name)}/metrics"
            timeout = "X-Prometheus-Scrape-Timeout-Seconds: 10"
            # As it is: curl spells addresses in its own way.
            target = ["--request-target", url]
            return [*proxied, *target, "--header", timeout, "http://any.example/"]
        if what == "poll":
            prefer = ["--header", "Prefer: wait=1"]
            return [*direct, *prefer, "--data", name, f"{self.base}/poll"]
        if what == "push":
            return [*direct, "--data", "nonsense", f"{self.base}/push"]
        return [*direct, f"{self.base}{what}"]

    async def statuses(self, person: Person, places: list[str]) -> list[int]:
        """
        @return: what somebody is told at each place, one after the other.
        """
        words: list[str] = []
        for place in places:
            words += ["--next"] if words else []
            words += ["--output", "/dev/null", "--max-time", "20"]
            words += ["--write-out", "%{http_code} %{http_connect}\n"]
            words += self.words(person, place)
        curl = await self.curl(*words)
        lines = curl.standardOutput.decode().splitlines()
        # One of the two is 000.
        return [max(map(int, line.split())) for line in lines]

    async def check(self) -> None:
        """
        Have everybody ask for everything, with two clients there.
        """
        started = await gatherResults(
            [
                self.meanwhile(
                    self.clientOf(f"{self.base}/", name, self.byToken(token))
                )
                for name, token in ((A, "a"), (B, "b"))
            ]
        )
        self.targets = dict(zip((A, B), (target for _, target in started), strict=True))
        every = [place for place, _, _ in MATRIX]
        # A scrape is not to go to a poll of curl's.
        for places in (
            [place for place in every if place.startswith("poll")],
            [place for place in every if not place.startswith("poll")],
        ):
            found = await gatherResults(
                [
                    self.meanwhile(self.statuses(person, places))
                    for person in self.people
                ]
            )
            for person, statuses in zip(self.people, found, strict=True):
                expected = {
                    place: person.expected(place, status, who)
                    for place, status, who in MATRIX
                    if place in places
                }
                self.assertEqual(
                    dict(zip(places, statuses, strict=True)), expected, person
                )

    async def ask(self, person: Person, place: str) -> Scraped:
        """
        @return: what somebody is told at one place.
        """
        *flags, url = self.words(person, place)
        return await self.get(url, *flags)

    async def checkNames(self) -> None:
        """
        Nobody learns of a name that he may not scrape.
        """
        for person in self.people:
            if person.name not in ("scraper", "admin"):
                continue
            own, others = (A, B) if person.name == "scraper" else (B, A)
            page = await self.ask(person, "/clients")
            [group] = json.loads(page.body)
            self.assertEqual(group["targets"], [own], person)
            there, away = await gatherResults(
                [
                    self.meanwhile(self.refusal(person, name))
                    for name in (others, "hidden.example")
                ]
            )
            self.assertEqual(there, away, person)

    async def refusal(self, person: Person, name: str) -> tuple[object, ...]:
        """
        @return: all that somebody is told who may not scrape a name, but for that.
        """
        page = await self.ask(person, f"scrape {name}")
        self.assertIn(page.status, (403, 407), person)
        headers = {**page.headers, "date": "", "content-length": ""}
        return page.status, *(
            text.replace(name, "")
            for text in (page.reason, page.body.decode(), str(headers))
        )

    async def test_overTLS(self) -> None:
        """
        Who has a password, a token, a certificate or an address may do what his
        role says and nothing else, and what he may not see he does not learn of.
        """
        await self.begin(True)
        await self.check()
        await self.checkNames()

    async def test_inClear(self) -> None:
        """
        It is the same without TLS, but for certificates.
        """
        await self.begin(False)
        await self.check()
        await self.checkNames()

    async def say(self, request: str, *flags: str) -> Process:
        """
        Say something with openssl.

        @return: after the proxy has hung up.
        """
        process = self.start(
            "openssl", "s_client", "-quiet", "-connect", f"localhost:{self.port}",
            "-CAfile", self.ca, "-verify_return_error", *flags,
        )  # fmt: skip
        assert process.transport is not None
        process.transport.write(request.encode())  # type: ignore[attr-defined]
        await process.ended(20)
        return process

    async def test_byHand(self) -> None:
        """
        A tenant's CA lets in clients for the names on their certificates, and not
        for those of another tenant, in the common name, with a star, or of which
        it is not to be asked. TLS 1.1 is refused, and so is a CA of no tenant's.
        """
        await self.begin(True)
        poll = (
            "POST /poll HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=1\r\n"
            "Connection: close\r\nContent-Length: {0}\r\n\r\n{1}"
        )
        for authority, names, common, name, status in (
            (self.tenantA, ["web.a.example"], None, "web.a.example", "204"),
            (self.tenantA, ["web.a.example", A], None, A.upper(), "204"),
            (self.tenantB, ["127.9"], None, "127.9", "204"),
            (self.tenantB, ["127.9", "web.a.example"], None, "web.a.example", "403"),
            (self.tenantB, [A], None, A, "403"),
            (self.tenantA, ["web.a.example"], A, A, "403"),
            (self.tenantA, ["*.a.example"], None, "web.a.example", "403"),
        ):
            self.certificate("shown", authority, *names, common=common)
            shown = ["-cert", str(self.files / "shown.pem")]
            said = await self.say(poll.format(len(name), name), *shown)
            self.assertIn(f"HTTP/1.1 {status} ", said.output, (names, name))
            if status == "403":
                self.assertIn(f"Not allowed to poll as {name}", said.output)

        healthy = "GET /-/healthy HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n"
        weak = ("-cipher", "DEFAULT@SECLEVEL=0")
        for version, isIn in (("-tls1_2", True), ("-tls1_3", True), ("-tls1_1", False)):
            said = await self.say(healthy, version, *weak)
            self.assertEqual("HTTP/1.1 200" in said.output, isIn, said)
            self.assertEqual("alert protocol version" in said.output, not isIn, said)
        self.certificate("stranger", trustme.CA(), A)
        shown = ["-cert", str(self.files / "stranger.pem")]
        said = await self.say(healthy, *shown)
        self.assertNotIn("HTTP/1.1", said.output)
        self.assertIn("alert unknown ca", said.output)


FLEET = """\
authorities:
  people: {ca_file: people.pem}
  tenant: {ca_file: tenant.pem, crl_file: tenant.crl}
roles:
  prometheus:
    users: [prometheus]
    certificates: [{authority: people, name: prometheus.example}]
    scrape: ["*"]
  fleet:
    tokens: ["*"]
    poll: ["*"]
    from_token: true
  tenant:
    certificates: [{authority: tenant}]
    poll: ["127.*"]
    from_certificate: true
"""


class FleetTests(RolesTestCase):
    """
    A proxy that people and clients know how to get in at.
    """

    async def begin(self) -> None:
        """
        Start a proxy, and clients: A and C by a token, B by a certificate.
        """
        self.people, self.tenant = self.authority("people"), self.authority("tenant")
        self.certificate("prometheus", self.people, "prometheus.example")
        self.leaf = self.certificate("b", self.tenant, B)
        self.keep("tenant.crl", revocations(self.tenant))
        self.user = self.password("prometheus")
        self.config = self.configure(FLEET, [self.user], await self.tokens(A, C))
        self.process, port = await self.guarded()
        self.base = f"https://localhost:{port}"
        started = await gatherResults(
            [
                self.meanwhile(self.clientOf(f"{self.base}/", name, *flags))
                for name, flags in (
                    (A, [self.byToken(A)]),
                    (B, self.byCertificate("b")),
                    (C, [self.byToken(C)]),
                )
            ]
        )
        (self.a, self.b, self.c), self.targets = zip(*started, strict=True)

    async def scraped(self, target: str) -> Scraped:
        """
        Scrape as Prometheus does.
        """
        return await self.get(
            "http://any.example/", "--request-target", f"http://{target}/metrics",
            "--proxy", self.base, "--proxy-cacert", self.ca,
            "--proxy-user", self.user,
            "--header", "X-Prometheus-Scrape-Timeout-Seconds: 2",
        )  # fmt: skip

    async def assertScraped(self, *targets: str) -> None:
        """
        The targets can be scraped.
        """
        for target in targets:
            page = await self.scraped(target)
            self.assertTrue(page.isWhole, page)

    async def assertLost(self, target: str) -> None:
        """
        The target cannot.
        """
        self.assertIn((await self.scraped(target)).status, (503, 504))

    async def change(self, file: str, content: bytes) -> None:
        """
        Change a file, and wait until the proxy looks at it whatever it is asked.
        """
        self.keep(file, content)
        await pause(LOOK_EVERY)

    async def test_journey(self) -> None:
        """
        A Prometheus with a password and one with a certificate get at all kinds of
        clients; one with neither, with a wrong password or with a certificate for
        another name gets at none.
        """
        await self.begin()
        self.certificate("other", self.people, "other.example")
        wrong = self.base.replace("//", "//prometheus:wrong@")
        right = self.base.replace("//", f"//{self.user}@")
        own, other = self.files / "prometheus.pem", self.files / "other.pem"
        job = f"proxy_url: {{}}\ntls_config: {{{{ca_file: {self.ca}{{}}}}}}"
        shown = ", cert_file: {0}, key_file: {0}"
        both, refused, forbidden = await gatherResults(
            [
                self.meanwhile(self.prometheus(self.targets, *jobs))
                for jobs in (
                    [
                        job.format(right, ""),
                        job.format(self.base, shown.format(own)),
                    ],
                    [job.format(self.base, ""), job.format(wrong, "")],
                    [job.format(self.base, shown.format(other))],
                )
            ]
        )
        await self.healthBecomes(both, "up", targets=6)
        await self.healthBecomes(
            refused, "down", "407 Proxy Authentication Required", targets=6
        )
        await self.healthBecomes(forbidden, "down", "403 Not allowed", targets=3)

    async def test_revoked(self) -> None:
        """
        A token that is struck off and a certificate that is taken back are worth
        nothing from then on, also where a poll is parked: scrapes fail at once,
        and each client says why. Another goes on. Who gets another token is in
        again by himself.
        """
        await self.begin()
        a, b, c = self.targets
        await self.assertScraped(a, b, c)

        [line] = (each for each in self.config.splitlines(True) if f" {A}: " in each)
        struck = self.config.replace(line, "")
        await self.change("web.yml", struck.encode())
        await self.assertLost(a)
        await self.assertScraped(b, c)
        await self.a.said(f"Not allowed to poll as {A} any more")
        await self.a.said("401 Unauthorized: the proxy does not know our credentials")

        await self.change("tenant.crl", revocations(self.tenant, self.leaf))
        await self.assertLost(b)
        await self.assertScraped(c)
        await self.b.said(f"Not allowed to poll as {B} any more (revoked certificate)")
        await self.b.said("403 Not allowed to poll (revoked certificate)")
        await self.process.said(f"to certificate of tenant for {B} at 127.0.0.1: Not")

        new = f"    {await self.token(A)}\n"
        renewed = struck.replace("  tokens:\n", f"  tokens:\n{new}")
        await self.change("web.yml", renewed.encode())
        await until(
            lambda: self.a.output.count(f"Connected as {A}") == 2,
            STARTUP,
            "the client to be in again",
        )
        await self.assertScraped(a, c)
        await self.assertLost(b)
        self.assertEqual(self.c.output.count("Connected as"), 1)
        self.assertNotIn("WARN", self.c.output)

    async def test_readme(self) -> None:
        """
        The web config file with roles in the README works as pasted.
        """
        _, block = inReadme("tls_server_config")
        self.keep("proxy-key.pem", (self.files / "proxy.pem").read_bytes())
        self.keep("tenant-a.crl", revocations(self.authority("tenant-a")))
        self.authority("tenant-b")
        self.keep("web.yml", block.encode())
        process, port = await self.guarded()
        page = await self.get(f"https://localhost:{port}/clients", "--cacert", self.ca)
        self.assertEqual(page.status, 401)
        self.assertNotIn("WARN", process.output)
