"""
The internet in memory: it does what the real one does, or no test on it means
anything.
"""

from __future__ import annotations

from twisted.internet.endpoints import HostnameEndpoint, serverFromString
from twisted.internet.error import (
    CannotListenError,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    DNSLookupError,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IListeningPort,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.basic import LineReceiver
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.internet import BUFFER, Internet, Machine, Talker


class Echo(LineReceiver):
    """
    Says each line again.
    """

    def lineReceived(self, line: bytes) -> None:
        """
        Say it.
        """
        self.sendLine(line)


class Source:
    """
    A producer that counts how often it was told to pause.
    """

    def __init__(self) -> None:
        self.pauses = 0
        self.resumes = 0
        self.stopped = False

    def pauseProducing(self) -> None:
        """
        Too fast.
        """
        self.pauses += 1

    def resumeProducing(self) -> None:
        """
        On with it.
        """
        self.resumes += 1

    def stopProducing(self) -> None:
        """
        Nobody is there any more.
        """
        self.stopped = True


class InternetTests(SynchronousTestCase):
    """
    Connections and time.
    """

    def setUp(self) -> None:
        """
        A server at C{server:7}, whose ends of connections are kept.
        """
        self.net = Internet()
        self.net.names.table["server"] = "10.0.0.1"
        self.served: list[Talker] = []
        served = self.served

        class Serving(Factory):
            noisy = False

            def buildProtocol(self, addr: object) -> Protocol:
                served.append(Talker())
                return served[-1]

        self.port = self.net.listenTCP(7, Serving(), interface="10.0.0.1")

    def talk(self, data: bytes = b"") -> tuple[Talker, Talker]:
        """
        @return: both sides of a new connection.
        """
        talker = self.net.talk("10.0.0.1", 7, data)
        return talker, self.served[-1]

    def test_interfaces(self) -> None:
        """
        It provides what services ask of a reactor, and a machine does too.
        """
        for reactor in (self.net, Machine(self.net, "10.0.0.2")):
            verifyObject(IReactorTime, reactor)
            verifyObject(IReactorTCP, reactor)
            verifyObject(IReactorPluggableNameResolver, reactor)
        near, _ = self.talk()
        verifyObject(ITCPTransport, near.transport)
        verifyObject(IListeningPort, self.port)

    def test_bothWays(self) -> None:
        """
        Bytes arrive in both directions, in order.
        """
        near, far = self.talk(b"one ")
        near.transport.writeSequence([b"two ", b"three"])
        far.transport.write(b"answer")
        self.net.settle()
        self.assertEqual(far.received, b"one two three")
        self.assertEqual(near.received, b"answer")

    def test_endpoints(self) -> None:
        """
        Twisted's endpoints work on it, by name as well.
        """
        machine = Machine(self.net, "10.0.0.2")
        self.net.names.table["other"] = "10.0.0.2"
        serverFromString(machine, "tcp:9").listen(Factory.forProtocol(Echo))
        endpoint = HostnameEndpoint(self.net, "other", 9)
        connecting = endpoint.connect(Factory.forProtocol(Talker))
        self.net.settle()
        talker = self.successResultOf(connecting)
        talker.transport.write(b"hello\r\n")
        self.net.settle()
        self.assertEqual(talker.received, b"hello\r\n")

    def test_unknownName(self) -> None:
        """
        A name that is not in the table has no address.
        """
        connecting = HostnameEndpoint(self.net, "nobody", 9).connect(
            Factory.forProtocol(Talker)
        )
        self.net.pass_(1)
        self.failureResultOf(connecting, DNSLookupError)

    def test_refused(self) -> None:
        """
        Where nobody listens, a connection is refused.
        """
        connecting = HostnameEndpoint(self.net, "server", 8).connect(
            Factory.forProtocol(Talker)
        )
        self.net.pass_(1)
        self.failureResultOf(connecting, ConnectionRefusedError)

    def test_portInUse(self) -> None:
        """
        Two cannot listen at one place; after one has gone the other can.
        """
        self.assertRaises(
            CannotListenError,
            self.net.listenTCP,
            7,
            Factory(),
            interface="10.0.0.1",
        )
        self.net.listenTCP(7, Factory(), interface="10.0.0.2")
        self.port.stopListening()
        self.net.listenTCP(7, Factory(), interface="10.0.0.1")

    def test_blackHole(self) -> None:
        """
        From a black hole no answer comes, not even a refusal.
        """
        self.net.blackHoles.add("10.0.0.1")
        connecting = HostnameEndpoint(self.net, "server", 7, timeout=5).connect(
            Factory.forProtocol(Talker)
        )
        self.net.pass_(4)
        self.assertNoResult(connecting)
        self.net.pass_(2)
        self.failureResultOf(connecting, TimeoutError)

    def test_close(self) -> None:
        """
        A close sends what was written before, and both sides see a clean end.
        """
        near, far = self.talk()
        near.transport.write(b"last words")
        near.transport.loseConnection()
        near.transport.write(b"too late")
        self.net.settle()
        self.assertEqual(far.received, b"last words")
        for side in (near, far):
            assert side.lost is not None
            side.lost.trap(ConnectionDone)
        self.assertEqual(self.net.ends, [])

    def test_abort(self) -> None:
        """
        An abort sends nothing, and the other side sees a reset.
        """
        near, far = self.talk()
        near.transport.write(b"unsaid")
        near.transport.abortConnection()
        self.assertIsNone(near.lost)
        self.net.settle()
        self.assertEqual(far.received, b"")
        assert far.lost is not None
        far.lost.trap(ConnectionLost)

    def test_backPressure(self) -> None:
        """
        Who writes faster than the other side reads is told to pause, and to go
        on when it reads again.
        """
        near, far = self.talk()
        source = Source()
        near.transport.registerProducer(source, True)
        far.transport.pauseProducing()
        near.transport.write(b"x" * (BUFFER + 1))
        self.net.settle()
        self.assertEqual((source.pauses, source.resumes, far.received), (1, 0, b""))
        far.transport.resumeProducing()
        self.net.settle()
        self.assertEqual((source.resumes, len(far.received)), (1, BUFFER + 1))
        far.transport.abortConnection()
        self.net.settle()
        self.assertTrue(source.stopped)

    def test_deadLine(self) -> None:
        """
        On a dead line nothing arrives, and neither side hears of its end.
        """
        near, far = self.talk(b"before")
        self.net.kill([near.transport])
        near.transport.write(b"after")
        far.transport.write(b"after")
        self.net.pass_(100)
        self.assertEqual((far.received, near.received), (b"before", b""))
        near.transport.abortConnection()
        self.net.pass_(100)
        self.assertIsNotNone(near.lost)
        self.assertIsNone(far.lost)
        self.net.cut([far.transport])
        self.assertIsNotNone(far.lost)

    def test_latency(self) -> None:
        """
        Bytes and the end of a connection need their time, and keep their order.
        """
        self.net.latency = 0.1
        near, far = self.talk()
        near.transport.write(b"one")
        self.net.pass_(0.05)
        near.transport.write(b"two")
        near.transport.loseConnection()
        self.net.pass_(0.04)
        self.assertEqual(far.received, b"")
        self.net.pass_(0.02)
        self.assertEqual(far.received, b"one")
        self.assertIsNone(far.lost)
        self.net.pass_(0.05)
        self.assertEqual(far.received, b"onetwo")
        self.assertIsNotNone(far.lost)

    def test_crossing(self) -> None:
        """
        What is written into a connection that the other side has just closed is
        lost.
        """
        self.net.latency = 0.1
        near, far = self.talk()
        far.transport.loseConnection()
        self.net.pass_(0.05)
        self.assertIsNone(near.lost)
        near.transport.write(b"lost")
        self.net.pass_(0.2)
        self.assertIsNotNone(near.lost)
        self.assertEqual(far.received, b"")

    def test_timers(self) -> None:
        """
        Time stops at each moment when something is due.
        """
        moments: list[float] = []
        for delay in (0.1, 2.5, 2.5, 7.0):
            self.net.callLater(delay, lambda: moments.append(self.net.seconds()))
        self.net.pass_(7)
        self.assertEqual(moments, [0.1, 2.5, 2.5, 7.0])
        self.assertEqual(self.net.seconds(), 7.0)

    def test_withoutEnd(self) -> None:
        """
        Two that talk to each other without end do not hang a test.
        """
        near, far = self.talk()

        def pingPong(data: bytes) -> None:
            near.transport.write(data)

        near.dataReceived = pingPong  # type: ignore[method-assign]
        far.dataReceived = far.transport.write  # type: ignore[method-assign]
        near.transport.write(b"ping")
        self.assertRaises(AssertionError, self.net.settle)

    def test_crash(self) -> None:
        """
        A machine that crashes takes its timers, ports and connections along;
        the others see resets, and its program sees nothing.
        """
        machine = Machine(self.net, "10.0.0.2")
        machine.callLater(1, self.fail, "a timer outlived its machine")
        machine.listenTCP(9, Factory.forProtocol(Echo))
        visitor = self.net.talk("10.0.0.2", 9)
        endpoint = HostnameEndpoint(machine, "server", 7)
        connecting = endpoint.connect(Factory.forProtocol(Talker))
        self.net.settle()
        own, far = self.successResultOf(connecting), self.served[-1]
        self.assertEqual(far.transport.getPeer().host, "10.0.0.2")
        self.assertEqual(len(machine.ends), 2)
        machine.crash()
        self.net.pass_(2)
        for side in (visitor, far):
            assert side.lost is not None
            side.lost.trap(ConnectionLost)
        self.assertIsNone(own.lost)
        self.assertEqual(machine.ends, [])
        self.assertEqual(list(self.net.ports), [("10.0.0.1", 7)])
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_unplug(self) -> None:
        """
        To unplug a port resets its connections, and leaves all others.
        """
        other = Machine(self.net, "10.0.0.2")
        other.listenTCP(7, Factory.forProtocol(Echo))
        beside = self.net.talk("10.0.0.2", 7)
        near, far = self.talk()
        self.net.unplug(lambda port: port is self.port)
        self.assertIsNotNone(near.lost)
        self.assertIsNotNone(far.lost)
        self.assertIsNone(beside.lost)
