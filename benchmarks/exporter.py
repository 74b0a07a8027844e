"""
A target with answers of any size: run as C{python -m benchmarks.exporter PORT}.

Knows sockets and threads; its answers are never whole in memory. Paths:
C{/plain/SIZE} tells its length, C{/chunked/SIZE} sends chunks of 32 KB.
"""

from __future__ import annotations

import random
import socket
import sys
from contextlib import suppress
from threading import Thread

#: What the answer repeats.
BLOCK = random.Random(1).randbytes(1 << 18)

_CHUNK = 1 << 15
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"


def answer(connection: socket.socket) -> None:
    """
    Answer one request after the other.
    """
    # Who asked may have heard enough.
    with connection, suppress(ConnectionError):
        pending = b""
        while received := connection.recv(65536):
            pending += received
            while b"\r\n\r\n" in pending:
                request, _, pending = pending.partition(b"\r\n\r\n")
                _, kind, size = request.split(b" ", 2)[1].split(b"/")
                send = _chunked if kind == b"chunked" else _plain
                send(connection, int(size))


def _plain(connection: socket.socket, size: int) -> None:
    connection.sendall(_HEAD + b"Content-Length: %d\r\n\r\n" % size)
    for start in range(0, size, len(BLOCK)):
        connection.sendall(BLOCK[: size - start])


def _chunked(connection: socket.socket, size: int) -> None:
    connection.sendall(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    for start in range(0, size, _CHUNK):
        place = start % len(BLOCK)
        chunk = BLOCK[place : place + min(_CHUNK, size - start)]
        connection.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
    connection.sendall(b"0\r\n\r\n")


def main(port: int) -> None:
    """
    Serve until killed.

    @param port: of 127.0.0.1.
    """
    with socket.create_server(("127.0.0.1", port), backlog=100) as listener:
        while True:
            connection, _ = listener.accept()
            Thread(target=answer, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]))
