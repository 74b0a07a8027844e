"""
Tests for L{pushprox.client.lines}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase

from pushprox.client.exchange import Line
from pushprox.client.lines import IDLE_TIMEOUT, Lines
from tests.fakeproxy import Call, Server
from tests.internet import Internet
from tests.test_answer import Pieces

REQUEST = b"GET / HTTP/1.1\r\n\r\n"


class LinesTests(SynchronousTestCase):
    """
    Connections to a server that answers as it is told.
    """

    def setUp(self) -> None:
        """
        Two may rest.
        """
        self.net = Internet()
        self.server = Server(self.net, lambda call: call.reply(200))
        self.net.listenTCP(80, self.server)
        self.lines = Lines(self.net, maxIdle=2)

    def connected(self, to: str = "a") -> Line:
        """
        @return: a new connection.
        """
        endpoint = TCP4ClientEndpoint(self.net, "10.0.0.1", 80)
        connecting = self.lines.connect(to, endpoint)
        self.net.settle()
        return self.successResultOf(connecting)

    def exchange(self, line: Line) -> Deferred[None]:
        """
        Use a connection.
        """
        done = self.lines.exchange(line, b"GET", REQUEST, Pieces())
        self.net.settle()
        return done

    def rested(self, to: str = "a") -> Line:
        """
        @return: a connection that was used.
        """
        line = self.connected(to)
        self.successResultOf(self.exchange(line))
        return line

    def test_resting(self) -> None:
        """
        A connection can be taken after its exchange, by those who know where it
        leads, until it carries the next.
        """
        self.assertIsNone(self.lines.resting("a"))
        line = self.connected()
        self.assertIsNone(self.lines.resting("a"))
        self.successResultOf(self.exchange(line))
        self.assertIs(self.lines.resting("a"), line)
        self.assertIsNone(self.lines.resting("b"))
        self.server.onCall = lambda call: None
        self.exchange(line)
        self.assertIsNone(self.lines.resting("a"))

    def test_newest(self) -> None:
        """
        The newest is taken, so that the others can end.
        """
        lines = [self.connected(), self.connected()]
        for line in lines:
            self.exchange(line)
        self.assertIs(self.lines.resting("a"), lines[1])

    def test_most(self) -> None:
        """
        So many to one place rest, and others leave.
        """
        lines = [self.connected() for _ in range(3)]
        for line in lines:
            self.exchange(line)
        self.assertEqual([line.idle for line in lines], [True, True, False])
        self.assertEqual(len(self.net.linesTo(80)), 2)
        self.assertTrue(self.rested("b").idle)

    def test_idleTimeout(self) -> None:
        """
        One that is not used leaves after a while, and each use counts.
        """
        line = self.rested()
        self.net.pass_(IDLE_TIMEOUT - 1)
        self.exchange(line)
        self.net.pass_(IDLE_TIMEOUT - 1)
        self.assertTrue(line.idle)
        self.net.pass_(1)
        self.assertIsNone(self.lines.resting("a"))
        self.assertEqual(self.net.linesTo(80), [])
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_longExchange(self) -> None:
        """
        The time of an exchange does not count, however long it takes.
        """
        calls: list[Call] = []
        line = self.rested()
        self.server.onCall = calls.append
        done = self.exchange(line)
        self.net.pass_(2 * IDLE_TIMEOUT)
        calls[0].reply(200)
        self.net.settle()
        self.successResultOf(done)
        self.net.pass_(IDLE_TIMEOUT - 1)
        self.assertTrue(line.idle)
        self.net.pass_(1)
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_refused(self) -> None:
        """
        Where nobody listens, there is nothing to be kept.
        """
        nobody = TCP4ClientEndpoint(self.net, "10.0.0.1", 8)
        connecting = self.lines.connect("a", nobody)
        self.net.settle()
        self.failureResultOf(connecting, ConnectionRefusedError)
        self.successResultOf(self.lines.close())

    def test_closeResting(self) -> None:
        """
        Those that rest can be closed, while the others go on, and may rest later.
        """
        calls: list[Call] = []
        self.server.onCall = calls.append
        busy = self.connected()
        done = self.exchange(busy)
        self.server.onCall = lambda call: call.reply(200)
        line = self.rested()
        self.lines.closeResting()
        self.net.settle()
        self.assertIsNone(self.lines.resting("a"))
        self.assertFalse(line.idle)
        calls[0].reply(200)
        self.net.settle()
        self.successResultOf(done)
        self.assertIs(self.lines.resting("a"), busy)

    def test_close(self) -> None:
        """
        In the end all are waited for, and none rests.
        """
        calls: list[Call] = []
        for to in ("a", "b"):
            self.rested(to)
        self.server.onCall = calls.append
        self.exchange(self.connected())
        closed = self.lines.close()
        self.net.settle()
        self.assertEqual(len(self.net.linesTo(80)), 1)
        self.assertNoResult(closed)
        calls[0].reply(200)
        self.net.settle()
        self.successResultOf(closed)
        self.assertEqual(self.net.getDelayedCalls(), [])
