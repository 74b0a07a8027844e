"""
Who else may be on the way of a scrape, as small as each can be: the reference's
client and proxy, load balancers, web proxies.

The reference's programs do here what they were seen to do on the wire, and
nothing that our own code does for them.
"""

from __future__ import annotations

from typing import Any, cast

import h11
from httptools import HttpResponseParser
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from tests.internet import End, Internet, Machine
from tests.journeys import PLAIN, HTTPLine, Reply, openLine

#: What the Go client sends with each poll, after Host.
GO_POLL = (
    (b"Host", b"proxy:8080"),
    (b"User-Agent", b"Go-http-client/1.1"),
    (b"Content-Type", b""),
    (b"Accept-Encoding", b"gzip"),
)

GO_PUSH = (GO_POLL[0], GO_POLL[1], GO_POLL[3])


def idOf(request: bytes) -> bytes:
    """
    The id of a scrape, in the request that a poll brought or in a push.
    """
    return request.partition(b"\r\nId: ")[2].partition(b"\r\n")[0]


def withId(answer: bytes, id: bytes) -> bytes:
    """
    An answer as the Go client pushes it.
    """
    line, _, rest = answer.partition(b"\r\n")
    return b"%b\r\nId: %b\r\nX-Prometheus-Scrape-Timeout: 4.993028\r\n%b" % (
        line,
        id,
        rest,
    )


#: How the Go client tells that it could not scrape.
GO_REFUSED = (
    b"HTTP/0.0 500 Internal Server Error\r\n\r\n"
    b'failed to scrape http://t1:9100/metrics: Get "http://t1:9100/metrics": '
    b"dial tcp 10.1.0.1:9100: connect: connection refused\n"
)


class GoClient:
    """
    A client of the reference: polls, polls again at once and on the same
    connection, pushes on others, never gives a poll up.

    @ivar answer: what its target says; L{None} for nothing yet.
    @ivar delay: how long its target takes, in seconds.
    @ivar instructions: what its polls brought.
    @ivar pushes: the replies to its pushes.
    """

    def __init__(self, net: Internet, address: str, name: bytes = b"t1") -> None:
        self.machine = Machine(net, address)
        self.name = name
        self.answer: bytes | None = PLAIN
        self.delay = 0.0
        self.instructions: list[bytes] = []
        self.statuses: list[int] = []
        self.pushes: list[Reply] = []
        self.line: HTTPLine | None = None
        self._pause = 1.0
        self._idle: list[HTTPLine] = []

    def poll(self) -> None:
        """
        Poll, and so on for ever.
        """
        if self.line is None or not self.line.isOpen:
            self.line = openLine(self.machine, "10.0.0.1", 8080)
        self.line.ask(b"POST", b"/poll", GO_POLL, self.name, self._polled)

    def _polled(self, reply: Reply) -> None:
        self.statuses.append(reply.status)
        if reply.status == 200 and reply.broken is None:
            self._pause = 1.0
            self.instructions.append(reply.body)
            self.machine.callLater(0, self.poll)
            self.machine.callLater(self.delay, self._push, reply.body)
        else:
            self.machine.callLater(self._pause, self.poll)
            self._pause = min(5.0, 1.5 * self._pause)

    def _push(self, instruction: bytes) -> None:
        if self.answer is None:
            return
        idle = [line for line in self._idle if line.isOpen]
        line = idle.pop() if idle else openLine(self.machine, "10.0.0.1", 8080)
        self._idle = idle

        def pushed(reply: Reply) -> None:
            self.pushes.append(reply)
            self._idle.append(line)

        body = withId(self.answer, idOf(instruction))
        line.ask(b"POST", b"/push", GO_PUSH, body, pushed)

    def stop(self) -> None:
        """
        Be killed.
        """
        self.machine.crash()


class Reception(Protocol):
    """
    A connection to a proxy of the reference.
    """

    transport: End
    factory: GoProxy

    def __init__(self) -> None:
        self._http = h11.Connection(h11.SERVER, 2**20)
        self._request: h11.Request | None = None
        self._body = b""
        self.isOpen = True

    def dataReceived(self, data: bytes) -> None:
        """
        Read requests.
        """
        self._http.receive_data(data)
        while (event := self._http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            # Nobody sends a second request before the reply to the first.
            if isinstance(event, h11.Request):
                self._request, self._body = event, b""
            elif isinstance(event, h11.Data):
                self._body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert self._request is not None
                self.factory.asked(self, self._request, self._body)

    def reply(self, status: int, reason: bytes, body: bytes) -> None:
        """
        Answer the request.
        """
        headers = [(b"Content-Length", b"%d" % len(body))]
        if len(body) > 2048:
            headers = [(b"Transfer-Encoding", b"chunked")]
        for event in (
            h11.Response(status_code=status, reason=reason, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self._http.send(event) or b"")
        self._http.start_next_cycle()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The client is gone; a parked poll is not told so. A push that broke off is
        taken for whole.
        """
        self.isOpen = False
        if self._request is not None and self._http.their_state is h11.SEND_BODY:
            self.factory.pushes.append(self._body)


class GoProxy(Factory):
    """
    A proxy of the reference: knows no header of ours, holds polls for ever, ends
    the older of two, takes all that is pushed for whole.

    @ivar polls: how many polls there were.
    @ivar superseded: how many of them a newer one ended.
    @ivar pushes: what was pushed.
    """

    noisy = False
    protocol = Reception

    def __init__(self) -> None:
        self.polls = 0
        self.superseded = 0
        self.pushes: list[bytes] = []
        self._parked: Reception | None = None
        self._queue: list[bytes] = []

    def scrape(self, url: bytes, id: bytes, method: bytes = b"GET") -> None:
        """
        Have a scrape done.
        """
        host = url.split(b"/")[2]
        self._queue.append(
            b"%b %b HTTP/1.1\r\nHost: %b\r\nUser-Agent: curl/7.88.1\r\nId: %b\r\n"
            b"X-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n" % (method, url, host, id)
        )
        self._match()

    def _match(self) -> None:
        # The reference hands a scrape to a line that is gone, and loses it;
        # what is tested here is not that.
        if self._parked is not None and self._parked.isOpen and self._queue:
            parked, self._parked = self._parked, None
            parked.reply(200, b"OK", self._queue.pop(0))

    def asked(self, line: Reception, request: h11.Request, body: bytes) -> None:
        """
        A poll or a push.
        """
        if request.target == b"/push":
            self.pushes.append(body)
            line.reply(200, b"OK", b"")
            return
        assert request.target == b"/poll"
        self.polls += 1
        older, self._parked = self._parked, line
        if older is not None and older.isOpen:
            self.superseded += 1
            older.reply(
                408,
                b"Request Timeout",
                b"Error WaitForScrapeInstruction: request is expired\n",
            )
        self._match()


class _Beyond(Protocol):
    """
    The connection of somebody in the middle to the proxy.
    """

    transport: End

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._unsent = b""
        self._closing = False

    def say(self, data: bytes) -> None:
        """
        Send now, or as soon as there is a connection.
        """
        if self.connected:
            self.transport.write(data)
        else:
            self._unsent += data

    def close(self) -> None:
        """
        Hang up.
        """
        self._closing = True
        if self.connected:
            self.transport.loseConnection()

    def connectionMade(self) -> None:
        """
        Send what is due.
        """
        self.transport.write(self._unsent)
        if self._closing:
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """
        Pass it on.
        """
        self._relay.answered(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Close the other side too.
        """
        self._relay.transport.loseConnection()


class Relay(Protocol):
    """
    A connection to somebody in the middle.
    """

    transport: End
    factory: Middle
    _beyond: _Beyond | None = None

    def reach(self, host: str, port: int) -> _Beyond:
        """
        Begin to connect to the proxy.
        """
        beyond = self._beyond = _Beyond(self)
        factory = ClientFactory()
        factory.noisy = False
        cast(Any, factory).buildProtocol = lambda addr: beyond
        cast(Any, factory).clientConnectionFailed = lambda connector, reason: (
            beyond.connectionLost(reason)
        )
        self.factory.machine.connectTCP(host, port, factory)
        return beyond

    def answered(self, data: bytes) -> None:
        """
        What came from the proxy.
        """
        self.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Close the other side too.
        """
        if self._beyond is not None:
            self._beyond.close()


class Middle(Factory):
    """
    Somebody in the middle, at 10.2.0.1:8080.
    """

    noisy = False

    def __init__(self, net: Internet) -> None:
        self.machine = Machine(net, "10.2.0.1")
        self.machine.listenTCP(8080, self)


class BalancedRelay(Relay):
    """
    A connection through a load balancer.
    """

    factory: LoadBalancer
    _timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """
        Connect to the proxy.
        """
        if self.factory.page is None:
            self.reach("10.0.0.1", 8080)
        self._isActive()
        self._parser = HttpResponseParser(self)

    def _isActive(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        idle = self.factory.idle
        if idle is not None:
            self._timer = self.factory.machine.callLater(idle, self._cut)

    def _cut(self) -> None:
        self.factory.cuts += 1
        self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """
        Pass it on, or answer it ourselves.
        """
        self._isActive()
        if self.factory.page is not None:
            self.transport.write(self.factory.page)
            self.transport.loseConnection()
        elif self._beyond is not None:
            self._beyond.say(data)

    def answered(self, data: bytes) -> None:
        """
        Pass it on, and see where the reply ends.
        """
        self._isActive()
        super().answered(data)
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """
        A reply has ended, as llhttp says.
        """
        if self.factory.closesAfterReply is not None:
            # Whoever sends something meanwhile has had bad luck.
            self.factory.machine.callLater(
                self.factory.closesAfterReply, self.transport.loseConnection
            )

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        No more.
        """
        super().connectionLost(reason)
        if self._timer is not None and self._timer.active():
            self._timer.cancel()


class LoadBalancer(Middle):
    """
    A load balancer between the clients and the proxy.

    @ivar idle: after how many seconds without a byte it cuts a connection.
    @ivar cuts: how often it did.
    @ivar closesAfterReply: how many seconds after each reply it closes the
        connection, without saying so.
    @ivar page: what it answers in place of the proxy.
    """

    protocol = BalancedRelay

    def __init__(
        self,
        net: Internet,
        idle: float | None = None,
        closesAfterReply: float | None = None,
    ) -> None:
        super().__init__(net)
        self.idle = idle
        self.cuts = 0
        self.closesAfterReply = closesAfterReply
        self.page: bytes | None = None


class WebRelay(Relay):
    """
    A connection through a web proxy.
    """

    factory: WebProxyServer
    _tunnel = False

    def dataReceived(self, data: bytes) -> None:
        """
        Read where it is to go; in absolute form, each request says it anew.
        """
        if self._tunnel:
            assert self._beyond is not None
            self._beyond.say(data)
            return
        if data.startswith((b"POST ", b"CONNECT ")):
            self.factory.heads.append(data.partition(b"\r\n\r\n")[0])
        method, target, _ = data.split(b" ", 2)
        authority = target.split(b"/")[2] if b"//" in target else target
        if self._beyond is None:
            host, _, port = authority.decode("ascii").partition(":")
            address = self.factory.addresses[host]
            self.reach(address, int(port))
            self._tunnel = method == b"CONNECT"
            if self._tunnel:
                self.transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                return
        assert self._beyond is not None
        self._beyond.say(data.replace(b"http://" + authority, b"", 1))


class WebProxyServer(Middle):
    """
    A web proxy, such as Squid.

    @ivar heads: of the requests it was sent.
    """

    protocol = WebRelay

    def __init__(self, net: Internet) -> None:
        super().__init__(net)
        self.addresses = net.names.table
        self.heads: list[bytes] = []
