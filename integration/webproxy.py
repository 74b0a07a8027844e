"""
A web proxy as stands at the edge of a company's network: run as
C{python webproxy.py PORT UPSTREAM-PORT}.

It takes requests in absolute form and CONNECT, asks for the password
C{out:letmeout}, prints the first line of every request, and leads to one port
of this machine, whatever host was asked for: the names in these tests exist
nowhere.
"""

from __future__ import annotations

import asyncio
import sys
from base64 import b64encode

_CREDENTIALS = b"proxy-authorization: basic " + b64encode(b"out:letmeout").lower()


class WebProxy:
    """
    One connection in, one out.
    """

    def __init__(self, upstreamPort: int) -> None:
        self._upstreamPort = upstreamPort

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """
        Lead one connection out.
        """
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            line, _, rest = head.partition(b"\r\n")
            print(line.decode("latin-1"), flush=True)
            if _CREDENTIALS not in head.lower():
                writer.write(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                    b'Proxy-Authenticate: Basic realm="out"\r\n'
                    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
                )
                return
            upstream, downstream = await asyncio.open_connection(
                "127.0.0.1", self._upstreamPort
            )
            method, url, version = line.split(b" ")
            if method == b"CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                # One request a connection, so that each line is printed.
                path = b"/" + url.split(b"/", 3)[3]
                downstream.write(b" ".join((method, path, version)) + b"\r\n")
                downstream.write(b"Connection: close\r\n")
                for field in rest.splitlines(keepends=True):
                    if not field.lower().startswith((b"proxy-", b"connection:")):
                        downstream.write(field)
            await asyncio.gather(
                self._carry(reader, downstream), self._carry(upstream, writer)
            )
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # One of the two has gone.
        finally:
            writer.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while received := await reader.read(65536):
            writer.write(received)
            await writer.drain()
        writer.close()


async def main(port: int, upstreamPort: int) -> None:
    """
    Serve until killed.
    """
    proxy = WebProxy(upstreamPort)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
