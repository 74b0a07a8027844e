"""
Tests for L{pushprox.channel}.

Requests are given as bytes, over the internet in memory; replies are read by
h11, as a client does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h11
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer, ISSLTransport
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from pushprox.channel import Line
from pushprox.crowd import Crowd
from pushprox.limits import Limits
from pushprox.request import StreamingResource
from pushprox.site import Site
from tests.internet import Internet, Talker
from tests.test_sockets import SocketTransport


class Reply:
    """
    A reply, as h11 read it.

    @ivar whole: whether it ended as it should.
    """

    def __init__(self, head: h11.Response | h11.InformationalResponse) -> None:
        self.status = head.status_code
        self.reason = bytes(head.reason)
        self.version = bytes(head.http_version)
        self.headers = {bytes(name): bytes(value) for name, value in head.headers}
        self.body = b""
        self.whole = isinstance(head, h11.InformationalResponse)


def replies(received: bytes, *methods: bytes, closed: bool = False) -> list[Reply]:
    """
    Read replies as h11 does, which complains of what is wrong.

    @param methods: of the requests; GET where not given.
    @param closed: whether the connection ended.
    """
    found: list[Reply] = []
    pending = list(methods)
    while received:
        client = h11.Connection(h11.CLIENT)
        method = pending.pop(0) if pending else b"GET"
        client.send(h11.Request(method=method, target=b"/x", headers=[(b"Host", b"p")]))
        client.send(h11.EndOfMessage())
        client.receive_data(received)
        if closed:
            client.receive_data(b"")
        while True:
            event = client.next_event()
            if isinstance(event, (h11.Response, h11.InformationalResponse)):
                found.append(Reply(event))
            elif isinstance(event, h11.Data):
                found[-1].body += bytes(event.data)
            else:
                break
        found[-1].whole = isinstance(event, h11.EndOfMessage)
        if not found[-1].whole:
            break
        received = client.trailing_data[0]
    return found


class Parking(Resource):
    """
    A resource that answers C{/now} at once, and all else when told to.

    @ivar asked: the requests that came, with their bodies.
    @ivar parked: those that were not answered yet.
    @ivar ends: how requests ended: their path, and a failure or L{None}.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[bytes, bytes, bytes]] = []
        self.parked: list[Request] = []
        self.ends: list[tuple[bytes, Any]] = []

    def render(self, request: Request) -> Any:
        """
        Keep the request, or say its path and body.
        """
        assert request.content is not None
        body = request.content.read()
        path = request.path
        self.asked.append((request.method, path, body))
        request.notifyFinish().addBoth(lambda end: self.ends.append((path, end)))
        if path.startswith(b"/now"):
            return path + body
        self.parked.append(request)
        return NOT_DONE_YET

    def answer(self) -> None:
        """
        Answer the oldest.
        """
        request = self.parked.pop(0)
        request.setHeader(b"Content-Length", b"%d" % len(request.path))
        request.write(request.path)
        request.finish()


def get(path: bytes = b"/now", more: bytes = b"", version: bytes = b"1.1") -> bytes:
    """
    A request.

    @param more: header lines.
    """
    return b"GET %b HTTP/%b\r\nHost: p\r\n%b\r\n" % (path, version, more)


def post(body: bytes, path: bytes = b"/now", more: bytes = b"") -> bytes:
    """
    A request with a body.
    """
    return (
        b"POST %b HTTP/1.1\r\nHost: p\r\nContent-Length: %d\r\n%b\r\n"
        % (path, len(body), more)
    ) + body


class ChannelTestCase(SynchronousTestCase):
    """
    A site in an internet of its own, that must leave nothing behind.

    @ivar refused: the status of each request that was refused.
    @ivar closed: why connections were closed.
    """

    limits = Limits()

    def setUp(self) -> None:
        """
        Serve.
        """
        self.net = Internet()
        self.parking = Parking()
        self.refused: list[int] = []
        self.closed: list[str] = []
        self.broken: list[Line] = []
        self.serve(self.limits)

    def serve(self, limits: Limits, resource: Resource | None = None) -> None:
        """
        Serve with other limits.
        """
        self.net.ports.clear()
        self.site = Site(
            resource or self.parking,
            self.net,
            self.broken.append,
            self.refused.append,
            limits,
            crowd=Crowd(self.net, limits, self.closed.append),
        )
        self.net.listenTCP(80, self.site)

    def tearDown(self) -> None:
        """
        Nothing stays behind: no line and no timer.
        """
        for end in self.net.linesTo(80):
            end.peer.paused = False
        self.net.cut(self.net.linesTo(80))
        self.assertEqual((self.site.lines, self.net.getDelayedCalls()), (set(), []))

    def talk(self, data: bytes = b"") -> Talker:
        """
        Open a connection and say something.
        """
        return self.net.talk("10.0.0.1", 80, data)

    def say(self, talker: Talker, data: bytes) -> None:
        """
        Say more.
        """
        talker.transport.write(data)
        self.net.settle()

    def heard(self, talker: Talker, *methods: bytes) -> list[Reply]:
        """
        The replies since the last time, each of them whole.
        """
        received, talker.received = talker.received, b""
        found = replies(received, *methods, closed=talker.lost is not None)
        self.assertTrue(all(reply.whole for reply in found), received)
        return found

    def statuses(self, talker: Talker, *methods: bytes) -> list[int]:
        """
        The status of each reply since the last time.
        """
        return [reply.status for reply in self.heard(talker, *methods)]

    def bodies(self, talker: Talker) -> list[bytes]:
        """
        The body of each reply since the last time.
        """
        return [reply.body for reply in self.heard(talker)]

    def answer(self) -> None:
        """
        Answer the oldest request.
        """
        self.parking.answer()
        self.net.settle()

    def assertRefused(self, talker: Talker, status: int, *before: int) -> Reply:
        """
        After other replies came this one, which says that and why the
        connection ends.
        """
        self.net.pass_(6)
        found = self.heard(talker)
        self.assertEqual([reply.status for reply in found], [*before, status])
        self.assertEqual(found[-1].headers[b"connection"], b"close")
        self.assertEqual(found[-1].body, found[-1].reason + b"\n")
        self.assertIsNotNone(talker.lost)
        self.assertEqual(self.refused, [status])
        return found[-1]


class PersistenceTests(ChannelTestCase):
    """
    Which connections carry more than one request.
    """

    def test_keepAlive(self) -> None:
        """
        One of HTTP/1.1 does, without saying so.
        """
        talker = self.talk()
        for path in (b"/now1", b"/now2"):
            self.say(talker, get(path))
            (reply,) = self.heard(talker)
            self.assertEqual(reply.body, path)
            self.assertNotIn(b"connection", reply.headers)
        self.assertIsNone(talker.lost)

    def test_close(self) -> None:
        """
        Not so one that asked for its end, which the reply announces; what
        comes after it is not looked at, however it comes.
        """
        for path in (b"/now", b"/later"):
            for behind in (b"", get(b"/now2"), b"garbage\r\n\r\n"):
                talker = self.talk(get(path, b"Connection: close\r\n") + behind)
                self.say(talker, behind)
                if path == b"/later":
                    self.answer()
                (reply,) = self.heard(talker)
                self.assertEqual(reply.body, path)
                self.assertEqual(reply.headers[b"connection"], b"close")
                self.assertIsNotNone(talker.lost)
        self.assertEqual((self.refused, self.broken), ([], []))

    def test_slowReaderBeforeTheEnd(self) -> None:
        """
        The last reply is given time to be read.
        """
        talker = self.talk()
        talker.transport.pauseProducing()
        self.say(talker, post(b"x" * 100_000, more=b"Connection: close\r\n"))
        self.net.pass_(self.limits.idle - 1)
        self.assertIsNone(talker.lost)
        talker.transport.resumeProducing()
        self.net.settle()
        (reply,) = self.heard(talker)
        self.assertEqual(len(reply.body), 100_004)

    def test_readerWhoDoesNotRead(self) -> None:
        """
        But not for ever.
        """
        talker = self.talk()
        talker.transport.pauseProducing()
        self.say(talker, post(b"x" * 100_000, more=b"Connection: close\r\n"))
        self.net.pass_(self.limits.idle + 1)
        self.assertIsNotNone(talker.lost)

    def test_old(self) -> None:
        """
        One of HTTP/1.0 ends, unless it asked to be kept; it needs no Host.
        """
        talker = self.talk(b"GET /now HTTP/1.0\r\n\r\n")
        self.assertTrue(talker.received.startswith(b"HTTP/1.0 200 OK\r\n"))
        (reply,) = self.heard(talker)
        self.assertEqual(reply.headers[b"connection"], b"close")
        self.assertIsNotNone(talker.lost)
        talker = self.talk()
        for _ in range(2):
            self.say(talker, get(more=b"Connection: keep-alive\r\n", version=b"1.0"))
            (reply,) = self.heard(talker)
            self.assertEqual(
                (reply.version, reply.headers[b"connection"]), (b"1.0", b"keep-alive")
            )
            self.assertIsNone(talker.lost)

    def test_oldWithoutLength(self) -> None:
        """
        A reply to HTTP/1.0 whose length is not known is ended by the end of the
        connection, and nothing behind it is asked.
        """
        request = get(b"/later", b"Connection: keep-alive\r\n", b"1.0")
        talker = self.talk(request)
        self.parking.parked[0].write(b"abc")
        self.say(talker, request)
        self.parking.parked[0].finish()
        self.net.settle()
        (reply,) = self.heard(talker)
        self.assertEqual(reply.body, b"abc")
        self.assertEqual(reply.headers[b"connection"], b"close")
        self.assertNotIn(b"transfer-encoding", reply.headers)
        self.assertEqual(len(self.parking.asked), 1)

    def test_nothingAfterTheEnd(self) -> None:
        """
        What is pipelined behind the last request is not asked, when only its
        resource made it the last.
        """

        class Closing(Parking):
            def render(self, request: Request) -> Any:
                super().render(request)
                request.write(b"x")
                request.finish()
                return NOT_DONE_YET

        resource = Closing()
        self.serve(Limits(), resource)
        talker = self.talk(get(more=b"Connection: keep-alive\r\n", version=b"1.0") * 2)
        self.assertEqual(self.bodies(talker), [b"x"])
        self.assertEqual((len(resource.asked), self.refused), (1, []))

    def test_requests(self) -> None:
        """
        A connection carries as many requests as it may, and the reply to the last
        of them says so; what is pipelined behind that is not asked.
        """
        self.serve(Limits(requests=2))
        for last, behind in (
            (get(b"/now2"), b""),
            (get(b"/now2"), get(b"/now3")),
            (post(b"x", b"/now2"), get(b"/now3")),
        ):
            self.parking.asked.clear()
            talker = self.talk(get(b"/now1"))
            (reply,) = self.heard(talker)
            self.assertNotIn(b"connection", reply.headers)
            self.say(talker, last + behind)
            (reply,) = self.heard(talker)
            self.assertEqual(reply.headers[b"connection"], b"close")
            self.assertIsNotNone(talker.lost)
            self.assertEqual(len(self.parking.asked), 2)
        self.assertEqual((self.refused, self.closed), ([], []))

    def test_loseConnection(self) -> None:
        """
        A resource may end the connection.
        """
        talker = self.talk(get(b"/later"))
        self.parking.parked[0].loseConnection()
        self.parking.parked[0].channel.loseConnection()
        self.net.settle()
        self.assertEqual((talker.received, self.broken), (b"", []))
        self.assertIsNotNone(talker.lost)


class BodyTests(ChannelTestCase):
    """
    Bodies, of requests and of replies.
    """

    def test_chunkedRequest(self) -> None:
        """
        Chunks are put together; extensions and trailers are dropped.
        """
        chunked = (
            b"POST /now HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: CHUNKED\r\n\r\n"
            b'3;x="y"\r\nabc\r\n00A\r\n0123456789\r\n0\r\nHost: q\r\nX: y\r\n\r\n'
        )
        talker = self.talk(chunked + get(b"/now2"))
        self.assertEqual(self.bodies(talker), [b"/nowabc0123456789", b"/now2"])

    def test_byteByByte(self) -> None:
        """
        It does not matter how bytes are cut.
        """
        talker = self.talk()
        for byte in post(b"abc") + b"\r\n" + get(b"/now?x"):
            self.say(talker, bytes([byte]))
        self.assertEqual(self.bodies(talker), [b"/nowabc", b"/now"])

    def test_chunkedReply(self) -> None:
        """
        A reply whose length is not known is chunked, and the connection goes
        on.
        """
        talker = self.talk(get(b"/later"))
        (request,) = self.parking.parked
        request.write(b"abc")
        request.write(b"")
        request.write(b"def")
        request.finish()
        self.say(talker, get())
        first, second = self.heard(talker)
        self.assertEqual(first.headers[b"transfer-encoding"], b"chunked")
        self.assertEqual((first.body, second.body), (b"abcdef", b"/now"))

    def test_head(self) -> None:
        """
        The reply to a HEAD has the length, and no body.
        """
        talker = self.talk(get().replace(b"GET", b"HEAD") + get())
        head, got = self.heard(talker, b"HEAD")
        self.assertEqual(head.headers[b"content-length"], b"4")
        self.assertEqual((head.body, got.body), (b"", b"/now"))

    def test_lengthsOfNames(self) -> None:
        """
        Fields whose names are as long as those that matter do not.
        """
        odd = b"".join(b"%b: 3\r\n" % (b"x" * length) for length in (4, 6, 14, 17))
        self.assertEqual(self.bodies(self.talk(get(more=odd))), [b"/now"])

    def test_whitespace(self) -> None:
        """
        White space around a value is no part of it (RFC 9112 section 5.1).
        """
        talker = self.talk(get(b"/later", b"X:  \t a b \t \r\n"))
        (request,) = self.parking.parked
        self.assertEqual(request.fields[1], (b"X", b"a b"))  # type: ignore[attr-defined]
        self.assertEqual(talker.received, b"")

    def test_continue(self) -> None:
        """
        A body that waits to be asked for is asked for when it is its turn.
        """
        expecting = post(b"abc", more=b"Expect: 100-Continue\r\n")
        talker = self.talk(expecting[:-3])
        self.assertEqual(talker.received, b"HTTP/1.1 100 Continue\r\n\r\n")
        self.say(talker, b"abc")
        self.assertEqual(self.statuses(talker), [100, 200])
        self.say(talker, get(b"/later"))
        self.say(talker, expecting[:-3])
        self.net.pass_(1000)
        self.assertEqual(talker.received, b"")
        self.answer()
        self.assertTrue(
            talker.received.endswith(b"/laterHTTP/1.1 100 Continue\r\n\r\n")
        )
        self.say(talker, b"abc")
        self.assertEqual(self.statuses(talker), [200, 100, 200])
        self.say(talker, get(b"/later") + expecting)
        self.answer()
        self.assertEqual(self.statuses(talker), [200, 200])
        self.assertIsNone(talker.lost)

    def test_continueOfTheRefused(self) -> None:
        """
        Who is answered without the body is not asked for it. Whether it comes
        nevertheless, nobody knows: the connection ends.
        """

        class Stern(StreamingResource):
            isLeaf = True

            def render(self, request: Any) -> int:
                request.reply(401, b"No", b"Content-Length: 0\r\n")
                return NOT_DONE_YET

        self.serve(Limits(), Stern())
        expecting = post(b"abc", more=b"Expect: 100-continue\r\n")
        for sent in (expecting[:-3], expecting):
            talker = self.talk(sent)
            (reply,) = self.heard(talker)
            self.assertEqual(
                (reply.status, reply.headers[b"connection"]), (401, b"close")
            )
            self.assertIsNotNone(talker.lost)

    def test_noContinue(self) -> None:
        """
        Nothing is asked for where there is no body, where another expectation
        was meant, nor from HTTP/1.0 (RFC 9110 section 10.1.1).
        """
        for request in (
            get(more=b"Expect: 100-continue\r\n"),
            get(more=b"Expect: 200-maybe\r\nContent-Length: 0\r\n"),
            post(b"a", more=b"Expect: 100-continue\r\n").replace(b"/1.1", b"/1.0"),
        ):
            self.assertEqual(self.statuses(self.talk(request)), [200])

    def test_earlyReply(self) -> None:
        """
        A reply that comes before the body is whole stands; what comes of the
        body is thrown away, and the next request is read.
        """

        class Lost(Parking):
            def getChildWithDefault(self, path: bytes, request: Request) -> Any:
                raise ZeroDivisionError

            isLeaf = False

        self.serve(Limits(bodySize=10), Lost())
        talker = self.talk(post(b"x" * 30)[:-20])
        self.assertEqual(self.statuses(talker), [500])
        self.say(talker, b"x" * 20 + get())
        self.assertEqual(self.statuses(talker), [500])
        self.say(talker, post(b"x" * 30)[:-20])
        self.assertEqual(self.statuses(talker), [500])
        self.assertIsNone(talker.lost)
        self.net.pass_(6)
        self.assertEqual(talker.received, b"")
        self.assertIsNotNone(talker.lost)
        self.assertEqual(self.refused, [])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)

    def test_hangUpAfterAnEarlyReply(self) -> None:
        """
        Nobody minds when the rest of that body does not come.
        """

        class Lost(Parking):
            isLeaf = False

        self.serve(Limits(), Lost())
        talker = self.talk(post(b"x" * 30, b"*")[:-20])
        self.assertEqual(self.statuses(talker), [405])
        talker.transport.loseConnection()
        self.net.settle()
        self.assertEqual(self.broken, [])


class PipelineTests(ChannelTestCase):
    """
    Requests that do not wait for replies.
    """

    def test_inOrder(self) -> None:
        """
        They are answered in order, also when the first takes long.
        """
        talker = self.talk(get(b"/a") + get(b"/now1") + get(b"/b") + get(b"/now2"))
        self.say(talker, get(b"/now3"))
        self.net.pass_(500)
        self.assertEqual((talker.received, len(self.parking.asked)), (b"", 1))
        self.answer()
        self.assertEqual(self.bodies(talker), [b"/a", b"/now1"])
        self.answer()
        self.assertEqual(self.bodies(talker), [b"/b", b"/now2", b"/now3"])

    def test_hangUpBehind(self) -> None:
        """
        Who hangs up is noticed, whatever was sent behind a request that waits.
        """
        talker = self.talk(get(b"/a") + get(b"/b") + b"GET /half")
        talker.transport.loseConnection()
        self.net.settle()
        self.assertEqual(self.site.lines, set())

    def test_sendsOn(self) -> None:
        """
        Who sends on and on behind a request that waits is cut off: to stop
        reading would be to miss the hang-up.
        """
        talker = self.talk(get(b"/a"))
        self.say(talker, post(b"z" * 10**6)[:60000])
        self.assertIsNone(talker.lost)
        self.say(talker, b"z" * 10000)
        self.assertIsNotNone(talker.lost)
        self.assertEqual((self.site.lines, self.closed), (set(), ["overrun"]))

    def test_sendsAhead(self) -> None:
        """
        What was sent behind one that was answered since does not count.
        """
        talker = self.talk(get(b"/a"))
        for _ in range(3):
            self.say(talker, get(b"/a", more=b"X: %b\r\n" % (b"x" * 30000))[:-2])
            self.answer()
            self.say(talker, b"\r\n")
        self.answer()
        self.assertEqual(self.bodies(talker), [b"/a"] * 4)

    def test_hundreds(self) -> None:
        """
        However many come at once, they are answered.
        """
        paths = [b"/now%d" % number for number in range(500)]
        talker = self.talk(b"".join(get(path) for path in paths))
        self.assertEqual(self.bodies(talker), paths)
        paths = paths[:99]
        talker = self.talk(get(b"/a") + b"".join(get(path) for path in paths))
        self.answer()
        self.assertEqual(self.bodies(talker), [b"/a", *paths])

    def test_unread(self) -> None:
        """
        Who does not read the replies gets no more of them; once they are read, the
        rest follows.
        """
        talker = self.talk()
        talker.transport.pauseProducing()
        path = b"/now" + b"x" * 20_000
        for _ in range(8):
            self.say(talker, get(path))
        self.assertLess(len(self.parking.asked), 6)
        self.say(talker, b"nonsense\r\n\r\n")
        talker.transport.resumeProducing()
        self.net.settle()
        self.assertRefused(talker, 400, *[200] * 8)

    def test_unreadForLong(self) -> None:
        """
        But who does not read them for long is cut off, whatever is sent behind
        them, and is not missed where there are too many connections.
        """
        for more in (b"", get(), get()[:-1], post(b"abc")[:-1], b"nonsense\r\n\r\n"):
            del self.closed[:]
            talker = self.talk()
            talker.transport.pauseProducing()
            self.say(talker, get(b"/now" + b"x" * 40_000))
            self.say(talker, get(b"/now" + b"x" * 40_000))
            (line,) = self.site.lines
            self.net.pass_(self.limits.idle / 2)
            self.say(talker, more)
            self.assertTrue(line.isSpare)
            self.assertEqual(self.closed, [])
            self.net.pass_(self.limits.idle / 2 + 1)
            self.assertEqual((self.site.lines, self.closed), (set(), ["stuck"]))

    def test_unreadBeginning(self) -> None:
        """
        A reply whose beginning is not read goes on.
        """
        talker = self.talk(get(b"/a") + get())
        talker.transport.pauseProducing()
        (request,) = self.parking.parked
        request.setHeader(b"Content-Length", b"100001")
        request.write(b"x" * 100_000)
        self.net.settle()
        talker.transport.resumeProducing()
        self.net.settle()
        request.write(b"x")
        request.finish()
        self.net.settle()
        self.assertEqual([len(body) for body in self.bodies(talker)], [100_001, 4])

    def test_unreadBehind(self) -> None:
        """
        What waits behind a reply that is not read waits on when that is whole.
        """
        talker = self.talk(get(b"/a"))
        self.say(talker, get() * 3)
        talker.transport.pauseProducing()
        (request,) = self.parking.parked
        request.setHeader(b"Content-Length", b"100000")
        request.write(b"x" * 100_000)
        request.finish()
        self.net.settle()
        self.assertEqual(len(self.parking.asked), 1)
        talker.transport.resumeProducing()
        self.net.settle()
        self.assertEqual(len(self.bodies(talker)), 4)

    def test_unreadAndMore(self) -> None:
        """
        So is who sends on and on meanwhile.
        """
        talker = self.talk()
        talker.transport.pauseProducing()
        for _ in range(10):
            self.say(talker, get(b"/now" + b"x" * 40_000))
        self.assertEqual((self.site.lines, self.closed), (set(), ["overrun"]))

    def test_tooMany(self) -> None:
        """
        More than some may not wait: those that may are answered, and then the
        rest is refused.
        """
        talker = self.talk(get(b"/a") + get() * 101)
        self.assertEqual(talker.received, b"")
        self.answer()
        self.assertRefused(talker, 429, *[200] * 101)

    def test_badBehindGood(self) -> None:
        """
        A bad request is refused when it is its turn.
        """
        for good in (b"/now", b"/later"):
            self.refused.clear()
            talker = self.talk(get(good) + b"nonsense\r\n\r\n" + get())
            self.say(talker, get())
            if good == b"/later":
                self.net.pass_(1000)
                self.assertEqual((talker.received, self.refused), (b"", []))
                self.answer()
            self.assertRefused(talker, 400, 200)

    def test_badBodyBehindGood(self) -> None:
        """
        So is one that is bad in its body only, and is not asked.
        """
        talker = self.talk(
            get(b"/a")
            + get(b"/b")
            + get(more=b"Transfer-Encoding: chunked\r\n")
            + b"nonsense"
        )
        self.answer()
        self.answer()
        self.assertRefused(talker, 400, 200, 200)
        self.assertEqual(len(self.parking.asked), 2)

    def test_halfBehindParked(self) -> None:
        """
        What we do not read is not late: a half body, and a half head, that
        wait behind a request that takes long.
        """
        for half in (post(b"abc")[:-1], get()[:-1]):
            self.refused.clear()
            waiting = b"" if half.startswith(b"POST") else get(b"/now1")
            talker = self.talk(get(b"/later") + waiting + half)
            self.net.pass_(1000)
            self.answer()
            self.net.pass_(15)
            self.assertEqual(set(self.statuses(talker)), {200})
            self.say(talker, b"c" if half.startswith(b"POST") else b"\n")
            self.assertEqual(self.statuses(talker), [200])
            self.assertIsNone(talker.lost)

    def test_halfAfterParked(self) -> None:
        """
        Once it is read again, it may be late.
        """
        for half in (post(b"abc")[:-1], get(b"/now") + get()[:-1]):
            self.refused.clear()
            talker = self.talk(get(b"/later") + half)
            self.net.pass_(1000)
            self.answer()
            answered = half.count(b"\r\n\r\n") + (b"POST" not in half)
            self.net.pass_(self.limits.body + 2)
            self.assertRefused(talker, 408, *[200] * answered)


class LimitTests(ChannelTestCase):
    """
    What a connection may take.
    """

    def test_head(self) -> None:
        """
        A head may be as long as it may; at once, in pieces, and without an
        end.
        """
        limit = self.limits.headSize
        fits = get(more=b"X: %b\r\n" % (b"x" * (limit - 100)))
        self.assertEqual(self.statuses(self.talk(fits)), [200])
        long = (
            get(more=b"X: %b\r\n" % (b"x" * (limit + 10_000))),
            get(b"/" + b"x" * (limit + 10_000)),
            get(more=b"X: y\r\n" * (limit // 4)),
        )
        for request in long:
            for end in (len(request), -2):
                self.refused.clear()
                talker = self.talk()
                for at in range(0, len(request), 10_000):
                    self.say(talker, request[:end][at : at + 10_000])
                self.assertRefused(talker, 431)
            self.refused.clear()
            self.assertRefused(self.talk(request), 431)

    def test_trailers(self) -> None:
        """
        Trailers and extensions of chunks have no more room than heads.
        """
        for endless in (b"0\r\nX: ", b"3;"):
            self.refused.clear()
            talker = self.talk(get(more=b"Transfer-Encoding: chunked\r\n") + endless)
            for _ in range(8):
                self.say(talker, b"x" * 10_000)
            self.assertRefused(talker, 431)

    def test_smallChunks(self) -> None:
        """
        A body may have any number of pieces.
        """
        talker = self.talk(get(more=b"Transfer-Encoding: chunked\r\n"))
        for _ in range(20):
            self.say(talker, b"1\r\nx\r\n" * 1000)
        self.say(talker, b"0\r\n\r\n")
        self.assertEqual(self.bodies(talker), [b"/now" + b"x" * 20_000])

    def test_body(self) -> None:
        """
        A body may be as long as it may; what still comes is read for a while,
        so that the refusal arrives.
        """
        self.serve(Limits(bodySize=10))
        self.assertEqual(self.statuses(self.talk(post(b"x" * 10))), [200])
        talker = self.talk(post(b"x" * 11))
        self.say(talker, b"more")
        self.assertIsNone(talker.lost)
        self.net.pass_(4)
        self.assertIsNone(talker.lost)
        self.assertRefused(talker, 413)

    def test_bodyAndGoodbye(self) -> None:
        """
        Whoever reads the refusal and hangs up ends it well.
        """
        self.serve(Limits(bodySize=10))
        talker = self.talk(get(more=b"Transfer-Encoding: chunked\r\n"))
        self.say(talker, b"b\r\nxxxxxxxxxxx\r\n")
        self.assertEqual(self.statuses(talker), [413])
        talker.transport.loseConnection()
        self.net.settle()
        self.assertEqual((self.site.lines, self.broken), (set(), []))

    def test_bodyBehindParked(self) -> None:
        """
        A long body behind another request is refused in its turn.
        """
        self.serve(Limits(bodySize=10))
        talker = self.talk(get(b"/later") + post(b"x" * 11))
        self.answer()
        self.assertRefused(talker, 413, 200)
        self.assertEqual(len(self.parking.asked), 1)


class TimeTests(ChannelTestCase):
    """
    How long the other side may take.
    """

    def ends(self, talker: Talker, seconds: float) -> None:
        """
        The connection ends after so long, and not before.
        """
        self.net.pass_(seconds - 1)
        self.assertIsNone(talker.lost)
        self.net.pass_(2)
        self.assertIsNotNone(talker.lost)

    def test_idle(self) -> None:
        """
        A connection without a request is closed cleanly after a while, from
        its last reply on.
        """
        talker = self.talk(get())
        self.net.pass_(100)
        self.say(talker, get())
        self.ends(talker, 180)
        assert talker.lost is not None
        self.assertTrue(talker.lost.check(ConnectionDone))
        self.assertEqual((self.broken, self.refused), ([], []))
        self.assertEqual(self.closed, [])

    def test_silent(self) -> None:
        """
        One that never had a request is closed as soon as a head would be late,
        however many empty lines come.
        """
        talkers = [self.talk(), self.talk()]
        for _ in range(9):
            self.net.pass_(2)
            self.say(talkers[1], b"\r\n")
        for talker in talkers:
            self.assertIsNone(talker.lost)
        self.net.pass_(3)
        for talker in talkers:
            assert talker.lost is not None
            self.assertTrue(talker.lost.check(ConnectionDone))
            self.assertEqual(talker.received, b"")
        self.assertEqual(self.closed, ["silent"] * 2)
        self.assertEqual((self.broken, self.refused), ([], []))

    def test_lateHead(self) -> None:
        """
        The time before its first byte counts for the first head; it does not for
        the others.
        """
        talker = self.talk()
        self.net.pass_(15)
        self.say(talker, b"GET")
        self.net.pass_(6)
        self.assertRefused(talker, 408)
        self.refused.clear()
        talker = self.talk(get())
        self.net.pass_(15)
        self.say(talker, get()[:-1])
        self.net.pass_(18)
        self.say(talker, b"\n")
        self.assertEqual(self.statuses(talker), [200, 200])
        self.assertEqual(self.closed, [])

    def test_parked(self) -> None:
        """
        One whose request waits for its reply is not idle.
        """
        talker = self.talk(get(b"/later"))
        self.net.advance(86400)
        self.net.settle()
        self.answer()
        self.assertEqual(self.statuses(talker), [200])
        self.ends(talker, 180)

    def test_slowHead(self) -> None:
        """
        A head has to come in time, however many pieces come.
        """
        for bytes_ in (b"G", get()[:-1]):
            self.refused.clear()
            talker = self.talk(bytes_)
            for _ in range(4):
                self.net.pass_(4)
                self.say(talker, b"")
            self.assertIsNone(talker.lost)
            self.net.pass_(5)
            self.assertRefused(talker, 408)

    def test_slowHeadInPieces(self) -> None:
        """
        Every byte of it does not begin it anew.
        """
        talker = self.talk()
        for byte in get():
            self.say(talker, bytes([byte]))
            self.net.pass_(1)
        self.assertRefused(talker, 408)

    def test_slowHeadBehindParked(self) -> None:
        """
        A half head behind a request that is being answered is late, too, and
        is told so after the reply.
        """
        talker = self.talk(get(b"/later") + b"GET")
        self.net.pass_(30)
        self.assertEqual((talker.received, talker.lost), (b"", None))
        self.answer()
        self.assertRefused(talker, 408, 200)

    def test_slowBody(self) -> None:
        """
        A body that is wanted whole has to come in time, however many pieces
        come.
        """
        talker = self.talk(post(b"x" * 10)[:-10])
        for _ in range(5):
            self.net.pass_(11)
            self.say(talker, b"x")
        self.assertIsNone(talker.lost)
        self.net.pass_(6)
        self.assertRefused(talker, 408)
        self.assertEqual(self.parking.asked, [])
        self.refused.clear()
        talker = self.talk(post(b"x" * 10)[:-10])
        self.net.pass_(58)
        self.say(talker, b"x" * 10)
        self.assertEqual(self.statuses(talker), [200])

    def test_endlessBody(self) -> None:
        """
        What still comes after a reply is not read for ever, however fast it comes.
        """

        class Lost(Parking):
            isLeaf = False

        self.serve(Limits(), Lost())
        talker = self.talk(get(b"*", b"Transfer-Encoding: chunked\r\n"))
        self.assertEqual(self.statuses(talker), [405])
        for _ in range(4):
            self.net.pass_(1)
            self.say(talker, b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        self.assertIsNone(talker.lost)
        self.net.pass_(2)
        self.assertIsNotNone(talker.lost)
        self.assertEqual(self.closed, ["stuck"])

    def test_oneTimer(self) -> None:
        """
        All connections share a timer.
        """
        for _ in range(10):
            self.talk(get(b"/later"))
        self.assertEqual(len(self.net.getDelayedCalls()), 1)


class StrictTests(ChannelTestCase):
    """
    What the RFCs forbid is refused, and nothing behind it is read: each of
    these could be read in another way by somebody in front of us.
    """

    def refuses(self, status: int, *requests: bytes) -> None:
        """
        Each is refused with this status, whole and byte by byte, and not
        asked.
        """
        for request in requests:
            for pieces in ([request], [bytes([byte]) for byte in request]):
                self.refused.clear()
                self.parking.asked.clear()
                talker = self.talk()
                for piece in pieces:
                    self.say(talker, piece)
                self.say(talker, get(b"/smuggled"))
                self.assertRefused(talker, status)
                self.assertEqual(self.parking.asked, [], request)

    def test_lengths(self) -> None:
        """
        Two lengths, or one that is no number (RFC 9112 section 6.3).
        """
        self.refuses(
            400,
            get(more=b"Content-Length: 3\r\nContent-Length: 3\r\n") + b"abc",
            get(more=b"Content-Length: 3\r\nContent-Length: 4\r\n") + b"abcd",
            *(
                get(more=b"Content-Length: %b\r\n" % length) + b"abc"
                for length in (b"", b"3,3", b"+3", b"-3", b"0x3", b"3 3", b"9" * 30)
            ),
        )

    def test_lengthAndCoding(self) -> None:
        """
        A length beside a coding, in either order (RFC 9112 section 6.3).
        """
        length, coding = b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"
        self.refuses(
            400,
            get(more=length + coding) + b"0\r\n\r\n",
            get(more=coding + length) + b"0\r\n\r\n",
        )

    def test_codings(self) -> None:
        """
        Codings other than chunked, which we do not know, and odd ones
        (RFC 9112 section 6.1).
        """
        self.refuses(
            501,
            *(
                get(more=b"Transfer-Encoding: %b\r\n" % coding) + b"0\r\n\r\n"
                for coding in (
                    b"gzip, chunked",
                    b"gzip\r\nTransfer-Encoding: chunked",
                    b"identity",
                    b"xchunked",
                    b"gzip",
                )
            ),
        )
        self.refuses(
            400,
            *(
                get(more=b"Transfer-Encoding: %b\r\n" % coding) + b"0\r\n\r\n"
                for coding in (
                    b"",
                    b"chunked, gzip",
                    b"chunked, chunked",
                    b"chunked\r\nTransfer-Encoding: chunked",
                    b"\x0bchunked",
                )
            ),
        )

    def test_codingOfOld(self) -> None:
        """
        A coding in HTTP/1.0 (RFC 9112 section 6.1).
        """
        chunked = get(more=b"Transfer-Encoding: chunked\r\n", version=b"1.0")
        self.refuses(400, chunked + b"0\r\n\r\n")

    def test_lines(self) -> None:
        """
        Line ends of one byte, folded lines, a space before the colon, and
        bytes that no field may hold (RFC 9112 sections 2.2 and 5).
        """
        self.refuses(
            400,
            b"GET /now HTTP/1.1\nHost: p\n\n",
            b"GET /now HTTP/1.1\r\nHost: p\nX: y\r\n\r\n",
            b"GET /now HTTP/1.1\r\nHost: p\rX: y\r\n\r\n",
            b"GET /now HTTP/1.1\rHost: p\r\r",
            get(more=b"X: y\r\n z\r\n"),
            get(more=b" X: y\r\n"),
            get(more=b"X : y\r\n"),
            get(more=b"X\r\n"),
            get(more=b": y\r\n"),
            get(more=b"X: \0\r\n"),
            get(more=b"X(: y\r\n"),
        )

    def test_chunks(self) -> None:
        """
        Chunks that are not as long as they say, or whose lines are odd
        (RFC 9112 section 7.1).
        """
        self.refuses(
            400,
            *(
                get(more=b"Transfer-Encoding: chunked\r\n") + chunks
                for chunks in (
                    b"3\nabc\r\n0\r\n\r\n",
                    b"3\r\nabcd\r\n0\r\n\r\n",
                    b"3 \r\nabc\r\n0\r\n\r\n",
                    b" 3\r\nabc\r\n0\r\n\r\n",
                    b"0x3\r\nabc\r\n0\r\n\r\n",
                    b"-3\r\nabc\r\n0\r\n\r\n",
                    b"\r\nabc\r\n0\r\n\r\n",
                    b"f" * 17 + b"\r\nabc\r\n0\r\n\r\n",
                    b"3;a\nb\r\nabc\r\n0\r\n\r\n",
                )
            ),
        )

    def test_versions(self) -> None:
        """
        Any version of HTTP but 1.1 and 1.0.
        """
        self.refuses(505, b"GET /\r\n\r\n", get(version=b"0.9"), get(version=b"2.0"))
        self.refuses(
            400,
            get(version=b"1.2"),
            get(version=b"3.0"),
            get(version=b"11"),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        )

    def test_hosts(self) -> None:
        """
        No Host, or two (RFC 9112 section 3.2).
        """
        self.refuses(
            400,
            b"GET /now HTTP/1.1\r\n\r\n",
            b"GET /now HTTP/1.1\r\nPort: p\r\n\r\n",
            get(more=b"HOST: q\r\n"),
            get(more=b"Host: p\r\n", version=b"1.0"),
        )

    def test_upgradeWithBody(self) -> None:
        """
        An Upgrade with a body, whose end our parser would not see.
        """
        upgrade = b"Connection: Upgrade\r\nUpgrade: x\r\n"
        self.refuses(
            400,
            post(b"abc", more=upgrade),
            get(more=upgrade + b"Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
            b"CONNECT p:1 HTTP/1.1\r\nHost: p\r\nContent-Length: 1\r\n\r\nx",
        )

    def test_requestLines(self) -> None:
        """
        What is no request's line.
        """
        self.refuses(
            400,
            b"FOO / HTTP/1.1\r\nHost: p\r\n\r\n",
            b"get / HTTP/1.1\r\nHost: p\r\n\r\n",
            b"GET / HTTP/1.1 x\r\nHost: p\r\n\r\n",
            b"GET /\x7f HTTP/1.1\r\nHost: p\r\n\r\n",
            b"GET p:1/ HTTP/1.1\r\nHost: p\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        )

    def test_upgrade(self) -> None:
        """
        An Upgrade is ignored, and the next request is read as ever.
        """
        upgrading = get(b"/now1", b"Connection: Upgrade\r\nUpgrade: h2c\r\n")
        talker = self.talk(upgrading + get(b"/now2"))
        self.say(talker, upgrading)
        self.assertEqual(self.bodies(talker), [b"/now1", b"/now2", b"/now1"])

    def test_connect(self) -> None:
        """
        A CONNECT reaches the resource, and is the last request.
        """
        talker = self.talk(b"CONNECT p:1 HTTP/1.1\r\nHost: p:1\r\n\r\n" + get())
        self.assertEqual(self.parking.asked, [(b"CONNECT", b"p:1", b"")])
        self.answer()
        self.assertIn(b"Connection: close\r\n\r\np:1", talker.received)
        self.assertIsNotNone(talker.lost)
        self.assertEqual(len(self.parking.asked), 1)

    def test_noSplitting(self) -> None:
        """
        Neither a reason nor a value can end a line.
        """
        talker = self.talk(get(b"/later"))
        (request,) = self.parking.parked
        request.setResponseCode(200, b"Fine\r\nEvil: 1\r\n\r\n")
        request.setHeader(b"X", b"y\r\nEvil: 2\n\nz")
        request.setHeader(b"Connection", b"evil")
        request.addCookie(b"a", b"b\r\nEvil: 3")
        self.answer()
        (reply,) = self.heard(talker)
        self.assertEqual(reply.reason, b"Fine  Evil: 1    ")
        self.assertNotIn(b"evil", reply.headers)
        self.assertNotIn(b"connection", reply.headers)
        self.assertEqual(reply.body, b"/later")


class HangUpTests(ChannelTestCase):
    """
    The other side goes, at any point.
    """

    def hangUp(self, talker: Talker) -> None:
        """
        Go, without a word.
        """
        self.net.cut([talker.transport])
        self.assertEqual(self.site.lines, set())

    def test_early(self) -> None:
        """
        Before a request is whole nobody is asked.
        """
        for half in (b"", b"GET", get()[:-2], post(b"abc")[:-1]):
            self.hangUp(self.talk(half))
        self.assertEqual((self.parking.asked, len(self.broken)), ([], 4))

    def test_parked(self) -> None:
        """
        All who wait to answer are told, and those behind are not asked.
        """
        talker = self.talk(get(b"/a") + get(b"/b") + post(b"abc")[:-1])
        (request,) = self.parking.parked
        line = request.channel
        self.hangUp(talker)
        ((path, end),) = self.parking.ends
        self.assertEqual((path, isinstance(end, Failure)), (b"/a", True))
        self.assertEqual(self.broken, [line])
        request.write(b"too late")
        self.assertRaises(RuntimeError, request.finish)

    def test_halfAnswered(self) -> None:
        """
        Who is answering is told, too; one who has answered knows it is well.
        """
        talker = self.talk(get(b"/now") + get(b"/a"))
        self.parking.parked[0].write(b"abc")
        self.net.settle()
        self.hangUp(talker)
        (first, well), (second, end) = self.parking.ends
        self.assertEqual((first, well, second), (b"/now", None, b"/a"))
        self.assertIsInstance(end, Failure)

    def test_clean(self) -> None:
        """
        A clean end is no break.
        """
        talker = self.talk(get(b"/a"))
        talker.transport.loseConnection()
        self.net.settle()
        self.assertEqual((len(self.parking.ends), self.broken), (1, []))

    def test_badBodyWhileAnswered(self) -> None:
        """
        A reply that began before a body turned out to be bad is broken off.
        """

        class Eager(Parking):
            isLeaf = False

            def getChildWithDefault(self, path: bytes, request: Request) -> Any:
                request.write(b"abc")
                return self

        self.serve(Limits(), Eager())
        talker = self.talk(
            b"GET / HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        self.say(talker, b"nonsense")
        (reply,) = replies(talker.received)
        self.assertEqual((reply.body, reply.whole), (b"abc", False))
        assert talker.lost is not None
        self.assertFalse(talker.lost.check(ConnectionDone))


@implementer(IPushProducer)
class SizeTests(ChannelTestCase):
    """
    What a line takes.
    """

    def test_attributes(self) -> None:
        """
        A line with a parked request has few enough attributes for Python to keep
        them compactly, also if its requests are counted.
        """
        self.serve(Limits(requests=9))
        self.talk(post(b"abc", b"/later"))
        [line] = self.site.lines
        self.assertLess(len(vars(line)), 30)


class TurnTests(SynchronousTestCase):
    """
    Who sends much at once lets others have their turn.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        self.net = Internet()
        self.parking = Parking()
        self.line = Site(self.parking, self.net).buildProtocol(None)
        self.transport = StringTransport()
        self.line.makeConnection(self.transport)

    def tearDown(self) -> None:
        """
        Hang up: no timer stays behind.
        """
        self.line.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.net.getDelayedCalls(), [])

    def turn(self) -> None:
        """
        One turn of the reactor; a clock would go on while anything is due.
        """
        (call,) = [call for call in self.net.calls if call.getTime() <= 0]
        self.net.calls.remove(call)
        call.called = 1
        call.func(*call.args)

    @property
    def paths(self) -> list[bytes]:
        """
        Of the requests that came to a resource, since the last time.
        """
        asked, self.parking.asked = self.parking.asked, []
        return [path for _, path, _ in asked]

    def test_oneByOne(self) -> None:
        """
        Of many requests one is answered in each turn of the reactor, and no more
        is read meanwhile.
        """
        self.line.dataReceived(get(b"/now1") + get(b"/now2") + get(b"/now3"))
        self.assertEqual(self.paths, [b"/now1"])
        self.assertEqual(self.transport.producerState, "paused")
        # TLS has more of what was read.
        self.line.dataReceived(get(b"/now4"))
        for path in (b"/now2", b"/now3", b"/now4"):
            self.assertEqual(self.paths, [])
            self.turn()
            self.assertEqual(self.paths, [path])
        self.assertEqual(self.transport.producerState, "producing")
        self.assertEqual(len(replies(self.transport.value())), 4)

    def test_inChunks(self) -> None:
        """
        So it is where bodies come in chunks.
        """
        chunked = get(b"/now", b"Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n"
        self.line.dataReceived(chunked * 50)
        for _ in range(49):
            self.assertEqual(self.paths, [b"/now"])
            self.turn()
        self.assertEqual(self.paths, [b"/now"])

    def test_behindParked(self) -> None:
        """
        What is sent behind a request that waits is read, or nobody would see that
        its sender hangs up.
        """
        self.line.dataReceived(get(b"/later") + get() * 3 + get()[:-1])
        self.turn()
        self.assertEqual(self.transport.producerState, "producing")

    def test_pieces(self) -> None:
        """
        Nor does a body keep others waiting for long, whatever is in it; and who
        wants no more of it for now is not sent more.
        """

        class Reading(StreamingResource):
            isLeaf = True
            pieces = b""

            def render(self, request: Any) -> int:
                self.request = request
                request.readBody(self)
                return NOT_DONE_YET

            def bodyReceived(self, piece: bytes) -> None:
                self.pieces += piece

            def bodyEnded(self) -> None:
                self.request.reply(200, b"OK", b"Content-Length: 0\r\n")

        reading = self.line.site.resource = Reading()
        body = b"\r\n\r\n" * 350
        head = post(b"", more=b"Transfer-Encoding: chunked\r\n").replace(
            b"Content-Length: 0\r\n", b""
        )
        self.line.dataReceived(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        self.assertLess(len(reading.pieces), len(body) / 2)
        reading.request.pauseProducing()
        for _ in range(3):
            self.turn()
        self.assertEqual(reading.pieces, body)
        self.assertEqual(len(replies(self.transport.value())), 1)

    def test_unread(self) -> None:
        """
        That what was said is not read may be told with each piece of it; it is due
        from the first on.
        """
        self.line.dataReceived(get())
        self.line.pauseProducing()
        self.net.advance(Limits().idle / 2)
        self.line.pauseProducing()
        self.net.pump([1] * (int(Limits().idle / 2) + 1))
        self.assertTrue(self.transport.disconnected)

    def test_hangUp(self) -> None:
        """
        Who hangs up meanwhile is answered no more.
        """
        self.line.dataReceived(get() * 3)
        self.assertNotEqual(len(self.net.getDelayedCalls()), 0)


class Pushing:
    """
    A producer that writes as long as it may.
    """

    def __init__(self, request: Request, pieces: int) -> None:
        self.request = request
        self.left = pieces
        self.paused = False
        self.pauses = 0
        self.stopped = False

    def resumeProducing(self) -> None:
        """
        Write on.
        """
        self.paused = False
        while self.left and not self.paused:
            self.left -= 1
            self.request.write(b"x" * 1000)
        if not self.left:
            self.request.unregisterProducer()
            self.request.finish()

    def pauseProducing(self) -> None:
        """
        Wait.
        """
        self.paused = True
        self.pauses += 1

    def stopProducing(self) -> None:
        """
        Nobody reads.
        """
        self.stopped = True


class Pulled(Pushing):
    """
    A producer that writes a piece when asked to.
    """

    def resumeProducing(self) -> None:
        """
        Write a piece.
        """
        self.left -= 1
        self.request.write(b"x" * 1000)
        if not self.left:
            self.request.unregisterProducer()
            self.request.finish()


class ProducerTests(ChannelTestCase):
    """
    Replies as fast as they are read.
    """

    def test_push(self) -> None:
        """
        Who pushes is paused while the other side does not read.
        """
        talker = self.talk(get(b"/a") + get())
        talker.transport.pauseProducing()
        producer = Pushing(self.parking.parked[0], 500)
        self.parking.parked[0].registerProducer(producer, True)
        producer.resumeProducing()
        self.net.settle()
        self.assertTrue(producer.paused)
        self.assertLess(400, producer.left)
        talker.transport.resumeProducing()
        self.net.settle()
        self.assertGreater(producer.pauses, 1)
        first, second = self.heard(talker)
        self.assertEqual((len(first.body), second.body), (500_000, b"/now"))

    def test_pull(self) -> None:
        """
        Who waits to be asked is asked.
        """
        talker = self.talk(get(b"/a"))
        request = self.parking.parked[0]
        request.registerProducer(Pulled(request, 100), False)
        self.net.settle()
        (reply,) = self.heard(talker)
        self.assertEqual(len(reply.body), 100_000)

    def test_lose(self) -> None:
        """
        Where a reply is broken off, its connection does not wait for its producer.
        """
        talker = self.talk(get(b"/a"))
        (request,) = self.parking.parked
        request.registerProducer(Pushing(request, 5), True)
        request.write(b"x")
        request.loseConnection()
        request.unregisterProducer()
        self.net.settle()
        self.assertIsNotNone(talker.lost)

    def test_stop(self) -> None:
        """
        Nobody produces for one who is gone.
        """
        talker = self.talk(get(b"/a"))
        producer = Pushing(self.parking.parked[0], 5)
        self.parking.parked[0].registerProducer(producer, True)
        self.net.cut([talker.transport])
        self.assertTrue(producer.stopped)


@implementer(ISSLTransport)
class SecretTransport(SocketTransport):
    """
    A transport in TLS.
    """

    def getPeerCertificate(self) -> None:
        """
        There is none.
        """


class TransportTests(SynchronousTestCase):
    """
    What a line does with what is below it.
    """

    def on(
        self, transport: StringTransport, use: Callable[[Line], object] = id
    ) -> object:
        """
        Begin and end a connection on a transport.

        @return: what came of its use.
        """
        line = Site(Resource(), Internet()).buildProtocol(None)
        assert isinstance(line, Line)
        line.makeConnection(transport)
        found = use(line)
        line.connectionLost(Failure(ConnectionDone()))
        return found

    def test_watched(self) -> None:
        """
        A line over TCP is one whose dead peers are noticed.
        """
        transport = SocketTransport(None)
        self.on(transport)
        self.assertEqual(transport.asked, ["nodelay", "keepalive"])

    def test_secure(self) -> None:
        """
        A line knows whether it is secret.
        """
        self.assertIs(self.on(StringTransport(), Line.isSecure), False)
        self.assertIs(self.on(SecretTransport(None), Line.isSecure), True)

    def test_addresses(self) -> None:
        """
        A line has the addresses of its transport.
        """
        for theirs, ours in (
            (StringTransport.getPeer, Line.getPeer),
            (StringTransport.getHost, Line.getHost),
        ):
            transport = StringTransport()
            self.assertEqual(self.on(transport, ours), theirs(transport))
