"""
Tests for L{pushprox.client.target} and L{pushprox.client.failures}.

Connections, TLS, names and time are in memory.
"""

from __future__ import annotations

from pathlib import Path

import trustme
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectionLost,
    ConnectionRefusedError,
    NoRouteError,
    TCPTimedOutError,
)
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.test.iosim import ConnectionCompleter, IOPump
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from pushprox.client.arriving import Arriving, Unwanted
from pushprox.client.exchange import LEAVE_PATIENCE
from pushprox.client.policy import Policy
from pushprox.client.target import MAX_IDLE, MAX_REDIRECTS, ScrapeFailed, Targets
from pushprox.client.trust import tlsPolicy
from pushprox.headers import Headers
from pushprox.message import Request, Response, ResponseHead
from tests.servers import leafFor, serverOptions

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nup\n"

#: What the target is told of its time.
TOLD = b"X-Prometheus-Scrape-Timeout-Seconds: 9\r\n"

_LITERALS = {each: [each] for each in ("127.0.0.1", "10.0.0.7", "::1")}


@implementer(IHostnameResolver)
class NameTable:
    """
    Names and their addresses. Lookups of names that are not there end when
    told, and find nothing.
    """

    def __init__(self, **addresses: list[str]) -> None:
        self.addresses = {**addresses, **_LITERALS}
        self.waiting: list[object] = []

    def resolveHostName(
        self,
        receiver: object,
        hostName: str,
        portNumber: int = 0,
        addressTypes: object = None,
        transportSemantics: str = "TCP",
    ) -> object:
        """
        Look up a name.
        """
        receiver.resolutionBegan(None)
        if hostName not in self.addresses:
            self.waiting.append(receiver)
            return None
        for host in self.addresses[hostName]:
            family = IPv6Address if ":" in host else IPv4Address
            receiver.addressResolved(family("TCP", host, portNumber))
        receiver.resolutionComplete()
        return None


class Accepted(Protocol):
    """
    A target's side of a connection.
    """

    pump: IOPump
    lost = False

    def __init__(self, answers: list[bytes]) -> None:
        self.received = b""
        self.answers = answers

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it, and give the next answer, if there is one.
        """
        self.received += data
        if self.answers:
            self.transport.write(self.answers.pop(0))

    def connectionLost(self, reason: Failure) -> None:
        """
        The client is gone.
        """
        self.lost = True

    def close(self) -> None:
        """
        End the connection with a FIN, and over TLS with a close_notify.
        """
        self.transport.loseConnection()

    def reset(self) -> None:
        """
        Tear the connection.
        """
        self.pump.clientIO.disconnectReason = ConnectionLost("reset by peer")
        self.pump.serverIO.loseConnection()

    def cut(self) -> None:
        """
        End the connection with a FIN, and over TLS without a close_notify.
        """
        self.pump.serverIO.loseConnection()


class Listening(ServerFactory):
    """
    A target.

    @ivar answers: what it says to the next requests, one for each piece of
        data that comes.
    """

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.connections: list[Accepted] = []

    def buildProtocol(self, address: object) -> Accepted:
        """
        A connection comes.
        """
        self.connections.append(Accepted(self.answers))
        return self.connections[-1]


def get(
    url: bytes = b"http://t1:9100/metrics",
    headers: Headers = (),
    method: bytes = b"GET",
    body: bytes = b"",
) -> Request:
    """
    A scrape.
    """
    return Request(method, url, headers, body)


class TargetsTestCase(SynchronousTestCase):
    """
    A client named t1 beside a target that listens on port 9100.
    """

    name = "t1"
    tls = tlsPolicy(None, None, None)

    def setUp(self) -> None:
        """
        Nothing is connected yet.
        """
        self.reactor = MemoryReactorClock()
        self.names = NameTable(t1=["127.0.0.1"])
        self.reactor.installNameResolver(self.names)
        self.pumps: list[IOPump] = []
        self.targets = Targets(self.reactor, Policy(self.name), self.tls)
        self.target = self.listen(9100)

    def listen(self, port: int, tls: object = None) -> Listening:
        """
        Another target.
        """
        target = Listening()
        factory = target
        if tls:
            factory = TLSMemoryBIOFactory(tls, False, target, clock=self.reactor)
        self.reactor.listenTCP(port, factory)
        return target

    def settle(self) -> None:
        """
        Make all connections and move all bytes, until nothing changes.
        """
        while True:
            connected = len(self.reactor.tcpClients)
            pump = ConnectionCompleter(self.reactor).succeedOnce(greet=False)
            if pump is not None:
                accepted = pump.server
                accepted = getattr(accepted, "wrappedProtocol", accepted)
                accepted.pump = pump
                self.pumps.append(pump)
            moved = [each.flush() for each in self.pumps]
            if pump is None and not any(moved):
                assert len(self.reactor.tcpClients) == connected
                return

    def scrape(
        self, request: Request | None = None, *answers: bytes, timeout: float = 9.0
    ) -> Deferred[Response]:
        """
        Scrape; the target gives those answers.
        """
        self.target.answers += answers
        answer = self.begin(request, timeout)
        self.settle()
        return answer

    def begin(
        self, request: Request | None = None, timeout: float = 9.0
    ) -> Deferred[Response]:
        """
        Scrape, up to the first connection.
        """
        return self.targets.scrape(request or get(), timeout).addCallback(self.whole)

    def whole(self, answer: Arriving) -> Deferred[Response]:
        """
        Take all of an answer.
        """

        def ended(_: None) -> Response:
            if answer.fault is not None:
                raise answer.fault
            return Response(answer.head, b"".join(answer.waiting))

        return answer.hold(2**20, AssertionError("too long")).addCallback(ended)

    def assertFails(
        self, answer: Deferred[Response], status: int, reason: str
    ) -> ScrapeFailed:
        """
        The scrape failed in that way.
        """
        error = self.failureResultOf(answer, ScrapeFailed).value
        self.assertEqual((error.status, error.reason), (status, reason))
        return error

    def tearDown(self) -> None:
        """
        When all is over, nothing stays behind: no connection, no timer.
        """
        closed = self.targets.close()
        self.settle()
        self.successResultOf(closed)
        self.assertTrue(all(each.lost for each in self.target.connections))
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.tcpClients, [])


class RequestTests(TargetsTestCase):
    """
    What a target gets to see.
    """

    def test_transparent(self) -> None:
        """
        The target sees origin-form, the Host of the URL, and the scraper's
        headers byte for byte: nothing that is for one hop, or for the proxy and
        the client, and nothing that the scraper did not send but the time that is
        left.
        """
        headers = (
            (b"user-agent", b"Prometheus/3.5.0"),
            (b"Host", b"elsewhere"),
            (b"Id", b"4711"),
            (b"ACCEPT", b"text/plain;q=0.5,*/*;q=0.1"),
            (b"pushprox-Instance", b"1"),
            (b"Connection", b"keep-alive, X-Hop"),
            (b"X-Hop", b"1"),
            (b"Proxy-Connection", b"keep-alive"),
            (b"Proxy-Authorization", b"Basic cHJveHk6c2VjcmV0"),
            (b"TE", b"trailers"),
            (b"X-Twice", b"1"),
            (b"X-Twice", b"2"),
            (b"Identity", b"me"),
            (b"Content-Length", b"0"),
            (b"x-prometheus-Scrape-Timeout-Seconds", b"10"),
            (b"Authorization", b"Basic dGFyZ2V0OnNlY3JldA=="),
        )
        self.scrape(get(b"http://T1:9100/m?b=2&_scheme=http&a=b+c", headers), OK)
        self.assertEqual(
            self.target.connections[0].received,
            b"GET /m?b=2&a=b+c HTTP/1.1\r\n"
            b"Host: T1:9100\r\n"
            b"user-agent: Prometheus/3.5.0\r\n"
            b"ACCEPT: text/plain;q=0.5,*/*;q=0.1\r\n"
            b"X-Twice: 1\r\n"
            b"X-Twice: 2\r\n"
            b"Identity: me\r\n"
            b"Authorization: Basic dGFyZ2V0OnNlY3JldA==\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 9\r\n\r\n",
        )

    def test_body(self) -> None:
        """
        A body goes along, with its length.
        """
        self.scrape(get(method=b"POST", body=b"a=b"), OK)
        self.assertEqual(
            self.target.connections[0].received,
            b"POST /metrics HTTP/1.1\r\nHost: t1:9100\r\n%bContent-Length: 3\r\n\r\na=b"
            % TOLD,
        )

    def test_address(self) -> None:
        """
        A client may be named by an address, of version 4 or 6.
        """
        for name, host in [("127.0.0.1", b"127.0.0.1"), ("::1", b"[::1]")]:
            self.targets = Targets(self.reactor, Policy(name), self.tls)
            answer = self.begin(get(b"http://%b:9100/" % host))
            self.assertEqual(self.reactor.tcpClients[0][:2], (name, 9100))
            self.settle()
            accepted = self.target.connections[-1]
            self.assertIn(b"Host: %b:9100\r\n" % host, accepted.received)
            accepted.transport.write(OK.replace(b"1.1", b"1.0"))
            self.settle()
            self.successResultOf(answer)

    def test_underscore(self) -> None:
        """
        Names of containers may have an underscore.
        """
        self.names.addresses["node_exporter"] = ["10.0.0.7"]
        self.targets = Targets(self.reactor, Policy("node_exporter"), self.tls)
        answer = self.begin(get(b"http://node_exporter:9100/"))
        self.assertEqual(self.reactor.tcpClients[0][:2], ("10.0.0.7", 9100))
        self.target.answers.append(OK)
        self.settle()
        self.successResultOf(answer)
        self.assertIn(
            b"Host: node_exporter:9100\r\n", self.target.connections[0].received
        )

    def test_severalAddresses(self) -> None:
        """
        Of several addresses of a name the first that answers is taken.
        """
        self.names.addresses["t1"] = ["::1", "127.0.0.1"]
        self.target.answers.append(OK)
        answer = self.begin()
        self.assertEqual(self.reactor.tcpClients[0][0], "::1")
        ConnectionCompleter(self.reactor).failOnce()
        self.reactor.advance(0.3)
        self.assertEqual(self.reactor.tcpClients[0][0], "127.0.0.1")
        self.settle()
        self.successResultOf(answer)


class ResponseTests(TargetsTestCase):
    """
    What the scraper gets to see.
    """

    def test_transparent(self) -> None:
        """
        Status, reason and headers come as the target wrote them, less what is
        for one hop, and the body as it is, gzip or not.
        """
        body = b"\x1f\x8b\x08\x00not really"
        answer = self.scrape(
            None,
            b"HTTP/1.1 503 Not yet\r\nServer: x\r\nContent-Encoding: gzip\r\n"
            b"Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n"
            b"X-Twice: 1\r\nContent-Length: %d\r\nX-Twice: 2\r\n\r\n%b"
            % (len(body), body),
        )
        self.assertEqual(
            self.successResultOf(answer),
            Response(
                ResponseHead(
                    503,
                    b"Not yet",
                    (
                        (b"Server", b"x"),
                        (b"Content-Encoding", b"gzip"),
                        (b"X-Twice", b"1"),
                        (b"X-Twice", b"2"),
                    ),
                    len(body),
                ),
                body,
            ),
        )

    def test_chunked(self) -> None:
        """
        An answer in chunks comes without them, and without their trailers.
        """
        answer = self.scrape(
            None,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nup\r\n1\r\n\n\r\n0\r\nTrailer: x\r\n\r\n",
        )
        self.assertEqual(
            self.successResultOf(answer),
            Response(ResponseHead(200, b"OK", (), None, True), b"up\n"),
        )

    def test_endsWithConnection(self) -> None:
        """
        An answer that ends with the connection is whole then, from HTTP/1.0 and
        from HTTP/1.1.
        """
        for version in (b"1.0", b"1.1"):
            answer = self.scrape(None, b"HTTP/%b 200 OK\r\n\r\nup\n" % version)
            self.assertNoResult(answer)
            self.target.connections[-1].close()
            self.settle()
            self.assertEqual(
                self.successResultOf(answer),
                Response(ResponseHead(200, b"OK", (), None), b"up\n"),
            )

    def test_head(self) -> None:
        """
        The answer to HEAD tells the length of the body that it lacks.
        """
        answer = self.scrape(
            get(method=b"HEAD"), b"HTTP/1.1 200 OK\r\nContent-Length: 4711\r\n\r\n"
        )
        self.assertEqual(
            self.successResultOf(answer),
            Response(ResponseHead(200, b"OK", (), 4711), b""),
        )

    def test_noBody(self) -> None:
        """
        204 and 304 have no body, but a 304 may tell the length of one.
        """
        for line, length in [
            (b"204 No Content\r\n", None),
            (b"304 Not Modified\r\n", None),
            (b"304 Not Modified\r\nContent-Length: 9\r\n", 9),
        ]:
            answer = self.scrape(None, b"HTTP/1.1 " + line + b"\r\n")
            response = self.successResultOf(answer)
            self.assertEqual((response.head.length, response.body), (length, b""))

    def test_interim(self) -> None:
        """
        Interim answers are skipped.
        """
        answer = self.scrape(None, b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
        self.assertEqual(self.successResultOf(answer).body, b"up\n")

    def test_brokenOff(self) -> None:
        """
        An answer that broke off is an error, in each framing, and never a
        shorter answer; a clean end helps only where nothing else tells the end.
        """
        for head, clean in [
            (b"Content-Length: 9\r\n", True),
            (b"Content-Length: 9\r\n", False),
            (b"Transfer-Encoding: chunked\r\n", True),
            (b"Transfer-Encoding: chunked\r\n", False),
            (b"", False),
        ]:
            body = b"3\r\nup\n\r\n" if b"chunked" in head else b"up\n"
            answer = self.scrape(None, b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (head, body))
            self.assertNoResult(answer)
            accepted = self.target.connections[-1]
            if clean:
                accepted.close()
            else:
                accepted.reset()
            self.settle()
            error = self.assertFails(
                answer, 502, "Target's answer broke off after 3 bytes"
            )
            self.assertEqual(
                str(error),
                "Scrape of http://t1:9100 failed:"
                " Target's answer broke off after 3 bytes",
            )

    def test_notHTTP(self) -> None:
        """
        A target that speaks something else is named so, with the reason.
        """
        answer = self.scrape(None, b"SSH-2.0-OpenSSH_9.2\r\n")
        error = self.failureResultOf(answer, ScrapeFailed).value
        self.assertEqual(error.status, 502)
        self.assertTrue(error.reason.startswith("Target did not answer with HTTP: "))
        self.settle()
        self.assertTrue(self.target.connections[0].lost)

    def test_silent(self) -> None:
        """
        A target that closes a new connection without a word is not asked again.
        """
        answer = self.scrape()
        self.target.connections[0].close()
        self.settle()
        self.assertFails(answer, 502, "Target closed the connection without an answer")
        self.assertEqual(len(self.target.connections), 1)


class RefusedTests(TargetsTestCase):
    """
    Scrapes that reach no target.
    """

    def test_notAllowed(self) -> None:
        """
        Another name is refused, in the words of the policy.
        """
        error = self.assertFails(
            self.scrape(get(b"http://t2:9100/")), 403, "This client serves t1, not t2"
        )
        self.assertEqual(str(error), error.reason)
        self.assertEqual(self.target.connections, [])

    def test_badURL(self) -> None:
        """
        What cannot be scraped is the scraper's fault.
        """
        self.assertFails(
            self.scrape(get(b"http://t1:9100/?_scheme=ftp")),
            400,
            "Bad URL: expected the scheme http or https, got 'ftp'",
        )

    def test_phrase(self) -> None:
        """
        A reason is one short line of plain ASCII, whatever was put into it.
        """
        for reason in [
            ScrapeFailed(502, "a\r\nb\x00\xe9").reason,
            ScrapeFailed(502, "x" * 1000).reason,
        ]:
            self.assertRegex(reason, r"\A[ -~]{1,199}\Z")

    def test_notConnected(self) -> None:
        """
        A target that refuses is told from one that cannot be reached.
        """
        for failure, reason in [
            (ConnectionRefusedError(), "Target refused the connection"),
            (NoRouteError(), "Target is unreachable"),
            (TCPTimedOutError(), "Target is unreachable"),
        ]:
            answer = self.begin()
            ConnectionCompleter(self.reactor).failOnce(Failure(failure))
            self.reactor.advance(0.3)
            self.assertFails(answer, 502, reason)

    def test_noAddress(self) -> None:
        """
        A name without an address is told.
        """
        self.names.addresses["t1"] = []
        self.assertFails(self.scrape(), 502, "Target's name t1 has no address")

    def test_noAddressOfContainer(self) -> None:
        """
        A name with an underscore may have no address either.
        """
        self.names.addresses["node_exporter"] = []
        self.targets = Targets(self.reactor, Policy("node_exporter"), self.tls)
        self.assertFails(
            self.scrape(get(b"http://node_exporter/")),
            502,
            "Target's name node_exporter has no address",
        )

    def test_noName(self) -> None:
        """
        What can be no host's name is told, with and without TLS.
        """
        self.targets = Targets(self.reactor, Policy("a..b"), self.tls)
        for url in (b"http://a..b/", b"https://a..b/"):
            self.assertFails(
                self.scrape(get(url)), 502, "Target's name a..b is no host name"
            )


class TimeTests(TargetsTestCase):
    """
    How long a scrape takes.
    """

    late = "Target did not answer in 9 s"

    def test_slow(self) -> None:
        """
        A target that does not answer in time is left.
        """
        answer = self.scrape()
        self.reactor.advance(8.9)
        self.assertNoResult(answer)
        self.reactor.advance(0.1)
        self.assertFails(answer, 504, self.late)
        self.settle()
        self.assertTrue(self.target.connections[0].lost)

    def test_slowBody(self) -> None:
        """
        The time counts until the last byte.
        """
        answer = self.scrape(None, OK[:-1])
        self.reactor.advance(9)
        self.assertFails(answer, 504, "Target did not end its answer in 9 s")

    def test_lateAndSlow(self) -> None:
        """
        And it counts from the beginning, whenever the answer began.
        """
        answer = self.scrape()
        self.reactor.advance(4)
        self.target.connections[0].transport.write(OK[:-1])
        self.settle()
        self.reactor.advance(4.9)
        self.assertNoResult(answer)
        self.reactor.advance(0.1)
        self.assertFails(answer, 504, "Target did not end its answer in 9 s")

    def test_slowConnection(self) -> None:
        """
        The time counts from before the connection, which is given up, too.
        """
        answer = self.begin()
        self.reactor.advance(9)
        self.assertFails(answer, 504, self.late)
        self.assertTrue(self.reactor.connectors[0].stoppedConnecting)
        self.reactor.tcpClients.clear()

    def test_slowLookup(self) -> None:
        """
        A name that is not found in time is not said to have no address, and if
        it is found later, nobody is asked.
        """
        del self.names.addresses["t1"]
        answer = self.begin()
        self.reactor.advance(9)
        self.assertFails(answer, 504, self.late)
        [receiver] = self.names.waiting
        receiver.addressResolved(IPv4Address("TCP", "127.0.0.1", 9100))
        receiver.resolutionComplete()
        self.assertEqual(self.reactor.tcpClients, [])

    def test_slowRedirects(self) -> None:
        """
        All redirects together have the time of one scrape.
        """
        moved = b"HTTP/1.1 302 Found\r\nLocation: /m\r\nContent-Length: 0\r\n\r\n"
        answer = self.scrape()
        for _ in range(2):
            self.reactor.advance(4)
            self.target.connections[0].transport.write(moved)
            self.settle()
            self.assertNoResult(answer)
        self.reactor.advance(1)
        self.assertFails(answer, 504, self.late)

    def test_fraction(self) -> None:
        """
        Seconds are told as short as they can be.
        """
        answer = self.scrape(timeout=4.993028)
        self.reactor.advance(5)
        self.assertFails(answer, 504, "Target did not answer in 4.99 s")

    def test_cancel(self) -> None:
        """
        To cancel a scrape closes its connection, be it before or amid the
        answer.
        """
        for answers in [(), (OK[:-1],)]:
            answer = self.scrape(None, *answers)
            answer.cancel()
            self.failureResultOf(answer, CancelledError, Unwanted)
            self.settle()
            self.assertTrue(self.target.connections[-1].lost)
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_cancelConnection(self) -> None:
        """
        To cancel a scrape gives up the connection that it waits for.
        """
        answer = self.begin()
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        self.assertTrue(self.reactor.connectors[0].stoppedConnecting)
        self.reactor.tcpClients.clear()

    def test_cancelLookup(self) -> None:
        """
        To cancel a scrape gives up the lookup of a name.
        """
        del self.names.addresses["t1"]
        answer = self.begin()
        answer.cancel()
        self.failureResultOf(answer, CancelledError)


class ReuseTests(TargetsTestCase):
    """
    Which connection carries a scrape.
    """

    def test_reused(self) -> None:
        """
        The next scrape of a target takes the connection of the last.
        """
        for _ in range(3):
            self.successResultOf(self.scrape(None, OK))
            self.reactor.advance(49)
        self.assertEqual(len(self.target.connections), 1)
        self.assertEqual(self.target.connections[0].received.count(b"GET"), 3)

    def test_idleTimeout(self) -> None:
        """
        A connection rests for 50 s.
        """
        self.successResultOf(self.scrape(None, OK))
        self.reactor.advance(50)
        self.settle()
        self.assertTrue(self.target.connections[0].lost)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.successResultOf(self.scrape(None, OK))
        self.assertEqual(len(self.target.connections), 2)

    def test_perTarget(self) -> None:
        """
        A connection is for one port.
        """
        other = self.listen(9101)
        self.successResultOf(self.scrape(None, OK))
        other.answers.append(OK)
        self.successResultOf(self.scrape(get(b"http://t1:9101/metrics")))
        self.assertEqual(len(self.target.connections), 1)
        self.assertEqual(len(other.connections), 1)
        self.successResultOf(self.scrape(None, OK))
        self.assertEqual(len(self.target.connections), 1)

    def test_atOnce(self) -> None:
        """
        Scrapes at once have a connection each; so many of them rest.
        """
        answers = [self.scrape() for _ in range(MAX_IDLE + 1)]
        for accepted in self.target.connections:
            accepted.transport.write(OK)
        self.settle()
        for answer in answers:
            self.successResultOf(answer)
        self.assertEqual(
            [each.lost for each in self.target.connections],
            [False] * MAX_IDLE + [True],
        )

    def test_notPersistent(self) -> None:
        """
        A connection that the target wants closed is closed.
        """
        for answer in [
            OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1),
            OK.replace(b"1.1", b"1.0"),
        ]:
            self.successResultOf(self.scrape(None, answer))
            self.assertTrue(self.target.connections[-1].lost)

    def test_closedAtRest(self) -> None:
        """
        A connection that the target closed, or said something on, is not taken.
        """
        self.successResultOf(self.scrape(None, OK))
        self.target.connections[0].close()
        self.settle()
        self.successResultOf(self.scrape(None, OK))
        self.target.connections[1].transport.write(b"HTTP/1.1 408 Late\r\n\r\n")
        self.settle()
        self.successResultOf(self.scrape(None, OK))
        self.assertEqual(len(self.target.connections), 3)

    def test_stale(self) -> None:
        """
        A GET or HEAD that gets no answer on a connection that had rested is
        repeated, on a new one.
        """
        for method, broken in [
            (b"GET", Accepted.close),
            (b"GET", Accepted.reset),
            (b"HEAD", Accepted.close),
        ]:
            self.successResultOf(self.scrape(None, OK))
            stale = self.target.connections[-1]
            answer = self.scrape(get(method=method))
            self.assertNoResult(answer)
            broken(stale)
            self.target.answers.append(OK)
            self.settle()
            self.successResultOf(answer)
            self.assertIsNot(self.target.connections[-1], stale)
            self.target.connections[-1].close()
            self.settle()

    def test_staleOnce(self) -> None:
        """
        It is repeated once.
        """
        answers = [self.scrape() for _ in range(2)]
        for accepted in self.target.connections:
            accepted.transport.write(OK)
        self.settle()
        for answer in answers:
            self.successResultOf(answer)
        answer = self.scrape()
        self.target.connections[1].close()
        self.settle()
        self.assertNoResult(answer)
        self.target.connections[2].close()
        self.settle()
        self.assertFails(answer, 502, "Target closed the connection without an answer")
        self.assertEqual(len(self.target.connections), 3)

    def test_notStale(self) -> None:
        """
        What broke off after the first byte of an answer is not repeated.
        """
        self.successResultOf(self.scrape(None, OK))
        answer = self.scrape(None, OK[:1])
        self.target.connections[0].close()
        self.settle()
        self.assertFails(answer, 502, "Target's answer broke off after 0 bytes")
        self.assertEqual(len(self.target.connections), 1)

    def test_otherMethods(self) -> None:
        """
        What must not be repeated has a new connection, which then rests.
        """
        self.successResultOf(self.scrape(None, OK))
        self.successResultOf(self.scrape(get(method=b"POST", body=b"x"), OK))
        self.assertEqual(len(self.target.connections), 2)
        self.assertFalse(self.target.connections[1].lost)


class CloseTests(TargetsTestCase):
    """
    The end of the client.
    """

    def test_idle(self) -> None:
        """
        Resting connections are closed, and gone when it is told.
        """
        self.successResultOf(self.scrape(None, OK))
        closed = self.targets.close()
        self.assertNoResult(closed)
        self.settle()
        self.successResultOf(closed)
        self.assertTrue(self.target.connections[0].lost)

    def test_nothing(self) -> None:
        """
        Where there is nothing, nothing is waited for.
        """
        self.successResultOf(self.targets.close())

    def test_underWay(self) -> None:
        """
        A scrape that is under way is waited for, redirects and new connections
        included, and leaves no connection that rests.
        """
        other = self.listen(9101)
        answer = self.scrape()
        closed = self.targets.close()
        self.settle()
        self.target.connections[0].transport.write(
            b"HTTP/1.1 302 Found\r\nLocation: http://t1:9101/\r\n"
            b"Connection: close\r\nContent-Length: 0\r\n\r\n"
        )
        self.settle()
        self.assertTrue(self.target.connections[0].lost)
        self.assertNoResult(closed)
        other.connections[0].transport.write(OK)
        self.settle()
        self.successResultOf(answer)
        self.successResultOf(closed)
        self.assertTrue(other.connections[0].lost)

    def test_connecting(self) -> None:
        """
        A scrape that has no connection yet is waited for, and needs none.
        """
        answer = self.begin()
        closed = self.targets.close()
        self.assertNoResult(closed)
        ConnectionCompleter(self.reactor).failOnce()
        self.reactor.advance(0.3)
        self.assertFails(answer, 502, "Target refused the connection")
        self.successResultOf(closed)

    def test_cancelled(self) -> None:
        """
        A scrape that is cancelled is over when its connection is gone.
        """
        answer = self.scrape()
        closed = self.targets.close()
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        self.assertNoResult(closed)
        self.settle()
        self.successResultOf(closed)


def redirect(location: bytes, status: int = 302) -> bytes:
    """
    A redirect, as it is sent.
    """
    return b"HTTP/1.1 %d Found\r\nLocation: %b\r\nContent-Length: 5\r\n\r\nthere" % (
        status,
        location,
    )


class RedirectTests(TargetsTestCase):
    """
    Redirects.
    """

    def test_followed(self) -> None:
        """
        A redirect within the own name is followed, whatever its kind.
        """
        for status in (301, 302, 303, 307, 308):
            for method in (b"GET", b"HEAD"):
                moved = redirect(b"/new?x=1#f", status)
                if method == b"HEAD":
                    moved = moved.removesuffix(b"there")
                answer = self.scrape(get(method=method), moved, OK)
                self.assertEqual(self.successResultOf(answer).head.status, 200)
        requests = b"".join([each.received for each in self.target.connections])
        self.assertEqual(
            requests.count(b"GET /new?x=1 HTTP/1.1\r\nHost: t1:9100\r\n%b\r\n" % TOLD),
            5,
        )
        self.assertEqual(
            requests.count(b"HEAD /new?x=1 HTTP/1.1\r\nHost: t1:9100\r\n%b\r\n" % TOLD),
            5,
        )

    def test_handedBack(self) -> None:
        """
        What leads elsewhere, or nowhere, is the scraper's to follow.
        """
        for moved in [
            redirect(b"http://t2:9100/metrics"),
            redirect(b"//127.0.0.1:9100/metrics"),
            redirect(b"gopher://t1/"),
            redirect(b""),
            redirect(b"/metrics", 300),
            redirect(b"/metrics", 201),
            redirect(b"/metrics").replace(b"Location", b"X-Location"),
        ]:
            response = self.successResultOf(self.scrape(None, moved))
            self.assertEqual(response.head.status, int(moved[9:12]))
            self.assertEqual(response.body, b"there")

    def test_otherMethods(self) -> None:
        """
        A redirect of what is not GET or HEAD is handed back.
        """
        answer = self.scrape(get(method=b"POST", body=b"x"), redirect(b"/new", 307))
        self.assertEqual(self.successResultOf(answer).head.status, 307)

    def test_ten(self) -> None:
        """
        Ten redirects are followed.
        """
        moved = [redirect(b"/%d" % number) for number in range(MAX_REDIRECTS)]
        answer = self.scrape(None, *moved, OK)
        self.assertEqual(self.successResultOf(answer).body, b"up\n")

    def test_circle(self) -> None:
        """
        Eleven redirects are not.
        """
        answer = self.scrape(None, *[redirect(b"/metrics")] * (MAX_REDIRECTS + 1))
        self.assertFails(answer, 502, "Target redirects more than 10 times")
        self.assertEqual(
            self.target.connections[0].received.count(b"GET"), MAX_REDIRECTS + 1
        )

    def test_credentials(self) -> None:
        """
        Credentials go along to the same scheme, name and port, and nowhere
        else, neither back from there.
        """
        other = self.listen(9101)
        headers = (
            (b"Authorization", b"Basic eA=="),
            (b"cookie", b"a=b"),
            (b"Accept", b"*/*"),
        )
        other.answers.append(redirect(b"http://t1:9100/again"))
        answer = self.scrape(
            get(headers=headers),
            redirect(b"http://T1.:9100/same"),
            redirect(b"http://t1:9101/other"),
            OK,
        )
        self.successResultOf(answer)
        first, same, again = self.target.connections[0].received.split(b"GET ")[1:]
        for request in (first, same):
            self.assertIn(b"\r\nAuthorization: Basic eA==\r\n", request)
            self.assertIn(b"\r\ncookie: a=b\r\n", request)
        for request in (other.connections[0].received, again):
            self.assertTrue(request.endswith(b"\r\nAccept: */*\r\n%b\r\n" % TOLD))
            self.assertNotIn(b"eA==", request)
            self.assertNotIn(b"a=b", request)

    def test_failsThere(self) -> None:
        """
        A failure behind a redirect names the target that failed.
        """
        answer = self.begin()
        self.target.answers.append(redirect(b"http://t1:9102/"))
        self.settleRefusing(9102)
        error = self.assertFails(answer, 502, "Target refused the connection")
        self.assertIn("http://t1:9102", str(error))

    def settleRefusing(self, port: int) -> None:
        """
        Nobody listens on that port.
        """
        self.settle()
        self.assertEqual(self.reactor.tcpClients[0][1], port)
        ConnectionCompleter(self.reactor).failOnce()
        self.reactor.advance(0.3)


AUTHORITY = trustme.CA()
STRANGER = trustme.CA()


def certificate(authority: trustme.CA, *names: str) -> CertificateOptions:
    """
    What a target with these names presents.
    """
    issued = authority.issue_cert(*names)
    pem = issued.private_key_pem.bytes() + issued.cert_chain_pems[0].bytes()
    return PrivateCertificate.loadPEM(pem).options()


class TLSTests(TargetsTestCase):
    """
    Targets over TLS.
    """

    url = b"http://t1:9443/metrics?_scheme=https"

    def setUp(self) -> None:
        """
        A target with the right certificate listens on port 9443.
        """
        authorities = Path(self.mktemp())
        authorities.write_bytes(AUTHORITY.cert_pem.bytes())
        self.tls = tlsPolicy(str(authorities), None, None)
        super().setUp()
        self.target = self.listen(9443, certificate(AUTHORITY, "t1", "127.0.0.1"))

    def test_scrape(self) -> None:
        """
        A target is scraped over TLS, and its connection used again.
        """
        for _ in range(2):
            answer = self.scrape(get(self.url), OK)
            self.assertEqual(self.successResultOf(answer).body, b"up\n")
        self.assertEqual(len(self.target.connections), 1)
        self.assertEqual(
            self.target.connections[0].received,
            b"GET /metrics HTTP/1.1\r\nHost: t1:9443\r\n%b\r\n" % TOLD * 2,
        )

    def test_address(self) -> None:
        """
        A certificate may be for an address.
        """
        self.targets = Targets(self.reactor, Policy("127.0.0.1"), self.tls)
        answer = self.scrape(get(b"https://127.0.0.1:9443/"), OK)
        self.successResultOf(answer)

    def test_underscore(self) -> None:
        """
        A certificate may be for a name with an underscore.
        """
        self.names.addresses["node_exporter"] = ["10.0.0.7"]
        self.targets = Targets(self.reactor, Policy("node_exporter"), self.tls)
        leaf = leafFor(AUTHORITY, "node_exporter")
        self.target = self.listen(9444, serverOptions(leaf))
        answer = self.scrape(get(b"https://node_exporter:9444/"), OK)
        self.successResultOf(answer)
        self.target = self.listen(9445, certificate(AUTHORITY, "t1"))
        self.assertFails(
            self.scrape(get(b"https://node_exporter:9445/")),
            502,
            "Target's certificate is not for node_exporter",
        )

    def test_nameless(self) -> None:
        """
        A certificate without any name is not the target's.
        """
        self.target = self.listen(9444, serverOptions(leafFor(AUTHORITY)))
        self.assertFails(
            self.scrape(get(b"https://t1:9444/")),
            502,
            "Target's certificate is not for t1",
        )

    def test_endsWithConnection(self) -> None:
        """
        Over TLS, only a close_notify ends an answer that has no other end.
        """
        for close, whole in [
            (Accepted.close, True),
            (Accepted.cut, False),
            (Accepted.reset, False),
        ]:
            answer = self.scrape(get(self.url), b"HTTP/1.1 200 OK\r\n\r\nup\n")
            self.assertNoResult(answer)
            close(self.target.connections[-1])
            self.settle()
            if whole:
                self.assertEqual(self.successResultOf(answer).body, b"up\n")
            else:
                self.assertFails(answer, 502, "Target's answer broke off after 3 bytes")

    def test_stranger(self) -> None:
        """
        A certificate of an unknown authority is not trusted.
        """
        self.target = self.listen(9444, certificate(STRANGER, "t1"))
        self.assertFails(
            self.scrape(get(b"https://t1:9444/")),
            502,
            "Target's certificate is not trusted: certificate verify failed",
        )

    def test_otherName(self) -> None:
        """
        A certificate has to be for the name.
        """
        self.target = self.listen(9444, certificate(AUTHORITY, "t2"))
        self.assertFails(
            self.scrape(get(b"https://t1:9444/")),
            502,
            "Target's certificate is not for t1",
        )

    def test_plain(self) -> None:
        """
        A target without TLS is named so.
        """
        self.target = self.listen(9101)
        answer = self.scrape(
            get(b"https://t1:9101/"), b"HTTP/1.1 400 Bad Request\r\n\r\n"
        )
        error = self.failureResultOf(answer, ScrapeFailed).value
        self.assertEqual(error.status, 502)
        self.assertRegex(error.reason, r"\ATLS with the target failed: [\w ]+\Z")

    def test_cutInHandshake(self) -> None:
        """
        A target that ends the connection while TLS begins did not answer.
        """
        self.target = self.listen(9101)
        answer = self.scrape(get(b"https://t1:9101/"))
        self.target.connections[0].close()
        self.settle()
        self.assertFails(answer, 502, "Target closed the connection without an answer")

    def test_slowHandshake(self) -> None:
        """
        The time counts while TLS begins, too.
        """
        self.target = self.listen(9101)
        answer = self.scrape(get(b"https://t1:9101/"))
        self.reactor.advance(9)
        self.assertFails(answer, 504, "Target did not answer in 9 s")
        self.settle()
        self.assertTrue(self.target.connections[0].lost)

    def test_noFarewell(self) -> None:
        """
        A target that never says its close_notify is not waited for for ever.
        """
        self.successResultOf(self.scrape(get(self.url), OK))
        [pump] = self.pumps
        closed = self.targets.close()
        pump.clientIO.getOutBuffer()
        self.settle()
        self.assertNoResult(closed)
        self.reactor.advance(LEAVE_PATIENCE)
        self.settle()
        self.successResultOf(closed)

    def test_downgrade(self) -> None:
        """
        Credentials that went over TLS do not go without it.
        """
        plain = self.listen(9101)
        plain.answers.append(OK)
        answer = self.scrape(
            get(self.url, ((b"Authorization", b"Basic eA=="),)),
            redirect(b"http://t1:9101/"),
        )
        self.successResultOf(answer)
        self.assertIn(b"eA==", self.target.connections[0].received)
        self.assertEqual(
            plain.connections[0].received,
            b"GET / HTTP/1.1\r\nHost: t1:9101\r\n%b\r\n" % TOLD,
        )
