"""
Tests for L{pushprox.client.exchange}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer
from zope.interface.verify import verifyObject

from pushprox.client.answer import NotHTTP
from pushprox.client.exchange import LEAVE_PATIENCE, BrokenOff, Line, Unanswered
from tests.test_answer import Pieces

REQUEST = b"GET / HTTP/1.1\r\nHost: t1\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"

POST = b"POST / HTTP/1.1\r\n\r\n"

DONE = Failure(ConnectionDone())
RESET = Failure(ConnectionLost())


class LineTestCase(SynchronousTestCase):
    """
    A connection to a server.
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


class LineTests(LineTestCase):
    """
    Exchanges, one after the other.
    """

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


@implementer(IBodyProducer)
class Body:
    """
    A body that the test makes.

    @ivar consumer: where it goes.
    @ivar done: what it said it would fire.
    """

    consumer: IConsumer
    stopped = 0
    resumed = 0
    paused = 0

    def __init__(self, length: object) -> None:
        self.length = length
        self.done: Deferred[None] = Deferred()

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Begin.
        """
        self.consumer = consumer
        return self.done

    def stopProducing(self) -> None:
        """
        Be stopped.
        """
        self.stopped += 1

    def pauseProducing(self) -> None:
        """
        Be paused.
        """
        self.paused += 1

    def resumeProducing(self) -> None:
        """
        Be resumed.
        """
        self.resumed += 1


class BodyTests(LineTestCase):
    """
    Requests whose bodies are sent while they are made.
    """

    def post(self, length: object) -> tuple[Body, Deferred[None]]:
        """
        Send a request with a body.
        """
        self.received = Pieces()
        body = Body(length)
        return body, self.line.exchange(b"POST", POST, self.received, body)

    def test_counted(self) -> None:
        """
        A body with a length is sent as it is, with the pace of the connection.
        """
        body, done = self.post(5)
        verifyObject(IBodyProducer, body)
        self.assertEqual(self.transport.value(), POST)
        self.assertIs(self.transport.producer, body)
        self.assertTrue(self.transport.streaming)
        body.consumer.write(b"ab")
        body.consumer.write(b"cde")
        self.assertEqual(self.transport.value(), POST + b"abcde")
        body.done.callback(None)
        self.assertIsNone(self.transport.producer)
        self.assertEqual(self.transport.value(), POST + b"abcde")
        self.line.dataReceived(ANSWER)
        self.successResultOf(done)
        self.assertFalse(self.transport.disconnecting)
        self.assertEqual(body.stopped, 0)

    def test_chunked(self) -> None:
        """
        One without comes in chunks, the last of which is empty.
        """
        body, done = self.post(UNKNOWN_LENGTH)
        verifyObject(IConsumer, body.consumer)
        self.assertIs(self.transport.producer, body)
        body.consumer.write(b"ab")
        body.consumer.write(b"c" * 16)
        chunks = b"2\r\nab\r\n10\r\n" + b"c" * 16 + b"\r\n"
        self.assertEqual(self.transport.value(), POST + chunks)
        body.done.callback(None)
        self.assertIsNone(self.transport.producer)
        self.assertEqual(self.transport.value(), POST + chunks + b"0\r\n\r\n")
        self.line.dataReceived(ANSWER)
        self.successResultOf(done)

    def test_failed(self) -> None:
        """
        A body that cannot be made to its end is not ended: the connection is
        closed, when what there is of it is sent.
        """
        for length in (5, UNKNOWN_LENGTH):
            self.setUp()
            body, done = self.post(length)
            body.consumer.write(b"ab")
            sent = self.transport.value()
            body.done.errback(ZeroDivisionError())
            self.failureResultOf(done, ZeroDivisionError)
            self.assertEqual(self.transport.value(), sent)
            self.assertIsNone(self.transport.producer)
            self.assertTrue(self.transport.disconnecting)
            self.assertFalse(self.transport.disconnected)
            self.line.connectionLost(DONE)
            self.assertGone()

    def test_refused(self) -> None:
        """
        An answer that is whole before the body is counts; the body is stopped, and
        the connection of no more use.
        """
        for answer in (ANSWER, CLOSING):
            self.setUp()
            body, done = self.post(5)
            self.line.dataReceived(answer[:-2])
            self.assertEqual(body.stopped, 0)
            self.line.dataReceived(answer[-2:])
            self.successResultOf(done)
            self.assertEqual(body.stopped, 1)
            self.assertIsNone(self.transport.producer)
            self.assertTrue(self.transport.disconnected)
            self.line.rest(50)
            self.assertFalse(self.line.idle)
            self.line.connectionLost(RESET)
            self.assertEqual(body.stopped, 1)
            self.assertGone()

    def test_stopped(self) -> None:
        """
        However the connection ends, the body is stopped once, and its end does not
        matter any more.
        """
        for end, error in [
            (lambda line, done: line.connectionLost(RESET), Unanswered),
            (lambda line, done: done.cancel(), CancelledError),
            (lambda line, done: line.dataReceived(b"SSH-2.0\r\n"), NotHTTP),
        ]:
            self.setUp()
            body, done = self.post(5)
            end(self.line, done)
            self.failureResultOf(done, error)
            self.assertEqual(body.stopped, 1)


@implementer(ITCPTransport)
class TCP(StringTransport):
    """
    A transport that can be told not to wait for more.
    """

    noDelay = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        Remember it.
        """
        self.noDelay = enabled


class MadeTests(SynchronousTestCase):
    """
    A new connection.
    """

    def test_noDelay(self) -> None:
        """
        Small pieces are not held back by the kernel until more come.
        """
        transport = TCP()
        Line(Clock(), lambda line: None).makeConnection(transport)
        self.assertTrue(transport.noDelay)
