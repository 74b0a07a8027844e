"""
The proxy as a program: the list of its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from os import urandom
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs
from prometheus_client import CollectorRegistry
from twisted.application.service import IService, MultiService
from twisted.internet.defer import execute
from twisted.internet.interfaces import IReactorTime, IStreamServerEndpoint

from pushprox.announced import Announcing
from pushprox.crowd import Crowd
from pushprox.limits import Limits
from pushprox.metrics import Ledger, ReactorLag
from pushprox.options import Program
from pushprox.process import raiseFileLimit, roomBelow
from pushprox.proxy.admission import OPEN
from pushprox.proxy.commandline import Options  # twistd looks for it here
from pushprox.proxy.coordinator import Coordinator, Rules
from pushprox.proxy.measures import Measures
from pushprox.proxy.resources import PARTS, isScrape, makeRoot
from pushprox.proxy.scrape import Timeouts
from pushprox.proxy.serving import Serving
from pushprox.site import Site
from pushprox.tls import endpointFromString

if TYPE_CHECKING:
    from pushprox.passwords import Work
    from pushprox.webfile import WebFile


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
    parts: Mapping[str, Sequence[IStreamServerEndpoint]] = MappingProxyType({}),
    reload: Callable[[], object] | None = None,
    announcing: Announcing | None = None,
) -> list[IService]:
    """
    Put a proxy together.

    @param clock: the one clock of all waits.
    @param registry: where the metrics go.
    @param endpoints: where to listen for all.
    @param tellsScrapes: whether each scrape is logged, at debug.
    @param webFile: says who may pass; without it everybody may.
    @param work: does what would block the reactor for long.
    @param parts: where to listen for some only, by what for (L{PARTS}).
    @param reload: what is to be done at C{/-/reload}, if anything.
    @param announcing: counts what is dropped at C{haproxy:} endpoints.
    @return: the services that make it up.
    """
    ledger = Ledger(registry, "proxy")
    measures = Measures(clock, ledger)
    makeId = scrapeIds().__next__
    coordinator = Coordinator(
        clock, rules, makeId, measures.scrapeEnded, measures.pollRefused
    )
    admission, guard = OPEN, None
    if webFile is not None:
        # Who does not use it need not have it in memory.
        from pushprox.guard import Guard
        from pushprox.proxy.gate import Gate

        guard = Guard(webFile, clock, ledger, work, isScrape)
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
        reload,
    )
    crowd = Crowd(clock, limits, measures.lineClosed)
    listeners: list[tuple[IStreamServerEndpoint, Site]] = []
    for kind, some in {"": endpoints, **parts}.items():
        pages = root.part(kind) if kind else root
        site = Site(
            pages if guard is None else guard.before(pages.choose),
            clock,
            coordinator.lineBroke,
            measures.refused,
            limits,
            measures.requestEnded,
            bytes if guard is None else guard.headLines,
            crowd,
        )
        listeners += [(endpoint, site) for endpoint in some]
    measures.watch(coordinator, crowd)
    if announcing is not None:
        measures.watchDropped(announcing)
    isOpen = webFile is None or webFile.inForce.isOpen
    serving = Serving(listeners, coordinator, isOpen)
    return [serving, ReactorLag(clock, ledger)]


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
    limits = options.limits
    limits = attrs.evolve(
        limits, connections=roomBelow(raiseFileLimit(), limits.connections)
    )
    announcing = Announcing(reactor, webFile.trusted if webFile else tuple, limits.head)

    def endpointsOf(flag: str) -> list[IStreamServerEndpoint]:
        endpoints = []
        for description in options[flag]:
            try:
                endpoint = endpointFromString(reactor, description, announcing)
                endpoints.append(webFile.secured(endpoint) if webFile else endpoint)
            except Exception as error:
                raise SystemExit(
                    f"{options.programName}: --{flag}: cannot use {description!r}: "
                    f"{error}"
                ) from error
        return endpoints

    reload: Callable[[], object] = webFile.reload if webFile else lambda: None
    program.reloadBy(reload, reactor.callFromThread)
    for service in makeProxy(
        reactor,
        CollectorRegistry(),
        endpointsOf("listen"),
        options.rules,
        options.timeouts,
        options["limit.name-length"],
        limits,
        options["log.level"] == "debug",
        webFile,
        work,
        {kind: endpointsOf(f"listen.{kind}") for kind in PARTS},
        reload if options["web.enable-lifecycle"] else None,
        announcing,
    ):
        service.setServiceParent(parent)
    return program
