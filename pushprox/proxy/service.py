"""
The proxy as a program: its flags, and the list of its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from os import urandom
from typing import TYPE_CHECKING, Any

import attrs
from prometheus_client import CollectorRegistry
from twisted.application.service import IService, MultiService
from twisted.internet.defer import execute
from twisted.internet.interfaces import IReactorTime, IStreamServerEndpoint

from pushprox.crowd import Crowd
from pushprox.durations import duration
from pushprox.limits import Limits
from pushprox.metrics import Ledger, ReactorLag
from pushprox.options import Options as BaseOptions
from pushprox.options import (
    Program,
    count,
    listenEndpoint,
    logParameters,
    webParameters,
)
from pushprox.process import raiseFileLimit, roomBelow
from pushprox.proxy.admission import OPEN
from pushprox.proxy.coordinator import Coordinator, Rules
from pushprox.proxy.measures import Measures
from pushprox.proxy.resources import isScrape, makeRoot
from pushprox.proxy.scrape import Timeouts
from pushprox.proxy.serving import Serving
from pushprox.site import Site
from pushprox.tls import endpointFromString

if TYPE_CHECKING:
    from pushprox.passwords import Work
    from pushprox.webfile import WebFile


class Options(BaseOptions):
    """
    The proxy's command line: the flags of the reference, and ours.
    """

    programName = "pushprox-proxy"

    optParameters = [
        [
            "port",
            "p",
            None,
            "Port to listen on, on all addresses.",
            lambda text: listenEndpoint(f":{text}"),
        ],
        [
            "web.listen-address",
            None,
            None,
            "Address to listen on, as host:port or :port. [default: :8080]",
            listenEndpoint,
        ],
        [
            "scrape.max-timeout",
            None,
            "5m",
            "Any scrape with a timeout higher than this is clamped to it.",
            lambda text: duration(text, 0.01),
        ],
        [
            "scrape.default-timeout",
            None,
            "15s",
            "Timeout of a scrape that does not tell one.",
            lambda text: duration(text, 0.01),
        ],
        [
            "scrape.timeout-offset",
            None,
            "500ms",
            "How much earlier than the scraper the proxy gives up (a tenth of the"
            " timeout at most).",
            duration,
        ],
        [
            "registration.timeout",
            None,
            "5m",
            "After how long without a poll a client is forgotten.",
            lambda text: duration(text, 1.0),
        ],
        [
            "registration.warmup",
            None,
            "30s",
            "For how long after its start the proxy waits for unknown clients.",
            duration,
        ],
        [
            "poll.receipt-wait",
            None,
            "2s",
            "How long a client may take to show that a scrape has reached it.",
            duration,
        ],
        [
            "limit.polls-per-instance",
            None,
            "16",
            "Parked polls of one client process.",
            lambda text: count(text, 1),
        ],
        ["limit.polls", None, "20000", "Parked polls in all.", count],
        ["limit.queued-per-name", None, "1000", "Queued scrapes of a client.", count],
        ["limit.queued", None, "20000", "Queued scrapes in all.", count],
        [
            "limit.name-length",
            None,
            "253",
            "Bytes in the name of a client.",
            lambda text: count(text, 1),
        ],
        [
            "limit.names",
            None,
            "20000",
            "Names that have polled and are not forgotten, in all.",
            count,
        ],
        [
            "limit.polls-per-identity",
            None,
            "0",
            "Parked polls of one user, token or certificate. 0 is any number.",
            count,
        ],
        [
            "limit.connections",
            None,
            "30000",
            "Connections in all; less, where the limit of open files is less.",
            lambda text: count(text, 1),
        ],
        [
            "limit.connections-per-address",
            None,
            "0",
            "Connections of one address (IPv6: network of 64 bits). 0 is any number.",
            count,
        ],
        [
            "limit.requests-per-connection",
            None,
            "0",
            "Requests after which a connection is closed. 0 is any number.",
            count,
        ],
        [
            "limit.head-size",
            None,
            "65536",
            "Bytes in the head of a request.",
            lambda text: count(text, 1024),
        ],
        [
            "limit.head-time",
            None,
            "20s",
            "How long a head may take, and a connection until its first is whole.",
            lambda text: duration(text, 1.0),
        ],
        [
            "limit.body-size",
            None,
            "8388608",
            "Bytes in the body of a request that is no push.",
            lambda text: count(text, 1024),
        ],
        [
            "limit.body-time",
            None,
            "60s",
            "How long such a body may take, and a push between two pieces.",
            lambda text: duration(text, 1.0),
        ],
        *webParameters,
        *logParameters,
    ]
    optFlags = [
        [
            "names.shared",
            None,
            "Let all clients of one name have its scrapes in turn.",
        ],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["listen"] = []

    def opt_listen(self, endpoint: str) -> None:
        """
        A Twisted endpoint to listen on, such as tcp:8080:interface=10.0.0.1 or
        ssl:8443:privateKey=key.pem:certKey=cert.pem. May be given more than once.
        """
        self["listen"].append(endpoint)

    def postOptions(self) -> None:
        """
        Gather all that is to be listened on.
        """
        super().postOptions()
        for flag in ("port", "web.listen-address"):
            if self[flag] is not None:
                self["listen"].append(self[flag])
        if not self["listen"]:
            self["listen"].append(listenEndpoint(":8080"))

    @property
    def rules(self) -> Rules:
        """
        What the coordinator is to keep to.
        """
        return Rules(
            registrationTimeout=self["registration.timeout"],
            warmup=self["registration.warmup"],
            receiptWait=self["poll.receipt-wait"],
            pollsPerInstance=self["limit.polls-per-instance"],
            polls=self["limit.polls"],
            queuedPerName=self["limit.queued-per-name"],
            queued=self["limit.queued"],
            shared=bool(self["names.shared"]),
            pollsPerIdentity=self["limit.polls-per-identity"],
            names=self["limit.names"],
        )

    @property
    def limits(self) -> Limits:
        """
        What connections may take.
        """
        return Limits(
            head=self["limit.head-time"],
            body=self["limit.body-time"],
            headSize=self["limit.head-size"],
            bodySize=self["limit.body-size"],
            requests=self["limit.requests-per-connection"],
            connections=self["limit.connections"],
            connectionsPerAddress=self["limit.connections-per-address"],
        )

    @property
    def timeouts(self) -> Timeouts:
        """
        How long scrapes may take.
        """
        return Timeouts(
            default=self["scrape.default-timeout"],
            maximum=self["scrape.max-timeout"],
            offset=self["scrape.timeout-offset"],
        )


def scrapeIds() -> Iterator[bytes]:
    """
    Ids as the reference makes them (RFC 9562 section 5.4): 122 random bits, not
    to be guessed. The kernel is asked for many at a time.
    """
    while True:
        digits = urandom(16 * 256).hex()
        for at in range(0, len(digits), 32):
            id = digits[at : at + 32]
            variant = "89ab"[int(id[16], 16) & 3]
            yield (
                f"{id[:8]}-{id[8:12]}-4{id[13:16]}-{variant}{id[17:20]}-{id[20:]}"
            ).encode("ascii")


def makeProxy(
    clock: IReactorTime,
    registry: CollectorRegistry,
    endpoints: list[IStreamServerEndpoint],
    rules: Rules,
    timeouts: Timeouts,
    nameLimit: int = 253,
    limits: Limits = Limits(),  # noqa: B008 (a frozen value)
    tellsScrapes: bool = False,
    webFile: WebFile | None = None,
    work: Work = execute,
) -> list[IService]:
    """
    Put a proxy together.

    @param clock: the one clock of all waits.
    @param registry: where the metrics go.
    @param endpoints: where to listen.
    @param tellsScrapes: whether each scrape is logged, at debug.
    @param webFile: says who may pass; without it everybody may.
    @param work: does what would block the reactor for long.
    @return: the services that make it up.
    """
    ledger = Ledger(registry, "proxy")
    measures = Measures(clock, ledger)
    makeId = scrapeIds().__next__
    coordinator = Coordinator(
        clock, rules, makeId, measures.scrapeEnded, measures.pollRefused
    )
    admission, guard = OPEN, None
    moreLines: Callable[[], bytes] = bytes
    if webFile is not None:
        # Who does not use it need not have it in memory.
        from pushprox.guard import Guard
        from pushprox.proxy.gate import Gate

        guard = Guard(webFile, clock, ledger, work, isScrape)
        moreLines = guard.headLines
        admission = Gate(webFile, guard, clock)
        webFile.whenChanged(coordinator.review)
    root = makeRoot(
        coordinator,
        timeouts,
        nameLimit,
        registry,
        measures.carried,
        clock,
        tellsScrapes,
        admission,
    )
    site = Site(
        root if guard is None else guard.before(root.choose),
        clock,
        coordinator.lineBroke,
        measures.refused,
        limits,
        measures.requestEnded,
        moreLines,
        Crowd(clock, limits, measures.lineClosed),
    )
    measures.watch(coordinator, site)
    return [Serving(endpoints, site, coordinator), ReactorLag(clock, ledger)]


def makeService(options: Options, reactor: Any = None) -> IService:
    """
    Make the program that C{twistd pushprox-proxy} runs.

    @raise SystemExit: if an endpoint cannot be used.
    """
    if reactor is None:
        from twisted.internet import reactor
    program = Program(options)
    parent: MultiService = program
    webFile: WebFile | None = None
    work: Work = execute
    if options["web.config.file"]:
        from pushprox.passwords import Threads
        from pushprox.proxy.roles import readRoles
        from pushprox.webfile import webFileOf

        webFile = webFileOf(options, reactor, {"pushprox": readRoles})
        parent = threads = Threads(reactor)
        threads.setServiceParent(program)
        work = threads.run
    endpoints = []
    for description in options["listen"]:
        try:
            endpoint = endpointFromString(reactor, description)
            endpoints.append(webFile.secured(endpoint) if webFile else endpoint)
        except Exception as error:
            raise SystemExit(
                f"{options.programName}: --listen: cannot use {description!r}: {error}"
            ) from error
    limits = options.limits
    connections = roomBelow(raiseFileLimit(), limits.connections)
    for service in makeProxy(
        reactor,
        CollectorRegistry(),
        endpoints,
        options.rules,
        options.timeouts,
        options["limit.name-length"],
        attrs.evolve(limits, connections=connections),
        options["log.level"] == "debug",
        webFile,
        work,
    ):
        service.setServiceParent(parent)
    return program
