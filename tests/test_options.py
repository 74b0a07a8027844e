"""
Tests for L{pushprox.options}.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.application.service import Application, IService, MultiService
from twisted.internet.endpoints import quoteStringArgument, serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.logger import ILogObserver, Logger
from twisted.python import usage
from twisted.scripts.twistd import ServerOptions
from twisted.trial.unittest import SynchronousTestCase

from pushprox.durations import duration
from pushprox.options import (
    Options,
    Program,
    count,
    endpointWords,
    hasDualStack,
    listenEndpoint,
    logParameters,
    oneOf,
    readableFile,
)


class Refusals(SynchronousTestCase):
    """
    What the tests of coercions share.
    """

    def assertRefuses(
        self, coerce: Callable[[str], object], text: str, *says: str
    ) -> None:
        """
        C{coerce} refuses C{text} on one line that shows it and says C{says}.
        """
        message = str(self.assertRaises(ValueError, coerce, text))
        for part in (repr(text), *says):
            self.assertIn(part, message)
        self.assertEqual(len(message.splitlines()), 1)


class Probe:
    """
    A socket of a machine whose IPv6 is as the test says.
    """

    def __init__(self, onlyIPv6: int = 0, bound: OSError | None = None) -> None:
        self._onlyIPv6 = onlyIPv6
        self._bound = bound
        self.closed = False

    def __enter__(self) -> Probe:
        return self

    def __exit__(self, *error: object) -> None:
        self.closed = True

    def bind(self, address: tuple[str, int]) -> None:
        """
        Take any port of any address, or fail.
        """
        if self._bound is not None:
            raise self._bound
        assert address == ("::", 0)

    def getsockopt(self, level: int, option: int) -> int:
        """
        @return: whether it is for IPv6 alone.
        """
        assert (level, option) == (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        return self._onlyIPv6


class DualStackTests(SynchronousTestCase):
    """
    Tests for L{hasDualStack}.
    """

    def test_machines(self) -> None:
        """
        The machine's sockets are asked, and left closed.
        """
        for probe, both in (
            (Probe(), True),
            (Probe(onlyIPv6=1), False),
            (Probe(bound=OSError(99, "Cannot assign requested address")), False),
        ):
            families: list[int] = []

            def makeSocket(
                family: int, probe: Probe = probe, families: list[int] = families
            ) -> Probe:
                families.append(family)
                return probe

            self.assertEqual(hasDualStack(makeSocket), both)
            self.assertEqual(families, [socket.AF_INET6])
            self.assertTrue(probe.closed)

    def test_noIPv6AtAll(self) -> None:
        """
        A kernel without IPv6 has no such socket.
        """

        def refuse(family: int) -> Probe:
            raise OSError(97, "Address family not supported by protocol")

        self.assertFalse(hasDualStack(refuse))


class ListenEndpointTests(Refusals):
    """
    Tests for L{listenEndpoint}.
    """

    def listening(self, text: str, dualStack: bool = True) -> tuple[Any, ...]:
        """
        @return: port, interface and backlog that a reactor is asked for.
        """
        reactor = MemoryReactor()
        endpoint = serverFromString(reactor, listenEndpoint(text, lambda: dualStack))
        self.successResultOf(endpoint.listen(Factory()))
        [(port, _, backlog, interface)] = reactor.tcpServers
        return port, interface, backlog

    def test_addresses(self) -> None:
        """
        Go's addresses are listened on with Go's backlog.
        """
        for text, port, interface in (
            (":8080", 8080, "::"),
            ("8080", 8080, "::"),
            (":0", 0, "::"),
            ("[::]:65535", 65535, "::"),
            ("[::1]:8080", 8080, "::1"),
            ("[fe80::1%eth0]:8080", 8080, "fe80::1%eth0"),
            ("127.0.0.1:8080", 8080, "127.0.0.1"),
            ("localhost:9369", 9369, "localhost"),
            ("a1:9369", 9369, "a1"),
        ):
            self.assertEqual(self.listening(text), (port, interface, 4096))

    def test_onlyIPv4(self) -> None:
        """
        Where C{::} does not stand for both, any address means IPv4's.
        """
        self.assertEqual(self.listening(":8080", dualStack=False)[1], "0.0.0.0")

    def test_thisMachine(self) -> None:
        """
        As a coercion it asks this machine which of the two it is.
        """
        self.assertIn(
            listenEndpoint(":8080"),
            (
                listenEndpoint(":8080", lambda: True),
                "tcp:8080:interface=0.0.0.0:backlog=4096",
            ),
        )

    def test_badPort(self) -> None:
        """
        A port is a number, and at most 65535.
        """
        for text in ("", ":", "x", ":http", ":65536", ":-1", "host:", ":\u0661", ":1 "):
            self.assertRefuses(listenEndpoint, text, "expected an address like :8080")

    def test_badHost(self) -> None:
        """
        A host is a name or an address; IPv6 has its brackets.
        """
        for text in (
            "::1:8080",
            "[127.0.0.1]:80",
            "[x]:80",
            "300.1.1.1:80",
            "1.2:80",
            "a b:80",
            "http://h:80",
            "tcp:8080:80",
            "a\n:80",
        ):
            self.assertRefuses(listenEndpoint, text, "localhost:8080")


class EndpointWordsTests(SynchronousTestCase):
    """
    Tests for L{endpointWords}.
    """

    def test_words(self) -> None:
        """
        Colons end words, the first equals sign ends a name, and a backslash
        makes either an ordinary character, and itself.
        """
        for description, expected in (
            ("ssl:8443", (["ssl", "8443"], {})),
            ("ssl:8443:a=b:c:d=", (["ssl", "8443", "c"], {"a": "b", "d": ""})),
            (r"tcp:1:interface=\:\:1", (["tcp", "1"], {"interface": "::1"})),
            (r"ssl:a\=b:c=d=e", (["ssl", "a=b"], {"c": "d=e"})),
            (r"a\\:b\c", (["a\\", "bc"], {})),
            ("", ([""], {})),
            (":=", ([""], {"": ""})),
            ("a\\", (["a"], {})),
        ):
            self.assertEqual(endpointWords(description), expected)

    @given(st.text("a\\:=\n", max_size=8))
    def test_quoted(self, text: str) -> None:
        """
        What was quoted by Twisted's means comes back as it was.
        """
        quoted = quoteStringArgument(text)
        self.assertEqual(
            endpointWords(f"ssl:word={quoted}:8443"), (["ssl", "8443"], {"word": text})
        )


class OtherCoercionTests(Refusals):
    """
    Tests for L{readableFile}, L{count} and L{oneOf}.
    """

    def test_readableFile(self) -> None:
        """
        A file that can be read is its path; an empty one is none.
        """
        path = self.mktemp()
        Path(path).write_bytes(b"")
        self.assertEqual(readableFile(path), path)
        self.assertIsNone(readableFile(""))

    def test_unreadableFile(self) -> None:
        """
        The refusal tells what is wrong with the file.
        """
        self.assertRefuses(
            readableFile, "/nowhere/ca.pem", "readable file", "No such file"
        )
        self.assertRefuses(readableFile, "/", "Is a directory")

    def test_count(self) -> None:
        """
        A count is a whole number, as large as it must be.
        """
        self.assertEqual((count("0"), count("12"), count("1", 1)), (0, 12, 1))
        for text in ("", "-1", "1.5", "x", "1_0", " 1", "\u0661"):
            self.assertRefuses(count, text, "at least 0")
        self.assertRefuses(lambda text: count(text, 3), "2", "at least 3")

    def test_oneOf(self) -> None:
        """
        A choice is taken in any case, and is one of those offered.
        """
        choose = oneOf("debug", "info")
        self.assertEqual((choose("debug"), choose("INFO")), ("debug", "info"))
        self.assertRefuses(choose, "warn", "expected one of debug, info, got")


class SampleOptions(Options):
    """
    The command line of a program that is only tested.
    """

    programName = "sample-proxy"
    optFlags = [["names.shared", None, "Share names."]]
    optParameters = [
        ["scrape.max-timeout", None, "5m", "Longest scrape.", duration],
        ["limit", "l", 3, "A limit.", count],
        ["metrics-addr", None, ":9369", "Where the metrics are."],
        ["tls.cert", None, None, "Certificate.", readableFile],
        *logParameters,
    ]


class MoreOptions(SampleOptions):
    """
    The command line of a program that takes another's flags as well.
    """

    programName = "more"


class Twistd(ServerOptions):
    """
    The command line of twistd with one plugin.
    """

    subCommands = [["sample", None, SampleOptions, "A sample."]]


def parse(
    *arguments: str, make: Callable[[], SampleOptions] = SampleOptions
) -> SampleOptions:
    """
    @return: the options that the arguments make.
    """
    options = make()
    options.parseOptions(arguments)
    return options


class OptionsTests(SynchronousTestCase):
    """
    Tests for L{Options} by itself.
    """

    def assertEnds(self, arguments: Sequence[str], line: str) -> None:
        """
        The arguments end the program with C{line} and nothing else.
        """
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            ended = self.assertRaises(SystemExit, parse, *arguments)
        # Python prints a code that is text on stderr, and exits with 1.
        self.assertEqual(ended.code, line)
        self.assertEqual(out.getvalue() + err.getvalue(), "")

    def test_defaults(self) -> None:
        """
        A default that is text is coerced like what a user writes.
        """
        for make in (SampleOptions, MoreOptions):
            options = parse(make=make)
            self.assertEqual(options["scrape.max-timeout"], 300.0)
            self.assertEqual(options["limit"], 3)
            self.assertEqual(options["metrics-addr"], ":9369")
            self.assertIsNone(options["tls.cert"])
            self.assertEqual(options["log.level"], "info")

    def test_values(self) -> None:
        """
        A value may follow an equals sign or a space, and may be empty.
        """
        options = parse("--scrape.max-timeout=1m", "--limit", "4", "--metrics-addr=")
        self.assertEqual(options["scrape.max-timeout"], 60.0)
        self.assertEqual(options["limit"], 4)
        self.assertEqual(options["metrics-addr"], "")

    def test_badValue(self) -> None:
        """
        A value that cannot be is told with its flag.
        """
        self.assertEnds(
            ["--scrape.max-timeout", "abc"],
            "sample-proxy: --scrape.max-timeout: "
            "expected a duration like 15s or 1m30s, got 'abc'",
        )
        self.assertEnds(
            ["-l", "x"],
            "sample-proxy: --limit: expected a whole number of at least 0, got 'x'",
        )

    def test_unknownFlag(self) -> None:
        """
        An unknown flag, and one without its value, are told.
        """
        self.assertEnds(["--bogus"], "sample-proxy: option --bogus not recognized")
        self.assertEnds(["--limit"], "sample-proxy: option --limit requires argument")
        self.assertEnds(
            ["--names.shared=1"],
            "sample-proxy: option --names.shared must not have an argument",
        )

    def test_positional(self) -> None:
        """
        Arguments that belong to no flag are refused.
        """
        self.assertEnds(["extra"], "sample-proxy: unexpected argument 'extra'")

    def test_help(self) -> None:
        """
        The help is for the program, and shows defaults as they are written.
        """
        out = StringIO()
        with redirect_stdout(out):
            ended = self.assertRaises(SystemExit, parse, "--help")
        self.assertEqual(ended.code, 0)
        self.assertTrue(out.getvalue().startswith("Usage: sample-proxy [options]\n"))
        self.assertIn("Longest scrape. [default: 5m]", out.getvalue())

    def test_version(self) -> None:
        """
        The version tells what it runs on as well.
        """
        out = StringIO()
        with redirect_stdout(out):
            ended = self.assertRaises(SystemExit, parse, "--version")
        self.assertEqual(ended.code, 0)
        self.assertRegex(
            out.getvalue(), r"^pushprox 0\.[0-9.]+ \(Twisted [0-9.]+.*, Python 3[0-9.]+"
        )


class TwistdTests(SynchronousTestCase):
    """
    Tests for L{Options} and L{Program} below C{twistd} and C{twist}.
    """

    def twistd(self, *arguments: str) -> tuple[Twistd, SampleOptions]:
        """
        @return: the options of C{twistd} and the program's.
        """
        config = Twistd()
        config.parseOptions([*arguments, "sample", "--log.format=json"])
        return config, config.subOptions

    def observerOf(self, options: SampleOptions) -> ILogObserver | None:
        """
        @return: the observer that the program gives its application.
        """
        application = Application("sample")
        Program(options).setServiceParent(application)
        [program] = IService(application)
        self.assertIsInstance(program, Program)
        observer: ILogObserver | None = application.getComponent(ILogObserver)
        return observer

    def test_oneLine(self) -> None:
        """
        Below twistd, too, wrong use is one line: twistd does not get to print
        its usage.
        """
        ended = self.assertRaises(
            SystemExit, Twistd().parseOptions, ["-n", "sample", "--limit=x"]
        )
        self.assertTrue(ended.code.startswith("sample-proxy: --limit: expected"))

    def test_pidfile(self) -> None:
        """
        In the foreground there is no pidfile unless a user asks for one.
        """
        for arguments in (["-n"], ["--nodaemon", "--pidfile="]):
            self.assertEqual(self.twistd(*arguments)[0]["pidfile"], "")
        self.assertEqual(
            self.twistd("-n", "--pidfile=/run/p.pid")[0]["pidfile"], "/run/p.pid"
        )

    def test_daemon(self) -> None:
        """
        A daemon keeps twistd's pidfile and twistd's log.
        """
        config, options = self.twistd()
        self.assertEqual(config["pidfile"], str(Path("twistd.pid").absolute()))
        self.assertIsNone(self.observerOf(options))

    def test_debugger(self) -> None:
        """
        In the debugger twistd does not become a daemon either.
        """
        config = Twistd()
        config["debug"] = True
        config.parseOptions(["sample"])
        self.assertEqual(config["pidfile"], "")

    def test_log(self) -> None:
        """
        In the foreground the log goes to stderr, as its flags say.
        """
        err = StringIO()
        with redirect_stderr(err):
            observer = self.observerOf(self.twistd("-n")[1])
        Logger("pushprox", observer=observer).info("up")
        self.assertIn('"level": "INFO", "msg": "up"', err.getvalue())

    def test_logOnStdout(self) -> None:
        """
        C{--logfile=-} means stdout.
        """
        out = StringIO()
        with redirect_stdout(out):
            observer = self.observerOf(self.twistd("-n", "--logfile=-")[1])
        Logger("pushprox", observer=observer).info("up")
        self.assertIn('"msg": "up"', out.getvalue())

    def test_logfile(self) -> None:
        """
        C{--logfile} means that file, which is not made before the program is.
        """
        path = Path(self.mktemp())
        options = self.twistd("-n", f"--logfile={path}")[1]
        self.assertFalse(path.exists())
        Logger("pushprox", observer=self.observerOf(options)).info("up")
        self.assertIn('"msg": "up"', path.read_text())

    def test_otherLogs(self) -> None:
        """
        A logger that a user chose, syslog, and C{twist}'s log are left alone.
        """
        for flag in ("--logger=twisted.logger.LogPublisher", "--syslog"):
            self.assertIsNone(self.observerOf(self.twistd("-n", flag)[1]))
        options = parse()
        options.parent = usage.Options()  # C{twist} has none of twistd's flags.
        self.assertIsNone(self.observerOf(options))

    def test_belowAnotherService(self) -> None:
        """
        A program may be a part of another: then the log is the other's.
        """
        whole = MultiService()
        program = Program(self.twistd("-n")[1])
        program.setServiceParent(whole)
        self.assertEqual(list(whole), [program])

    def test_settles(self) -> None:
        """
        A program settles in its process once it has started, if the process is
        its own.
        """
        for options, times in ((self.twistd("-n")[1], 1), (SampleOptions(), 0)):
            settled: list[int] = []
            settle = partial(settled.append, 1)
            program = Program(options, lambda *_: None, settle)
            self.assertEqual(settled, [])
            program.startService()
            self.assertEqual(settled, [1] * times)
            program.stopService()

    def test_secondSignal(self) -> None:
        """
        While a program stops, a second signal ends it at once, if the process
        is its own.
        """
        calls: list[tuple[int, object]] = []
        program = Program(
            self.twistd("-n")[1], lambda *call: calls.append(call), lambda: None
        )
        program.startService()
        self.assertEqual(calls, [])
        program.stopService()
        self.assertEqual(
            calls,
            [(signal.SIGINT, signal.SIG_DFL), (signal.SIGTERM, signal.SIG_DFL)],
        )
        calls.clear()
        program = Program(SampleOptions(), lambda *call: calls.append(call))
        program.startService()
        program.stopService()
        self.assertEqual(calls, [])

    def test_hangUp(self) -> None:
        """
        A SIGHUP does not end a program whose process is its own. What can be read
        again is read in the reactor's next turn, whatever comes of that.
        """
        calls: list[tuple[int, Any]] = []
        turns: list[Callable[[], object]] = []
        read: list[int] = []

        def reload() -> None:
            read.append(1)
            raise ValueError("broken")

        program = Program(
            self.twistd("-n")[1], lambda *call: calls.append(call), lambda: None
        )
        program.reloadBy(reload, turns.append)
        program.startService()
        [(number, hangUp)] = calls
        self.assertEqual(number, signal.SIGHUP)
        hangUp(number, None)
        self.assertEqual(read, [])
        [turn] = turns
        turn()
        self.assertEqual(read, [1])
        program.stopService()

    def test_noHangUp(self) -> None:
        """
        Who has nothing to read again, or a process that is not its own, lets
        signals be.
        """
        calls: list[tuple[int, Any]] = []
        for options, hasFile in (
            (self.twistd("-n")[1], False),
            (SampleOptions(), True),
        ):
            program = Program(options, lambda *call: calls.append(call), lambda: None)
            if hasFile:
                program.reloadBy(lambda: None, lambda call: call())
            program.startService()
            self.assertEqual(calls, [])
            program.stopService()
            calls.clear()
