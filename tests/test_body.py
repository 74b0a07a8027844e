"""
Tests for L{pushprox.client.body}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface.verify import verifyObject

from pushprox.client.body import KEPT, Passage, Whole
from tests.test_arriving import HEAD, ArrivingTestCase, Explained, Oh


class WholeTests(SynchronousTestCase):
    """
    A body that is there.
    """

    def test_sent(self) -> None:
        """
        It is sent at once, any number of times.
        """
        body = Whole(b"abc")
        verifyObject(IBodyProducer, body)
        self.assertEqual((body.length, body.started, body.sent), (3, False, 0))
        for _ in range(2):
            transport = StringTransport()
            self.successResultOf(body.startProducing(transport))
            self.assertEqual(transport.value(), b"abc")
            self.assertTrue(body.isRepeatable)
            self.assertEqual((body.started, body.sent), (True, 3))


class PassageTests(ArrivingTestCase):
    """
    An answer on its way.
    """

    def passage(self, length: int | None = 5) -> Passage:
        """
        @return: what carries the answer.
        """
        self.proxy = StringTransport()
        return Passage(self.answer, b"head|", length)

    def send(self, body: Passage) -> Deferred[None]:
        """
        Send it to the proxy.
        """
        self.proxy = StringTransport()
        return body.startProducing(self.proxy)

    def test_counted(self) -> None:
        """
        Head and body are as long as it says, and come as they are.
        """
        self.come(b"ab", head=True)
        body = self.passage()
        verifyObject(IBodyProducer, body)
        self.assertEqual(body.length, 10)
        sending = self.send(body)
        self.assertEqual(self.proxy.value(), b"head|ab")
        self.assertFalse(self.isPaused)
        self.come(b"cd")
        self.assertEqual(self.proxy.value(), b"head|abcd")
        self.assertNoResult(sending)
        self.end(b"e")
        self.assertEqual(self.proxy.value(), b"head|abcde")
        self.successResultOf(sending)
        self.assertEqual(body.sent, 10)

    def test_chunked(self) -> None:
        """
        Without a length there is a chunk for each read, and one at the end.
        """
        self.come(b"a", b"b", head=True)
        body = self.passage(None)
        self.assertIs(body.length, UNKNOWN_LENGTH)
        sending = self.send(body)
        self.come(b"c" * 16)
        self.end()
        self.assertEqual(
            self.proxy.value(),
            b"head|2\r\nab\r\n10\r\n" + b"c" * 16 + b"\r\n0\r\n\r\n",
        )
        self.successResultOf(sending)
        self.assertEqual(body.sent, len(self.proxy.value()))

    def test_wholeBefore(self) -> None:
        """
        What is whole when it is sent is sent at once.
        """
        self.answer.headReceived(HEAD)
        self.end(b"abcde")
        self.successResultOf(self.send(self.passage()))
        self.assertEqual(self.proxy.value(), b"head|abcde")

    def test_pace(self) -> None:
        """
        The target waits for the proxy; what comes meanwhile is sent when that goes
        on.
        """
        self.come(b"ab", head=True)
        body = self.passage()
        sending = self.send(body)
        body.pauseProducing()
        self.assertTrue(self.isPaused)
        self.come(b"cd")
        self.assertEqual(self.proxy.value(), b"head|ab")
        body.resumeProducing()
        self.assertEqual(self.proxy.value(), b"head|abcd")
        self.assertFalse(self.isPaused)
        body.pauseProducing()
        self.end(b"e")
        self.assertNoResult(sending)
        body.resumeProducing()
        self.assertEqual(self.proxy.value(), b"head|abcde")
        self.successResultOf(sending)

    def test_pausedAmid(self) -> None:
        """
        A proxy that wants no more after a piece is not sent the next.
        """
        self.come(b"ab", head=True)
        self.come(b"cd")
        body = self.passage()

        class Full(StringTransport):
            def write(self, data: bytes) -> None:
                super().write(data)
                body.pauseProducing()

        self.proxy = Full()
        body.startProducing(self.proxy)
        self.assertEqual(self.proxy.value(), b"head|ab")
        body.resumeProducing()
        self.assertEqual(self.proxy.value(), b"head|abcd")

    def test_fault(self) -> None:
        """
        What breaks off fails with the reason, after all that had come.
        """
        self.come(b"ab", head=True)
        sending = self.send(self.passage())
        self.come(b"cd")
        self.exchange.errback(Oh())
        self.failureResultOf(sending, Explained)
        self.assertEqual(self.proxy.value(), b"head|abcd")

    def test_faultBefore(self) -> None:
        """
        What broke off before it was sent is not sent at all.
        """
        self.come(b"ab", head=True)
        self.exchange.errback(Oh())
        body = self.passage()
        self.failureResultOf(self.send(body), Explained)
        self.assertEqual(self.proxy.value(), b"")
        self.assertFalse(body.started)

    def test_again(self) -> None:
        """
        It can be sent once more from its beginning, where it was stopped, and then
        goes on.
        """
        self.come(b"ab", head=True)
        body = self.passage(None)
        sending = self.send(body)
        body.pauseProducing()
        body.stopProducing()
        self.assertTrue(self.isPaused)
        self.come(b"cd")
        self.assertNoResult(sending)
        self.assertTrue(body.isRepeatable)
        sending = self.send(body)
        self.assertEqual(self.proxy.value(), b"head|2\r\nab\r\n2\r\ncd\r\n")
        self.assertFalse(self.isPaused)
        self.end(b"e")
        self.successResultOf(sending)
        self.assertEqual(
            self.proxy.value(), b"head|2\r\nab\r\n2\r\ncd\r\n1\r\ne\r\n0\r\n\r\n"
        )
        self.assertEqual(body.sent, len(self.proxy.value()))

    def test_tooMuch(self) -> None:
        """
        No more is kept for that than so much.
        """
        self.come(head=True)
        body = self.passage(2 * KEPT)
        self.send(body)
        self.come(b"x" * (KEPT - len(b"head|")))
        self.assertTrue(body.isRepeatable)
        self.come(b"x")
        self.assertFalse(body.isRepeatable)
        self.come(b"x")
        self.assertFalse(body.isRepeatable)

    def test_stoppedForGood(self) -> None:
        """
        After it was stopped it says nothing more, however the answer ends.
        """
        for end in (self.end, lambda: self.exchange.errback(Oh())):
            self.setUp()
            self.come(b"ab", head=True)
            body = self.passage()
            sending = self.send(body)
            body.stopProducing()
            self.assertTrue(self.isPaused)
            end()
            self.assertNoResult(sending)
            self.assertEqual(self.proxy.value(), b"head|ab")
