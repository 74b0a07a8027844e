"""
What the command lines of all our programs share.

Knows how a flag's text becomes a value (durations, listen addresses, files),
how wrong use is told, and how a program settles below C{twistd} and C{twist}.
Does not know which flags a program has.
"""

from __future__ import annotations

import ipaddress
import platform
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from twisted import __version__ as twistedVersion
from twisted.application.service import IServiceCollection, MultiService
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import quoteStringArgument
from twisted.logger import ILogObserver
from twisted.python import usage
from twisted.python.components import Componentized
from twisted.python.logfile import LogFile
from twisted.python.reflect import accumulateClassList
from twisted.python.util import padTo

from pushprox import __version__
from pushprox.logs import logObserver
from pushprox.process import settleMemory

#: Connections the kernel may hold before we accept them; Go asks for as many
#: (net.core.somaxconn), Twisted for 50.
BACKLOG = 4096

# A letter somewhere, or "300.1.1.1" would be looked up as a name.
_HOST_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_.-]+")

# What a description of an endpoint begins with.
_ENDPOINTS = ("tcp", "tcp6", "ssl", "tls", "unix", "systemd", "haproxy")

# name=value or value, of the description of an endpoint.
_WORD = re.compile(
    r"(?:\A|:)(?:((?:[^\\:=]|\\(?:.|\Z))*)=)?((?:[^\\:]|\\(?:.|\Z))*)", re.DOTALL
)
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)


def hasDualStack(
    makeSocket: Callable[[socket.AddressFamily], Any] = socket.socket,
) -> bool:
    """
    @return: whether a socket that listens on C{::} takes IPv6 and IPv4 both.
    """
    try:
        with makeSocket(socket.AF_INET6) as probe:
            probe.bind(("::", 0))
            return not probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    except OSError:
        return False


def listenEndpoint(
    text: str,
    dualStack: Callable[[], bool] = hasDualStack,
    backlog: int = BACKLOG,
) -> str:
    """
    Turn an address as Go's programs take it into a description for
    L{twisted.internet.endpoints.serverFromString}.

    @param text: C{:8080} (any address, IPv4 and IPv6), C{127.0.0.1:8080},
        C{[::1]:8080}, C{localhost:8080}, or the port alone.
    @param dualStack: whether C{::} stands for IPv4 as well.
    @param backlog: how many connections may wait to be accepted.
    @raise ValueError: if it is no address with a port.
    """
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) <= 0xFFFF):
        raise ValueError(
            "expected an address like :8080 or 127.0.0.1:8080 "
            f"with a port of at most 65535, got {text!r}"
        )
    if not host:
        # As the user asks for, and as Go has it.
        host = "::" if dualStack() else "0.0.0.0"  # noqa: S104
    elif host.startswith("[") and host.endswith("]") and _isIP(host[1:-1], 6):
        host = host[1:-1]
    elif not (_isIP(host, 4) or _HOST_NAME.fullmatch(host)):
        raise ValueError(
            "expected an address like 127.0.0.1:8080, [::1]:8080 or "
            f"localhost:8080, got {text!r}"
        )
    kind = "tcp6" if ":" in host else "tcp"
    interface = quoteStringArgument(host)
    return f"{kind}:{int(port)}:interface={interface}:backlog={backlog}"


def anyEndpoint(text: str) -> str:
    """
    @param text: as for L{listenEndpoint}, or the description of an endpoint:
        C{tcp:8080} is one, and no host of that name.
    @return: the description of an endpoint.
    """
    if text.partition(":")[0].lower() in _ENDPOINTS:
        return text
    try:
        return listenEndpoint(text)
    except ValueError:
        # Its type may be a plugin's.
        return text


def endpointWords(description: str) -> tuple[list[str], dict[str, str]]:
    """
    Take the description of an endpoint apart, as Twisted does: words stand
    between colons, with or without a name, and a backslash makes what follows
    an ordinary character.

    @return: the words without a name, in order, and those with one.
    """
    arguments: list[str] = []
    words: dict[str, str] = {}
    for match in _WORD.finditer(description):
        name, value = (text and _ESCAPE.sub(r"\1", text) for text in match.groups())
        if name is None:
            arguments.append(value)
        else:
            words[name] = value
    return arguments, words


def _isIP(host: str, version: int) -> bool:
    """
    @return: whether C{host} is an address of this version of IP.
    """
    try:
        return ipaddress.ip_address(host).version == version
    except ValueError:
        return False


def readableFile(text: str) -> str | None:
    """
    @return: the path of a file that can be read, or L{None} for the empty
        text, which means "none given" to Go's programs.
    @raise ValueError: if the file cannot be read.
    """
    if not text:
        return None
    try:
        with open(text, "rb"):
            return text
    except OSError as error:
        raise ValueError(
            f"expected a readable file, got {text!r}: {error.strerror}"
        ) from None


def count(text: str, minimum: int = 0) -> int:
    """
    @return: a number of things.
    @raise ValueError: if it is no whole number, or less than C{minimum}.
    """
    if text.isascii() and text.isdigit() and int(text) >= minimum:
        return int(text)
    raise ValueError(f"expected a whole number of at least {minimum}, got {text!r}")


def oneOf(*choices: str) -> Callable[[str], str]:
    """
    @return: a coercion that takes one of the choices, in any case.
    """

    def choose(text: str) -> str:
        if text.lower() in choices:
            return text.lower()
        raise ValueError(f"expected one of {', '.join(choices)}, got {text!r}")

    return choose


#: The flag of all programs that serve something.
webParameters: list[list[Any]] = [
    [
        "web.config.file",
        None,
        None,
        "File with TLS, passwords, headers and a rate limit for what is served, in"
        " the format of Prometheus's programs.",
    ],
]

#: Likewise, without a value.
webFlags: list[list[Any]] = [
    [
        "web.enable-lifecycle",
        None,
        "Read the file of --web.config.file again at a POST or PUT of /-/reload.",
    ],
]

#: The flags that every program has for its log.
logParameters: list[list[Any]] = [
    [
        "log.level",
        None,
        "info",
        "Least severe messages to log: debug, info, warn or error.",
        oneOf("debug", "info", "warn", "error"),
    ],
    [
        "log.format",
        None,
        "logfmt",
        "How to write the log: logfmt or json.",
        oneOf("logfmt", "json"),
    ],
]


class Options(usage.Options):
    """
    The command line of one program. Wrong use ends the program with one line
    that names the flag; C{twistd} would print its whole usage.

    A default in C{optParameters} is written as a user would write it: it goes
    through the same coercion, and C{--help} shows it as it stands.

    @cvar programName: what the program is called in its messages.
    """

    programName: str
    optParameters: Sequence[Sequence[Any]] = []

    def __init_subclass__(cls) -> None:
        """
        Let each coercion name its flag, which Twisted's message leaves out.
        """
        super().__init_subclass__()
        cls.optParameters = [
            _namingItsFlag(*padTo(5, parameter))
            for parameter in cls.__dict__.get("optParameters", ())
        ]

    def __init__(self) -> None:
        super().__init__()
        parameters: list[Sequence[Any]] = []
        accumulateClassList(type(self), "optParameters", parameters)
        for name, _, default, _, coerce in parameters:
            if isinstance(default, str):
                self[name] = coerce(default)

    def getSynopsis(self) -> str:
        """
        @return: the same for the console script and below C{twistd}.
        """
        return f"Usage: {self.programName} [options]"

    def opt_version(self) -> None:
        """
        Display the versions and exit.
        """
        print(
            f"pushprox {__version__} "
            f"(Twisted {twistedVersion}, Python {platform.python_version()})"
        )
        raise SystemExit(0)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        @raise SystemExit: with the one line, if the command line is wrong.
        """
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            raise SystemExit(f"{self.programName}: {error}") from None

    def parseArgs(self, *arguments: str) -> None:
        """
        @raise usage.UsageError: if there is anything but flags.
        """
        if arguments:
            raise usage.UsageError(f"unexpected argument {arguments[0]!r}")

    def postOptions(self) -> None:
        """
        Do without C{twistd}'s default pidfile in the foreground: two programs
        in one directory would share it, and a stale one blocks a container.
        """
        twistd = self._foregroundTwistd()
        if twistd is not None and twistd["pidfile"] == "twistd.pid":
            twistd["pidfile"] = ""

    def observer(self) -> ILogObserver | None:
        """
        @return: the observer of this program's log, or L{None} where someone
            else sees to that: C{twistd} with C{--logger} or C{--syslog}, a
            daemon, and C{twist}.
        """
        twistd = self._foregroundTwistd()
        if twistd is None or twistd["logger"] or twistd["syslog"]:
            return None
        # Looked up now, since what begins the logging replaces sys.stderr.
        stream: Any = sys.stderr
        if twistd["logfile"] == "-":
            stream = sys.stdout
        elif twistd["logfile"]:
            stream = LogFile.fromFullPath(twistd["logfile"])
        return logObserver(stream, self["log.level"], self["log.format"])

    def _foregroundTwistd(self) -> usage.Options | None:
        """
        @return: the command line of C{twistd --nodaemon} (which C{--debug}
            implies), if that is what this one is a part of.
        """
        twistd = self.parent
        if twistd is not None and (twistd.get("nodaemon") or twistd.get("debug")):
            return twistd
        return None


@contextmanager
def naming(flag: str) -> Iterator[None]:
    """
    @raise usage.UsageError: that names the flag, for a L{ValueError} that says
        what was expected.
    """
    try:
        yield
    except ValueError as error:
        raise usage.UsageError(f"--{flag}: {error}") from None


def _namingItsFlag(
    name: str,
    short: str | None,
    default: object,
    text: str,
    coerce: Callable[[str], object] | None,
) -> list[Any]:
    """
    @return: the entry of C{optParameters} with a coercion whose error names
        the flag.
    """

    def coerceOrNameFlag(value: str) -> object:
        with naming(name):
            return (coerce or str)(value)

    return [name, short, default, text, coerceOrNameFlag]


class Program(MultiService):
    """
    The service that a program's C{makeService} returns: the others are added
    to it. It brings the program's log along, by the way that Twisted has for
    that: a component of the application.
    """

    def __init__(
        self,
        options: Options,
        setSignal: Callable[[int, Any], object] = signal.signal,
        settle: Callable[[], None] = settleMemory,
    ) -> None:
        super().__init__()
        self._options = options
        self._setSignal = setSignal
        self._settle = settle
        self._hungUp: Callable[[int, object], object] | None = None

    def reloadBy(
        self,
        reload: Callable[[], object],
        inReactor: Callable[[Callable[[], object]], object],
    ) -> None:
        """
        @param reload: what a SIGHUP asks for. It may raise L{ValueError}, of which
            the log has been told.
        @param inReactor: calls it in the reactor's next turn, whatever the process
            is at; C{reactor.callFromThread}.
        """

        def quietly() -> None:
            with suppress(ValueError):
                reload()

        self._hungUp = lambda number, frame: inReactor(quietly)

    def setServiceParent(self, parent: Componentized | IServiceCollection) -> None:
        """
        Become the service of an application.
        """
        observer = self._options.observer()
        if observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, observer)
        super().setServiceParent(parent)

    @property
    def _ownsProcess(self) -> bool:
        return self._options.parent is not None

    def startService(self) -> None:
        """
        Start, and be at peace from then on. A SIGHUP does not end a program that
        can read its files again.
        """
        super().startService()
        if self._ownsProcess:
            if self._hungUp is not None:
                self._setSignal(signal.SIGHUP, self._hungUp)
            self._settle()

    def stopService(self) -> Deferred[object]:
        """
        Stop, which may take as long as the scrapes in flight. Who does not want
        to wait can end the program by a second signal.
        """
        if self._ownsProcess:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._setSignal(number, signal.SIG_DFL)
        stopped: Deferred[object] = super().stopService()
        return stopped
