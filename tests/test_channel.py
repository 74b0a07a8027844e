"""
Tests for L{pushprox.channel}.
"""

from __future__ import annotations

import socket

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from pushprox.channel import FLUSH_TIMEOUT, IDLE_TIMEOUT, Line, Site
from tests.internet import Internet, Talker


class Echo(Resource):
    """
    A resource that says what it was sent, when it is told to.

    @ivar waiting: the requests that were not answered yet.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Request] = []

    def render(self, request: Request) -> int:
        """
        Keep the request.
        """
        self.waiting.append(request)
        return NOT_DONE_YET

    def answer(self) -> None:
        """
        Answer the oldest request.
        """
        request = self.waiting.pop(0)
        assert request.content is not None
        request.write(request.content.read())
        request.finish()


@implementer(ITCPTransport)
class SocketTransport(StringTransport):
    """
    A transport with a real socket below, which is not connected.
    """

    def __init__(self, sock: object) -> None:
        super().__init__()
        self.socket = sock
        self.keepAlive = False

    def getHandle(self) -> object:
        """
        @return: the socket.
        """
        return self.socket

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        Remember it.
        """
        self.keepAlive = enabled

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        Of no interest.
        """


class LineTests(SynchronousTestCase):
    """
    Tests for L{Line} and L{Site}.
    """

    def setUp(self) -> None:
        """
        Serve.
        """
        self.net = Internet()
        self.echo = Echo()
        self.broken: list[Line] = []
        self.site = Site(self.echo, self.net, self.broken.append)
        self.port = self.net.listenTCP(80, self.site)

    def tearDown(self) -> None:
        """
        Nothing stays behind.
        """
        self.net.cut(self.net.linesTo(80))
        self.port.stopListening()
        self.assertEqual((self.site.lines, self.net.getDelayedCalls()), (set(), []))

    def talk(self, body: bytes = b"") -> Talker:
        """
        Ask for something.
        """
        return self.net.talk(
            "10.0.0.1",
            80,
            b"POST / HTTP/1.1\r\nHost: p\r\nContent-Length: %d\r\n\r\n%b"
            % (len(body), body),
        )

    def answer(self) -> None:
        """
        Answer the oldest request.
        """
        self.echo.answer()
        self.net.settle()

    def test_lines(self) -> None:
        """
        A site knows the connections that are open.
        """
        talkers = [self.talk(), self.talk()]
        self.assertEqual(len(self.site.lines), 2)
        self.assertEqual({type(line) for line in self.site.lines}, {Line})
        talkers[0].transport.loseConnection()
        self.net.settle()
        self.assertEqual(len(self.site.lines), 1)

    def test_plainHeaders(self) -> None:
        """
        A reply has no content type but the one it was given.
        """
        talker = self.talk(b"x")
        self.answer()
        self.assertNotIn(b"content-type", talker.received.lower())

    def test_form(self) -> None:
        """
        A body that calls itself a form is left alone.
        """
        talker = self.net.talk(
            "10.0.0.1",
            80,
            b"POST / HTTP/1.1\r\nHost: p\r\nContent-Length: 3\r\n"
            b"Content-Type: multipart/form-data\r\n\r\na=b",
        )
        self.answer()
        self.assertTrue(talker.received.endswith(b"\r\n3\r\na=b\r\n0\r\n\r\n"))

    def test_noAccessLog(self) -> None:
        """
        There is no access log.
        """
        events: list[LogEvent] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        self.talk()
        self.answer()
        self.assertEqual(events, [])

    def test_idle(self) -> None:
        """
        An idle connection is kept for a while, and closed then.
        """
        talker = self.talk()
        self.answer()
        self.net.pass_(IDLE_TIMEOUT - 1)
        self.assertIsNone(talker.lost)
        self.net.pass_(1)
        self.assertIsNotNone(talker.lost)
        self.assertEqual(self.broken, [])

    def test_waitingIsNotIdle(self) -> None:
        """
        A connection whose request waits for its reply is not idle.
        """
        talker = self.talk(b"late")
        self.net.advance(86400)
        self.net.settle()
        self.answer()
        self.assertIn(b"late", talker.received)
        self.assertIsNone(talker.lost)

    def test_cleanEnd(self) -> None:
        """
        A connection that was closed did not break.
        """
        self.talk().transport.loseConnection()
        self.net.settle()
        self.assertEqual((self.site.lines, self.broken), (set(), []))

    def test_break(self) -> None:
        """
        Of one that was reset it is told, with the line that requests on it
        know as their channel.
        """
        self.talk()
        (request,) = self.echo.waiting
        line = request.channel
        self.net.cut(self.net.linesTo(80))
        self.assertEqual(self.broken, [line])

    def test_breakOfNoInterest(self) -> None:
        """
        Nobody has to be interested.
        """
        site = Site(self.echo, self.net)
        line = site.buildProtocol(None)
        assert line is not None
        line.makeConnection(StringTransport())
        line.connectionLost(Failure(ConnectionAborted()))
        self.assertEqual((site.lines, self.broken), (set(), []))

    def test_sendsOn(self) -> None:
        """
        Who sends on and on behind a request that is not answered is cut off:
        their hang-up would not be seen.
        """
        talker = self.net.talk("10.0.0.1", 80, b"GET / HTTP/1.1\r\nHost: p\r\n\r\n")
        talker.transport.write(b"z" * 16000)
        self.net.settle()
        self.assertIsNone(talker.lost)
        talker.transport.write(b"z" * 4000)
        self.net.settle()
        self.assertIsNotNone(talker.lost)

    def test_closeNothing(self) -> None:
        """
        A site without connections is closed at once.
        """
        self.successResultOf(self.site.close())

    def test_close(self) -> None:
        """
        A site is closed when its last connection is.
        """
        talkers = [self.talk(), self.net.talk("10.0.0.1", 80)]
        self.answer()
        closed = self.site.close()
        self.assertNoResult(closed)
        self.net.settle()
        self.successResultOf(closed)
        self.assertTrue(all(talker.lost for talker in talkers))

    def test_closeAnswers(self) -> None:
        """
        A request that is under way is answered first, if that takes not too
        long.
        """
        answered, waiting = self.talk(b"answered"), self.talk(b"waiting")
        closed = self.site.close()
        self.net.pass_(FLUSH_TIMEOUT - 1)
        self.answer()
        self.assertIn(b"answered", answered.received)
        assert answered.lost is not None
        self.assertTrue(answered.lost.check(ConnectionDone))
        self.assertIsNone(waiting.lost)
        self.net.pass_(1)
        self.successResultOf(closed)
        self.assertEqual(waiting.received, b"")
        self.assertIsNotNone(waiting.lost)

    def test_closeFlushes(self) -> None:
        """
        A connection that is closed sends what it has first.
        """
        talker = self.talk(b"y" * 200_000)
        talker.transport.pauseProducing()
        self.answer()
        closed = self.site.close()
        self.net.pass_(FLUSH_TIMEOUT - 1)
        self.assertNoResult(closed)
        talker.transport.resumeProducing()
        self.net.settle()
        self.successResultOf(closed)
        self.assertEqual(talker.received.count(b"y"), 200_000)
        assert talker.lost is not None
        self.assertTrue(talker.lost.check(ConnectionDone))

    def test_closeAborts(self) -> None:
        """
        A peer that does not read what it is sent does not hold the end up for
        long: its connection is aborted, which must look broken to it.
        """
        talker = self.talk(b"y" * 200_000)
        talker.transport.pauseProducing()
        self.answer()
        closed = self.site.close()
        self.net.pass_(FLUSH_TIMEOUT)
        self.successResultOf(closed)
        assert talker.lost is not None
        self.assertFalse(talker.lost.check(ConnectionDone))


class DeadPeerTests(SynchronousTestCase):
    """
    How the kernel is told to look for peers that are gone.
    """

    def connect(self, transport: StringTransport) -> None:
        """
        Begin and end a connection on a transport.
        """
        line = Site(Resource(), Internet()).buildProtocol(None)
        assert line is not None
        line.makeConnection(transport)
        line.setTimeout(None)
        line.connectionLost(Failure(ConnectionDone()))

    def test_kernel(self) -> None:
        """
        An idle peer is probed after 30 s, three times, 5 s apart; one that
        acknowledges nothing is given up after as long.
        """
        with socket.socket() as sock:
            transport = SocketTransport(sock)
            self.connect(transport)
            self.assertTrue(transport.keepAlive)
            options = [
                sock.getsockopt(socket.IPPROTO_TCP, option)
                for option in (
                    socket.TCP_KEEPIDLE,
                    socket.TCP_KEEPINTVL,
                    socket.TCP_KEEPCNT,
                    socket.TCP_USER_TIMEOUT,
                )
            ]
        self.assertEqual(options, [30, 5, 3, 45000])

    def test_noSocket(self) -> None:
        """
        What has no socket, such as TLS, is at least kept alive.
        """
        transport = SocketTransport(None)
        self.connect(transport)
        self.assertTrue(transport.keepAlive)

    def test_notTCP(self) -> None:
        """
        What is no TCP is left alone.
        """
        transport = StringTransport()
        self.connect(transport)
        self.assertFalse(hasattr(transport, "keepAlive"))
