"""
What is asked of the kernel beside what Twisted asks: to notice dead peers soon,
and to take what is to be sent at once.

Knows sockets and Twisted's transports for them; nothing of what they carry.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.tcp import Connection
from twisted.protocols.policies import ProtocolWrapper


def watchForDeadPeer(transport: ITCPTransport) -> None:
    """
    Have the kernel notice a peer that is gone without a word: within 45 s on
    an idle connection, and as soon where bytes stay unacknowledged.
    """
    transport.setTcpNoDelay(True)
    transport.setTcpKeepAlive(True)
    below: Any = transport
    while isinstance(below, ProtocolWrapper):
        below = below.transport  # TLS hides its socket
    sock = below.getHandle()
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 45000)


def readPieces(transport: Any, size: int = FileDescriptor.bufferSize) -> None:
    """
    Have a transport read so many bytes at a time: large bodies cost less in
    large pieces.

    @param size: as Twisted has it, if not given.
    """
    if isinstance(transport, FileDescriptor):
        transport.bufferSize = size


def send(transport: Any, data: bytes) -> None:
    """
    Write to a transport, and give the kernel what it takes right now. Twisted
    waits until the reactor finds the socket writable, which it nearly always
    is: that takes two system calls and a turn of the reactor, a third of what a
    small request costs.
    """
    if (
        isinstance(transport, Connection)
        and transport.connected
        # What was written before goes first.
        and not transport.dataBuffer
        and not transport._tempDataBuffer
        # Who waits to be asked is asked when the reactor has sent all.
        and (transport.producer is None or transport.streamingProducer)
    ):
        try:
            sent = transport.socket.send(data)
        except OSError:
            # There is no room, or the connection is lost: the transport finds
            # out by itself.
            sent = 0
        if sent == len(data):
            return
        data = data[sent:]
    transport.write(data)
