"""
An internet in memory: machines with names, ports, connections that carry
bytes, slow readers, cut and dead lines, and one clock for all.

A test hands an L{Internet} to services in place of the reactor, and calls
L{Internet.settle} or L{Internet.pass_} whenever bytes are to move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import (
    CannotListenError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    TimeoutError,
    UserError,
)
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IDelayedCall,
    IHostnameResolver,
    IHostResolution,
    IListeningPort,
    IProtocol,
    IPushProducer,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IResolutionReceiver,
    ITCPTransport,
)
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

#: How much a transport buffers before it pauses its producer, in bytes, as
#: Twisted's own do.
BUFFER = 2**16


def addressOf(host: str, port: int) -> IPv4Address | IPv6Address:
    """
    The address of an IP in text.
    """
    kind = IPv6Address if ":" in host else IPv4Address
    return kind("TCP", host, port)


@implementer(ITCPTransport, IPushProducer)
class End:
    """
    One end of a connection.

    @ivar out: the bytes written and not delivered yet.
    @ivar dead: whether what is written here never arrives, though the
        connection looks open.
    @ivar latency: how long what is sent is under way, in seconds.
    """

    peer: End

    def __init__(
        self,
        clock: IReactorTime,
        host: IAddress,
        peerAddress: IAddress,
        latency: float = 0.0,
    ) -> None:
        self._clock = clock
        self.latency = latency
        self.underWay: list[tuple[float, bytes | Exception]] = []
        self.out = bytearray()
        self.dead = False
        self.paused = False
        self.connected = True
        self.disconnecting = False
        self.protocol: IProtocol | None = None
        self._host = host
        self._peerAddress = peerAddress
        self._producer: Any = None
        self._streaming = False
        self._producerPaused = False

    def write(self, data: bytes) -> None:
        """
        Buffer bytes, and pause the producer when there are many.
        """
        if not self.connected or self.disconnecting:
            return
        self.out += data
        isFull = len(self.out) > BUFFER and self._producer and self._streaming
        if isFull and not self._producerPaused:
            self._producerPaused = True
            self._producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        Buffer bytes.
        """
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """
        Close when all is sent, and no producer waits to be asked for more, as in
        Twisted.
        """
        if self.connected:
            self.disconnecting = True

    def abortConnection(self) -> None:
        """
        Close now; the other side sees a reset.
        """
        if self.connected:
            self.out.clear()
            # As in Twisted, not before whoever calls has returned.
            self._clock.callLater(0, self.fall, ConnectionAborted(), ConnectionLost())

    def loseWriteConnection(self) -> None:
        """
        Not needed yet.
        """
        raise NotImplementedError

    def fall(self, here: Exception, there: Exception) -> None:
        """
        The connection ends, for these reasons.
        """
        self.end(here)
        self._send(there)

    def end(self, reason: Exception) -> None:
        """
        This end hears that the connection is over.
        """
        if self.connected:
            self.connected = False
            if self._producer is not None:
                producer, self._producer = self._producer, None
                producer.stopProducing()
            assert self.protocol is not None
            self.protocol.connectionLost(Failure(reason))

    def deliver(self) -> bool:
        """
        Let what is due happen.

        @return: whether anything did.
        """
        moved = self._arrive()
        if not self.connected:
            return moved
        if self.out and (self.dead or not self.peer.paused):
            data = bytes(self.out)
            self.out.clear()
            self._send(data)
            moved = True
        if self.out or not self.connected:
            return moved
        if self._producer and (self._producerPaused or not self._streaming):
            self._producerPaused = False
            self._producer.resumeProducing()
            return True
        if self.disconnecting:
            self.fall(ConnectionDone(), ConnectionDone())
            return True
        return moved

    def _send(self, what: bytes | Exception) -> None:
        self.underWay.append((self._clock.seconds() + self.latency, what))
        if self.latency:
            # Time must not pass by the moment when it arrives.
            self._clock.callLater(self.latency, lambda: None)
        self._arrive()

    def _arrive(self) -> bool:
        """
        Give the other side what has been under way for long enough.

        @return: whether there was anything.
        """
        moved = False
        while self.underWay and self.underWay[0][0] <= self._clock.seconds():
            what = self.underWay[0][1]
            peer = self.peer
            if isinstance(what, bytes) and peer.paused and peer.connected:
                break
            del self.underWay[0]
            moved = True
            if self.dead or not peer.connected:
                continue
            if isinstance(what, bytes):
                assert peer.protocol is not None
                peer.protocol.dataReceived(what)
            else:
                peer.end(what)
        return moved

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Let a producer be told when to pause.
        """
        assert self._producer is None
        if not self.connected:
            producer.stopProducing()
            return
        self._producer = producer
        self._streaming = streaming
        self._producerPaused = False

    def unregisterProducer(self) -> None:
        """
        There is no producer any more.
        """
        self._producer = None

    def pauseProducing(self) -> None:
        """
        Stop reading.
        """
        self.paused = True

    def resumeProducing(self) -> None:
        """
        Read again.
        """
        self.paused = False

    def stopProducing(self) -> None:
        """
        Close.
        """
        self.loseConnection()

    def getHost(self) -> IAddress:
        """
        @return: our address.
        """
        return self._host

    def getPeer(self) -> IAddress:
        """
        @return: that of the other side.
        """
        return self._peerAddress

    def getHandle(self) -> None:
        """
        There is no socket.
        """

    def getTcpNoDelay(self) -> bool:
        """
        @return: whatever.
        """
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        Has no meaning here.
        """

    def getTcpKeepAlive(self) -> bool:
        """
        @return: whatever.
        """
        return True

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        Has no meaning here.
        """


@implementer(IConnector)
class Dialling:
    """
    An attempt to connect.
    """

    def __init__(
        self,
        internet: Internet,
        host: str,
        port: int,
        factory: ClientFactory,
        timeout: float,
        source: str,
    ) -> None:
        self.host = host
        self.port = port
        self.factory = factory
        self.source = source
        self.end: End | None = None
        self._timeout = timeout
        self._internet = internet
        self.connect()

    def stopConnecting(self) -> None:
        """
        Give it up.
        """
        self.fail(UserError())

    def fail(self, error: Exception) -> None:
        """
        Nothing came of it.
        """
        self.cease()
        self.factory.clientConnectionFailed(self, Failure(error))

    def cease(self) -> None:
        """
        Wait no longer.
        """
        self._internet.dialling.remove(self)
        if self._expiry.active():
            self._expiry.cancel()

    def disconnect(self) -> None:
        """
        Close what came of it.
        """
        if self.end is None:
            self.stopConnecting()
        else:
            self.end.loseConnection()

    def connect(self) -> None:
        """
        Try, maybe once more.
        """
        self._internet.dialling.append(self)
        self._expiry: IDelayedCall = self._internet.callLater(
            self._timeout, lambda: self.fail(TimeoutError())
        )

    def getDestination(self) -> IAddress:
        """
        @return: where it leads.
        """
        return addressOf(self.host, self.port)


@implementer(IListeningPort)
class Port:
    """
    Somebody who listens.
    """

    def __init__(
        self, internet: Internet, host: str, number: int, factory: Factory
    ) -> None:
        self.host = host
        self.number = number
        self.factory = factory
        self.ends: list[End] = []
        self._internet = internet

    def startListening(self) -> None:
        """
        Take connections.
        """
        key = (self.host, self.number)
        if key in self._internet.ports:
            raise CannotListenError(self.host, self.number, OSError("in use"))
        self._internet.ports[key] = self
        self.factory.doStart()

    def stopListening(self) -> None:
        """
        Take no more.
        """
        # Not so if it was unplugged before.
        if self._internet.ports.get((self.host, self.number)) is self:
            del self._internet.ports[(self.host, self.number)]
            self.factory.doStop()

    def getHost(self) -> IAddress:
        """
        @return: where it listens.
        """
        return addressOf(self.host or "0.0.0.0", self.number)


@implementer(IHostResolution)
class Resolution:
    """
    A name that was looked up.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """
        Too late.
        """


@implementer(IHostnameResolver)
class Names:
    """
    The DNS: a name leads to one address, an address to itself.
    """

    def __init__(self) -> None:
        self.table = {"localhost": "127.0.0.1"}

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> Resolution:
        """
        Look a name up.
        """
        resolution = Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        address = self.table.get(hostName.lower().rstrip("."))
        if address is None and (":" in hostName or hostName[-1:].isdigit()):
            address = hostName
        if address is not None:
            resolutionReceiver.addressResolved(addressOf(address, portNumber))
        resolutionReceiver.resolutionComplete()
        return resolution


class Talker(Protocol):
    """
    A person with netcat.

    @ivar received: all bytes that came.
    @ivar lost: why the connection ended, when it did.
    """

    transport: End

    def __init__(self) -> None:
        self.received = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        """
        Keep what comes.
        """
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Remember why.
        """
        self.lost = reason


@implementer(IReactorTime, IReactorTCP, IReactorPluggableNameResolver)
class Internet(Clock):
    """
    All machines, and the time.

    @ivar blackHoles: addresses from which nothing comes back.
    @ivar latency: how long bytes are under way on the connections that are
        opened from now on, in seconds.
    """

    latency = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.ports: dict[tuple[str, int], Port] = {}
        self.dialling: list[Dialling] = []
        self.ends: list[End] = []
        self.names = Names()
        self.blackHoles: set[str] = set()
        self._nextPort = 40000

    @property
    def nameResolver(self) -> Names:
        """
        The DNS.
        """
        return self.names

    def installNameResolver(self, resolver: Any) -> None:
        """
        There is only the one.
        """
        raise NotImplementedError

    def listenTCP(
        self, port: int, factory: Factory, backlog: int = 50, interface: str = ""
    ) -> Port:
        """
        Listen, on all addresses or on one.
        """
        if port == 0:
            self._nextPort += 1
            port = self._nextPort
        host = "" if interface in ("", "::", "0.0.0.0") else interface
        listening = Port(self, host, port, factory)
        listening.startListening()
        return listening

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: ClientFactory,
        timeout: float = 30,
        bindAddress: tuple[str, int] | None = None,
    ) -> Dialling:
        """
        Begin to connect.
        """
        source = bindAddress[0] if bindAddress else "192.0.2.1"
        dialling = Dialling(self, host, port, factory, timeout, source)
        factory.doStart()
        factory.startedConnecting(dialling)
        return dialling

    def callFromThread(
        self, callable: Callable[..., object], *args: Any, **kw: Any
    ) -> None:
        """
        Call in the next turn.
        """
        self.callLater(0, callable, *args, **kw)

    # Time and movement.

    def settle(self) -> None:
        """
        Move bytes until nothing moves any more. No time passes.
        """
        for _ in range(10000):
            self.advance(0)
            moved = self._connectAll()
            for end in list(self.ends):
                moved = end.deliver() or moved
            self.ends = [end for end in self.ends if end.connected or end.underWay]
            if not moved and not any(
                call.getTime() <= self.seconds() for call in self.getDelayedCalls()
            ):
                return
        raise AssertionError("bytes move without end")

    def _connectAll(self) -> bool:
        waiting = [d for d in self.dialling if d.host not in self.blackHoles]
        for dialling in waiting:
            port = self.ports.get((dialling.host, dialling.port)) or self.ports.get(
                ("", dialling.port)
            )
            if port is None:
                dialling.fail(ConnectionRefusedError())
            else:
                dialling.cease()
                self._join(dialling, port)
        return bool(waiting)

    def _join(self, dialling: Dialling, port: Port) -> None:
        self._nextPort += 1
        there = addressOf(dialling.host, dialling.port)
        here = addressOf(dialling.source, self._nextPort)
        near = End(self, here, there, self.latency)
        far = End(self, there, here, self.latency)
        near.peer, far.peer = far, near
        dialling.end = near
        near.protocol = dialling.factory.buildProtocol(there)
        far.protocol = port.factory.buildProtocol(here)
        assert near.protocol is not None
        if far.protocol is None:
            # The kernel has accepted it; the program closes it at once.
            near.protocol.makeConnection(near)
            near.end(ConnectionDone())
            return
        self.ends += [near, far]
        port.ends = [*(end for end in port.ends if end.connected), far]
        far.protocol.makeConnection(far)
        near.protocol.makeConnection(near)

    def pass_(self, seconds: float) -> None:
        """
        Let time pass, from one moment when something is due to the next, and
        bytes move at each.
        """
        self.settle()
        until = self.seconds() + seconds
        while self.seconds() < until:
            due = [call.getTime() for call in self.getDelayedCalls()]
            self.rightNow = min([until, *due])
            self.settle()

    # What a test does to it.

    def talk(self, host: str, port: int, data: bytes = b"", source: str = "") -> Talker:
        """
        Open a connection by hand and say something.

        @param source: the address that it comes from, if that matters.
        """
        factory = ClientFactory.forProtocol(Talker)
        factory.noisy = False
        address = (source, 0) if source else None
        dialling = self.connectTCP(host, port, factory, bindAddress=address)
        self.settle()
        assert dialling.end is not None, "nobody listens there"
        talker = dialling.end.protocol
        assert isinstance(talker, Talker)
        if data:
            talker.transport.write(data)
            self.settle()
        return talker

    def linesTo(self, port: int, host: str = "") -> list[End]:
        """
        The near ends of all connections to a port, the oldest first.

        @param host: of this address alone.
        """
        lines = [end for end in self.ends if end.connected]
        peers = [addressOf(host, port)] if host else []
        return [
            end
            for end in lines
            if getattr(end.getPeer(), "port", None) == port
            and (not peers or end.getPeer() in peers)
        ]

    def kill(self, lines: Iterable[End]) -> None:
        """
        Make lines dead: nothing arrives in either direction, and neither side
        is told.
        """
        for end in lines:
            end.dead = end.peer.dead = True

    def cut(self, lines: Iterable[End]) -> None:
        """
        Reset connections.
        """
        for end in list(lines):
            end.end(ConnectionLost())
            end.peer.end(ConnectionLost())
        self.settle()

    def unplug(self, listening: Callable[[Port], bool]) -> None:
        """
        Kill a machine: its ports and all its connections are gone at once.
        """
        for port in [port for port in self.ports.values() if listening(port)]:
            port.stopListening()
            self.cut(self.linesTo(port.number, port.host))


@implementer(IReactorTime, IReactorTCP, IReactorPluggableNameResolver)
class Machine:
    """
    One machine on the internet, with one program on it: a reactor that can
    crash and take its timers and connections along.

    @ivar address: where its connections come from.
    """

    def __init__(self, internet: Internet, address: str) -> None:
        self.address = address
        self._internet = internet
        self._calls: list[IDelayedCall] = []
        self._ports: list[Port] = []
        self._dialled: list[Dialling] = []

    @property
    def nameResolver(self) -> Names:
        """
        The DNS.
        """
        return self._internet.names

    def installNameResolver(self, resolver: Any) -> None:
        """
        There is only the one.
        """
        raise NotImplementedError

    def seconds(self) -> float:
        """
        The time is everywhere the same.
        """
        now: float = self._internet.seconds()
        return now

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: Any, **kw: Any
    ) -> IDelayedCall:
        """
        Set a timer, which a crash ends.
        """
        self._calls = [call for call in self._calls if call.active()]
        call: IDelayedCall = self._internet.callLater(delay, callable, *args, **kw)
        self._calls.append(call)
        return call

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """
        @return: the timers of this machine.
        """
        return [call for call in self._calls if call.active()]

    def listenTCP(
        self, port: int, factory: Factory, backlog: int = 50, interface: str = ""
    ) -> Port:
        """
        Listen on the address of this machine.
        """
        listening = self._internet.listenTCP(port, factory, backlog, self.address)
        self._ports.append(listening)
        return listening

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: ClientFactory,
        timeout: float = 30,
        bindAddress: Any = None,
    ) -> Dialling:
        """
        Begin to connect, from here.
        """
        internet = self._internet
        self._dialled = [
            each
            for each in self._dialled
            if each in internet.dialling or (each.end and each.end.connected)
        ]
        dialling = internet.connectTCP(host, port, factory, timeout, (self.address, 0))
        self._dialled.append(dialling)
        return dialling

    @property
    def ends(self) -> list[End]:
        """
        Our ends of all our connections: those we made, and those we took, the
        oldest first.
        """
        made = [dialling.end for dialling in self._dialled if dialling.end]
        taken = [end for port in self._ports for end in port.ends]
        return [end for end in [*made, *taken] if end.connected]

    def crash(self) -> None:
        """
        The program is killed: its timers are gone, its ports closed, its
        connections reset, and it hears nothing of all that.
        """
        for call in self.getDelayedCalls():
            call.cancel()
        for port in self._ports:
            port.stopListening()
        for dialling in self._dialled:
            if dialling in self._internet.dialling:
                dialling.cease()
        for end in self.ends:
            end.connected = False
            if not end.dead:
                end.peer.end(ConnectionLost())
        self._internet.settle()
