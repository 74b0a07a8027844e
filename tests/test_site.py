"""
Tests for L{pushprox.site}.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import Resource

from pushprox import __version__
from pushprox.channel import Line
from pushprox.site import Site
from tests.internet import Internet
from tests.test_channel import ChannelTestCase, get, post


class SiteTests(ChannelTestCase):
    """
    Tests for L{Site}.
    """

    def test_lines(self) -> None:
        """
        A site knows the connections that are open.
        """
        talkers = [self.talk(), self.talk(get())]
        self.assertEqual(len(self.site.lines), 2)
        self.assertEqual({type(line) for line in self.site.lines}, {Line})
        talkers[0].transport.loseConnection()
        self.net.settle()
        self.assertEqual(len(self.site.lines), 1)

    def test_noHTTP2(self) -> None:
        """
        A line over TLS speaks HTTP/1.1, also where Twisted knows HTTP/2.
        """
        self.patch(http, "H2_ENABLED", True)
        self.assertEqual(self.site.acceptableProtocols(), [b"http/1.1"])

    def test_nobodyMinds(self) -> None:
        """
        Nobody has to be interested in what breaks and what is refused.
        """
        site = Site(Resource(), Internet())
        line = site.buildProtocol(None)
        assert line is not None
        line.makeConnection(StringTransport())
        line.dataReceived(b"nonsense\r\n\r\n")
        line.connectionLost(Failure(ZeroDivisionError()))
        self.assertEqual(site.lines, set())

    def test_break(self) -> None:
        """
        Of a line that was reset it is told; not of one that was closed, nor of
        one that was closed for being idle.
        """
        for _ in range(2):
            self.talk(get()).transport.loseConnection()
            self.net.settle()
        self.talk(get())
        self.net.pass_(200)
        self.assertEqual(self.broken, [])
        self.talk()
        (line,) = self.site.lines
        self.net.cut(self.net.linesTo(80))
        self.assertEqual(self.broken, [line])

    def test_noAccessLog(self) -> None:
        """
        There is no access log, and no timer for it.
        """
        events: list[LogEvent] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        self.talk(get()).transport.loseConnection()
        self.net.settle()
        self.assertEqual((events, self.net.getDelayedCalls()), ([], []))
        (port,) = self.net.ports.values()
        port.stopListening()
        self.assertEqual(events, [])

    def test_signature(self) -> None:
        """
        Every reply says who we are, which version, and what time it is.
        """
        for time, request in (
            (b"00:00:00", get()),
            (b"00:00:00", b"nonsense\r\n\r\n"),
            (b"00:00:02", get()),
        ):
            if time.endswith(b"2"):
                self.net.advance(2.5)
            (reply,) = self.heard(self.talk(request))
            self.assertEqual(
                [reply.headers[name] for name in (b"server", b"pushprox-version")],
                [f"pushprox/{__version__}".encode(), __version__.encode()],
            )
            self.assertEqual(reply.headers[b"date"], b"Thu, 01 Jan 1970 %b GMT" % time)

    def test_lastOfSweep(self) -> None:
        """
        Nor longer, where the last one goes at once.
        """

        class Hasty(StringTransport):
            def loseConnection(self) -> None:
                line.connectionLost(Failure(ConnectionDone()))

        line = self.site.buildProtocol(None)
        assert line is not None
        line.makeConnection(Hasty())
        self.net.pass_(180)
        self.assertEqual((self.site.lines, self.net.getDelayedCalls()), (set(), []))

    def test_sweep(self) -> None:
        """
        Lines are looked after for as long as there is one.
        """
        self.talk(get())
        self.net.pass_(100)
        late = self.talk(get())
        self.net.pass_(100)
        self.assertEqual(len(self.site.lines), 1)
        self.net.pass_(100)
        self.assertIsNotNone(late.lost)
        self.assertEqual(self.net.getDelayedCalls(), [])


class CloseTests(ChannelTestCase):
    """
    Tests for L{Site.close}.
    """

    def test_nothing(self) -> None:
        """
        A site without connections is closed at once.
        """
        self.successResultOf(self.site.close())

    def test_idle(self) -> None:
        """
        A site is closed when its last connection is; idle ones, and those in
        the middle of a head, are at once.
        """
        talkers = [self.talk(get()), self.talk(), self.talk(b"GET")]
        closed = self.site.close()
        self.assertNoResult(closed)
        self.net.settle()
        self.successResultOf(closed)
        self.assertTrue(all(talker.lost for talker in talkers))
        self.assertEqual(self.broken, [])

    def test_answers(self) -> None:
        """
        A request that is under way is answered first, if that takes not too
        long; what else comes does not make it longer, and is not asked.
        """
        answered, waiting = self.talk(get(b"/a")), self.talk(get(b"/b"))
        closed = self.site.close()
        self.say(waiting, get())
        self.say(answered, get())
        self.net.pass_(self.limits.linger - 1)
        self.answer()
        (reply,) = self.heard(answered)
        self.assertEqual(reply.body, b"/a")
        self.assertEqual(reply.headers[b"connection"], b"close")
        assert answered.lost is not None
        self.assertTrue(answered.lost.check(ConnectionDone))
        self.assertIsNone(waiting.lost)
        self.net.pass_(2)
        self.successResultOf(closed)
        self.assertEqual((waiting.received, len(self.parking.asked)), (b"", 2))
        self.assertIsNotNone(waiting.lost)

    def test_answersBodies(self) -> None:
        """
        So is one whose body still comes.
        """
        talker = self.talk(post(b"abc")[:-1])
        closed = self.site.close()
        self.say(talker, b"c")
        (reply,) = self.heard(talker)
        self.assertEqual(reply.headers[b"connection"], b"close")
        self.successResultOf(closed)

    def test_badBehind(self) -> None:
        """
        Nonsense that comes behind the last request changes nothing.
        """
        self.talk(get(b"/a") + b"nonsense\r\n\r\n")
        talker = self.talk(get(b"/b"))
        closed = self.site.close()
        self.say(talker, b"nonsense\r\n\r\n")
        self.net.pass_(self.limits.linger + 1)
        self.successResultOf(closed)
        self.assertEqual((talker.received, self.refused), (b"", []))

    def test_loseConnection(self) -> None:
        """
        A resource that ends the connection and then its reply ends both once.
        """
        for more in (b"", b"Connection: close\r\n"):
            talker = self.talk(get(b"/a", more))
            request = self.parking.parked.pop()
            request.write(b"abc")
            request.loseConnection()
            request.channel.loseConnection()
            request.finish()
            self.net.settle()
            self.assertIsNotNone(talker.lost)
        self.assertEqual(self.parking.ends, [(b"/a", None)] * 2)

    def test_begunReply(self) -> None:
        """
        A reply that began without a word of the end is finished.
        """
        talker = self.talk(get(b"/a"))
        self.parking.parked[0].write(b"abc")
        closed = self.site.close()
        self.parking.parked[0].finish()
        self.net.settle()
        self.assertEqual(self.bodies(talker), [b"abc"])
        self.successResultOf(closed)

    def test_restOfABody(self) -> None:
        """
        Where the reply is said, and only the rest of its body is awaited, the
        end of that is the end.
        """
        talker = self.talk(post(b"x" * 30, b"*")[:-20])
        closed = self.site.close()
        self.assertNoResult(closed)
        self.say(talker, b"x" * 20)
        self.assertEqual(self.statuses(talker), [405])
        self.successResultOf(closed)

    def test_flushes(self) -> None:
        """
        A connection sends what it has first.
        """
        talker = self.talk()
        talker.transport.pauseProducing()
        self.say(talker, post(b"y" * 200_000))
        closed = self.site.close()
        self.net.pass_(self.limits.linger - 1)
        self.assertNoResult(closed)
        talker.transport.resumeProducing()
        self.net.settle()
        self.successResultOf(closed)
        (reply,) = self.heard(talker)
        self.assertEqual(len(reply.body), 200_004)

    def test_aborts(self) -> None:
        """
        A peer that does not read does not hold the end up for long, also where
        that was its last request anyway: its connection is aborted, which must
        look broken to it.
        """
        for more in (b"", b"Connection: close\r\n"):
            talker = self.talk()
            talker.transport.pauseProducing()
            self.say(talker, post(b"y" * 200_000, more=more))
            closed = self.site.close()
            self.net.pass_(self.limits.linger + 1)
            self.successResultOf(closed)
            assert talker.lost is not None
            self.assertFalse(talker.lost.check(ConnectionDone))
