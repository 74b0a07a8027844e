"""
Tests for answers that are pushed while they come: L{pushprox.client.scraping},
L{pushprox.client.pushing} and L{pushprox.client.body} at work, between a target
and a proxy of either kind.
"""

from __future__ import annotations

import attrs

from pushprox.client.body import KEPT
from pushprox.client.polling import Polling
from pushprox.client.uplink import STALE
from pushprox.framing import IncompleteMessage
from pushprox.message import Response, ResponseDecoder
from tests.fakeproxy import Call, ClientTestCase, FakeProxy, GoProxy, Server, work
from tests.internet import End

HTTP = b"HTTP/1.1 200 OK\r\n"

#: What one scrape may hold, in bytes.
MOST = 512 * 1024

#: As much as a connection gives at once.
READ = 64 * 1024


@attrs.frozen
class Framing:
    """
    How a target marks the end of its body.

    @ivar head: before a body of so many bytes.
    @ivar isChunked: whether the body comes in chunks.
    @ivar closes: whether the target closes the connection after it.
    """

    head: bytes
    isChunked: bool = False
    closes: bool = False

    def piece(self, data: bytes) -> bytes:
        """
        A piece of the body.
        """
        if self.isChunked and data:
            return b"%x\r\n%b\r\n" % (len(data), data)
        return data

    def begin(self, call: Call, data: bytes, length: int) -> None:
        """
        Send the head, and the first of so many bytes.
        """
        head = self.head % length if b"%" in self.head else self.head
        call.say(HTTP + head + b"\r\n" + self.piece(data))

    def more(self, call: Call, data: bytes) -> None:
        """
        Send more.
        """
        call.say(self.piece(data))

    def end(self, call: Call) -> None:
        """
        That was all.
        """
        if self.isChunked:
            call.say(b"0\r\n\r\n")
        if self.closes:
            call.close()


LENGTH = Framing(b"Content-Length: %d\r\n")
CHUNKED = Framing(b"Transfer-Encoding: chunked\r\n", isChunked=True)
CLOSED = Framing(b"", closes=True)


@attrs.define(eq=False)
class Flood:
    """
    Bytes without end, at the pace of the connection.

    @ivar sent: how many there were so far.
    """

    transport: End
    framing: Framing
    size: int
    sent: int = 0

    def resumeProducing(self) -> None:
        """
        Send as much as goes out at once.
        """
        piece = b"x" * min(READ, self.size - self.sent)
        self.sent += len(piece)
        self.transport.write(self.framing.piece(piece))
        if self.sent == self.size:
            self.transport.unregisterProducer()
            if self.framing.isChunked:
                self.transport.write(b"0\r\n\r\n")

    def stopProducing(self) -> None:
        """
        Nobody wants more.
        """


class StreamingTestCase(ClientTestCase):
    """
    A client between a target and a proxy, both of which leave it to the test what
    happens. When it ends, nothing of the client may stay behind.
    """

    makeProxy: type[FakeProxy] = FakeProxy

    def setUp(self) -> None:
        """
        The client polls, and has a connection to spare for pushes.
        """
        super().setUp()
        self.proxy = self.proxyAt(8080, self.makeProxy(self.net))
        self.target = Server(self.net)
        self.net.listenTCP(9100, self.target)
        self.client: Polling = self.start(polls=1)

    def renew(self) -> None:
        """
        Begin once more, on another internet.
        """
        self.tearDown()
        super().renew()

    def tearDown(self) -> None:
        """
        No connection and no timer.
        """
        stopped = self.client.stopService()
        self.net.pass_(60.0)
        self.successResultOf(stopped)
        self.assertEqual(
            (self.net.linesTo(8080), self.net.linesTo(9100)),
            ([], []),
        )
        self.assertEqual(self.net.getDelayedCalls(), [])
        self.assertEqual(self.net.dialling, [])

    def scraped(self, id: bytes = b"id-1", timeout: bytes = b"10") -> Call:
        """
        @return: a scrape, as the target sees it.
        """
        self.proxy.scrape(work(id, timeout))
        self.net.settle()
        return self.target.calls[-1]

    def begun(self, framing: Framing, data: bytes = b"up", length: int = 5) -> Call:
        """
        @return: a scrape that the target has begun to answer.
        """
        call = self.scraped()
        framing.begin(call, data, length)
        self.net.settle()
        return call

    def flood(self, framing: Framing, size: int) -> Flood:
        """
        @return: a long answer to a new scrape.
        """
        call = self.begun(framing, b"", size) if framing is not CHUNKED else None
        if call is None:
            call = self.scraped()
            call.say(HTTP + CHUNKED.head + b"\r\n")
            self.net.settle()
        flood = Flood(call.line.transport, framing, size)
        call.line.transport.registerProducer(flood, False)
        self.net.settle()
        return flood

    def push(self) -> Call:
        """
        @return: the only push that has begun.
        """
        [push] = self.proxy.begun
        return push

    def decoded(self, push: Call) -> tuple[ResponseDecoder, bytes]:
        """
        @return: what came of a push.
        """
        decoder = ResponseDecoder()
        body = decoder.feed(push.body)
        return decoder, body

    def counted(self) -> dict[str, float | None]:
        """
        @return: what went wrong, and what the scrapes were counted by.
        """
        return {
            "scrape errors": self.measured("pushprox_client_scrape_errors_total"),
            "push errors": self.measured("pushprox_client_push_errors_total"),
            "200": self.measured("pushprox_client_scrapes_total", code="200"),
            "502": self.measured("pushprox_client_scrapes_total", code="502"),
        }

    def idle(self) -> None:
        """
        Nothing is in hand any more.
        """
        self.assertEqual(self.measured("pushprox_client_scrapes_in_hand"), 0)
        self.assertEqual(self.net.linesTo(9100), [])


class FirstByteTests(StreamingTestCase):
    """
    When a push begins.
    """

    def test_early(self) -> None:
        """
        What has come of an answer is pushed before the rest has come, whatever
        marks its end.
        """
        for framing in (LENGTH, CHUNKED, CLOSED):
            call = self.begun(framing)
            decoder, body = self.decoded(self.push())
            self.assertEqual(body, b"up")
            assert decoder.head is not None
            self.assertEqual(decoder.head.status, 200)
            framing.more(call, b" 1")
            self.net.settle()
            self.assertEqual(self.decoded(self.push())[1], b"up 1")
            framing.more(call, b"\n")
            framing.end(call)
            self.net.settle()
            [answer] = self.proxy.answers
            self.assertEqual(answer.body, b"up 1\n")
            self.assertEqual(self.counted()["200"], 1)
            self.renew()

    def test_headAlone(self) -> None:
        """
        Not even the first byte of a body is waited for.
        """
        call = self.begun(LENGTH, b"")
        self.assertTrue(self.push().body.endswith(b"\r\n\r\n"))
        LENGTH.more(call, b"up 1\n")
        self.net.settle()
        self.assertEqual(self.proxy.answers[0].body, b"up 1\n")

    def test_afterRedirects(self) -> None:
        """
        The answer is that behind the redirects, whose bodies go nowhere, however
        long they are.
        """
        call = self.scraped()
        call.say(HTTP.replace(b"200 OK", b"302 Found") + b"Location: /y\r\n")
        call.say(b"Content-Length: 300000\r\n\r\n")
        self.net.settle()
        for _ in range(3):
            call.say(b"x" * 100000)
            self.net.settle()
        self.assertEqual(self.proxy.begun, [])
        self.assertEqual(self.target.calls[-1].path, b"/y")
        LENGTH.begin(self.target.calls[-1], b"up", 5)
        self.net.settle()
        self.assertEqual(self.decoded(self.push())[1], b"up")
        LENGTH.more(self.target.calls[-1], b" 1\n")
        self.net.settle()
        self.assertEqual(self.proxy.answers[0].body, b"up 1\n")

    def test_redirectBreaksOff(self) -> None:
        """
        A redirect that breaks off in its body is followed by nobody.
        """
        call = self.scraped()
        call.say(HTTP.replace(b"200 OK", b"302 Found") + b"Location: /y\r\n")
        call.say(b"Content-Length: 9\r\n\r\nthere")
        self.net.settle()
        call.cut()
        self.net.settle()
        self.assertEqual(len(self.target.calls), 1)
        decoder, _ = self.decoded(self.push())
        assert decoder.head is not None
        self.assertEqual(
            decoder.head.reason, b"Target's answer broke off after 5 bytes"
        )

    def test_redirectTakesTooLong(self) -> None:
        """
        A redirect whose body does not end is left at the deadline.
        """
        call = self.scraped()
        call.say(HTTP.replace(b"200 OK", b"302 Found") + b"Location: /y\r\n")
        call.say(b"Content-Length: 9\r\n\r\nthere")
        self.net.pass_(9.5)
        self.assertEqual(self.proxy.answers[0].head.status, 504)
        self.assertIsNotNone(call.line.lost)
        self.idle()


class FramingTests(StreamingTestCase):
    """
    How a push tells its end.
    """

    def framing(self, push: Call) -> tuple[bytes | None, ...]:
        """
        @return: Content-Length and Transfer-Encoding, of the push and within.
        """
        head = push.body.partition(b"\r\n\r\n")[0] + b"\r\n"
        inner = Call(push.line, head)
        return (
            push.header(b"Content-Length"),
            push.header(b"Transfer-Encoding"),
            inner.header(b"Content-Length"),
            inner.header(b"Transfer-Encoding"),
        )

    def test_whole(self) -> None:
        """
        An answer that came at once has a length, whatever the target did.
        """
        for framing in (LENGTH, CHUNKED):
            call = self.scraped()
            framing.begin(call, b"up 1\n", 5)
            framing.end(call)
            self.net.settle()
            push = self.push()
            size = b"%d" % len(push.body)
            self.assertEqual(self.framing(push), (size, None, b"5", None))
            self.renew()

    def test_length(self) -> None:
        """
        The length that the target told is that of the body, and gives that of the
        push.
        """
        call = self.begun(LENGTH)
        head, _, _ = self.push().body.partition(b"\r\n\r\n")
        size = b"%d" % (len(head) + len(b"\r\n\r\n") + 5)
        self.assertEqual(self.framing(self.push()), (size, None, b"5", None))
        LENGTH.more(call, b" 1\n")
        self.net.settle()
        self.assertTrue(self.push().whole)

    def test_noLength(self) -> None:
        """
        An answer without a length is chunked, twice: so its end shows wherever
        the push's end may come from.
        """
        for framing in (CHUNKED, CLOSED):
            call = self.begun(framing)
            self.assertEqual(
                self.framing(self.push()), (None, b"chunked", None, b"chunked")
            )
            framing.end(call)
            self.net.settle()
            self.assertTrue(self.push().body.endswith(b"\r\n2\r\nup\r\n0\r\n\r\n"))
            self.renew()

    def test_manyChunks(self) -> None:
        """
        What came at once goes at once, in however many chunks it came.
        """
        call = self.begun(CHUNKED, b"")
        call.say(CHUNKED.piece(b"up ") + CHUNKED.piece(b"1") + CHUNKED.piece(b"\n"))
        self.net.settle()
        self.assertTrue(self.push().body.endswith(b"\r\n5\r\nup 1\n\r\n"))
        CHUNKED.end(call)
        self.net.settle()

    def test_measured(self) -> None:
        """
        The bytes of a push are counted when it is taken, and the seconds of a
        scrape until the target's last byte.
        """
        call = self.begun(CHUNKED)
        self.proxy.onPush = lambda push: push.after(1.0, lambda: push.reply(200))
        self.net.pass_(2.0)
        self.assertEqual(self.measured("pushprox_client_pushed_bytes_total"), 0)
        self.assertIsNone(self.counted()["200"])
        CHUNKED.end(call)
        self.net.pass_(1.0)
        self.assertEqual(
            self.measured("pushprox_client_pushed_bytes_total"), len(self.push().body)
        )
        self.assertEqual(
            self.measured("pushprox_client_scrape_duration_seconds_sum"), 2.0
        )

    def test_roundTrip(self) -> None:
        """
        The time that the target takes for its answer is none that the proxy takes.
        """
        self.proxy.onPush = lambda push: push.after(0.5, lambda: push.reply(200))
        call = self.begun(LENGTH)
        self.net.pass_(5.0)
        LENGTH.more(call, b" 1\n")
        self.net.pass_(1.0)
        self.assertEqual(self.client.uplink.roundTrip, 0.5)


class ReferenceFramingTests(StreamingTestCase):
    """
    The same for a proxy of the reference, which takes a broken push for whole.
    """

    makeProxy = GoProxy

    def test_length(self) -> None:
        """
        An answer with a length is pushed as it comes: whoever asked the proxy will
        miss what is missing.
        """
        call = self.begun(LENGTH)
        self.assertEqual(self.decoded(self.push())[1], b"up")
        LENGTH.more(call, b" 1\n")
        self.net.settle()
        self.assertEqual(self.proxy.answers[0].head.length, 5)

    def test_noLength(self) -> None:
        """
        One without is held until it is whole, and then has one.
        """
        for framing in (CHUNKED, CLOSED):
            call = self.begun(framing)
            framing.more(call, b" 1\n")
            self.net.settle()
            self.assertEqual(self.proxy.begun, [])
            framing.end(call)
            self.net.settle()
            [answer] = self.proxy.answers
            self.assertEqual((answer.head.length, answer.body), (5, b"up 1\n"))
            self.assertIsNotNone(self.push().header(b"Content-Length"))
            self.renew()

    def test_heldAtTheProxysPace(self) -> None:
        """
        What was held whole goes out at the proxy's pace too.
        """
        self.proxy.onBegin = lambda push: push.line.transport.pauseProducing()
        self.flood(CHUNKED, 40 * READ)
        [line] = [end for end in self.net.linesTo(8080) if end.out]
        self.assertLess(len(line.out), 2 * READ + 1024)
        line.peer.resumeProducing()
        self.net.settle()
        self.assertEqual(len(self.proxy.answers[0].body), 40 * READ)

    def test_tooLong(self) -> None:
        """
        One that is too long to be held is a failed scrape that says so.
        """
        self.client.scraping.maxHeld = 2**20
        flood = self.flood(CHUNKED, 2**22)
        self.assertLess(flood.sent, 2**20 + 4 * READ)
        [answer] = self.proxy.answers
        self.assertEqual(
            (answer.head.status, answer.head.reason),
            (
                502,
                b"Target's answer of over 1 MiB has no length, which the proxy needs",
            ),
        )
        self.assertEqual(self.counted()["502"], 1)
        self.idle()

    def test_breaks(self) -> None:
        """
        One that breaks off while it is held is a 502, and short by a byte.
        """
        for framing in (CHUNKED, CLOSED):
            self.begun(framing).cut()
            self.net.settle()
            decoder, _ = self.decoded(self.push())
            assert decoder.head is not None
            self.assertEqual(decoder.head.status, 502)
            self.assertEqual(
                decoder.head.reason, b"Target's answer broke off after 2 bytes"
            )
            self.assertRaises(IncompleteMessage, decoder.end)
            self.assertEqual(self.counted()["502"], 1)
            self.renew()

    def test_breaksWithLength(self) -> None:
        """
        One with a length breaks its push off: not all bytes of that come.
        """
        self.begun(LENGTH).cut()
        self.net.settle()
        self.assertFalse(self.push().whole)
        self.assertIsNotNone(self.push().line.lost)
        self.assertEqual(self.proxy.pushes, [])

    def test_tooSlow(self) -> None:
        """
        One that does not end in time is a 504, since nothing was pushed of it.
        """
        call = self.begun(CHUNKED)
        self.net.pass_(9.5)
        [answer] = self.proxy.answers
        self.assertEqual(
            (answer.head.status, answer.head.reason),
            (504, b"Target did not end its answer in 9.5 s"),
        )
        self.assertIsNotNone(call.line.lost)
        self.idle()


class BreakTests(StreamingTestCase):
    """
    Answers that do not end.
    """

    def assertBroken(self) -> None:
        """
        The proxy sees that the push is not whole; and whose fault that is.
        """
        push = self.push()
        self.assertFalse(push.whole)
        self.assertIsNotNone(push.line.lost)
        decoder, _ = self.decoded(push)
        self.assertRaises(IncompleteMessage, decoder.end)
        self.assertEqual(
            self.counted(),
            {"scrape errors": 1, "push errors": 0, "200": 1, "502": None},
        )
        self.assertEqual(self.measured("pushprox_client_pushed_bytes_total"), 0)
        self.assertEqual(self.said("warn", "error", "critical"), [])
        self.idle()

    def test_cut(self) -> None:
        """
        A target that dies amid its answer breaks the push off, after all that
        came.
        """
        for framing in (LENGTH, CHUNKED, CLOSED):
            call = self.begun(framing)
            framing.more(call, b" ")
            self.net.settle()
            call.cut()
            self.net.settle()
            self.assertEqual(self.decoded(self.push())[1], b"up ")
            self.assertBroken()
            [line] = self.said("info")[-1:]
            self.assertIn("Target's answer broke off after 3 bytes", line)
            self.assertIn("http://t1:9100/x", line)
            self.renew()

    def test_closed(self) -> None:
        """
        One that closes before its end does so too.
        """
        for framing in (LENGTH, CHUNKED):
            self.begun(framing).close()
            self.net.settle()
            self.assertBroken()
            self.renew()

    def test_garbage(self) -> None:
        """
        One that goes on with what is no HTTP does so too.
        """
        self.begun(CHUNKED).say(b"what?\r\n")
        self.net.settle()
        self.assertBroken()

    def test_garbageAtOnce(self) -> None:
        """
        Where that came together with the head there is nothing to be pushed.
        """
        call = self.scraped()
        call.say(HTTP + CHUNKED.head + b"\r\nwhat?\r\n")
        self.net.settle()
        self.assertEqual(self.proxy.answers[0].head.status, 502)

    def test_tooSlow(self) -> None:
        """
        A target that has not ended in time breaks the push off.
        """
        call = self.begun(LENGTH)
        self.net.pass_(9.25)
        self.assertIsNone(self.push().line.lost)
        self.net.pass_(0.25)
        self.assertBroken()
        self.assertIn("Target did not end its answer in 9.5 s", self.said("info")[-1])
        self.assertIsNotNone(call.line.lost)

    def test_stopped(self) -> None:
        """
        A client that is stopped waits for an answer that comes, and breaks off
        one that does not end.
        """
        self.begun(CHUNKED)
        stopped = self.client.stopService()
        self.net.pass_(9.25)
        self.assertNoResult(stopped)
        self.assertIsNone(self.push().line.lost)
        self.net.pass_(0.25)
        self.assertBroken()
        self.successResultOf(stopped)

    def test_beforeThePushIsConnected(self) -> None:
        """
        An answer that breaks off before anything of it is pushed is a 502.
        """
        call = self.scraped()
        # The poll has the only connection.
        self.net.blackHoles.add("10.0.0.1")
        LENGTH.begin(call, b"up", 5)
        self.net.settle()
        call.cut()
        self.net.settle()
        self.assertEqual(self.proxy.begun, [])
        self.net.blackHoles.clear()
        self.net.settle()
        answer = self.proxy.pushes[-1]
        decoder, _ = self.decoded(answer)
        assert decoder.head is not None
        self.assertEqual(decoder.head.status, 502)
        self.assertEqual(self.counted()["502"], 1)
        self.assertEqual(self.counted()["200"], None)


class BackPressureTests(StreamingTestCase):
    """
    The slower side slows the faster.
    """

    def slow(self) -> None:
        """
        The proxy reads no further than the head of a push.
        """
        self.proxy.onBegin = lambda push: push.line.transport.pauseProducing()

    def held(self, flood: Flood) -> int:
        """
        @return: bytes that the target sent and the proxy has not got.
        """
        return flood.sent - len(flood.transport.out) - len(self.push().body)

    def test_slowProxy(self) -> None:
        """
        A target waits for a proxy that does not read, and little is held
        meanwhile; then all arrives.
        """
        self.slow()
        for framing in (LENGTH, CHUNKED):
            flood = self.flood(framing, 100 * READ)
            self.assertLess(flood.sent, MOST)
            self.assertLess(self.held(flood), MOST - KEPT)
            self.net.pass_(1.0)
            self.assertLess(flood.sent, MOST)
            self.push().line.transport.resumeProducing()
            self.net.settle()
            self.assertEqual(flood.sent, flood.size)
            self.assertEqual(self.proxy.answers[0].body, b"x" * flood.size)
            self.renew()
            self.slow()

    def test_stutter(self) -> None:
        """
        A proxy that reads now and then is never sent much more than it reads.
        """
        self.slow()
        flood = self.flood(CHUNKED, 50 * READ)
        line = self.push().line.transport
        while flood.sent < flood.size:
            line.resumeProducing()
            line.peer.deliver()
            line.pauseProducing()
            self.net.settle()
            self.assertLess(self.held(flood), MOST - KEPT)
        line.resumeProducing()
        self.net.settle()
        self.assertEqual(len(self.proxy.answers[0].body), flood.size)

    def test_noConnectionYet(self) -> None:
        """
        While there is no connection for the push, the target waits.
        """
        call = self.scraped()
        self.net.blackHoles.add("10.0.0.1")
        call.say(HTTP + b"Content-Length: %d\r\n\r\n" % (100 * READ))
        flood = Flood(call.line.transport, LENGTH, 100 * READ)
        call.line.transport.registerProducer(flood, False)
        self.net.settle()
        self.assertEqual(self.proxy.begun, [])
        self.assertLess(flood.sent, 4 * READ)
        self.net.blackHoles.clear()
        self.net.settle()
        self.assertEqual(len(self.proxy.answers[0].body), flood.size)

    def test_tooSlow(self) -> None:
        """
        A proxy that does not read to the end in time has not taken the answer:
        that is no fault of the target.
        """
        self.slow()
        flood = self.flood(LENGTH, 100 * READ)
        self.net.pass_(9.75)
        self.assertIsNone(self.push().line.lost)
        self.net.pass_(0.25)
        self.assertFalse(self.push().whole)
        self.assertEqual(
            self.counted(),
            {"scrape errors": 0, "push errors": 1, "200": 1, "502": None},
        )
        self.assertIn("the proxy did not take it in time", self.said("warn")[-1])
        self.assertFalse(flood.transport.connected)
        self.idle()

    def test_breaksWhileItWaits(self) -> None:
        """
        A target that dies while the proxy does not read breaks the push off.
        """
        self.slow()
        flood = self.flood(LENGTH, 100 * READ)
        self.net.cut([flood.transport])
        self.net.settle()
        self.push().line.transport.resumeProducing()
        self.net.settle()
        self.assertFalse(self.push().whole)
        self.assertIsNotNone(self.push().line.lost)
        self.assertEqual(self.counted()["scrape errors"], 1)


class RefusalTests(StreamingTestCase):
    """
    Pushes that are answered before they end.
    """

    def refuse(self, status: int, *headers: bytes) -> None:
        """
        The proxy answers the head of the first push with this, and takes others.
        """

        def answer(push: Call) -> None:
            if len(self.proxy.begun) == 1:
                push.reply(status, b"no", *headers)

        self.proxy.onBegin = answer

    def test_nobodyWaits(self) -> None:
        """
        Where nobody wants the answer the target is left, and nothing more is
        pushed.
        """
        for headers in ((), (b"Connection: close",)):
            self.refuse(404, *headers)
            flood = self.flood(LENGTH, 100 * READ)
            self.assertLess(flood.sent, 10 * READ)
            self.assertFalse(flood.transport.connected)
            self.assertFalse(self.push().whole)
            self.assertIsNotNone(self.push().line.lost)
            self.assertEqual(
                self.counted(),
                {"scrape errors": 0, "push errors": 1, "200": 1, "502": None},
            )
            self.assertIn("404 Not Found: no", self.said("warn")[-1])
            self.idle()
            self.renew()

    def test_paused(self) -> None:
        """
        It does not matter whether the proxy had stopped reading.
        """
        self.proxy.onBegin = lambda push: push.line.transport.pauseProducing()
        flood = self.flood(CHUNKED, 100 * READ)
        self.push().reply(404)
        self.net.settle()
        self.assertFalse(flood.transport.connected)
        self.assertIsNotNone(self.push().line.lost)
        self.idle()

    def test_news(self) -> None:
        """
        A scraper hears at once of an answer that the way does not carry, and how
        long it was.
        """
        for framing, status, reason in [
            (
                LENGTH,
                413,
                b"A web server on the way to the proxy refused the target's answer"
                b" (6553600 bytes)",
            ),
            (
                CHUNKED,
                400,
                b"The proxy could not read the target's answer (over 0 bytes)",
            ),
        ]:
            self.refuse(status)
            flood = self.flood(framing, 100 * READ)
            self.assertFalse(flood.transport.connected)
            [push] = self.proxy.pushes
            answer = Response.fromBytes(push.body)
            self.assertEqual(answer.head.status, 502)
            self.assertEqual(answer.head.reason, reason)
            self.assertEqual(self.counted()["push errors"], 1)
            self.idle()
            self.renew()

    def test_lengthRequired(self) -> None:
        """
        Where something on the way wants a length, the next answers are held until
        they have one.
        """
        self.refuse(411)
        call = self.begun(CHUNKED)
        [answer] = self.proxy.answers
        self.assertEqual(answer.head.status, 502)
        self.assertIn(b"wanted to know the length", answer.head.reason)
        self.assertIsNotNone(call.line.lost)
        call = self.begun(CHUNKED)
        self.assertEqual(len(self.proxy.begun), 2)
        CHUNKED.end(call)
        self.net.settle()
        self.assertEqual(self.proxy.answers[1].head.length, 2)

    def test_targetWaits(self) -> None:
        """
        The target is left also where it has nothing to say at the time.
        """
        call = self.begun(LENGTH)
        self.push().reply(404)
        self.net.settle()
        self.assertIsNotNone(call.line.lost)
        self.idle()


class RepetitionTests(StreamingTestCase):
    """
    Of a push that met a connection which the proxy was just closing.
    """

    def setUp(self) -> None:
        """
        There is a connection for it.
        """
        super().setUp()
        call = self.scraped(b"id-0")
        LENGTH.begin(call, b"up 1\n", 5)
        self.net.settle()
        self.proxy.begun.clear()
        self.proxy.pushes.clear()
        call.close()
        self.net.settle()

    def test_repeated(self) -> None:
        """
        It is sent once more, from its beginning, and goes on.
        """
        for framing in (LENGTH, CHUNKED, CLOSED):
            call = self.begun(framing, b"x" * 100_000, 100_003)
            self.push().cut()
            self.net.settle()
            self.assertEqual(len(self.proxy.begun), 2)
            self.assertEqual(self.decoded(self.proxy.begun[1])[1], b"x" * 100_000)
            framing.more(call, b"end")
            framing.end(call)
            self.net.settle()
            self.assertEqual(self.proxy.answers[0].body, b"x" * 100_000 + b"end")
            self.assertEqual(self.counted()["push errors"], 0)
            self.assertEqual(self.said("warn"), [])
            self.renew()

    def assertNotRepeated(self, call: Call) -> None:
        """
        It is lost, and the target left.
        """
        self.net.settle()
        self.assertEqual(len(self.proxy.begun), 1)
        self.assertEqual(self.counted()["push errors"], 1)
        self.assertIsNotNone(call.line.lost)
        self.idle()

    def test_tooMuch(self) -> None:
        """
        It is not, where so much was sent that it was not kept.
        """
        call = self.begun(LENGTH, b"x" * KEPT, 2 * KEPT)
        self.push().cut()
        self.assertNotRepeated(call)

    def test_tooLate(self) -> None:
        """
        It is not, if the connection lasted a while.
        """
        call = self.begun(LENGTH)
        self.net.pass_(STALE)
        self.push().cut()
        self.assertNotRepeated(call)

    def test_answered(self) -> None:
        """
        It is not, if an answer had begun.
        """
        call = self.begun(LENGTH)
        self.push().line.transport.write(b"HTTP/1.1 ")
        self.net.settle()
        self.push().cut()
        self.assertNotRepeated(call)

    def test_broken(self) -> None:
        """
        It is not, if it was the target that broke off.
        """
        call = self.begun(LENGTH)
        call.cut()
        self.net.settle()
        self.assertEqual(len(self.proxy.begun), 1)


class TurnTests(StreamingTestCase):
    """
    How long a scrape takes the place of another.
    """

    def start(self, url: str = "http://proxy:8080/", **options: object) -> Polling:
        """
        One scrape at a time.
        """
        return super().start(url, **options, concurrency=1)

    def test_untilTheEnd(self) -> None:
        """
        The next scrape has to wait until an answer has ended, however that ends.
        """
        for end in (LENGTH.more, lambda call, data: call.cut()):
            call = self.begun(LENGTH)
            self.scraped(b"id-2")
            self.assertEqual(self.target.calls, [call])
            taken = self.proxy.waiting[-1].header(b"Pushprox-Taken")
            self.assertEqual(taken, b"id-1, id-2")
            end(call, b" 1\n")
            self.net.settle()
            self.assertEqual(len(self.target.calls), 2)
            self.target.calls[-1].reply(200)
            self.net.settle()
            self.renew()

    def test_refused(self) -> None:
        """
        The same holds if it ends since nobody wanted it.
        """
        self.begun(LENGTH)
        self.scraped(b"id-2")
        self.push().reply(404)
        self.net.settle()
        self.assertEqual(len(self.target.calls), 2)
        self.target.calls[-1].reply(200)
        self.net.settle()
