"""
Connections to C{/poll} and C{/push} as a client of the reference uses them, for
what no well-behaved client does: hold a line open and be dead.
"""

from __future__ import annotations

from typing import Any

import h11
from twisted.internet import reactor as _reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from integration.processes import ProcessTestCase, until

reactor: Any = _reactor


class Line(Protocol):
    """
    One connection, with at most one request on it at a time.
    """

    def __init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT)
        self._status = 0
        self._body = bytearray()
        self._answered = False
        self._lost = False

    def request(self, path: bytes, body: bytes) -> None:
        """
        Send a request.
        """
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        self._answered = False
        self._body.clear()
        headers = [
            (b"Host", b"proxy"),
            (b"User-Agent", b"Go-http-client/1.1"),
            (b"Content-Length", b"%d" % len(body)),
            (b"Content-Type", b""),
        ]
        for event in (
            h11.Request(method=b"POST", target=path, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self._http.send(event))  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        """
        Take a piece of the reply.
        """
        self._http.receive_data(data)
        while (event := self._http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Response):
                self._status = event.status_code
            elif isinstance(event, h11.Data):
                self._body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self._answered = True

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Let nobody wait any longer.
        """
        self._lost = True

    @property
    def isAnswered(self) -> bool:
        """
        Whether the request has its whole reply.
        """
        return self._answered

    async def reply(self, within: float = 10) -> tuple[int, bytes]:
        """
        Wait for the reply.

        @return: status and body.
        """
        await until(lambda: self._answered or self._lost, within, "a reply")
        if not self._answered:
            raise ConnectionLost()
        return self._status, bytes(self._body)

    async def ended(self, within: float = 10) -> None:
        """
        Wait until the connection is gone.
        """
        await until(lambda: self._lost, within, "the end of a connection")

    def cut(self) -> None:
        """
        End the connection.
        """
        self.transport.loseConnection()  # type: ignore[union-attr]


async def openLine(test: ProcessTestCase, port: int) -> Line:
    """
    Connect to a proxy on this machine until the test ends.
    """
    line: Line = await connectProtocol(
        TCP4ClientEndpoint(reactor, "127.0.0.1", port), Line()
    )

    async def hangUp() -> None:
        line.cut()
        await line.ended()

    test.addCleanup(hangUp)
    return line


async def poll(test: ProcessTestCase, port: int, name: bytes = b"t1") -> Line:
    """
    Open a line and poll on it, so that the proxy has seen the poll.
    """
    line = await openLine(test, port)
    parked = (await test.metrics(port))["pushprox_proxy_parked_polls"]
    line.request(b"/poll", name)

    async def isParked() -> bool:
        metrics = await test.metrics(port)
        return metrics["pushprox_proxy_parked_polls"] > parked

    await until(isParked, 10, "a parked poll")
    return line


def answerTo(instruction: bytes, body: bytes) -> bytes:
    """
    @return: a push that answers the scrape that a poll brought.
    """
    fields = dict(
        line.split(b": ", 1) for line in instruction.split(b"\r\n")[1:] if line
    )
    return (
        b"HTTP/1.1 200 OK\r\n"
        b"Content-Length: %d\r\n"
        b"Content-Type: text/plain; version=0.0.4\r\n"
        b"Id: %b\r\n"
        b"X-Prometheus-Scrape-Timeout: 4.993028\r\n\r\n%b"
    ) % (len(body), fields[b"Id"], body)
