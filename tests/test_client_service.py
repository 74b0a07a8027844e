"""
Tests for L{pushprox.client.service}.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import trustme
from prometheus_client import CollectorRegistry
from twisted.internet.defer import execute
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import (
    AcceptableCiphers,
    CertificateOptions,
    PrivateCertificate,
    TLSVersion,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

import pushprox
from pushprox.client.lines import IDLE_TIMEOUT
from pushprox.client.ownmetrics import OwnMetrics
from pushprox.client.polling import Pace, Polling
from pushprox.client.service import (
    Options,
    makeClient,
    makeService,
    nameOfMachine,
)
from pushprox.client.webproxy import WebProxies
from pushprox.metrics import LateRegistry, Ledger
from pushprox.webfile import WebFile
from tests.fakeproxy import ClientTestCase, FakeProxy, Server, work
from tests.test_guard import USERS
from tests.test_passwords import basic
from tests.test_tls import Whisperer


def parsed(*arguments: str) -> Options:
    """
    @return: a command line that is right.
    """
    options = Options()
    options.parseOptions(["--proxy-url=http://proxy:8080/", "--fqdn=t1", *arguments])
    return options


class FlagTests(SynchronousTestCase):
    """
    The command line.
    """

    def test_defaults(self) -> None:
        """
        The defaults are those of the reference, for the flags that it has.
        """
        options = parsed()
        self.assertEqual(options.location.base, "http://proxy:8080/")
        self.assertEqual(options.name, "t1")
        self.assertEqual(
            options.pace, Pace(initialWait=1.0, maxWait=5.0, wait=25.0, polls=4)
        )
        self.assertIn(":9369:", options["metrics-addr"])
        self.assertEqual(options["scrape.concurrency"], 100)
        self.assertEqual(options["log.level"], "info")
        self.assertEqual(options["log.format"], "logfmt")
        for part in ("cacert", "cert", "key"):
            self.assertIsNone(options[f"tls.{part}"])
            self.assertIsNone(options[f"target.tls.{part}"])
        self.assertIsNone(options.location.serverName)
        self.assertIs(options.trust, options.targetTrust)

    def test_all(self) -> None:
        """
        Each flag of the reference is taken as it takes it, and ours too.
        """
        options = parsed(
            "--proxy-url=https://me:secret@proxy/prefix",
            "--fqdn=host.example",
            "--metrics-addr=127.0.0.1:9370",
            "--proxy.retry.initial-wait=500ms",
            "--proxy.retry.max-wait=1m",
            "--poll.wait=50s",
            "--polls=1",
            "--scrape.concurrency=7",
            "--log.level=debug",
            "--log.format=json",
            "--tls.cacert=",
            "--proxy.tls-server-name=other.example",
            "--proxy.token-file=",
        )
        self.assertEqual(options.location.serverName, "other.example")
        self.assertEqual(options.location.base, "https://proxy/prefix/")
        self.assertEqual(options.name, "host.example")
        self.assertIn("tcp:9370:interface=127.0.0.1", options["metrics-addr"])
        self.assertEqual(
            options.pace, Pace(initialWait=0.5, maxWait=60.0, wait=50.0, polls=1)
        )
        self.assertEqual(options["scrape.concurrency"], 7)
        self.assertEqual(options["log.level"], "debug")
        self.assertEqual(options["log.format"], "json")
        self.assertIsNone(options["tls.cacert"])

    def test_noMetrics(self) -> None:
        """
        No address for the metrics means none.
        """
        self.assertIsNone(parsed("--metrics-addr=")["metrics-addr"])

    def test_machinesName(self) -> None:
        """
        Without C{--fqdn} the client has the name of its machine.
        """
        options = Options()
        options.parseOptions(["--proxy-url=http://proxy/"])
        self.assertEqual(options.name, nameOfMachine())

    def test_wrong(self) -> None:
        """
        Wrong use ends the program with one line that names the flag and tells
        what was expected, but no password.
        """
        url = "--proxy-url=http://proxy/"
        missing = self.mktemp()
        nonsense = self.mktemp()
        Path(nonsense).write_text("nonsense")
        for arguments, says in (
            ([], "--proxy-url: expected"),
            (["--proxy-url="], "--proxy-url: expected"),
            (["--proxy-url=proxy:8080"], "--proxy-url: expected a URL like http://"),
            (["--proxy-url=ftp://proxy"], "--proxy-url: expected a URL like http://"),
            (["--proxy-url=http://me:secret@:1"], "--proxy-url: expected a URL like"),
            ([url, f"--tls.cacert={missing}"], "--tls.cacert: expected a readable"),
            ([url, f"--tls.cert={missing}"], "--tls.cert: expected a readable"),
            ([url, f"--tls.key={missing}"], "--tls.key: expected a readable"),
            ([url, f"--tls.cacert={nonsense}"], f"{nonsense}: expected PEM"),
            ([url, f"--tls.cert={nonsense}"], f"{nonsense}: expected the file"),
            ([url, f"--tls.key={nonsense}"], f"{nonsense}: expected the file"),
            ([url, f"--target.tls.cacert={missing}"], "--target.tls.cacert: expected"),
            ([url, f"--target.tls.cacert={nonsense}"], "--target.tls: "),
            (
                [url, "--proxy.tls-server-name=a.example"],
                "--proxy.tls-server-name: expected a --proxy-url with https",
            ),
            (
                ["--proxy-url=https://me:secret@p/", "--proxy.tls-server-name=a b"],
                "--proxy.tls-server-name: expected a name like proxy.example.com",
            ),
            (
                [url, "--proxy.basic-auth-file=a", "--proxy.token-file=b"],
                "expected one of --proxy.basic-auth-file and --proxy.token-file",
            ),
            (
                ["--proxy-url=http://me:secret@p/", "--proxy.token-file=b"],
                "expected one of --proxy.token-file and user:password@ in --proxy-url",
            ),
            ([url, "--fqdn=a b"], "--fqdn: expected the name of a client"),
            ([url, "--fqdn=http://t1/"], "--fqdn: expected the name of a client"),
            ([url, "--fqdn=" + "x" * 254], "--fqdn: expected a name of at most 253"),
            ([url, "--metrics-addr=9369x"], "--metrics-addr: expected an address"),
            ([url, "--metrics-addr=:99999"], "--metrics-addr: expected an address"),
            ([url, "--proxy.retry.max-wait=5"], "--proxy.retry.max-wait: expected"),
            ([url, "--proxy.retry.initial-wait=-1s"], "--proxy.retry.initial-wait: e"),
            ([url, "--poll.wait=soon"], "--poll.wait: expected a duration"),
            ([url, "--polls=0"], "--polls: expected a whole number of at least 1"),
            ([url, "--scrape.concurrency=0"], "--scrape.concurrency: expected a whole"),
            ([url, "--log.level=loud"], "--log.level: expected one of"),
            ([url, "--log.format=xml"], "--log.format: expected one of"),
            ([url, "--colour"], "--colour"),
            ([url, "proxy"], "unexpected argument 'proxy'"),
        ):
            with self.assertRaises(SystemExit) as caught:
                Options().parseOptions(arguments)
            text = str(caught.exception)
            self.assertIn(says.removeprefix("--colour") or "colour", text)
            self.assertTrue(text.startswith("pushprox-client: "), text)
            self.assertEqual(len(text.splitlines()), 1)
            self.assertNotIn("secret", text)

    def test_alwaysVerified(self) -> None:
        """
        There is no flag by which the proxy's certificate would not be verified.
        """
        flags = list(Options().docs)
        self.assertIn("proxy.tls-server-name", flags)
        for flag in flags:
            self.assertNotRegex(flag, "(?i)insecure|skip|verif|trust|check")


class NameTests(SynchronousTestCase):
    """
    The name of the machine, as the reference finds it.
    """

    def test_resolved(self) -> None:
        """
        It is what the address of the host name leads back to.
        """
        name = nameOfMachine(
            lambda: "t1",
            {"t1": "10.0.0.2"}.__getitem__,
            {"10.0.0.2": ("t1.example.", [], [])}.__getitem__,
        )
        self.assertEqual(name, "t1.example")

    def failing(self, error: OSError) -> object:
        """
        @return: a lookup that fails.
        """

        def lookUp(_: str) -> str:
            raise error

        return lookUp

    def test_noAddress(self) -> None:
        """
        It is the host name where that has no address.
        """
        lookUp = self.failing(socket.gaierror(-2, "Name or service not known"))
        self.assertEqual(nameOfMachine(lambda: "t1", lookUp), "t1")

    def test_noName(self) -> None:
        """
        And where the address leads nowhere.
        """
        lookUp = self.failing(socket.herror(1, "Unknown host"))
        name = nameOfMachine(lambda: "t1", lambda name: "10.0.0.2", lookUp)
        self.assertEqual(name, "t1")


class ServiceTests(ClientTestCase):
    """
    The whole program.
    """

    def setUp(self) -> None:
        """
        The proxy and a target are there.
        """
        super().setUp()
        self.proxy = self.proxyAt(8080, FakeProxy(self.net))
        self.target = Server(self.net, lambda call: call.reply(200, b"up 1\n"))
        self.net.listenTCP(9100, self.target)

    def run_(self, *arguments: str, **environment: str) -> None:
        """
        Run it.
        """
        program = makeService(parsed(*arguments), self.net, environment)
        program.startService()
        self.net.settle()
        self.addCleanup(self.stop, program)

    def stop(self, program: object) -> None:
        """
        Stop it, and see that nothing is left.
        """
        stopped = program.stopService()
        self.net.pass_(1.0)
        self.successResultOf(stopped)
        self.assertEqual(self.net.getDelayedCalls(), [])
        self.assertEqual(self.net.linesTo(8080), [])
        self.assertEqual(self.net.linesTo(9369), [])
        self.assertNotIn(9369, [port.number for port in self.net.ports.values()])

    def get(self, port: int, path: bytes) -> bytes:
        """
        @return: what a browser gets.
        """
        asking = b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path
        return self.net.talk("10.0.0.2", port, asking).received

    def test_scrape(self) -> None:
        """
        A scrape goes all the way.
        """
        self.run_()
        self.proxy.scrape(work())
        self.net.settle()
        [answer] = self.proxy.answers
        self.assertEqual(answer.body, b"up 1\n")

    def test_metrics(self) -> None:
        """
        The client's own metrics are there under the names of the reference, and
        nothing else is.
        """
        self.run_()
        page = self.get(9369, b"/metrics")
        self.assertTrue(page.startswith(b"HTTP/1.1 200 OK\r\n"))
        for kind in (b"scrape", b"push", b"poll"):
            name = b"pushprox_client_%b_errors_total" % kind
            self.assertIn(b"\n# TYPE %b counter\n%b 0.0\n" % (name, name), page)
        self.assertIn(b'pushprox_build_info{program="client"', page)
        self.assertIn(b"pushprox_reactor_lag_seconds", page)
        self.assertIn(b" 404 ", self.get(9369, b"/").split(b"\r\n")[0])

    def test_noMetrics(self) -> None:
        """
        C{--metrics-addr=} opens no port.
        """
        self.run_("--metrics-addr=")
        self.assertEqual(
            {port.number for port in self.net.ports.values()}, {8080, 9100}
        )

    def test_importsNoMoreThanItUses(self) -> None:
        """
        What shows the metrics is not there before somebody looks at them, nor are
        the proxy's rooms at any time.
        """
        script = (
            "import sys, pushprox.client.service;"
            "print(*[name for name in sys.modules if name.startswith(("
            "'prometheus_client', 'twisted.web.server', 'pushprox.site',"
            "'pushprox.channel', 'pushprox.proxy', 'pushprox.web', 'yaml'))])"
        )
        ended = subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONPATH": str(Path(pushprox.__file__).parent.parent)},
            capture_output=True,
            check=True,
            text=True,
        )
        self.assertEqual(ended.stdout.split(), [])

    def test_metricsGuarded(self) -> None:
        """
        With a web config file the metrics are over TLS and for whom it lets pass.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        authority = trustme.CA()
        leaf = authority.issue_cert("proxy.example")
        leaf.private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))
        path = folder / "web.yml"
        path.write_text(
            "tls_server_config: {cert_file: both.pem, key_file: both.pem}\n"
            "http_server_config: {headers: {X-Frame-Options: deny}}\n" + USERS
        )
        self.run_("--metrics-addr=10.0.0.1:9369", f"--web.config.file={path}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(context)
        whisperer = Whisperer(self.net, context, port=9369)
        whisperer.say(b"GET /metrics HTTP/1.1\r\nHost: p\r\n\r\n")
        self.assertIn(b"HTTP/1.1 401 Unauthorized\r\n", whisperer.heard)
        self.assertIn(b"\r\nX-Frame-Options: deny\r\n", whisperer.heard)
        whisperer.hangUp()

    def test_metricsConnections(self) -> None:
        """
        Those who read metrics have no more connections than they are given.
        """
        endpoint = serverFromString(self.net, "tcp:9369")
        ownMetrics = OwnMetrics(endpoint, self.net, LateRegistry(), 2)
        ownMetrics.startService()
        for _ in range(5):
            self.net.talk("10.0.0.2", 9369)
        self.assertEqual(len(self.net.linesTo(9369)), 2)
        asking = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
        talker = self.net.talk("10.0.0.2", 9369, asking)
        self.assertEqual(talker.received[9:12], b"200")
        ownMetrics.stopService()
        self.net.settle()

    def test_metricsPassword(self) -> None:
        """
        Who has a password gets the metrics, and a denial is counted in them.
        """
        path = Path(self.mktemp())
        path.write_text(USERS)
        registry = LateRegistry()
        endpoint = serverFromString(self.net, "tcp:9369")
        ownMetrics = OwnMetrics(endpoint, self.net, registry)
        file = WebFile(str(path), self.net)
        ownMetrics.guardBy(file, Ledger(registry, "client"), execute)
        ownMetrics.startService()
        for field, value, status in (
            (b"Authorization", basic(b"bob", b"builder"), b"200"),
            (b"Authorization", basic(b"bob", b"s3kr1t"), b"401"),
            (b"Proxy-Authorization", basic(b"bob", b"builder"), b"401"),
        ):
            asking = b"GET /metrics HTTP/1.1\r\nHost: x\r\n%b: %b\r\n\r\n"
            talker = self.net.talk("10.0.0.2", 9369, asking % (field, value))
            self.assertEqual(talker.received[9:12], status)
        talker = self.net.talk(
            "10.0.0.2", 9369, asking % (b"Authorization", basic(b"bob", b"builder"))
        )
        denied = b'pushprox_http_denied_requests_total{reason="wrong credentials"} 1.0'
        self.assertIn(denied, talker.received)
        ownMetrics.stopService()
        self.net.settle()

    def test_badWebConfig(self) -> None:
        """
        A file that cannot be used ends the program with one line; without a port
        for metrics it is not looked at.
        """
        flag = "--web.config.file=/nonexistent"
        error = self.assertRaises(SystemExit, makeService, parsed(flag), self.net)
        self.assertEqual(
            str(error),
            "pushprox-client: --web.config.file: /nonexistent: expected a readable "
            "file: No such file or directory",
        )
        self.run_("--metrics-addr=", flag)

    def test_metricsPortInUse(self) -> None:
        """
        A client whose metrics port is taken says so, and does its work.
        """
        taken = self.net.listenTCP(9369, Factory.forProtocol(Protocol))
        self.run_()
        [warning] = self.said("warn")
        self.assertIn("--metrics-addr: ", warning)
        self.assertIn("9369", warning)
        self.proxy.scrape(work())
        self.net.settle()
        self.assertEqual(len(self.proxy.answers), 1)
        self.addCleanup(taken.stopListening)
        # The port is not ours, so that stopping has to leave it alone.
        self.stop = lambda program: program.stopService()

    def test_openMetricsPage(self) -> None:
        """
        A reader of the metrics that keeps its connection does not hold up the
        end.
        """
        self.run_()
        reader = self.net.talk(
            "10.0.0.2", 9369, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        self.assertIn(b"200 OK", reader.received)
        self.assertIsNone(reader.lost)

    def test_webProxy(self) -> None:
        """
        The environment's web proxy is used for the proxy, and not for targets.
        """
        squid = FakeProxy(self.net, prefix=b"http://proxy:8080")
        self.net.listenTCP(3128, squid)
        self.net.names.table["squid"] = "10.0.0.9"
        self.run_(HTTP_PROXY="http://squid:3128")
        squid.scrape(work())
        self.net.settle()
        self.assertEqual(len(squid.answers), 1)
        self.assertEqual(len(self.target.calls), 1)
        self.assertEqual(self.proxy.polls, [])

    def test_noWebProxy(self) -> None:
        """
        NO_PROXY exempts from it.
        """
        self.run_(HTTP_PROXY="http://squid:3128", NO_PROXY="proxy")
        self.assertEqual(len(self.proxy.polls), 1)

    def test_badWebProxy(self) -> None:
        """
        A web proxy that is none ends the program with one line, which names the
        variable and not the password.
        """
        environment = {"http_proxy": "socks5://me:secret@squid"}
        with self.assertRaises(SystemExit) as caught:
            makeService(parsed(), self.net, environment)
        text = str(caught.exception)
        self.assertTrue(text.startswith("pushprox-client: http_proxy: expected"), text)
        self.assertEqual(len(text.splitlines()), 1)
        self.assertNotIn("secret", text)

    def test_secrets(self) -> None:
        """
        No log line and no part of the program shows a password.
        """
        self.proxy.onPoll = lambda call: call.reply(401)
        environment = {"HTTP_PROXY": "http://me:s3kr1t2@squid:3128", "NO_PROXY": "*"}
        password, token = Path(self.mktemp()), Path(self.mktemp())
        password.write_text("me:s3kr1t1")
        token.write_text("s3kr1t1")
        for flag in (
            "--proxy-url=http://me:s3kr1t1@proxy:8080/",
            f"--proxy.basic-auth-file={password}",
            f"--proxy.token-file={token}",
        ):
            options = parsed(flag)
            program = makeService(options, self.net, environment)
            program.startService()
            self.net.pass_(10.0)
            parts = [
                vars(part) if hasattr(part, "__dict__") else part for part in program
            ]
            seen = repr([self.events, program, parts, list(program), vars(options)])
            for secret in ("s3kr1t", "bWU6czNrcjF0"):
                self.assertNotIn(secret, seen)
            self.assertNotIn("s3kr1t", self.get(9369, b"/metrics").decode())
            self.stop(program)

    def test_credentials(self) -> None:
        """
        The proxy is told who we are by what is in a file, and the target is not.
        """
        path = Path(self.mktemp())
        for flag, content, told in (
            ("proxy.basic-auth-file", "me:secret\n", b"Basic bWU6c2VjcmV0"),
            ("proxy.token-file", "s3kr1t\n", b"Bearer s3kr1t"),
        ):
            path.write_text(content)
            program = makeService(parsed(f"--{flag}={path}"), self.net, {})
            program.startService()
            self.proxy.scrape(work())
            self.net.pass_(1.0)
            self.stop(program)
            for call in (self.proxy.polls[-1], self.proxy.pushes[-1]):
                self.assertEqual(call.header(b"Authorization"), told)
            self.assertIsNone(self.target.calls[-1].header(b"Authorization"))

    def test_badCredentials(self) -> None:
        """
        A file of credentials that cannot be used ends the program with one line,
        which does not tell what is in it.
        """
        path = Path(self.mktemp()).absolute()
        for flag in ("proxy.basic-auth-file", "proxy.token-file"):
            for content in (None, "", "s3kr1t\nx: y"):
                path.unlink(missing_ok=True)
                if content is not None:
                    path.write_text(content)
                options = parsed(f"--{flag}={path}")
                error = self.assertRaises(SystemExit, makeService, options, self.net)
                self.assertRegex(
                    str(error), rf"^pushprox-client: --{flag}: {path}: expected .+$"
                )
                self.assertNotIn("s3kr1t", str(error))

    def test_openFiles(self) -> None:
        """
        Files of ours with secrets in them that everybody may read are named in the
        log at start; the others are not.
        """
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        leaf = trustme.CA().issue_cert("t1")
        both = folder / "both.pem"
        leaf.private_key_and_cert_chain_pem.write_to_path(str(both))
        for name, content in (
            ("token", "s3kr1t"),
            ("key", both.read_text()),
            ("web", "tls_server_config: {cert_file: both.pem, key_file: both.pem}"),
        ):
            (folder / name).write_text(content)
        flags = (
            f"--proxy.token-file={folder / 'token'}",
            f"--tls.key={folder / 'key'}",
            f"--tls.cert={both}",
            f"--web.config.file={folder / 'web'}",
        )
        for mode, named in ((0o644, ["token", "key", "web", "both.pem"]), (0o640, [])):
            for path in folder.iterdir():
                path.chmod(mode)
            self.events.clear()
            makeService(parsed(*flags), self.net)
            paths = [line.split(" may hold a secret")[0] for line in self.said("warn")]
            self.assertEqual(paths, [str(folder / name) for name in named])

    def test_restsOnlyForAWhile(self) -> None:
        """
        An idle connection is closed before the proxy, or what stands before it,
        closes it.
        """
        self.target.onCall = lambda call: None
        self.run_()
        for number in range(20):
            self.proxy.scrape(work(b"%d" % number))
            self.net.settle()
        for call in self.target.calls:
            call.reply(200)
        self.net.pass_(5.0)
        self.assertEqual(len(self.proxy.answers), 20)
        self.assertTrue(len(self.net.linesTo(8080)) > 10)
        self.net.pass_(IDLE_TIMEOUT)
        # The poll's, and the one that the last poll left.
        self.assertTrue(len(self.net.linesTo(8080)) <= 2)

    def test_reactor(self) -> None:
        """
        Without a reactor of its own, a program takes the one that there is, and
        does nothing with it yet.
        """
        program = makeService(parsed())
        self.assertEqual(len(list(program)), 3)


class TLSTests(ClientTestCase):
    """
    A proxy and a target behind TLS.
    """

    def setUp(self) -> None:
        """
        There is an authority, and what it signs.
        """
        super().setUp()
        self.authority = trustme.CA()
        self.caFile = self.mktemp()
        Path(self.caFile).write_bytes(self.authority.cert_pem.bytes())
        self.proxy = FakeProxy(self.net)
        self.target = Server(self.net, lambda call: call.reply(200, b"up 1\n"))
        self.listen(8443, self.proxy, "proxy", self.authority)

    def listen(
        self, port: int, server: Server, name: str, signer: trustme.CA, **more: Any
    ) -> None:
        """
        Serve over TLS, as this name.
        """
        issued = signer.issue_cert(name)
        pem = issued.private_key_and_cert_chain_pem.bytes()
        certificate = PrivateCertificate.loadPEM(pem)
        contexts = CertificateOptions(
            privateKey=certificate.privateKey.original,
            certificate=certificate.original,
            **more,
        )
        self.net.listenTCP(port, TLSMemoryBIOFactory(contexts, False, server, self.net))

    def client(self, *arguments: str) -> Polling:
        """
        @return: a running client.
        """
        options = parsed("--proxy-url=https://proxy:8443/", *arguments)
        polling, _ = makeClient(
            self.net,
            Ledger(CollectorRegistry(), "client"),
            options.location,
            options.name,
            options.pace,
            options.trust,
            options.targetTrust,
            WebProxies({}),
        )
        polling.startService()
        self.net.pass_(1.0)
        return polling

    def test_trusted(self) -> None:
        """
        C{--tls.cacert} is trusted for the proxy, and for targets as well.
        """
        self.listen(9100, self.target, "t1", self.authority)
        client = self.client(f"--tls.cacert={self.caFile}")
        self.proxy.scrape(work(path="x?_scheme=https"))
        self.net.pass_(1.0)
        [answer] = self.proxy.answers
        self.assertEqual((answer.head.status, answer.body), (200, b"up 1\n"))
        stopped = client.stopService()
        self.net.pass_(1.0)
        self.successResultOf(stopped)
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_untrusted(self) -> None:
        """
        Without it the proxy proves nothing: the client says so and goes on.
        """
        client = self.client()
        self.net.pass_(10.0)
        self.assertFalse(client.connected)
        [warning] = self.said("warn")
        self.assertIn("certificate verify failed (--tls.cacert names", warning)
        self.assertNotIn("\n", warning)
        self.assertEqual(self.proxy.polls, [])

    def test_serverName(self) -> None:
        """
        C{--proxy.tls-server-name} is what the proxy must be, and no target.
        """
        self.listen(8444, self.proxy, "other.example", self.authority)
        self.listen(9100, self.target, "t1", self.authority)
        self.listen(9101, self.target, "other.example", self.authority)
        self.client(
            f"--tls.cacert={self.caFile}",
            "--proxy-url=https://proxy:8444/",
            "--proxy.tls-server-name=other.example",
        )
        for port in (b"9100", b"9101"):
            url = work(path="x?_scheme=https").replace(b"9100", port)
            self.proxy.scrape(url)
            self.net.pass_(1.0)
        statuses = [answer.head.status for answer in self.proxy.answers]
        self.assertEqual(statuses, [200, 502])

    def test_otherServerName(self) -> None:
        """
        A proxy that cannot prove that name is not polled, though it is the one of
        the URL.
        """
        self.client(
            f"--tls.cacert={self.caFile}", "--proxy.tls-server-name=other.example"
        )
        self.net.pass_(10.0)
        [warning] = self.said("warn")
        self.assertIn("the proxy's certificate is not for other.example (", warning)
        self.assertEqual(self.proxy.polls, [])

    def test_downgrade(self) -> None:
        """
        A proxy that speaks nothing newer than TLS 1.1 gets nothing, and the log
        says why.
        """
        self.listen(
            8444,
            self.proxy,
            "proxy",
            self.authority,
            insecurelyLowerMinimumTo=TLSVersion.TLSv1_0,
            lowerMaximumSecurityTo=TLSVersion.TLSv1_1,
            acceptableCiphers=AcceptableCiphers.fromOpenSSLCipherString(
                "ALL:@SECLEVEL=0"
            ),
        )
        self.client(
            f"--tls.cacert={self.caFile}", "--proxy-url=https://me:secret@proxy:8444/"
        )
        self.net.pass_(10.0)
        [warning] = self.said("warn")
        self.assertIn("TLS with the proxy failed: ", warning)
        self.assertIn("version", warning)
        self.assertEqual(self.proxy.polls, [])

    def test_targetsAuthority(self) -> None:
        """
        Where C{--target.tls.cacert} is given, that alone counts for targets.
        """
        other = trustme.CA()
        self.listen(9100, self.target, "t1", self.authority)
        self.listen(9101, self.target, "t1", other)
        otherFile = self.mktemp()
        Path(otherFile).write_bytes(other.cert_pem.bytes())
        self.client(f"--tls.cacert={self.caFile}", f"--target.tls.cacert={otherFile}")
        for port in (b"9100", b"9101"):
            url = work(path="x?_scheme=https").replace(b"9100", port)
            self.proxy.scrape(url)
            self.net.pass_(1.0)
        statuses = [answer.head.status for answer in self.proxy.answers]
        self.assertEqual(statuses, [502, 200])
