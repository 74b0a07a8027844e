"""
Listening, and the order in which a proxy stops.
"""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from pushprox.proxy.coordinator import Coordinator
from pushprox.site import Site


class Serving(Service):
    """
    Serves a site on all its endpoints.
    """

    _log = Logger()

    def __init__(
        self,
        endpoints: list[IStreamServerEndpoint],
        site: Site,
        coordinator: Coordinator,
    ) -> None:
        self._endpoints = endpoints
        self._site = site
        self._coordinator = coordinator
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
        for endpoint in self._endpoints:
            endpoint.listen(self._site).addCallbacks(
                self._ports.append, failures.append
            )
        if failures:
            raise SystemExit(f"pushprox-proxy: {failures[0].getErrorMessage()}")
        for port in self._ports:
            self._log.info("Listening on {address}", address=shown(port))

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
        await self._site.close()


def shown(port: IListeningPort) -> str:
    """
    The address of a port, for people.
    """
    address = port.getHost()
    host, number = getattr(address, "host", None), getattr(address, "port", None)
    if host is None:
        return str(address)
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
