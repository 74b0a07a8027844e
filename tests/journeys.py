"""
What the journeys share: a proxy, clients, exporters and scrapers, each on a
machine of its own in one internet in memory, and the promise that nothing
stays behind.

It knows the programs as an operator does: by their flags, their bytes on the
wire and their metrics. Who else may be on the way is in L{tests.bystanders}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import attrs
import h11
from prometheus_client import CollectorRegistry
from twisted.application.service import IService
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IPolicyForHTTPS

from pushprox.client.credentials import CredentialsFile
from pushprox.client.location import ProxyLocation
from pushprox.client.polling import Pace, Polling
from pushprox.client.service import makeClient
from pushprox.client.trust import tlsPolicy
from pushprox.client.webproxy import WebProxies
from pushprox.metrics import Ledger
from pushprox.proxy.coordinator import Rules
from pushprox.proxy.scrape import Timeouts
from pushprox.proxy.service import makeProxy
from pushprox.webfile import WebFile
from tests.internet import End, Internet, Machine

METRICS = b"# TYPE demo_metric gauge\ndemo_metric 1\n"

#: An answer with a length.
PLAIN = (
    b"HTTP/1.1 200 OK\r\n"
    b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
    b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    b"Content-Length: %d\r\n"
    b"\r\n"
    b"%b" % (len(METRICS), METRICS)
)

#: What must be 0 in a proxy when all is quiet.
GAUGES = (
    "pushprox_proxy_clients",
    "pushprox_proxy_connected_clients",
    "pushprox_proxy_contested_names",
    "pushprox_proxy_parked_polls",
    "pushprox_proxy_queued_scrapes",
    "pushprox_proxy_scrapes_in_flight",
    "pushprox_proxy_connections",
)

Asked = Callable[["Reply"], None]


@attrs.define(eq=False)
class Reply:
    """
    What came back for one request.

    @ivar asked: when the request was sent, on the clock.
    @ivar answered: when all of it was there.
    @ivar broken: why it will never be there whole.
    """

    asked: float
    line: HTTPLine
    ended: Asked
    status: int = 0
    reason: str = ""
    headers: dict[bytes, bytes] = attrs.field(factory=dict)
    body: bytes = b""
    answered: float | None = None
    broken: str | None = None

    @property
    def took(self) -> float:
        """
        From the request to the end of the answer, in seconds.
        """
        assert self.answered is not None, self
        return self.answered - self.asked

    @property
    def said(self) -> str:
        """
        The status line, as Prometheus shows it; empty before it is all there.
        """
        return f"{self.status} {self.reason}" if self.answered is not None else ""


class HTTPLine(Protocol):
    """
    One connection of somebody who asks: one request at a time, read as strictly
    as h11 does.
    """

    transport: End

    def __init__(self, clock: Machine) -> None:
        self._clock = clock
        self._http = h11.Connection(h11.CLIENT, 2**20)
        self._outgoing = b""
        self.reply: Reply | None = None
        self.isOpen = True

    def ask(
        self,
        method: bytes,
        target: bytes,
        headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        ended: Asked = lambda reply: None,
    ) -> Reply:
        """
        Send a request.

        @param ended: called when the reply is whole, or can never be.
        """
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        framing = [(b"Content-Length", b"%d" % len(body))] if body else []
        request = h11.Request(
            method=method, target=target, headers=[*headers, *framing]
        )
        for event in (request, h11.Data(data=body), h11.EndOfMessage()):
            self._outgoing += self._http.send(event) or b""
        self.reply = Reply(self._clock.seconds(), self, ended)
        if self.connected:
            self.connectionMade()
        return self.reply

    def connectionMade(self) -> None:
        """
        Say what was to be said.
        """
        outgoing, self._outgoing = self._outgoing, b""
        self.transport.write(outgoing)

    def dataReceived(self, data: bytes) -> None:
        """
        Read a piece of the reply.
        """
        self._read(data)

    def _read(self, data: bytes) -> None:
        reply = self.reply
        if reply is None:
            return
        try:
            self._http.receive_data(data)
            while True:
                event = self._http.next_event()
                if event in (h11.NEED_DATA, h11.PAUSED):
                    return
                if isinstance(event, h11.Response):
                    reply.status = event.status_code
                    reply.reason = event.reason.decode("ascii")
                    reply.headers = dict(event.headers)
                elif isinstance(event, h11.Data):
                    reply.body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    reply.answered = self._clock.seconds()
                    self._end(reply)
                    return
                elif isinstance(event, h11.ConnectionClosed):
                    raise h11.RemoteProtocolError("closed without a reply")
        except h11.RemoteProtocolError as error:
            reply.broken = str(error)
            self._end(reply)

    def _end(self, reply: Reply) -> None:
        self.reply = None
        reply.ended(reply)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The end of the connection may be that of a reply.
        """
        self.isOpen = False
        self._read(b"")


def openLine(machine: Machine, host: str, port: int) -> HTTPLine:
    """
    Begin to connect.
    """
    line = HTTPLine(machine)

    class Opening(ClientFactory):
        noisy = False

        def buildProtocol(self, addr: object) -> Protocol:
            return line

        def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
            line.connectionLost(reason)

    machine.connectTCP(host, port, Opening())
    return line


class Visit(Protocol):
    """
    One connection to an exporter.
    """

    transport: End
    factory: Exporter

    def __init__(self) -> None:
        self._buffer = b""
        self.isOpen = True

    def dataReceived(self, data: bytes) -> None:
        """
        Take requests apart, and let the exporter answer them.
        """
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, rest = self._buffer.partition(b"\r\n\r\n")
            _, found, length = head.lower().partition(b"\r\ncontent-length: ")
            size = int(length.split(b"\r\n")[0]) if found else 0
            if len(rest) < size:
                return
            self._buffer = rest[size:]
            self.factory.asked(self, head + b"\r\n\r\n" + rest[:size])

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Whoever asked is gone.
        """
        self.isOpen = False


class Exporter(Factory):
    """
    A target whose bytes the test decides.

    @ivar answer: what it answers with: bytes, or what is to be done with each
        request; L{None} for nothing yet.
    @ivar delay: after how many seconds.
    @ivar requests: all that it was asked.
    @ivar askers: where from.
    """

    noisy = False
    protocol = Visit

    def __init__(self, clock: Machine) -> None:
        self._clock = clock
        self.answer: bytes | Callable[[Visit, bytes], None] | None = PLAIN
        self.delay = 0.0
        self.requests: list[bytes] = []
        self.askers: list[str] = []
        self.visits: list[Visit] = []

    def asked(self, visit: Visit, request: bytes) -> None:
        """
        Remember a request and answer it.
        """
        self.requests.append(request)
        self.visits.append(visit)
        self.askers.append(cast(Any, visit.transport.getPeer()).host)
        answer = self.answer
        if isinstance(answer, bytes):
            if self.delay:
                self._clock.callLater(self.delay, visit.transport.write, answer)
            else:
                visit.transport.write(answer)
        elif answer is not None:
            answer(visit, request)


@attrs.define(eq=False)
class Running:
    """
    A program of ours that runs on a machine.
    """

    machine: Machine
    registry: CollectorRegistry
    services: list[IService]
    isRunning: bool = True

    def metric(self, name: str, **labels: str) -> float:
        """
        The value of one sample; 0 where there is none.
        """
        return self.registry.get_sample_value(name, labels) or 0.0

    def stop(self) -> Deferred[list[None]]:
        """
        Begin to stop it, as SIGTERM does.
        """
        self.isRunning = False
        stopped: Deferred[list[None]] = gatherResults(
            [maybeDeferred(each.stopService) for each in self.services]
        )
        return stopped

    def crash(self) -> None:
        """
        Kill it with -9.
        """
        self.isRunning = False
        self.machine.crash()


class Journey(SynchronousTestCase):
    """
    An internet with a Prometheus on it. What a test starts there is stopped at
    its end, and nothing may stay behind.
    """

    def setUp(self) -> None:
        """
        Give the machines their names.
        """
        self.net = Internet()
        self.net.names.table.update(
            proxy="10.0.0.1",
            t1="10.1.0.1",
            t2="10.1.0.2",
            gateway="10.2.0.1",
        )
        self.prometheus = Machine(self.net, "10.9.0.1")
        self.trust = tlsPolicy(None, None, None)
        self.proxies: list[Running] = []
        self.clients: list[Running] = []
        #: What else runs until the end: called to stop it.
        self.others: list[Callable[[], object]] = []

    def tearDown(self) -> None:
        """
        Nothing stays behind.
        """
        for end in self.prometheus.ends:
            end.loseConnection()
        for client in self.clients:
            if client.isRunning:
                client.stop()
        for stop in self.others:
            stop()
        # What keepalive does in the real world.
        self.net.cut([end for end in self.net.ends if end.dead])
        # Deadlines, idle connections and registrations all end.
        self.net.pass_(700)
        for proxy in self.proxies:
            if proxy.isRunning:
                left = {name: proxy.metric(name) for name in GAUGES}
                self.assertEqual(left, dict.fromkeys(GAUGES, 0.0))
                # The look at the reactor's lag.
                self.assertEqual(len(proxy.machine.getDelayedCalls()), 1)
                self.successResultOf(self.stopAndWait(proxy))
        for port in list(self.net.ports.values()):
            port.stopListening()
        for end in self.net.ends:
            # Exporters that never closed.
            self.assertFalse(end.connected, (end.getHost(), end.getPeer()))
        self.assertEqual(self.net.dialling, [])
        self.assertEqual(self.net.getDelayedCalls(), [])

    def stopAndWait(self, program: Running, seconds: float = 6) -> Deferred[list[None]]:
        """
        Stop a program and give it time for that.
        """
        stopped = program.stop()
        self.net.pass_(seconds)
        return stopped

    # The programs.

    def startProxy(
        self,
        rules: Rules | None = None,
        timeouts: Timeouts | None = None,
        more: Sequence[Callable[[Machine], IStreamServerEndpoint]] = (),
        settled: bool = True,
        web: Path | None = None,
    ) -> Running:
        """
        Start a proxy at C{proxy:8080}.

        @param more: make what else it listens on.
        @param web: its web config file. If there is TLS in it, that is spoken at
            C{proxy:8443}.
        @param settled: whether to let its warm-up pass.
        """
        machine = Machine(self.net, "10.0.0.1")
        registry = CollectorRegistry()
        endpoints = [serverFromString(machine, "tcp:8080")]
        endpoints += [make(machine) for make in more]
        file = web and WebFile(str(web), machine)
        if file and file.speaksTLS:
            endpoints.append(file.secured(serverFromString(machine, "tcp:8443")))
        services = makeProxy(
            machine,
            registry,
            endpoints,
            rules or Rules(),
            timeouts or Timeouts(),
            webFile=file,
        )
        proxy = Running(machine, registry, services)
        self.proxies.append(proxy)
        for service in services:
            service.privilegedStartService()
            service.startService()
        if settled:
            self.net.pass_((rules or Rules()).warmup)
        return proxy

    def startClient(
        self,
        name: str = "t1",
        url: str = "http://proxy:8080/",
        address: str = "10.1.0.1",
        pace: Pace | None = None,
        trust: IPolicyForHTTPS | None = None,
        environment: Mapping[str, str] | None = None,
        concurrency: int = 100,
        passwordFile: Path | None = None,
    ) -> Running:
        """
        Start a client of ours.

        @param environment: where it looks for web proxies.
        @param passwordFile: its C{--proxy.basic-auth-file}.
        """
        machine = Machine(self.net, address)
        credentials = passwordFile and CredentialsFile(
            "proxy.basic-auth-file", str(passwordFile), machine
        )
        registry = CollectorRegistry()
        services = makeClient(
            machine,
            Ledger(registry, "client"),
            ProxyLocation.fromText(url),
            name,
            pace or Pace(),
            trust or self.trust,
            self.trust,
            WebProxies(environment or {}),
            concurrency,
            credentials,
        )
        # No chance here.
        cast(Polling, services[0]).jitter = lambda low, high: (low + high) / 2
        client = Running(machine, registry, services)
        self.clients.append(client)
        for service in services:
            service.startService()
        self.net.settle()
        return client

    def startExporter(self, address: str = "10.1.0.1", port: int = 9100) -> Exporter:
        """
        Start a target.
        """
        machine = Machine(self.net, address)
        exporter = Exporter(machine)
        machine.listenTCP(port, exporter)
        return exporter

    # Prometheus.

    def scrape(
        self,
        url: str = "http://t1:9100/metrics",
        timeout: str | None = "10",
        method: bytes = b"GET",
        headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        ended: Asked = lambda reply: None,
    ) -> Reply:
        """
        Scrape through the proxy, on a connection of its own. No time passes.
        """
        host = url.split("/")[2].encode("ascii")
        deadline = b"X-Prometheus-Scrape-Timeout-Seconds"
        fields = [
            (b"Host", host),
            (b"User-Agent", b"Prometheus/3.5.0"),
            (b"Accept-Encoding", b"gzip"),
            *([(deadline, timeout.encode("ascii"))] if timeout else []),
            *headers,
        ]
        line = openLine(self.prometheus, "10.0.0.1", 8080)

        def done(reply: Reply) -> None:
            if line.isOpen:
                line.transport.loseConnection()
            ended(reply)

        reply = line.ask(method, url.encode("ascii"), fields, body, done)
        self.net.settle()
        return reply

    def scrapes(
        self, count: int, interval: float, url: str = "http://t1:9100/metrics"
    ) -> list[Reply]:
        """
        Scrape again and again, and wait for the last one as for the others.
        """
        replies = []
        for _ in range(count):
            replies.append(self.scrape(url))
            self.net.pass_(interval)
        return replies

    def linesOf(self, program: Running) -> list[End]:
        """
        The client's ends of its connections to the proxy, or to what stands
        before it, the oldest first.
        """
        return [
            end
            for end in program.machine.ends
            if getattr(end.getPeer(), "port", None) == 8080
        ]

    def hangUp(self, reply: Reply) -> None:
        """
        The scraper has waited long enough.
        """
        reply.line.transport.loseConnection()
        self.net.settle()

    def assertMetrics(self, reply: Reply, body: bytes = METRICS) -> None:
        """
        The scrape brought all that the target said.
        """
        self.assertEqual((reply.said, reply.body), ("200 OK", body), reply.broken)

    def assertBrokenAmid(self, reply: Reply) -> None:
        """
        The scrape brought the beginning of what the target said, and nobody takes
        it for the whole.
        """
        self.assertEqual(reply.status, 200, reply)
        self.assertIsNotNone(reply.broken)
        self.assertIsNone(reply.answered)

    def assertBrokenOff(self, reply: Reply, words: str) -> None:
        """
        The scrape failed for whoever looks at the status line, and also for who
        only looks whether all bytes came.
        """
        self.assertEqual(reply.status, 502, reply)
        self.assertTrue(reply.reason.startswith(words), reply.reason)
        self.assertIsNotNone(reply.broken)
