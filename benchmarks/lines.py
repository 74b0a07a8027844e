"""
Connections of the load, and how HTTP messages are read from them.

Knows how messages are framed; nothing of what they mean.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence

from benchmarks.loop import Loop
from benchmarks.programs import Unmeasurable

#: One read's worth, for all connections: nothing is kept in it.
_BUFFER = memoryview(bytearray(1 << 18))

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
# What is between two chunks; and what is after the last.
_CHUNK_HEAD = re.compile(rb"(?:\r\n)?([0-9a-fA-F]+)[^\r]*\r\n")
_LAST_CHUNK = re.compile(rb"(?:\r\n)?0+[^\r0-9a-fA-F]*\r\n(?:[^\r]+\r\n)*\r\n")

Piece = bytes | bytearray | memoryview


class Messages:
    """
    HTTP messages, requests or replies, as their bytes come. What they are for
    is for subclasses; they are seen as they come, and kept nowhere.
    """

    _head = b""
    _inBody = False
    _isChunked = False
    _remaining = 0

    def feed(self, data: memoryview) -> None:
        """
        Take the next bytes.
        """
        while data:
            if not self._inBody:
                data = self._feedHead(data)
            elif self._remaining:
                piece = data[: self._remaining]
                self._remaining -= len(piece)
                self.bodyReceived(piece)
                data = data[len(piece) :]
                if not self._remaining and not self._isChunked:
                    self._end()
            else:
                data = self._feedBetweenChunks(data)

    def _feedHead(self, data: memoryview) -> memoryview:
        before = len(self._head)
        head = self._head = self._head + data[:65536].tobytes()
        end = head.find(b"\r\n\r\n", max(0, before - 3))
        if end < 0:
            return data[65536:]
        self._head = b""
        head = head[: end + 4]
        length = _LENGTH.search(head)
        self._isChunked = length is None and _CHUNKED.search(head) is not None
        self._remaining = 0 if length is None else int(length[1])
        self._inBody = True
        self.headReceived(head)
        if not self._remaining and not self._isChunked:
            self._end()
        return data[end + 4 - before :]

    def _feedBetweenChunks(self, data: memoryview) -> memoryview:
        before = len(self._head)
        text = self._head + data[:65536].tobytes()
        last = _LAST_CHUNK.match(text)
        between = last or _CHUNK_HEAD.match(text)
        if between is None or (last is None and int(between[1], 16) == 0):
            self._head = text
            return data[65536:]
        self._head = b""
        if last is None:
            self._remaining = int(between[1], 16)
        else:
            self._end()
        return data[between.end() - before :]

    def _end(self) -> None:
        self._inBody = False
        self.messageReceived()

    def headReceived(self, head: bytes) -> None:
        """
        The head of a message has come, with the empty line after it.
        """

    def bodyReceived(self, piece: memoryview) -> None:
        """
        Some of its body has come, which is gone after this.
        """

    def messageReceived(self) -> None:
        """
        The message has ended.
        """


class Line(Messages):
    """
    One connection of the load: bytes go out, messages come in.
    """

    def __init__(self, loop: Loop, connection: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop = loop
        self._socket = connection
        self._unsent: list[memoryview[int]] = []
        loop.add(self)

    def fileno(self) -> int:
        """
        @return: the socket's.
        """
        return self._socket.fileno()

    def close(self) -> None:
        """
        Hang up.
        """
        self._loop.remove(self)
        self._socket.close()

    def send(self, *pieces: Piece) -> None:
        """
        Send bytes, after those that were to be sent before.
        """
        if self._unsent:
            self._unsent += [memoryview(piece) for piece in pieces]
            return
        sent = self._sent(pieces)
        if sent < sum(map(len, pieces)):
            self._unsent = [memoryview(piece) for piece in pieces]
            self._forget(sent)
            self._loop.watch(self, write=True)

    def writable(self) -> None:
        """
        Send more.
        """
        self._forget(self._sent(self._unsent))
        if not self._unsent:
            self._loop.watch(self)

    def _sent(self, pieces: Sequence[Piece]) -> int:
        """
        @return: how many bytes of these have been sent.
        """
        try:
            return self._socket.sendmsg(pieces)
        except BlockingIOError:
            return 0
        except ConnectionError:
            # Whoever has gone is missed on reading.
            return sum(map(len, pieces))

    def _forget(self, sent: int) -> None:
        unsent = self._unsent
        while unsent and sent >= len(unsent[0]):
            sent -= len(unsent.pop(0))
        if sent:
            unsent[0] = unsent[0][sent:]

    def readable(self) -> None:
        """
        Read what there is.
        """
        try:
            count = self._socket.recv_into(_BUFFER)
        except BlockingIOError:
            return
        except ConnectionError:
            count = 0
        if count:
            self.feed(_BUFFER[:count])
        else:
            self.close()
            self.hungUp()

    def hungUp(self) -> None:
        """
        The other side has closed the connection.

        @raise Unmeasurable: unless a subclass knows better.
        """
        raise Unmeasurable(f"{self} was closed by the other side")


def connection(port: int, receiveBuffer: int = 0) -> socket.socket:
    """
    @param receiveBuffer: the most bytes that the kernel is to keep for us; 0
        for as many as it likes.
    @return: a connection to a port of 127.0.0.1.
    """
    made = socket.socket()
    try:
        if receiveBuffer:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receiveBuffer)
        made.settimeout(10)
        made.connect(("127.0.0.1", port))
    except OSError as error:
        made.close()
        raise Unmeasurable(f"cannot connect to port {port}: {error}") from None
    return made


class Listener:
    """
    Takes connections of the load's own: an origin, a target, a proxy.
    """

    def __init__(
        self, loop: Loop, port: int, accepted: Callable[[socket.socket], object]
    ) -> None:
        """
        @param port: of 127.0.0.1.
        @param accepted: is told of each connection.
        """
        self._loop = loop
        self._accepted = accepted
        self._socket = socket.create_server(("127.0.0.1", port), backlog=4096)
        self._socket.setblocking(False)
        loop.add(self)

    def fileno(self) -> int:
        """
        @return: the socket's.
        """
        return self._socket.fileno()

    def readable(self) -> None:
        """
        Take a connection.
        """
        try:
            connection, _ = self._socket.accept()
        except BlockingIOError:
            return
        self._accepted(connection)

    def writable(self) -> None:
        """
        It does not come to that.
        """

    def close(self) -> None:
        """
        Take no more.
        """
        self._loop.remove(self)
        self._socket.close()
