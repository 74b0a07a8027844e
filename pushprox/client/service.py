"""
The client as a program: its flags, and the list of its parts.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs
from treq.client import HTTPClient
from twisted.application.service import IService
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorTime
from twisted.python import usage
from twisted.web.iweb import IPolicyForHTTPS

from pushprox.client.credentials import FORMS, Credentials, CredentialsFile
from pushprox.client.lines import Lines
from pushprox.client.location import ProxyLocation
from pushprox.client.measures import Measures
from pushprox.client.ownmetrics import MOST, OwnMetrics
from pushprox.client.policy import Policy
from pushprox.client.polling import Pace, Polling
from pushprox.client.scraping import Scraping
from pushprox.client.target import Targets
from pushprox.client.transport import agentFor
from pushprox.client.trust import tlsPolicy
from pushprox.client.uplink import Uplink
from pushprox.client.webproxy import WebProxies
from pushprox.durations import duration
from pushprox.metrics import LateRegistry, Ledger, ReactorLag
from pushprox.names import nameFromText
from pushprox.options import Options as BaseOptions
from pushprox.options import (
    Program,
    count,
    listenEndpoint,
    logParameters,
    naming,
    readableFile,
    webFlags,
    webParameters,
)
from pushprox.process import raiseFileLimit, roomBelow
from pushprox.secrets import warnOfOpenFiles

if TYPE_CHECKING:
    from pushprox.webfile import WebFile

#: How long one attempt to connect may take, in seconds.
CONNECT_TIMEOUT = 10.0


def nameOfMachine(
    hostName: Callable[[], str] = socket.gethostname,
    addressOf: Callable[[str], str] = socket.gethostbyname,
    nameOf: Callable[[str], tuple[str, list[str], list[str]]] = socket.gethostbyaddr,
) -> str:
    """
    The name of this machine, as the reference finds it: what the first IPv4
    address of the host name resolves to, else the host name.
    """
    name = hostName()
    try:
        return nameOf(addressOf(name))[0].rstrip(".")
    except OSError:
        return name


class Options(BaseOptions):
    """
    The client's command line: the flags of the reference, and ours.
    """

    programName = "pushprox-client"

    optParameters = [
        ["proxy-url", None, None, "Where the proxy is: http://proxy:8080/"],
        [
            "proxy.basic-auth-file",
            None,
            None,
            "File with user:password for the proxy, read again when it changes.",
        ],
        [
            "proxy.token-file",
            None,
            None,
            "File with a bearer token for the proxy, read again when it changes.",
        ],
        [
            "proxy.tls-server-name",
            None,
            None,
            "Name that the proxy's certificate must be for. [default: of the URL]",
        ],
        ["fqdn", None, None, "Name to register with. [default: of this machine]"],
        [
            "tls.cacert",
            None,
            None,
            "File with the CAs to trust in place of the system's.",
            readableFile,
        ],
        ["tls.cert", None, None, "File with our certificate.", readableFile],
        ["tls.key", None, None, "File with its private key.", readableFile],
        [
            "target.tls.cacert",
            None,
            None,
            "The same for targets, where they differ from the proxy.",
            readableFile,
        ],
        ["target.tls.cert", None, None, "The same for targets.", readableFile],
        ["target.tls.key", None, None, "The same for targets.", readableFile],
        [
            "metrics-addr",
            None,
            ":9369",
            "Where to serve our own metrics; empty for nowhere.",
            lambda text: listenEndpoint(text) if text else None,
        ],
        [
            "proxy.retry.initial-wait",
            None,
            "1s",
            "How long to wait after the proxy failed.",
            lambda text: duration(text, 0.01),
        ],
        [
            "proxy.retry.max-wait",
            None,
            "5s",
            "The longest time to wait when it fails again and again.",
            lambda text: duration(text, 0.01),
        ],
        [
            "poll.wait",
            None,
            "25s",
            "For how long the proxy is asked to hold a poll.",
            lambda text: duration(text, 1.0),
        ],
        [
            "polls",
            None,
            "4",
            "The most polls at a time, when there is much to do.",
            lambda text: count(text, 1),
        ],
        [
            "scrape.concurrency",
            None,
            "100",
            "The most scrapes at a time; more wait their turn.",
            lambda text: count(text, 1),
        ],
        *webParameters,
        *logParameters,
    ]
    optFlags = webFlags

    def postOptions(self) -> None:
        """
        Make values of what depends on other flags or on the machine.

        @raise usage.UsageError: if a value is not usable.
        """
        super().postOptions()
        if not self["proxy-url"]:
            raise usage.UsageError("--proxy-url: expected a URL, got nothing")
        with naming("proxy-url"):
            self.location = ProxyLocation.fromText(self["proxy-url"])
        # It may have a password in it, and is not asked for again.
        del self["proxy-url"]
        sources = [f"--{flag}" for flag in FORMS if self[flag]]
        if self.location.authorization is not None:
            sources.append("user:password@ in --proxy-url")
        if len(sources) > 1:
            raise usage.UsageError(f"expected one of {' and '.join(sources)}")
        if self["proxy.tls-server-name"]:
            with naming("proxy.tls-server-name"):
                self.location = self.location.provenAs(self["proxy.tls-server-name"])
        with naming("fqdn"):
            name = self["fqdn"] or nameOfMachine()
            self.name = nameFromText(name.encode("utf-8"), 253)
        with naming("tls"):
            self.trust = self._tlsPolicy("tls")
        self.targetTrust = self.trust
        if any(self[f"target.tls.{part}"] for part in ("cacert", "cert", "key")):
            with naming("target.tls"):
                self.targetTrust = self._tlsPolicy("target.tls")

    def _tlsPolicy(self, prefix: str) -> IPolicyForHTTPS:
        parts = (self[f"{prefix}.{part}"] for part in ("cacert", "cert", "key"))
        return tlsPolicy(*parts)

    def credentials(self, clock: IReactorTime) -> Credentials:
        """
        @return: who we are to the proxy.
        @raise ValueError: if the file with that cannot be used.
        """
        for flag in FORMS:
            if self[flag]:
                # Where we are may change: twistd goes to its --rundir later.
                return CredentialsFile(flag, os.path.abspath(self[flag]), clock)
        return Credentials("proxy-url", self.location.authorization)

    @property
    def secrets(self) -> tuple[str | None, ...]:
        """
        The files with what nobody else is to know.
        """
        return tuple(self[flag] for flag in (*FORMS, "tls.key", "target.tls.key"))

    @property
    def pace(self) -> Pace:
        """
        How to poll.
        """
        return Pace(
            initialWait=self["proxy.retry.initial-wait"],
            maxWait=self["proxy.retry.max-wait"],
            wait=self["poll.wait"],
            polls=self["polls"],
        )


def makeClient(
    reactor: Any,
    ledger: Ledger,
    location: ProxyLocation,
    name: str,
    pace: Pace,
    trust: IPolicyForHTTPS,
    targetTrust: IPolicyForHTTPS,
    webProxies: WebProxies,
    concurrency: int = 100,
    credentials: Credentials | None = None,
) -> list[IService]:
    """
    Put a client together.

    @param reactor: connects, and is the one clock of all waits.
    @param ledger: where the metrics go.
    @param name: what to poll as.
    @param credentials: who we are to the proxy, if it is not said by its URL.
    @return: the services that make it up.
    """
    measures = Measures(ledger)
    webProxy = webProxies.proxyFor(location.base)
    lines = Lines(reactor, maxIdle=pace.polls + concurrency)
    agent = agentFor(reactor, location, trust, webProxy, lines, CONNECT_TIMEOUT)
    uplink = Uplink(
        reactor,
        location,
        credentials or Credentials("proxy-url", location.authorization),
        HTTPClient(agent),
        HTTPClient(attrs.evolve(agent, takesResting=False)),
        lines.closeResting,
        name,
        secrets.token_hex(8),
    )
    targets = Targets(reactor, Policy(name), targetTrust)
    scraping = Scraping(reactor, targets, uplink, measures, concurrency)
    polling = Polling(
        reactor,
        uplink,
        scraping,
        measures,
        pace,
        atEnd=(targets.close, lines.close),
    )
    measures.watch(
        lambda: len(scraping.inHand), lambda: polling.open, lambda: polling.connected
    )
    return [polling, ReactorLag(reactor, ledger)]


def makeService(
    options: Options,
    reactor: Any = None,
    environment: Mapping[str, str] = os.environ,
) -> IService:
    """
    Make the program that C{twistd pushprox-client} runs.

    @param environment: where it is told of web proxies.
    @raise SystemExit: if one of them is not usable, or the credentials are not.
    """
    if reactor is None:
        from twisted.internet import reactor
    files = raiseFileLimit()
    registry = LateRegistry()
    ledger = Ledger(registry, "client")
    program = Program(options)
    try:
        services = makeClient(
            reactor,
            ledger,
            options.location,
            options.name,
            options.pace,
            options.trust,
            options.targetTrust,
            WebProxies(environment),
            options["scrape.concurrency"],
            options.credentials(reactor),
        )
    except ValueError as error:
        raise SystemExit(f"{options.programName}: {error}") from None
    warnOfOpenFiles(*options.secrets)
    for service in services:
        service.setServiceParent(program)
    webFile: WebFile | None = None
    program.reloadBy(lambda: None, reactor.callFromThread)
    if not options["metrics-addr"]:
        return program
    endpoint = serverFromString(reactor, options["metrics-addr"])
    connections = roomBelow(files, MOST)
    ownMetrics = OwnMetrics(endpoint, reactor, registry, connections)
    if options["web.config.file"]:
        # Who does not use it need not have it in memory.
        from pushprox.passwords import Threads
        from pushprox.webfile import webFileOf

        threads = Threads(reactor)
        threads.setServiceParent(program)
        webFile = webFileOf(options, reactor)
        ownMetrics.guardBy(webFile, ledger, threads.run)
        ownMetrics.setServiceParent(threads)
        program.reloadBy(webFile.reload, reactor.callFromThread)
    else:
        ownMetrics.setServiceParent(program)
    if options["web.enable-lifecycle"]:
        ownMetrics.enableReload(webFile.reload if webFile else lambda: None)
    return program
