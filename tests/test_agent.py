"""
Tests for L{pushprox.client.agent}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IResponse
from zope.interface.verify import verifyObject

from pushprox.client.agent import MAX_REPLY, Agent
from pushprox.client.answer import NotHTTP
from pushprox.client.body import Whole
from pushprox.client.exchange import BrokenOff, Unanswered
from pushprox.client.lines import Lines
from tests.fakeproxy import Server
from tests.internet import Internet

URL = b"http://proxy:8080/x/poll"


class Impatient(Protocol):
    """
    Reads no more than the first piece.
    """

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        """
        That will do.
        """
        self.received.append(data)
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It is over.
        """
        self.lost = reason


class AgentTests(SynchronousTestCase):
    """
    Requests to one server.
    """

    def setUp(self) -> None:
        """
        It listens.
        """
        self.net = Internet()
        self.server = Server(self.net)
        self.net.listenTCP(8080, self.server)
        self.lines = Lines(self.net, maxIdle=1)
        endpoint = TCP4ClientEndpoint(self.net, "10.0.0.1", 8080)
        self.agent = Agent(self.lines, endpoint)

    def tearDown(self) -> None:
        """
        Nothing stays behind.
        """
        closed = self.lines.close()
        self.net.settle()
        self.successResultOf(closed)
        self.assertEqual(self.net.getDelayedCalls(), [])
        self.assertEqual(self.net.linesTo(8080), [])

    def ask(self, agent: Agent | None = None, **more: object) -> Deferred[IResponse]:
        """
        @return: a Deferred of the answer to a request.
        """
        asking = (agent or self.agent).request(b"POST", URL, **more)
        self.net.settle()
        return asking

    def test_interfaces(self) -> None:
        """
        Agent and answers are what treq works with.
        """
        verifyObject(IAgent, self.agent)
        asking = self.ask()
        self.server.calls[0].reply(200)
        self.net.settle()
        verifyObject(IResponse, self.successResultOf(asking))

    def test_head(self) -> None:
        """
        A request is for the path, with the host and port of the URL, the headers
        that it was given, and a length of the body if it has one.
        """
        for body, lines in [
            (None, []),
            (Whole(b"name"), [b"Content-Length: 4"]),
            (Whole(b""), [b"Content-Length: 0"]),
        ]:
            headers = Headers({b"X-A": [b"1", b"2"]})
            asking = self.ask(headers=headers, bodyProducer=body)
            call = self.server.calls[-1]
            self.assertEqual(
                call.head.split(b"\r\n"),
                [
                    b"POST /x/poll HTTP/1.1",
                    b"Host: proxy:8080",
                    *lines,
                    b"X-A: 1",
                    b"X-A: 2",
                    b"",
                    b"",
                ],
            )
            call.reply(200)
            self.net.settle()
            self.successResultOf(asking)

    def test_noLength(self) -> None:
        """
        A body that does not know its length comes in chunks.
        """
        body = Whole(b"name")
        body.length = UNKNOWN_LENGTH
        asking = self.ask(bodyProducer=body)
        [call] = self.server.calls
        self.assertEqual(call.header(b"Transfer-Encoding"), b"chunked")
        self.assertIsNone(call.header(b"Content-Length"))
        self.assertEqual(call.body, b"name")
        call.reply(200)
        self.net.settle()
        self.successResultOf(asking)

    def test_webProxy(self) -> None:
        """
        A web proxy is told the whole URL and who we are.
        """
        asking = self.ask(Agent(self.lines, self.agent.endpoint, True, b"Basic eA=="))
        [call] = self.server.calls
        self.assertEqual(call.path, URL)
        self.assertEqual(call.header(b"Proxy-Authorization"), b"Basic eA==")
        call.reply(200)
        self.net.settle()
        self.successResultOf(asking)

    def test_answer(self) -> None:
        """
        An answer comes when it is whole, and is handed out as it came.
        """
        asking = self.ask()
        [call] = self.server.calls
        call.say(
            b"HTTP/1.1 404 Not here\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 4\r\n\r\n"
        )
        self.net.settle()
        self.assertNoResult(asking)
        for piece in (b"no", b"pe"):
            call.say(piece)
            self.net.settle()
        answer = self.successResultOf(asking)
        self.assertEqual(
            (answer.version, answer.code, answer.phrase, answer.length),
            ((b"HTTP", 1, 1), 404, b"Not here", 4),
        )
        self.assertEqual(answer.headers.getRawHeaders(b"X-A"), [b"1", b"2"])
        self.assertEqual(self.successResultOf(readBody(answer)), b"nope")
        self.assertIsNone(answer.previousResponse)
        answer.setPreviousResponse(answer)
        self.assertIs(answer.previousResponse, answer)

    def test_enough(self) -> None:
        """
        Who has read enough is told no more.
        """
        asking = self.ask()
        [call] = self.server.calls
        call.say(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nno")
        self.net.settle()
        call.say(b"pe")
        self.net.settle()
        reader = Impatient()
        self.successResultOf(asking).deliverBody(reader)
        self.assertEqual(reader.received, [b"no"])
        assert reader.lost is not None
        self.assertTrue(reader.lost.check(ResponseDone))
        verifyObject(IPushProducer, reader.transport)
        reader.transport.pauseProducing()

    def test_resting(self) -> None:
        """
        A connection that rests is used again, unless a new one is wanted, which
        may rest in turn.
        """
        fresh = Agent(self.lines, self.agent.endpoint, takesResting=False)
        for agent, connections in [
            (self.agent, 1),
            (self.agent, 1),
            (fresh, 2),
            (self.agent, 2),
        ]:
            asking = self.ask(agent)
            self.assertEqual(self.server.connections, connections)
            self.server.calls[-1].reply(200)
            self.net.settle()
            self.successResultOf(asking)

    def test_failures(self) -> None:
        """
        What goes wrong is told apart: no connection, no answer, no whole answer,
        no HTTP, and an answer beyond all measure.
        """
        for data, error in [
            (b"", Unanswered),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nno", BrokenOff),
            (b"SSH-2.0-OpenSSH\r\n", NotHTTP),
            (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_REPLY + 1), NotHTTP),
        ]:
            asking = self.ask()
            self.server.calls[-1].say(data)
            self.net.settle()
            self.server.calls[-1].close()
            self.net.settle()
            self.failureResultOf(asking, error)
        nobody = TCP4ClientEndpoint(self.net, "10.0.0.1", 9999)
        asking = self.ask(Agent(self.lines, nobody))
        self.failureResultOf(asking, ConnectionRefusedError)

    def test_cancel(self) -> None:
        """
        To cancel a request aborts its connection.
        """
        asking = self.ask()
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.net.settle()
        self.assertIsNotNone(self.server.calls[0].line.lost)
