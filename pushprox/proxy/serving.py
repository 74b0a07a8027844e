"""
Listening, and the order in which a proxy stops.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.application.service import Service
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from pushprox.proxy.coordinator import Coordinator
from pushprox.site import Site
from pushprox.sources import peerOf


class Serving(Service):
    """
    Serves one proxy on all its endpoints.
    """

    _log = Logger()

    def __init__(
        self,
        listeners: Sequence[tuple[IStreamServerEndpoint, Site]],
        coordinator: Coordinator,
        isOpen: bool = True,
    ) -> None:
        """
        @param listeners: where to listen, and what for.
        @param isOpen: whether everybody may do everything.
        """
        self._listeners = listeners
        self._coordinator = coordinator
        self._isOpen = isOpen
        self._ports: list[IListeningPort] = []
        self._listening = False

    def privilegedStartService(self) -> None:
        """
        Listen, while the process may still use any port.

        @raise SystemExit: if a port is not to be had. A proxy that runs on
            without its port would be deaf, and nobody would know.
        """
        super().privilegedStartService()
        self._listening = True
        failures: list[Failure] = []
        for endpoint, site in self._listeners:
            endpoint.listen(site).addCallbacks(self._ports.append, failures.append)
        if failures:
            raise SystemExit(f"pushprox-proxy: {failures[0].getErrorMessage()}")
        for port in self._ports:
            self._log.info("Listening on {address}", address=shown(port))
        if self._isOpen:
            self._tellOpen()

    def _tellOpen(self) -> None:
        isLocal = all(isLoopback(port) for port in self._ports)
        self._log.emit(
            LogLevel.info if isLocal else LogLevel.warn,
            "Whoever reaches the proxy may scrape every client and poll under any name"
            " (--web.config.file says who may)",
        )

    def startService(self) -> None:
        """
        Listen, if nobody gave us the chance to do so earlier.
        """
        super().startService()
        if not self._listening:
            self.privilegedStartService()

    def stopService(self) -> Deferred[None]:
        """
        Let the scrapes in flight end and refuse new ones, end the polls, stop
        listening, close the lines.
        """
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._log.info(
            "Stopping, with {inFlight} scrapes in flight",
            inFlight=self._coordinator.inFlight,
        )
        # Until then we listen: an answer may come over a new connection.
        await self._coordinator.stop()
        await gatherResults([maybeDeferred(port.stopListening) for port in self._ports])
        sites = {site for _, site in self._listeners}
        await gatherResults([site.close() for site in sites])


def isLoopback(port: IListeningPort) -> bool:
    """
    @return: whether nobody but this machine reaches it.
    """
    end = port.getHost()
    address = peerOf(end)
    return isinstance(end, UNIXAddress) or bool(address and address.is_loopback)


def shown(port: IListeningPort) -> str:
    """
    The address of a port, for people.
    """
    address = port.getHost()
    host, number = getattr(address, "host", None), getattr(address, "port", None)
    if host is None:
        return str(address)
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
