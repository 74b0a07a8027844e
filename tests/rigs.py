"""
A proxy to talk to: what the tests of the proxy's doors, pages, metrics and
service share.

It knows the bytes on both sides of the proxy, and nothing of its insides.
"""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import CollectorRegistry
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, execute
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import ConnectionDone
from twisted.trial.unittest import SynchronousTestCase

from pushprox import __version__
from pushprox.limits import Limits
from pushprox.passwords import Work
from pushprox.proxy.coordinator import Rules
from pushprox.proxy.roles import readRoles
from pushprox.proxy.scrape import Timeouts
from pushprox.proxy.service import makeProxy
from pushprox.webfile import WebFile
from tests.internet import Internet, Talker

#: The first headers of a reply of the proxy's own, as L{heard} tells them.
SIGNED = b"Server: pushprox/ours\r\nDate: now\r\nPushprox-Version: ours\r\n"

#: What the proxy says to a push that it took.
PUSHED = (
    b"HTTP/1.1 200 OK\r\n"
    b"Server: pushprox/ours\r\n"
    b"Date: now\r\n"
    b"Pushprox-Version: ours\r\n"
    b"Content-Length: 0\r\n\r\n"
)

#: A small answer of a target.
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nId: %b\r\n\r\nok"

_VERSION = __version__.encode("ascii")
_DATE = re.compile(rb"Date: (?!Thu, 01 Jan 2026)[^\r]*")
_ID = re.compile(rb"\r\nId: ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\r\n")


class ProxyRig:
    """
    A proxy at 10.0.0.1:8080, alone in an internet of its own. When the test
    ends it is stopped, and must leave no connection, port or timer behind.

    @ivar net: the reactor, the clock and the network.
    """

    host = "10.0.0.1"
    port = 8080

    def __init__(
        self,
        case: SynchronousTestCase,
        rules: Rules | None = None,
        timeouts: Timeouts | None = None,
        nameLimit: int = 253,
        tellsScrapes: bool = False,
        web: Path | None = None,
        work: Work = execute,
        limits: Limits = Limits(),  # noqa: B008 (a frozen value)
    ) -> None:
        """
        @param rules: the proxy's; without a warm-up if not given.
        @param web: its web config file.
        @param work: compares passwords.
        """
        self.net = Internet()
        self.registry = CollectorRegistry()
        self.services = MultiService()
        endpoint = serverFromString(self.net, f"tcp:{self.port}:interface={self.host}")
        file = web and WebFile(str(web), self.net, {"pushprox": readRoles})
        for service in makeProxy(
            self.net,
            self.registry,
            [file.secured(endpoint) if file else endpoint],
            rules or Rules(warmup=0.0),
            timeouts or Timeouts(),
            nameLimit,
            limits,
            tellsScrapes=tellsScrapes,
            webFile=file,
            work=work,
        ):
            service.setServiceParent(self.services)
        self.services.privilegedStartService()
        self.services.startService()
        self._case = case
        case.addCleanup(self._vanish)

    def stop(self) -> Deferred[None]:
        """
        Begin to stop the proxy.
        """
        stopped: Deferred[None] = self.services.stopService()
        self.net.settle()
        return stopped

    def _vanish(self) -> None:
        self.net.cut(self.net.linesTo(self.port))
        if self.services.running:
            self.stop()
        self._case.assertEqual(
            (self.net.ports, self.net.ends, self.net.getDelayedCalls()),
            ({}, [], []),
        )

    def metric(self, name: str, **labels: str) -> float | None:
        """
        The value of one sample.
        """
        return self.registry.get_sample_value(name, labels)

    # Both sides of the proxy.

    def talk(self, data: bytes = b"") -> Talker:
        """
        Open a connection and say something.
        """
        return self.net.talk(self.host, self.port, data)

    def say(self, talker: Talker, data: bytes) -> None:
        """
        Say more on a connection that is open.
        """
        talker.transport.write(data)
        self.net.settle()

    def ask(self, data: bytes) -> bytes:
        """
        What the proxy answers on a new connection, which is then closed.
        """
        talker = self.talk(data)
        answer = heard(talker)
        self.hangUp(talker)
        return answer

    def hangUp(self, talker: Talker) -> None:
        """
        Close a connection cleanly.
        """
        talker.transport.fall(ConnectionDone(), ConnectionDone())
        self.net.settle()

    def poll(self, name: bytes = b"t1", headers: bytes = b"") -> Talker:
        """
        Poll on a new connection.

        @param headers: whole lines.
        """
        return self.talk(pollBytes(name, headers))

    def scrape(self, url: bytes = b"http://t1:9100/metrics", *headers: bytes) -> Talker:
        """
        Scrape on a new connection, with 5 s to go.
        """
        return self.talk(scrapeBytes(url, *headers))

    def push(self, answer: bytes) -> bytes:
        """
        Push on a new connection.

        @return: what the proxy says to that.
        """
        return self.ask(pushBytes(answer))


def pollBytes(name: bytes = b"t1", headers: bytes = b"") -> bytes:
    """
    A poll as clients of the reference send it (wire transcript 01), with
    headers of ours if need be.
    """
    return (
        b"POST /poll HTTP/1.1\r\n"
        b"Host: 127.0.0.1:18081\r\n"
        b"User-Agent: Go-http-client/1.1\r\n"
        b"Content-Length: %d\r\n"
        b"Content-Type: \r\n"
        b"Accept-Encoding: gzip\r\n"
        b"%b\r\n"
        b"%b" % (len(name), headers, name)
    )


def pushBytes(answer: bytes) -> bytes:
    """
    A push as clients of the reference send it (wire transcript 01).
    """
    return (
        b"POST /push HTTP/1.1\r\n"
        b"Host: 127.0.0.1:18081\r\n"
        b"User-Agent: Go-http-client/1.1\r\n"
        b"Content-Length: %d\r\n"
        b"Accept-Encoding: gzip\r\n"
        b"\r\n"
        b"%b" % (len(answer), answer)
    )


def scrapeBytes(
    url: bytes = b"http://t1:9100/metrics", *headers: bytes, method: bytes = b"GET"
) -> bytes:
    """
    A scrape as curl sends it, with 5 s to go.
    """
    lines = (
        b"Host: whatever",
        b"X-Prometheus-Scrape-Timeout-Seconds: 5",
        *headers,
    )
    return b"%b %b HTTP/1.1\r\n%b\r\n\r\n" % (method, url, b"\r\n".join(lines))


def rejected(status: bytes) -> bytes:
    """
    What is answered to what is no good HTTP, before the connection ends.

    @param status: with its reason.
    """
    text = status[4:] + b"\n"
    return (
        b"HTTP/1.1 %b\r\n%bContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n%b"
        % (status, SIGNED, len(text), text)
    )


def refusal(status: bytes, text: bytes, more: bytes = b"", short: int = 0) -> bytes:
    """
    What a request is answered that cannot be served.

    @param status: with its reason.
    @param more: headers before the Content-Type.
    @param short: how many bytes are announced that do not come.
    """
    return (
        b"HTTP/1.1 %b\r\n%b%bContent-Type: text/plain; charset=utf-8\r\n"
        b"X-Content-Type-Options: nosniff\r\nContent-Length: %d\r\n\r\n%b"
        % (status, SIGNED, more, len(text) + short, text)
    )


def closing(reply: bytes) -> bytes:
    """
    A reply that is the last one on its connection, and says so.
    """
    return reply.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)


def pushRefusal(status: bytes, text: bytes) -> bytes:
    """
    What a push is answered that was not taken.
    """
    return refusal(status, b"Error pushing: " + text + b"\n")


def heard(talker: Talker) -> bytes:
    """
    What came since the last time, with C{now} for the date of the proxy's own
    clock, and C{ours} for its version.
    """
    received, talker.received = talker.received, b""
    for signature in (b"Server: pushprox/", b"Pushprox-Version: "):
        received = received.replace(signature + _VERSION, signature + b"ours")
    return _DATE.sub(b"Date: now", received)


def idIn(instruction: bytes) -> bytes:
    """
    The id of the scrape in the reply to a poll, which must have one.
    """
    (id,) = _ID.findall(instruction)
    return id
