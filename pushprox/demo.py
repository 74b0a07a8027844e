"""
The demo: a proxy, a client and a small exporter in one process, and a scraper
that goes the whole way round every few seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from twisted.application.service import IService, Service
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import ProxyAgent, readBody
from twisted.web.http_headers import Headers

from pushprox.client.location import ProxyLocation
from pushprox.client.polling import Pace
from pushprox.client.service import makeClient
from pushprox.client.trust import tlsPolicy
from pushprox.client.webproxy import WebProxies
from pushprox.metrics import Ledger, MetricsResource
from pushprox.options import Options as BaseOptions
from pushprox.options import Program, count, logParameters
from pushprox.proxy.coordinator import Rules
from pushprox.proxy.scrape import Timeouts
from pushprox.proxy.service import makeProxy
from pushprox.site import Site

#: Seconds between two scrapes.
INTERVAL = 5.0

#: What the client polls as: a name that leads back to this machine.
NAME = "localhost"

INTRODUCTION = """
PushProx demo: a proxy, a client and an exporter, in one process.
Any Prometheus on this machine can do what the demo does, with

  scrape_configs:
    - job_name: pushprox-demo
      proxy_url: http://127.0.0.1:{proxyPort}/
      static_configs:
        - targets: ["{name}:{exporterPort}"]

and so can you:

  curl --proxy http://127.0.0.1:{proxyPort} http://{name}:{exporterPort}/metrics

Every {interval:.0f} seconds the demo scrapes its exporter through the proxy:
"""


class Options(BaseOptions):
    """
    The demo's command line.
    """

    programName = "pushprox-demo"

    optParameters = [
        ["port", "p", "8080", "Port for the proxy, on 127.0.0.1.", count],
        *logParameters,
    ]


class Demo(Service):
    """
    The exporter, and who scrapes it.
    """

    def __init__(
        self,
        reactor: Any,
        site: Site,
        proxyPort: int,
        write: Callable[[str], object],
    ) -> None:
        """
        @param site: the exporter.
        @param write: takes what a person is to see.
        """
        self._reactor = reactor
        self._site = site
        self._proxyPort = proxyPort
        self._write = write
        self._exporter: IListeningPort | None = None
        self._scraping: Deferred[None] | None = None

    def startService(self) -> None:
        """
        Listen on a free port, and begin.
        """
        super().startService()
        self._scraping = Deferred.fromCoroutine(self._scrapeForever())
        self._scraping.addErrback(lambda failure: failure.trap(CancelledError))

    def stopService(self) -> Deferred[None]:
        """
        Scrape no more, and close the exporter.
        """
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._scraping is not None:
            self._scraping.cancel()
        if self._exporter is not None:
            await maybeDeferred(self._exporter.stopListening)
        await self._site.close()

    async def _scrapeForever(self) -> None:
        endpoint = TCP4ServerEndpoint(self._reactor, 0, interface="127.0.0.1")
        self._exporter = await endpoint.listen(self._site)
        address = self._exporter.getHost()
        assert isinstance(address, IPv4Address)
        port = address.port
        self._write(
            INTRODUCTION.format(
                proxyPort=self._proxyPort,
                exporterPort=port,
                name=NAME,
                interval=INTERVAL,
            )
        )
        proxy = TCP4ClientEndpoint(self._reactor, "127.0.0.1", self._proxyPort)
        agent = ProxyAgent(proxy, self._reactor)
        url = f"http://{NAME}:{port}/metrics"
        while True:
            self._write(f"  {url}: {await self._scrape(agent, url)}\n")
            await deferLater(self._reactor, INTERVAL)

    async def _scrape(self, agent: ProxyAgent, url: str) -> str:
        """
        @return: how it went, in a few words.
        """
        began = self._reactor.seconds()
        headers = Headers({b"X-Prometheus-Scrape-Timeout-Seconds": [b"10"]})
        try:
            response = await agent.request(b"GET", url.encode("ascii"), headers)
            body = await readBody(response)
        except Exception as error:
            if not self.running:
                # An attempt to connect that is cancelled fails in other words.
                raise CancelledError() from error
            return f"failed: {Failure().getErrorMessage()}"
        elapsed = 1000 * (self._reactor.seconds() - began)
        status = f"{response.code} {response.phrase.decode('latin-1')}"
        samples = sum(1 for line in body.splitlines() if not line.startswith(b"#"))
        return f"{status}, {samples} samples in {elapsed:.0f} ms"


def makeService(
    options: Options,
    reactor: Any = None,
    write: Callable[[str], object] | None = None,
) -> IService:
    """
    Make the program that C{twistd pushprox-demo} runs.
    """
    if reactor is None:
        from twisted.internet import reactor
    if write is None:
        write = partial(print, end="", flush=True, file=sys.stdout)
    port = options["port"]
    program = Program(options)
    exported = CollectorRegistry()
    ProcessCollector(registry=exported)
    endpoint = TCP4ServerEndpoint(reactor, port, interface="127.0.0.1")
    trust = tlsPolicy(None, None, None)
    services = [
        *makeProxy(reactor, CollectorRegistry(), [endpoint], Rules(), Timeouts()),
        *makeClient(
            reactor,
            Ledger(CollectorRegistry(), "client"),
            ProxyLocation.fromText(f"http://127.0.0.1:{port}/"),
            NAME,
            Pace(),
            trust,
            trust,
            WebProxies({}),
        ),
        Demo(reactor, Site(MetricsResource(exported), reactor), port, write),
    ]
    for service in services:
        service.setServiceParent(program)
    return program
