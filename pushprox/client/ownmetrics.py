"""
The port for our own metrics. A client without it still does its work.

Knows: that a client whose metrics nobody reads needs no web server, which takes
some megabytes. Does not know: what is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import (
    IListeningPort,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from pushprox.limits import Limits
from pushprox.metrics import LateRegistry, Ledger, MetricsResource

if TYPE_CHECKING:
    from pushprox.guard import Guard
    from pushprox.passwords import Work
    from pushprox.site import Site
    from pushprox.webfile import WebFile


#: Connections: few read metrics, and the client needs its files for its work.
MOST = 100


class _LateSite(Factory):
    """
    A site from the first connection on.

    @ivar guard: what stands before it, if anything does.
    @ivar reload: what is to be done at C{/-/reload}, if anything.
    """

    noisy = False
    site: Site | None = None
    guard: Guard | None = None
    reload: Callable[[], object] | None = None

    def __init__(
        self, clock: IReactorTime, registry: LateRegistry, limits: Limits
    ) -> None:
        self.clock = clock
        self._registry = registry
        self._limits = limits

    def buildProtocol(self, addr: Any) -> Protocol | None:
        """
        Somebody asks.
        """
        if self.site is None:
            self.site = self._make()
        line: Protocol | None = self.site.buildProtocol(addr)
        return line

    def _make(self) -> Site:
        from twisted.web.resource import Resource, getChildForRequest

        from pushprox.lifecycle import Reload
        from pushprox.site import Site

        root, lifecycle = Resource(), Resource()
        root.putChild(b"metrics", MetricsResource(self._registry.make()))
        root.putChild(b"-", lifecycle)
        lifecycle.putChild(b"reload", Reload(self.reload))
        if self.guard is None:
            return Site(root, self.clock, limits=self._limits)
        front = self.guard.before(partial(getChildForRequest, root))
        lines = self.guard.headLines
        return Site(front, self.clock, limits=self._limits, moreLines=lines)


class OwnMetrics(Service):
    """
    Serves C{/metrics}.
    """

    _log = Logger()

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        clock: IReactorTime,
        registry: LateRegistry,
        connections: int = MOST,
    ) -> None:
        """
        @param connections: how many there may be.
        """
        limits = Limits(connections=connections)
        self._endpoint = endpoint
        self._factory = _LateSite(clock, registry, limits)
        self._port: IListeningPort | None = None

    def guardBy(self, file: WebFile, ledger: Ledger, work: Work) -> None:
        """
        Let only those pass whom a web config file lets pass.

        @param ledger: where denials are counted.
        @param work: compares passwords.
        """
        from pushprox.guard import Guard

        clock = self._factory.clock
        self._endpoint = file.secured(self._endpoint)
        self._factory.guard = Guard(file, clock, ledger, work)

    def enableReload(self, reload: Callable[[], object]) -> None:
        """
        @param reload: what is to be done at C{/-/reload}.
        """
        self._factory.reload = reload

    def startService(self) -> None:
        """
        Listen, or say that we could not.
        """
        super().startService()

        def listening(port: IListeningPort) -> None:
            self._port = port

        def failed(failure: Failure) -> None:
            self._log.warn(
                "--metrics-addr: {error} Running on without metrics",
                error=failure.getErrorMessage(),
            )

        self._endpoint.listen(self._factory).addCallbacks(listening, failed)

    def stopService(self) -> Deferred[None]:
        """
        Stop listening, and close all connections.
        """
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)
        if self._factory.site is not None:
            await self._factory.site.close()
