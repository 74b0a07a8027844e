"""
A target that frames its bodies in every way, and breaks off in several: run as
C{python exporter.py PORT}.

Knows bytes and sockets; uses no HTTP library, so that what arrives at the other
end of a journey can be compared with what was meant here.

Paths: C{/plain}, C{/chunked} and C{/closed} (C{?size=BYTES}, gzip for who asks
for it), C{/slow?seconds=S}, C{/dies-chunked}, C{/dies-plain},
C{/dies-closed}, C{/pauses?seconds=S} (half-way), and C{/count}, which tells how
often C{/slow} was asked for.
"""

from __future__ import annotations

import asyncio
import gzip
import random
import socket
import struct
import sys
from functools import lru_cache
from urllib.parse import parse_qsl, urlsplit

_CHUNK = 30_011
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"


@lru_cache(maxsize=4)
def body(size: int, compressed: bool = False) -> bytes:
    """
    @return: so many bytes, no stretch of which looks like another; or their
        gzip.
    """
    if compressed:
        return gzip.compress(body(size), compresslevel=1, mtime=0)
    return random.Random(size).randbytes(size)


class Exporter:
    """
    Answers one request a connection, and closes it.
    """

    def __init__(self) -> None:
        self.slowScrapes = 0

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """
        Answer one request.
        """
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            url = urlsplit(head.split(" ", 2)[1])
            query = dict(parse_qsl(url.query))
            size = int(query.get("size", 1000))
            isGzip = any(
                line.startswith("accept-encoding:") and "gzip" in line
                for line in head.split("\r\n")
            )
            encoding = b"Content-Encoding: gzip\r\n" if isGzip else b""
            match url.path.lstrip("/"):
                case "plain":
                    self._plain(writer, body(size, isGzip), encoding)
                case "chunked":
                    self._chunked(writer, body(size, isGzip), encoding)
                    writer.write(b"0\r\n\r\n")
                case "closed":
                    self._closed(writer, body(size, isGzip), encoding)
                case "slow":
                    self.slowScrapes += 1
                    await asyncio.sleep(float(query["seconds"]))
                    self._plain(writer, body(size))
                case "pauses":
                    content = body(size)
                    self._plain(writer, content, half=True)
                    await asyncio.sleep(float(query["seconds"]))
                    writer.write(content[size // 2 :])
                case "count":
                    self._plain(writer, str(self.slowScrapes).encode())
                case "dies-plain":
                    writer.write(_HEAD + b"Content-Length: 2000\r\n\r\n" + body(1000))
                case "dies-chunked":
                    self._chunked(writer, body(100_000))
                case "dies-closed":
                    self._closed(writer, body(100_000))
                    await writer.drain()
                    self._reset(writer)
                case path:
                    text = f"no such path: {path}".encode()
                    writer.write(b"HTTP/1.1 404 Not Found\r\n")
                    writer.write(b"Content-Length: %d\r\n\r\n" % len(text) + text)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # Who asked has gone.
        finally:
            writer.close()

    def _plain(
        self,
        writer: asyncio.StreamWriter,
        content: bytes,
        more: bytes = b"",
        half: bool = False,
    ) -> None:
        length = b"Content-Length: %d\r\n" % len(content)
        writer.write(_HEAD + more + length + b"Connection: close\r\n\r\n")
        writer.write(content[: len(content) // 2] if half else content)

    def _chunked(
        self, writer: asyncio.StreamWriter, content: bytes, more: bytes = b""
    ) -> None:
        writer.write(_HEAD + more + b"Transfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(content), _CHUNK):
            chunk = content[start : start + _CHUNK]
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))

    def _closed(
        self, writer: asyncio.StreamWriter, content: bytes, more: bytes = b""
    ) -> None:
        writer.write(_HEAD + more + b"Connection: close\r\n\r\n" + content)

    def _reset(self, writer: asyncio.StreamWriter) -> None:
        """
        End the connection with a RST, as a process that crashes does.
        """
        connection = writer.get_extra_info("socket")
        # SO_LINGER with a time of 0: close() sends RST, socket(7).
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()


async def main(port: int) -> None:
    """
    Serve until killed.
    """
    server = await asyncio.start_server(Exporter().serve, "127.0.0.1", port)
    print("serving", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
