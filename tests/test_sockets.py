"""
Tests for L{pushprox.sockets}.
"""

from __future__ import annotations

import socket
from errno import EPIPE, EWOULDBLOCK

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IPullProducer, ITCPTransport
from twisted.internet.tcp import Connection
from twisted.internet.testing import MemoryReactor, StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from pushprox.sockets import readPieces, send, watchForDeadPeer


@implementer(ITCPTransport)
class SocketTransport(StringTransport):
    """
    A transport with a real socket below, which is not connected.
    """

    def __init__(self, sock: object) -> None:
        super().__init__()
        self.socket = sock
        self.asked: list[str] = []

    def getHandle(self) -> object:
        """
        @return: the socket.
        """
        return self.socket

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        Remember it.
        """
        self.asked.append("keepalive")

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        Remember it.
        """
        self.asked.append("nodelay")


class Kernel:
    """
    A socket that takes as much as it is told to.

    @ivar room: how many bytes that is; L{None} if the connection is lost.
    @ivar sent: what it took.
    """

    def __init__(self) -> None:
        self.room: int | None = 0
        self.sent = b""

    def setblocking(self, blocking: bool) -> None:
        """
        It never does.
        """

    def fileno(self) -> int:
        """
        @return: a number that is nobody's.
        """
        return -1

    def send(self, data: bytes) -> int:
        """
        Take some bytes.
        """
        if self.room is None:
            raise BrokenPipeError(EPIPE, "gone")
        if not self.room:
            raise BlockingIOError(EWOULDBLOCK, "full")
        taken = bytes(data[: self.room])
        self.room -= len(taken)
        self.sent += taken
        return len(taken)


class Wire(Connection):
    """
    One of Twisted's transports, with a kernel that takes as much as it is told
    to.
    """

    def __init__(self) -> None:
        self.kernel = Kernel()
        super().__init__(self.kernel, None, MemoryReactor())
        self.connected = True

    @property
    def room(self) -> int | None:
        """
        How many bytes the kernel takes.
        """
        return self.kernel.room

    @room.setter
    def room(self, room: int | None) -> None:
        self.kernel.room = room

    @property
    def sent(self) -> bytes:
        """
        What it took.
        """
        return self.kernel.sent

    @property
    def isWaiting(self) -> bool:
        """
        Whether the reactor is to tell when there is room.
        """
        return self in self.reactor.writers


class DeadPeerTests(SynchronousTestCase):
    """
    Tests for L{watchForDeadPeer}.
    """

    def test_kernel(self) -> None:
        """
        An idle peer is probed after 30 s, three times, 5 s apart; one that
        acknowledges nothing is given up after as long.
        """
        with socket.socket() as sock:
            transport = SocketTransport(sock)
            watchForDeadPeer(transport)
            self.assertEqual(transport.asked, ["nodelay", "keepalive"])
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
        watchForDeadPeer(transport)
        self.assertEqual(transport.asked, ["nodelay", "keepalive"])


class SendTests(SynchronousTestCase):
    """
    Tests for L{send}.
    """

    def test_atOnce(self) -> None:
        """
        What the kernel takes is sent at once, and the reactor is asked nothing.
        """
        wire = Wire()
        wire.room = 100
        send(wire, b"abc")
        self.assertEqual(wire.sent, b"abc")
        self.assertFalse(wire.isWaiting)

    def test_rest(self) -> None:
        """
        What it does not take is sent when there is room, and what comes later
        goes after that, though there be room before.
        """
        wire = Wire()
        wire.room = 2
        send(wire, b"abc")
        wire.room = 100
        send(wire, b"def")
        self.assertEqual(wire.sent, b"ab")
        self.assertTrue(wire.isWaiting)
        wire.doWrite()
        self.assertEqual(wire.sent, b"abcdef")
        self.assertFalse(wire.isWaiting)
        send(wire, b"ghi")
        self.assertEqual(wire.sent, b"abcdefghi")

    def test_restInTheMiddle(self) -> None:
        """
        So it does while a part of that is sent.
        """
        wire = Wire()
        send(wire, b"abcdef")
        wire.room = 3
        wire.doWrite()
        wire.room = 100
        send(wire, b"ghi")
        self.assertEqual(wire.sent, b"abc")
        wire.doWrite()
        self.assertEqual(wire.sent, b"abcdefghi")

    def test_lost(self) -> None:
        """
        A connection that is lost is one for the transport, which finds it out
        in its own way; one that ended takes nothing.
        """
        wire = Wire()
        wire.room = None
        send(wire, b"abc")
        self.assertTrue(wire.isWaiting)
        self.assertIsInstance(wire.doWrite(), ConnectionLost)
        ended = Wire()
        ended.room = 100
        ended.connected = False
        send(ended, b"abc")
        self.assertEqual(ended.sent, b"")

    def test_pull(self) -> None:
        """
        A producer that waits to be asked is asked until it has given all.
        """
        wire = Wire()
        wire.room = 1000
        pieces = [b"three", b"two", b"one"]

        @implementer(IPullProducer)
        class Pulled:
            def resumeProducing(self) -> None:
                """
                Send a piece.
                """
                send(wire, pieces.pop())
                if not pieces:
                    wire.unregisterProducer()

            def stopProducing(self) -> None:
                """
                Nobody does that.
                """

        wire.registerProducer(Pulled(), False)
        while wire.isWaiting:
            wire.doWrite()
        self.assertEqual(wire.sent, b"onetwothree")

    def test_push(self) -> None:
        """
        What one brings that does not wait goes at once.
        """
        wire = Wire()
        wire.room = 1000
        wire.registerProducer(wire, True)
        send(wire, b"abc")
        self.assertEqual((wire.sent, wire.isWaiting), (b"abc", False))

    def test_others(self) -> None:
        """
        Other transports, such as TLS, are written to as ever.
        """
        transport = StringTransport()
        send(transport, b"abc")
        self.assertEqual(transport.value(), b"abc")


class ReadTests(SynchronousTestCase):
    """
    Tests for L{readPieces}.
    """

    def test_size(self) -> None:
        """
        A transport reads as much at a time as it is told to, and then as ever.
        """
        wire = Wire()
        usual = wire.bufferSize
        readPieces(wire, 100_000)
        self.assertEqual(wire.bufferSize, 100_000)
        readPieces(wire)
        self.assertEqual(wire.bufferSize, usual)

    def test_others(self) -> None:
        """
        Other transports read as they do.
        """
        transport = StringTransport()
        readPieces(transport, 100_000)
        self.assertNotIn("bufferSize", vars(transport))
