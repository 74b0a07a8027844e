"""
Servers on the in-memory internet that do what a test tells them: a proxy that
announces itself, one that speaks as the reference does, and targets. With them,
a test case that has a client on that internet.

They are no proxies: nothing here pairs scrapers with clients, and a test sees
each request as the bytes that came.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import (
    Factory,
    Protocol,
    connectionDone,
)
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import BrowserLikePolicyForHTTPS
from twisted.web.http import RESPONSES

from pushprox.client.credentials import Credentials
from pushprox.client.location import ProxyLocation
from pushprox.client.polling import Pace, Polling
from pushprox.client.service import makeClient
from pushprox.client.webproxy import WebProxies
from pushprox.message import Response
from pushprox.metrics import Ledger
from tests.internet import End, Internet


class Call:
    """
    A request that came, and the way to answer it.

    @ivar head: its head as it came.
    @ivar body: what came of its body, without chunks.
    @ivar whole: whether all of it came.
    @ivar at: when it began.
    @ivar line: the connection that brought it.
    """

    timer: IDelayedCall | None = None
    answered = False
    whole = False

    def __init__(self, line: ServerLine, head: bytes) -> None:
        self.line = line
        self.head = head
        self.body = b""
        self.at = line.server.net.seconds()
        self.method, self.path, _ = head.split(b"\r\n")[0].split(b" ", 2)

    def feed(self, data: bytes) -> bytes:
        """
        Take what is ours.

        @return: the rest.
        """
        if self.header(b"Transfer-Encoding") == b"chunked":
            return self._feedChunks(data)
        missing = int(self.header(b"Content-Length") or 0) - len(self.body)
        self.body += data[:missing]
        self.whole = len(data) >= missing
        return data[missing:]

    def _feedChunks(self, data: bytes) -> bytes:
        while chunk := re.match(rb"([0-9a-f]+)\r\n", data):
            size = int(chunk[1], 16)
            end = chunk.end() + size + 2
            if len(data) < end:
                break
            assert data[end - 2 : end] == b"\r\n"
            self.body += data[chunk.end() : end - 2]
            data = data[end:]
            if not size:
                self.whole = True
                break
        return data

    def header(self, name: bytes) -> bytes | None:
        """
        @return: the value of a header that is there once, or L{None}.
        """
        found = re.findall(rb"(?im)^%b:[ ]*(.*?)\r?$" % re.escape(name), self.head)
        assert len(found) < 2, f"{name!r} is there {len(found)} times"
        return found[0] if found else None

    @property
    def waiting(self) -> bool:
        """
        Whether somebody still waits for the answer.
        """
        return not self.answered and self.line.lost is None

    def after(self, seconds: float, do: Callable[[], object]) -> None:
        """
        Do something later, if somebody still waits by then.
        """
        self.stop()
        self.timer = self.line.server.net.callLater(seconds, do)

    def stop(self) -> None:
        """
        Forget what was to be done later.
        """
        if self.timer is not None and self.timer.active():
            self.timer.cancel()

    def say(self, data: bytes) -> None:
        """
        Write any bytes.
        """
        self.stop()
        self.answered = True
        self.line.transport.write(data)

    def reply(self, status: int, body: bytes = b"", *headers: bytes) -> None:
        """
        Answer properly.
        """
        lines = [b"HTTP/1.1 %d %b" % (status, RESPONSES.get(status, b"?"))]
        lines += [*self.line.server.announcement, *headers]
        if status != 204:
            lines.append(b"Content-Length: %d" % len(body))
        self.say(b"\r\n".join([*lines, b"", body]))

    def close(self) -> None:
        """
        Close the connection once all is sent.
        """
        self.stop()
        self.answered = True
        self.line.transport.loseConnection()

    def cut(self) -> None:
        """
        Reset the connection.
        """
        self.stop()
        self.answered = True
        self.line.transport.abortConnection()


class ServerLine(Protocol):
    """
    The server's end of a connection.

    @ivar lost: why it ended, when it did.
    """

    transport: End
    lost: Failure | None = None

    def __init__(self, server: Server) -> None:
        self.server = server
        self._received = b""
        self._coming: Call | None = None
        self._calls: list[Call] = []

    def connectionMade(self) -> None:
        """
        Somebody is there.
        """
        self.server.connected(self)

    def dataReceived(self, data: bytes) -> None:
        """
        Take requests.
        """
        self._received += data
        while self._received:
            if self._coming is None:
                head, end, rest = self._received.partition(b"\r\n\r\n")
                if not end:
                    return
                self._coming = Call(self, head + end)
                self._received = rest
                self._calls.append(self._coming)
                self.server.began(self._coming)
            call = self._coming
            self._received = call.feed(self._received)
            if not call.whole:
                return
            self._coming = None
            self.server.called(call)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Nobody is there any more.
        """
        self.lost = reason
        for call in self._calls:
            call.stop()


class Server(Factory):
    """
    Answers as the test says.

    @ivar onCall: is given each request.
    @ivar onConnect: is given each connection.
    @ivar announcement: header lines of every reply.
    """

    noisy = False
    announcement: tuple[bytes, ...] = ()

    def __init__(
        self, net: Internet, onCall: Callable[[Call], object] = lambda call: None
    ) -> None:
        self.net = net
        self.onCall = onCall
        self.onConnect: Callable[[ServerLine], object] = lambda line: None
        self.calls: list[Call] = []
        self.connections = 0

    def buildProtocol(self, address: object) -> ServerLine:
        """
        A connection comes.
        """
        return ServerLine(self)

    def connected(self, line: ServerLine) -> None:
        """
        A connection is there.
        """
        self.connections += 1
        self.onConnect(line)

    def began(self, call: Call) -> None:
        """
        The head of a request is there.
        """

    def called(self, call: Call) -> None:
        """
        A request is there.
        """
        self.calls.append(call)
        self.onCall(call)


class FakeProxy(Server):
    """
    A proxy that announces itself: it holds polls for as long as it is asked to,
    and takes every push.

    @ivar onPoll: is given each poll in place of that, if it is set.
    @ivar onPush: is given each push in place of that, if it is set.
    @ivar onBegin: is given each push when its head is there.
    @ivar begun: the pushes whose heads are there.
    @ivar latency: seconds from a request, or from the work for it, to the reply.
    @ivar queue: scrapes for polls to come.
    """

    announcement: tuple[bytes, ...] = (
        b"Pushprox-Version: 1.2.3",
        b"Pushprox-Max-Polls: 16",
    )

    def __init__(self, net: Internet, prefix: bytes = b"") -> None:
        super().__init__(net)
        self.prefix = prefix
        self.onPoll: Callable[[Call], object] | None = None
        self.onPush: Callable[[Call], object] | None = None
        self.onBegin: Callable[[Call], object] = lambda call: None
        self.begun: list[Call] = []
        self.polls: list[Call] = []
        self.pushes: list[Call] = []
        self.queue: list[bytes] = []
        self.latency = 0.0

    @property
    def waiting(self) -> list[Call]:
        """
        The polls that are parked here, the oldest first.
        """
        return [poll for poll in self.polls if poll.waiting]

    @property
    def answers(self) -> list[Response]:
        """
        What was pushed.
        """
        return [Response.fromBytes(push.body) for push in self.pushes]

    def began(self, call: Call) -> None:
        """
        The head of a push may be all that ever comes.
        """
        if call.path == self.prefix + b"/push":
            self.begun.append(call)
            self.onBegin(call)

    def called(self, call: Call) -> None:
        """
        A poll or a push, or the client is at fault.
        """
        super().called(call)
        assert call.method == b"POST", call.head
        if call.path == self.prefix + b"/poll":
            self.polls.append(call)
            (self.onPoll or self.hold)(call)
        else:
            assert call.path == self.prefix + b"/push", call.head
            self.pushes.append(call)
            (self.onPush or self.accept)(call)

    def _soon(self, call: Call, status: int, body: bytes = b"") -> None:
        call.answered = True
        if self.latency:
            call.after(self.latency, lambda: call.reply(status, body))
        else:
            call.reply(status, body)

    def accept(self, push: Call) -> None:
        """
        Take a push.
        """
        self._soon(push, 200)

    def hold(self, poll: Call) -> None:
        """
        Park a poll until there is work.
        """
        if self.queue:
            self._soon(poll, 200, self.queue.pop(0))
        else:
            self.park(poll)

    def park(self, poll: Call) -> None:
        """
        Keep a poll for as long as it asks for.
        """
        prefer = re.fullmatch(rb"wait=(\d+)", poll.header(b"Prefer") or b"")
        assert prefer
        poll.after(float(prefer[1]), lambda: poll.reply(204))

    def scrape(self, work: bytes) -> None:
        """
        Give a scrape to the newest poll, or to the next one.
        """
        if self.waiting:
            self._soon(self.waiting[-1], 200, work)
        else:
            self.queue.append(work)


class GoProxy(FakeProxy):
    """
    A proxy that does as the reference: it holds a poll without end, and ends
    the older of two.
    """

    announcement = (b"X-Content-Type-Options: nosniff",)

    def park(self, poll: Call) -> None:
        """
        The newest poll counts.
        """
        for older in self.waiting:
            if older is not poll:
                older.reply(
                    408, b"Error WaitForScrapeInstruction: request is expired\n"
                )


def work(id: bytes = b"id-1", timeout: bytes | None = b"10", path: str = "x") -> bytes:
    """
    A scrape of t1, as a proxy hands it out.
    """
    lines = [
        b"GET http://t1:9100/%b HTTP/1.1" % path.encode("ascii"),
        b"Host: t1:9100",
        b"Accept: */*",
        b"Id: " + id,
    ]
    if timeout is not None:
        lines.append(b"X-Prometheus-Scrape-Timeout-Seconds: " + timeout)
    return b"\r\n".join([*lines, b"", b""])


#: Where a fake proxy stands, unless a test says otherwise.
URL = "http://proxy:8080/"


class ClientTestCase(SynchronousTestCase):
    """
    A client on an internet of its own.

    @ivar events: what this project's loggers said.
    """

    def setUp(self) -> None:
        """
        Nobody is there yet but the names.
        """
        self.net = Internet()
        self.net.names.table |= {"proxy": "10.0.0.1", "t1": "10.0.0.2"}
        self.registry = CollectorRegistry()
        self.events: list[LogEvent] = []

        def note(event: LogEvent) -> None:
            if str(event.get("log_namespace")).startswith("pushprox"):
                self.events.append(event)

        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)

    def renew(self) -> None:
        """
        Begin once more, on another internet.
        """
        self.doCleanups()
        self.setUp()

    def proxyAt(self, port: int, proxy: FakeProxy) -> FakeProxy:
        """
        Let a proxy listen.
        """
        self.net.listenTCP(port, proxy)
        return proxy

    def makeClient(
        self,
        url: str = URL,
        registry: CollectorRegistry | None = None,
        environment: Mapping[str, str] | None = None,
        concurrency: int = 100,
        credentials: Credentials | None = None,
        **pace: Any,
    ) -> Polling:
        """
        @return: a client that is not started, whose pauses are no random ones.
        """
        polling, _ = makeClient(
            self.net,
            Ledger(self.registry if registry is None else registry, "client"),
            ProxyLocation.fromText(url),
            "t1",
            Pace(**pace),
            BrowserLikePolicyForHTTPS(),
            BrowserLikePolicyForHTTPS(),
            WebProxies(environment or {}),
            concurrency,
            credentials,
        )
        assert isinstance(polling, Polling)
        polling.jitter = lambda low, high: (low + high) / 2
        return polling

    def start(self, url: str = URL, **options: Any) -> Polling:
        """
        @return: a client that has begun to poll.
        """
        client = self.makeClient(url, **options)
        client.startService()
        self.net.settle()
        return client

    def measured(self, name: str, **labels: str) -> float | None:
        """
        @return: the value of a metric.
        """
        return self.registry.get_sample_value(name, labels)

    def said(self, *levels: str) -> list[str]:
        """
        @return: what was logged at these levels.
        """
        return [
            formatEvent(event)
            for event in self.events
            if event["log_level"].name in levels
        ]
