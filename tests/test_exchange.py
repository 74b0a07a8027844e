"""
Tests for L{pushprox.client.exchange}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pushprox.client.answer import NotHTTP
from pushprox.client.exchange import LEAVE_PATIENCE, BrokenOff, Line, Unanswered

from .test_answer import Pieces

REQUEST = b"GET / HTTP/1.1\r\nHost: t1\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"

DONE = Failure(ConnectionDone())
RESET = Failure(ConnectionLost())


class LineTests(SynchronousTestCase):
    """
    A connection to a target.
    """

    def setUp(self) -> None:
        """
        A connection is made.
        """
        self.clock = Clock()
        self.lost: list[Line] = []
        self.line = Line(self.clock, self.lost.append)
        self.transport = StringTransport()
        self.line.makeConnection(self.transport)
        self.received = Pieces()

    def exchange(self) -> Deferred[None]:
        """
        Send a request.
        """
        self.received = Pieces()
        return self.line.exchange(b"GET", REQUEST, self.received)

    def assertGone(self) -> None:
        """
        The connection was lost, once, and left nothing behind.
        """
        self.assertEqual(self.lost, [self.line])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.line.idle)

    def test_exchange(self) -> None:
        """
        A request goes out as it is, the answer comes piece by piece, and the
        line then is neither idle nor closed until it is told what to do.
        """
        done = self.exchange()
        self.assertEqual(self.transport.value(), REQUEST)
        self.line.dataReceived(ANSWER[:-2])
        self.assertEqual(self.received.pieces, [b"hel"])
        self.assertNoResult(done)
        self.line.dataReceived(ANSWER[-2:])
        self.assertIsNone(self.successResultOf(done))
        self.assertEqual(self.received.pieces, [b"hel", b"lo"])
        self.assertFalse(self.line.idle)
        self.assertFalse(self.transport.disconnecting)

    def test_backPressure(self) -> None:
        """
        A receiver may pause and resume the connection.
        """
        transport = self.transport

        class Slow(Pieces):
            def bodyReceived(self, piece: bytes) -> None:
                super().bodyReceived(piece)
                transport.pauseProducing()

        slow = Slow()
        done = self.line.exchange(b"GET", REQUEST, slow)
        self.line.dataReceived(ANSWER[:-2])
        self.assertEqual(transport.producerState, "paused")
        self.assertEqual(slow.pieces, [b"hel"])
        transport.resumeProducing()
        self.line.dataReceived(ANSWER[-2:])
        self.successResultOf(done)

    def test_rest(self) -> None:
        """
        A line rests until its time is over, and then leaves.
        """
        self.successResultOf(self.answered(ANSWER))
        self.line.rest(50)
        self.assertTrue(self.line.idle)
        self.clock.advance(49)
        self.assertTrue(self.line.idle)
        self.clock.advance(1)
        self.assertFalse(self.line.idle)
        self.assertTrue(self.transport.disconnecting)
        self.line.connectionLost(DONE)
        self.assertGone()

    def answered(self, data: bytes) -> Deferred[None]:
        """
        Send a request, and get that answer.
        """
        done = self.exchange()
        self.line.dataReceived(data)
        return done

    def test_again(self) -> None:
        """
        A resting line carries the next exchange, however long that takes.
        """
        self.successResultOf(self.answered(ANSWER))
        self.line.rest(50)
        done = self.exchange()
        self.assertFalse(self.line.idle)
        self.clock.advance(3600)
        self.assertNoResult(done)
        self.assertFalse(self.transport.disconnecting)
        self.line.dataReceived(ANSWER)
        self.successResultOf(done)
        self.assertEqual(self.received.body, b"hello")
        self.assertEqual(self.transport.value(), REQUEST * 2)

    def test_notReusable(self) -> None:
        """
        A line leaves by itself after an answer that was its last, and does not
        rest then.
        """
        self.successResultOf(self.answered(CLOSING))
        self.assertTrue(self.transport.disconnecting)
        self.line.rest(50)
        self.assertFalse(self.line.idle)
        self.line.connectionLost(DONE)
        self.assertGone()

    def test_leave(self) -> None:
        """
        To leave is an orderly close, and happens once.
        """
        self.line.leave()
        self.assertTrue(self.transport.disconnecting)
        self.transport.disconnecting = False
        self.line.leave()
        self.assertFalse(self.transport.disconnecting)
        self.line.connectionLost(DONE)
        self.assertGone()

    def test_leavePatience(self) -> None:
        """
        A target that does not take its leave too is not waited for very long.
        """
        self.line.leave()
        self.clock.advance(LEAVE_PATIENCE - 1)
        self.assertFalse(self.transport.disconnected)
        self.clock.advance(1)
        self.assertTrue(self.transport.disconnected)
        self.line.connectionLost(RESET)
        self.assertGone()

    def test_lostAtRest(self) -> None:
        """
        A target may close a resting line.
        """
        self.line.rest(50)
        self.line.connectionLost(DONE)
        self.assertGone()

    def test_unasked(self) -> None:
        """
        A line on which something comes that nobody asked for is not used again.
        """
        self.line.rest(50)
        self.line.dataReceived(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        self.assertFalse(self.line.idle)
        self.assertTrue(self.transport.disconnecting)
        self.line.dataReceived(b"more")
        self.line.connectionLost(DONE)
        self.assertGone()

    def test_unanswered(self) -> None:
        """
        A connection that ends before the first byte of an answer is told apart,
        with its reason.
        """
        for reason in (DONE, RESET):
            self.setUp()
            done = self.exchange()
            self.line.connectionLost(reason)
            error = self.failureResultOf(done, Unanswered).value
            self.assertIs(error.cause, reason.value)
            self.assertGone()

    def test_brokenOff(self) -> None:
        """
        An answer whose end did not come before that of the connection broke
        off, and how much of its body came is told.
        """
        for data, reason, size in [
            (b"H", DONE, 0),
            (ANSWER[:-2], DONE, 3),
            (ANSWER[:-2], RESET, 3),
            (b"HTTP/1.1 200 OK\r\n\r\nhello", RESET, 5),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
                DONE,
                2,
            ),
        ]:
            self.setUp()
            done = self.answered(data)
            self.assertNoResult(done)
            self.line.connectionLost(reason)
            self.assertEqual(self.failureResultOf(done, BrokenOff).value.received, size)
            self.assertGone()

    def test_endsWithConnection(self) -> None:
        """
        Where the end of the connection is the end of the answer, the line is
        already lost when the answer is whole, and does not rest.
        """
        done = self.answered(b"HTTP/1.1 200 OK\r\n\r\nhello")
        done.addCallback(lambda _: self.assertEqual(self.lost, [self.line]))
        done.addCallback(lambda _: self.line.rest(50))
        self.assertNoResult(done)
        self.line.connectionLost(DONE)
        self.successResultOf(done)
        self.assertEqual(self.received.body, b"hello")
        self.assertGone()

    def test_notHTTP(self) -> None:
        """
        A target that does not speak HTTP is left at once.
        """
        done = self.answered(b"SSH-2.0-OpenSSH\r\n")
        self.failureResultOf(done, NotHTTP)
        self.assertTrue(self.transport.disconnected)
        self.line.connectionLost(RESET)
        self.assertGone()

    def test_cancel(self) -> None:
        """
        To cancel an exchange aborts the connection; what still comes is
        dropped.
        """
        done = self.exchange()
        self.line.dataReceived(ANSWER[:-2])
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.assertTrue(self.transport.disconnected)
        self.line.dataReceived(ANSWER[-2:])
        self.assertEqual(self.received.pieces, [b"hel"])
        self.line.connectionLost(RESET)
        self.assertGone()
