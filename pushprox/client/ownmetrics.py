"""
The port for our own metrics. A client without it still does its work.

Knows: that a client whose metrics nobody reads needs no web server, which takes
some megabytes. Does not know: what is counted.
"""

from __future__ import annotations

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

from pushprox.metrics import LateRegistry, MetricsResource

if TYPE_CHECKING:
    from pushprox.site import Site


class _LateSite(Factory):
    """
    A site from the first connection on.
    """

    noisy = False
    site: Site | None = None

    def __init__(self, clock: IReactorTime, registry: LateRegistry) -> None:
        self._clock = clock
        self._registry = registry

    def buildProtocol(self, addr: Any) -> Protocol | None:
        """
        Somebody asks.
        """
        if self.site is None:
            from twisted.web.resource import Resource

            from pushprox.site import Site

            root = Resource()
            root.putChild(b"metrics", MetricsResource(self._registry.make()))
            self.site = Site(root, self._clock)
        line: Protocol | None = self.site.buildProtocol(addr)
        return line


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
    ) -> None:
        self._endpoint = endpoint
        self._factory = _LateSite(clock, registry)
        self._port: IListeningPort | None = None

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
