"""
Tests for L{pushprox.client.arriving}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from pushprox.client.arriving import Arriving, Unwanted
from pushprox.message import ResponseHead

HEAD = ResponseHead(200, b"OK", (), 5)


class Oh(Exception):
    """
    What goes wrong in these tests.
    """


class Explained(Exception):
    """
    What that is called.
    """


class ArrivingTestCase(SynchronousTestCase):
    """
    An answer that a test lets come.
    """

    def setUp(self) -> None:
        """
        It is asked for.
        """
        self.transport = StringTransport()
        self.exchange: Deferred[None] = Deferred(lambda _: self.aborted.append(True))
        self.aborted: list[bool] = []
        self.answer = Arriving(self.transport, Explained)
        self.answer.comeBy(self.exchange)

    def come(self, *pieces: bytes, head: bool = False) -> None:
        """
        Let something come, in one read.
        """
        if head:
            self.answer.headReceived(HEAD)
        for piece in pieces:
            self.answer.bodyReceived(piece)
        self.answer.readEnded()

    def end(self, *pieces: bytes) -> None:
        """
        Let the rest come.
        """
        for piece in pieces:
            self.answer.bodyReceived(piece)
        self.exchange.callback(None)

    @property
    def isPaused(self) -> bool:
        """
        Whether the target has to wait.
        """
        return self.transport.producerState == "paused"


class ArrivingTests(ArrivingTestCase):
    """
    A target's answer.
    """

    def test_begun(self) -> None:
        """
        It begins with its head, and not with an interim answer; with what came
        together with that, in one piece.
        """
        self.come()
        self.assertNoResult(self.answer.begun)
        self.come(b"a", b"b", head=True)
        self.assertIs(self.successResultOf(self.answer.begun), self.answer)
        self.assertIs(self.answer.head, HEAD)
        self.assertEqual(list(self.answer.waiting), [b"ab"])
        self.assertFalse(self.answer.isOver)

    def test_whole(self) -> None:
        """
        What comes at once is whole when it begins.
        """
        self.answer.headReceived(HEAD)
        self.end(b"a", b"b")
        self.successResultOf(self.answer.begun)
        self.successResultOf(self.answer.ended)
        self.assertTrue(self.answer.whole)
        self.assertEqual(list(self.answer.waiting), [b"ab"])
        self.assertEqual(self.answer.size, 2)
        self.assertFalse(self.isPaused)

    def test_waits(self) -> None:
        """
        The target waits as long as nobody takes what came.
        """
        self.come(head=True)
        self.assertTrue(self.isPaused)
        self.answer.follow(self.answer.waiting.clear)
        self.answer.resume()
        self.assertFalse(self.isPaused)
        self.come(b"ab")
        self.assertFalse(self.isPaused)
        self.assertEqual(len(self.answer.waiting), 0)

    def test_moreAfterThePause(self) -> None:
        """
        What had been read before, as over TLS, is not lost, and the connection can
        be used again.
        """
        self.come(b"ab", head=True)
        self.come(b"cd")
        self.end(b"ef")
        self.assertEqual(list(self.answer.waiting), [b"ab", b"cd", b"ef"])
        self.assertFalse(self.isPaused)

    def test_noHead(self) -> None:
        """
        Without a head it does not begin, and the reason is as it was.
        """
        self.exchange.errback(Oh())
        self.failureResultOf(self.answer.begun, Oh)
        self.assertNoResult(self.answer.ended)

    def test_fault(self) -> None:
        """
        Later, what goes wrong is the end of it, and is explained.
        """
        self.come(b"ab", head=True)
        self.exchange.errback(Oh())
        self.successResultOf(self.answer.ended)
        self.assertIsInstance(self.answer.fault, Explained)
        self.assertTrue(self.answer.isOver)
        self.assertFalse(self.answer.whole)

    def test_cancelBegin(self) -> None:
        """
        Before it begins it can be given up.
        """
        self.answer.begun.cancel()
        self.failureResultOf(self.answer.begun, CancelledError)
        self.assertEqual(self.aborted, [True])

    def test_cancelEnd(self) -> None:
        """
        After it has begun, too.
        """
        self.come(head=True)
        self.answer.ended.cancel()
        self.successResultOf(self.answer.ended)
        self.assertIsInstance(self.answer.fault, Unwanted)
        self.assertEqual(self.aborted, [True])

    def test_breakOff(self) -> None:
        """
        Who takes it may say why it ends, unless it has ended; the first reason is
        the one.
        """
        self.come(head=True)
        fault = Explained()
        self.answer.breakOff(fault)
        self.answer.breakOff(Unwanted())
        self.assertIs(self.answer.fault, fault)
        self.assertEqual(self.aborted, [True])
        self.setUp()
        self.answer.headReceived(HEAD)
        self.end()
        self.answer.breakOff(fault)
        self.assertIsNone(self.answer.fault)
        self.assertEqual(self.aborted, [])

    def test_expire(self) -> None:
        """
        Where the target has to wait it is not too slow.
        """
        self.come(head=True)
        self.answer.expire(Explained())
        self.assertIsNone(self.answer.fault)
        self.answer.resume()
        self.answer.expire(Explained())
        self.assertIsInstance(self.answer.fault, Explained)

    def test_discard(self) -> None:
        """
        It can be taken for nothing.
        """
        self.come(b"ab", head=True)
        ended = self.answer.discard()
        self.assertFalse(self.isPaused)
        self.come(b"cd")
        self.assertEqual(len(self.answer.waiting), 0)
        self.assertNoResult(ended)
        self.end(b"e")
        self.successResultOf(ended)
        self.assertEqual(len(self.answer.waiting), 0)

    def test_hold(self) -> None:
        """
        It can be held, up to a limit.
        """
        for more, fault in [(b"e", None), (b"ef", Explained)]:
            self.setUp()
            self.come(b"ab", head=True)
            ended = self.answer.hold(5, Explained())
            self.come(b"cd")
            self.assertFalse(self.isPaused)
            self.come(more)
            if fault is None:
                self.assertNoResult(ended)
                self.end()
                self.assertEqual(b"".join(self.answer.waiting), b"abcde")
            self.successResultOf(ended)
            self.assertEqual(type(self.answer.fault), fault or type(None))
