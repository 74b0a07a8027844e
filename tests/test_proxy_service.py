"""
Tests for L{pushprox.proxy.service}.
"""

from __future__ import annotations

import resource
import ssl
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from twisted.application.service import MultiService
from twisted.internet.endpoints import quoteStringArgument
from twisted.logger import LogEvent, capturedLogs, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

import pushprox
from pushprox.limits import Limits
from pushprox.passwords import Threads
from pushprox.proxy.coordinator import Rules
from pushprox.proxy.scrape import Timeouts
from pushprox.proxy.service import Options, makeService, scrapeIds
from tests.internet import Internet
from tests.rigs import heard
from tests.test_tls import Whisperer
from tests.test_webconfig import HASH


def parsed(*flags: str) -> Options:
    """
    A command line.
    """
    options = Options()
    options.parseOptions(flags)
    return options


class OptionsTests(SynchronousTestCase):
    """
    Tests for L{Options}.
    """

    def test_defaults(self) -> None:
        """
        The flags of the reference have the reference's defaults, and ours have
        those of the values that they stand for.
        """
        options = parsed()
        (endpoint,) = options["listen"]
        self.assertRegex(endpoint, r"^tcp6?:8080:interface=.*:backlog=4096$")
        self.assertEqual(options.timeouts, Timeouts())
        self.assertEqual(options.timeouts, Timeouts(15.0, 300.0, 0.5))
        self.assertEqual(options.rules, Rules())
        self.assertEqual(options.rules.registrationTimeout, 300.0)
        self.assertEqual(options["limit.name-length"], 253)
        self.assertEqual(options.limits, Limits())
        self.assertEqual(options["log.level"], "info")
        self.assertEqual(options["log.format"], "logfmt")

    def test_reference(self) -> None:
        """
        A unit file of the reference works as it is.
        """
        options = parsed(
            "--web.listen-address=127.0.0.1:9090",
            "--scrape.max-timeout=1m30s",
            "--scrape.default-timeout=1.5s",
            "--registration.timeout=1h",
            "--log.level=debug",
            "--log.format=json",
        )
        self.assertEqual(
            options["listen"], ["tcp:9090:interface=127.0.0.1:backlog=4096"]
        )
        self.assertEqual(options.timeouts, Timeouts(1.5, 90.0, 0.5))
        self.assertEqual(options.rules, Rules(registrationTimeout=3600.0))
        self.assertEqual(options["log.level"], "debug")
        self.assertEqual(options["log.format"], "json")

    def test_ours(self) -> None:
        """
        So do the flags that the reference does not have.
        """
        options = parsed(
            "--scrape.timeout-offset=1s",
            "--registration.warmup=0",
            "--poll.receipt-wait=3s",
            "--limit.polls-per-instance=2",
            "--limit.polls=3",
            "--limit.queued-per-name=4",
            "--limit.queued=5",
            "--limit.name-length=6",
            "--names.shared",
            "--limit.polls-per-identity=7",
            "--limit.names=8",
            "--limit.instances-per-name=14",
            "--limit.connections=9",
            "--limit.connections-per-address=10",
            "--limit.requests-per-connection=11",
            "--limit.head-size=1024",
            "--limit.head-time=12s",
            "--limit.body-size=1025",
            "--limit.body-time=13s",
        )
        self.assertEqual(options.timeouts.offset, 1.0)
        self.assertEqual(
            options.rules, Rules(300.0, 0.0, 3.0, 2, 3, 4, 5, True, 7, 8, 14)
        )
        self.assertEqual(options["limit.name-length"], 6)
        self.assertEqual(
            options.limits,
            Limits(
                head=12.0,
                body=13.0,
                headSize=1024,
                bodySize=1025,
                requests=11,
                connections=9,
                connectionsPerAddress=10,
            ),
        )

    def test_listen(self) -> None:
        """
        C{--listen} may be repeated, and the others add to it; without any the
        default holds.
        """
        options = parsed(
            "--listen=tcp:1", "--listen", "unix:/run/x", "--port=2", "-p", "3"
        )
        self.assertEqual(options["listen"][:2], ["tcp:1", "unix:/run/x"])
        (port,) = options["listen"][2:]
        self.assertRegex(port, r"^tcp6?:3:")
        options = parsed("--port=2", "--web.listen-address=[::1]:4")
        self.assertEqual(len(options["listen"]), 2)
        self.assertEqual(options["listen"][1], r"tcp6:4:interface=\:\:1:backlog=4096")

    def test_listenIsNotShared(self) -> None:
        """
        One command line knows nothing of another.
        """
        parsed("--listen=tcp:1")
        self.assertEqual(parsed("--listen=tcp:2")["listen"], ["tcp:2"])

    def test_wrong(self) -> None:
        """
        Wrong use ends the program with one line that names the flag.
        """
        for flag, value in (
            ("port", "http"),
            ("port", "70000"),
            ("port", "-1"),
            ("web.listen-address", "8080:x"),
            ("web.listen-address", "10.0.0.1"),
            ("scrape.max-timeout", "5"),
            ("scrape.default-timeout", "soon"),
            ("scrape.timeout-offset", "-1s"),
            ("registration.timeout", ""),
            ("registration.warmup", "1 s"),
            ("poll.receipt-wait", "2x"),
            ("limit.polls-per-instance", "0"),
            ("limit.polls", "many"),
            ("limit.queued-per-name", "1.5"),
            ("limit.queued", "-1"),
            ("limit.name-length", "x"),
            ("limit.head-size", "1023"),
            ("limit.head-time", "0"),
            ("limit.body-size", "1 MB"),
            ("limit.body-time", "999ms"),
            ("limit.connections", "0"),
            ("limit.connections-per-address", "-1"),
            ("limit.names", "x"),
            ("limit.polls-per-identity", "x"),
            ("limit.instances-per-name", "0"),
            ("limit.requests-per-connection", "x"),
            ("log.level", "loud"),
            ("log.format", "xml"),
        ):
            error = self.assertRaises(SystemExit, parsed, f"--{flag}={value}")
            self.assertRegex(
                str(error), rf"^pushprox-proxy: .*--{flag}: expected [^\n]+$"
            )

    def test_unknown(self) -> None:
        """
        So do flags and arguments that there are not.
        """
        for argument in ("--bogus", "extra"):
            error = self.assertRaises(SystemExit, parsed, argument)
            self.assertRegex(str(error), r"^pushprox-proxy: [^\n]+$")
            self.assertIn(argument.strip("-"), str(error))

    def test_help(self) -> None:
        """
        The help shows every flag with its default.
        """
        text = " ".join(Options().getUsage().split())
        for flag, default in (
            ("web.listen-address", ":8080"),
            ("scrape.max-timeout", "5m"),
            ("scrape.default-timeout", "15s"),
            ("scrape.timeout-offset", "500ms"),
            ("registration.timeout", "5m"),
            ("registration.warmup", "30s"),
            ("poll.receipt-wait", "2s"),
            ("limit.polls-per-instance", "16"),
            ("limit.polls", "20000"),
            ("limit.queued-per-name", "1000"),
            ("limit.queued", "20000"),
            ("limit.name-length", "253"),
            ("limit.head-size", "65536"),
            ("limit.head-time", "20s"),
            ("limit.body-size", "8388608"),
            ("limit.body-time", "60s"),
            ("limit.connections", "30000"),
            ("limit.connections-per-address", "0"),
            ("limit.names", "20000"),
            ("limit.polls-per-identity", "0"),
            ("limit.instances-per-name", "100"),
            ("limit.requests-per-connection", "0"),
            ("log.level", "info"),
            ("log.format", "logfmt"),
        ):
            self.assertRegex(text, rf"--{flag}= ((?!--).)*\[default: {default}\]")
        flags = ("port", "listen", "names.shared", "web.config.file", "version", "help")
        for flag in flags:
            self.assertIn(f"--{flag}", text)


class MakeServiceTests(SynchronousTestCase):
    """
    Tests for L{makeService}.
    """

    def setUp(self) -> None:
        """
        The limit of open files, which is raised, is put back afterwards.
        """
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)

    def test_proxy(self) -> None:
        """
        It makes a proxy that keeps to the flags.
        """
        net = Internet()
        service = makeService(
            parsed(
                "--listen=tcp:80:interface=10.0.0.1",
                "--port=8080",
                "--registration.warmup=0",
                "--limit.name-length=3",
                "--scrape.default-timeout=2s",
            ),
            net,
        )
        service.privilegedStartService()
        service.startService()
        self.assertEqual(set(net.ports), {("10.0.0.1", 80), ("", 8080)})
        refused = net.talk(
            "10.0.0.1",
            80,
            b"POST /poll HTTP/1.1\r\nHost: p\r\nContent-Length: 4\r\n\r\nlong",
        )
        self.assertIn(b"a name of at most 3 bytes, got 4", heard(refused))
        polling = net.talk(
            "10.0.0.2",
            8080,
            b"POST /poll HTTP/1.1\r\nHost: p\r\nContent-Length: 2\r\n\r\nt1",
        )
        net.talk("10.0.0.1", 80, b"GET http://t1/ HTTP/1.1\r\nHost: t1\r\n\r\n")
        self.assertIn(
            b"\r\nX-Prometheus-Scrape-Timeout-Seconds: 1.8\r\n", heard(polling)
        )
        net.cut(net.linesTo(80) + net.linesTo(8080))
        service.stopService()
        net.settle()
        self.assertEqual((net.ports, net.getDelayedCalls()), ({}, []))

    def test_files(self) -> None:
        """
        It may have as many files open as the hard limit allows.
        """
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 64), hard))
        makeService(parsed(), Internet())
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE), (hard, hard))

    def test_connections(self) -> None:
        """
        It takes as many connections as it may.
        """
        net = Internet()
        flags = ("--listen=tcp:80:interface=10.0.0.1", "--limit.connections=1")
        service = makeService(parsed(*flags), net)
        service.startService()
        poll = b"POST /poll HTTP/1.1\r\nHost: p\r\nContent-Length: 2\r\n\r\nt1"
        first, second = net.talk("10.0.0.1", 80, poll), net.talk("10.0.0.1", 80)
        self.assertIsNone(first.lost)
        self.assertIsNotNone(second.lost)
        net.cut(net.linesTo(80))
        service.stopService()
        net.settle()

    def test_badEndpoint(self) -> None:
        """
        An endpoint that cannot be used ends the program with one line that
        names it.
        """
        for endpoint in (
            "bogus:1",
            "tcp:http",
            "tcp",
            "ssl:1:privateKey=/nonexistent/key.pem",
        ):
            error = self.assertRaises(
                SystemExit, makeService, parsed(f"--listen={endpoint}"), Internet()
            )
            self.assertRegex(
                str(error),
                rf"^pushprox-proxy: --listen: cannot use '{endpoint}': [^\n]+$",
            )

    def test_webConfig(self) -> None:
        """
        With a web config file all ports speak TLS as it says, and ask who comes.
        """
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        authority = trustme.CA()
        leaf = authority.issue_cert("proxy.example")
        leaf.private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))
        path = folder / "web.yml"
        path.write_text(
            "tls_server_config: {cert_file: both.pem, key_file: both.pem}\n"
            f"basic_auth_users: {{a: {HASH}}}\n"
        )
        net = Internet()
        flags = ("--listen=tcp:8443:interface=10.0.0.1", f"--web.config.file={path}")
        service = makeService(parsed(*flags), net)
        [threads] = service
        # All else is in there, and stops before them.
        self.assertIsInstance(threads, Threads)
        self.assertEqual(len(threads.services), 2)
        service.privilegedStartService()
        service.startService()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(context)
        whisperer = Whisperer(net, context)
        whisperer.say(b"GET /metrics HTTP/1.1\r\nHost: p\r\n\r\n")
        self.assertIn(b"HTTP/1.1 401 Unauthorized\r\n", whisperer.heard)
        net.cut(net.linesTo(8443))
        service.stopService()
        net.settle()
        self.assertEqual((net.ports, net.getDelayedCalls()), ({}, []))
        both = "ssl:1:privateKey=" + quoteStringArgument(str(folder / "both.pem"))
        error = self.assertRaises(
            SystemExit, makeService, parsed(f"--listen={both}", flags[1]), net
        )
        self.assertEqual(
            str(error),
            f"pushprox-proxy: --listen: cannot use {both!r}: expected tcp: since "
            f"{path} has the TLS for it",
        )

    def test_stillOpen(self) -> None:
        """
        A web config file that keeps nobody out leaves the proxy as open as it is
        without one, which is said; with users, roles, or a certificate that everybody
        needs, it is not.
        """
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        leaf = trustme.CA().issue_cert("proxy.example")
        leaf.private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))
        path = folder / "web.yml"
        tls = (
            "tls_server_config: {cert_file: both.pem, key_file: both.pem,"
            " client_ca_file: both.pem, client_auth_type: %s}\n"
        )
        for text, isOpen in (
            ("", True),
            ("rate_limit: {}", True),
            (tls % "VerifyClientCertIfGiven", True),
            (tls % "RequireAnyClientCert", True),
            (tls % "RequireAndVerifyClientCert", False),
            (f"basic_auth_users: {{a: {HASH}}}", False),
            ("pushprox:", False),
        ):
            path.write_text(text)
            service = makeService(
                parsed("--listen=tcp:80", f"--web.config.file={path}"), Internet()
            )
            with capturedLogs() as events:
                service.privilegedStartService()
                service.startService()
            service.stopService()
            said = [event for event in events if "Whoever" in event["log_format"]]
            self.assertEqual(len(said), isOpen, text)

    def test_openFiles(self) -> None:
        """
        A web config file and its key that everybody may read are named in the log.
        """
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        leaf = trustme.CA().issue_cert("proxy.example")
        leaf.private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))
        path = folder / "web.yml"
        path.write_text("tls_server_config: {cert_file: both.pem, key_file: both.pem}")
        said: list[str] = []

        def note(event: LogEvent) -> None:
            if event.get("log_namespace") == "pushprox.secrets":
                said.append(event["path"])

        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)
        for mode, names in ((0o640, []), (0o644, ["web.yml", "both.pem"])):
            for file in folder.iterdir():
                file.chmod(mode)
            makeService(parsed(f"--web.config.file={path}"), Internet())
            self.assertEqual(said, [str(folder / name) for name in names])

    def test_badWebConfig(self) -> None:
        """
        One that cannot be used ends the program with one line, which tells where
        it is: twistd may go elsewhere later.
        """
        path = Path(self.mktemp())
        path.write_text("tls_config: {}")
        for name, said in (
            (str(path), "expected some of tls_server_config,"),
            ("/nonexistent", "expected a readable file: No such file"),
        ):
            error = self.assertRaises(
                SystemExit, makeService, parsed(f"--web.config.file={name}"), Internet()
            )
            self.assertRegex(
                str(error),
                rf"^pushprox-proxy: --web.config.file: {Path(name).absolute()}: {said}"
                r"[^\n]+$",
            )

    def test_noWebConfig(self) -> None:
        """
        Without one nothing of what reads it is in memory, nor is it with an empty
        name, which means none.
        """
        script = (
            "import sys; from pushprox.proxy.service import Options, makeService;"
            "options = Options(); options.parseOptions(['--web.config.file=']);"
            "makeService(options);"
            "print(*[name for name in sys.modules if name in ("
            "'yaml', 'pushprox.guard', 'pushprox.passwords', 'pushprox.webfile')])"
        )
        ended = subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONPATH": str(Path(pushprox.__file__).parent.parent)},
            capture_output=True,
            check=True,
            text=True,
        )
        self.assertEqual(ended.stdout.split(), [])

    def test_lockedKey(self) -> None:
        """
        So does a key with a passphrase, which nobody is asked for.
        """
        path = Path(self.mktemp())
        leaf = trustme.CA().issue_cert("proxy.example")
        key: Any = load_pem_private_key(leaf.private_key_pem.bytes(), None)
        encryption = BestAvailableEncryption(b"passphrase")
        path.write_bytes(
            leaf.cert_chain_pems[0].bytes()
            + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        )
        endpoint = f"ssl:1:privateKey={path}"
        error = self.assertRaises(
            SystemExit, makeService, parsed(f"--listen={endpoint}"), Internet()
        )
        self.assertEqual(
            str(error),
            f"pushprox-proxy: --listen: cannot use '{endpoint}': "
            f"{path}: expected a PEM private key without a passphrase",
        )

    def test_reactor(self) -> None:
        """
        Without a reactor it uses the one there is, and starts nothing.
        """
        service = makeService(parsed("--listen=tcp:0"))
        self.assertIsInstance(service, MultiService)
        self.assertFalse(service.running)

    def test_ids(self) -> None:
        """
        Ids are as those of the reference, and never the same.
        """
        ids = set(islice(scrapeIds(), 1000))
        self.assertEqual(len(ids), 1000)
        for id in ids:
            self.assertRegex(
                id,
                rb"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
            )
