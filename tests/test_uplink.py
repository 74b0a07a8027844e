"""
Tests for L{pushprox.client.uplink}.
"""

from __future__ import annotations

import gzip
from pathlib import Path

from twisted.internet.defer import CancelledError, TimeoutError

from pushprox import __version__
from pushprox.client.agent import MAX_REPLY
from pushprox.client.body import Whole
from pushprox.client.credentials import CredentialsFile
from pushprox.client.uplink import LISTED, STALE, Uplink, UplinkError
from pushprox.watched import LOOK_EVERY
from tests.fakeproxy import URL, Call, ClientTestCase, FakeProxy, GoProxy


class UplinkTestCase(ClientTestCase):
    """
    A way to a proxy that leaves polls to the test.
    """

    def setUp(self) -> None:
        """
        The proxy answers nothing yet.
        """
        super().setUp()
        self.proxy = self.proxyAt(8080, FakeProxy(self.net))
        self.proxy.onPoll = self.proxy.onPush = lambda call: None
        self.uplink = self.uplinkTo(URL)

    def uplinkTo(self, url: str) -> Uplink:
        """
        @return: another way.
        """
        return self.makeClient(url).uplink

    def polled(self, **options: object) -> tuple[object, Call]:
        """
        @return: a poll, and what the proxy sees of it.
        """
        polling = self.uplink.poll(25.0, 10.0, [])
        self.net.settle()
        return polling, self.proxy.polls[-1]

    def warmUp(self) -> None:
        """
        Leave a connection behind that can be used again.
        """
        polling, call = self.polled()
        call.reply(204)
        self.net.settle()
        self.successResultOf(polling)


class RequestTests(UplinkTestCase):
    """
    What goes out.
    """

    def test_poll(self) -> None:
        """
        A poll is a POST of the name that says who asks, what it has in hand and
        for how long to wait.
        """
        polling = self.uplink.poll(25.0, 10.0, [b"id-1", b"id-2"])
        self.net.settle()
        [call] = self.proxy.polls
        version = __version__.encode()
        self.assertEqual(
            set(call.head.split(b"\r\n")),
            {
                b"POST /poll HTTP/1.1",
                b"Host: proxy:8080",
                b"User-Agent: pushprox/" + version,
                b"Content-Length: 2",
                b"Accept-Encoding: gzip",
                b"Prefer: wait=25",
                b"Pushprox-Instance: " + self.uplink.instance.encode(),
                b"Pushprox-Taken: id-1, id-2",
                b"Pushprox-Version: " + version,
                b"",
            },
        )
        self.assertEqual(call.body, b"t1")
        self.assertNoResult(polling)

    def test_nothingTaken(self) -> None:
        """
        A client with nothing in hand says so, since one that says nothing does
        not list what it has.
        """
        _, call = self.polled()
        self.assertEqual(call.header(b"Pushprox-Taken"), b"")

    def test_newestTaken(self) -> None:
        """
        Of many scrapes in hand a poll lists the newest.
        """
        ids = [b"%d" % number for number in range(LISTED + 5)]
        self.uplink.poll(25.0, 10.0, ids)
        self.net.settle()
        taken = self.proxy.polls[-1].header(b"Pushprox-Taken")
        self.assertEqual(taken, b", ".join(ids[5:]))

    def test_partOfASecond(self) -> None:
        """
        The seconds of a preference are whole ones, and never 0.
        """
        self.uplink.poll(0.5, 10.0, [])
        self.net.settle()
        self.assertEqual(self.proxy.polls[-1].header(b"Prefer"), b"wait=1")

    def test_push(self) -> None:
        """
        A push is a POST of the answer that says who brings it, and asks for no
        wait.
        """
        pushing = self.uplink.push(Whole(b"HTTP/1.1 200 OK\r\n\r\n"), 5.0)
        self.net.settle()
        [call] = self.proxy.pushes
        self.assertEqual(call.body, b"HTTP/1.1 200 OK\r\n\r\n")
        self.assertEqual(call.header(b"Content-Length"), b"19")
        instance = self.uplink.instance.encode()
        self.assertEqual(call.header(b"Pushprox-Instance"), instance)
        self.assertIsNone(call.header(b"Prefer"))
        self.assertIsNone(call.header(b"Pushprox-Taken"))
        call.reply(200)
        self.net.settle()
        self.assertEqual(self.successResultOf(pushing).status, 200)

    def test_prefixAndCredentials(self) -> None:
        """
        The path of the proxy's URL comes first, and its user and password go
        into a header.
        """
        proxy = self.proxyAt(8081, FakeProxy(self.net, prefix=b"/push/prox"))
        uplink = self.uplinkTo("http://me:secret@proxy:8081/push/prox")
        uplink.poll(25.0, 10.0, [])
        uplink.push(Whole(b"x"), 5.0)
        self.net.settle()
        for [call] in (proxy.polls, proxy.pushes):
            self.assertEqual(call.header(b"Authorization"), b"Basic bWU6c2VjcmV0")
            self.assertNotIn(b"secret", call.head)
            self.assertEqual(call.header(b"Host"), b"proxy:8081")

    def test_noSecrets(self) -> None:
        """
        Neither the way nor what went wrong on it shows the password.
        """
        uplink = self.uplinkTo("http://me:secret@proxy:9999/")
        polling = uplink.poll(25.0, 10.0, [])
        self.net.pass_(1.0)
        text = repr(uplink) + repr(self.failureResultOf(polling, UplinkError))
        self.assertNotIn("secret", text)
        self.assertNotIn("bWU6c2VjcmV0", text)

    def test_webProxy(self) -> None:
        """
        The environment's web proxy is asked for the whole URL.
        """
        squid = self.proxyAt(3128, FakeProxy(self.net, prefix=b"http://proxy:8080"))
        environment = {"HTTP_PROXY": "http://user:pass@squid:3128"}
        self.net.names.table["squid"] = "10.0.0.9"
        self.makeClient(environment=environment).uplink.poll(25.0, 10.0, [])
        self.net.settle()
        [call] = squid.polls
        self.assertEqual(call.header(b"Proxy-Authorization"), b"Basic dXNlcjpwYXNz")
        self.assertEqual(self.proxy.polls, [])


class CredentialsTests(UplinkTestCase):
    """
    Who we are, where that stands in a file.
    """

    def setUp(self) -> None:
        """
        It has a token in it.
        """
        super().setUp()
        self.path = Path(self.mktemp())
        self.path.write_text("one")
        credentials = CredentialsFile("proxy.token-file", str(self.path), self.net)
        self.uplink = self.makeClient(credentials=credentials).uplink

    def token(self) -> bytes | None:
        """
        @return: what a poll brings along now.
        """
        _, call = self.polled()
        return call.header(b"Authorization")

    def test_changes(self) -> None:
        """
        Every request brings them along; those of a new file within a second.
        """
        for token in (b"one", b"two"):
            self.path.write_bytes(token)
            self.net.pass_(LOOK_EVERY)
            self.assertEqual(self.token(), b"Bearer " + token)
            self.uplink.push(Whole(b"x"), 5.0)
            self.net.settle()
            header = self.proxy.pushes[-1].header(b"Authorization")
            self.assertEqual(header, b"Bearer " + token)

    def test_refused(self) -> None:
        """
        If the proxy does not know them they are read again before the next try,
        and not only after a second.
        """
        for status, after in ((403, b"Bearer one"), (401, b"Bearer two")):
            polling, call = self.polled()
            self.path.write_text("two")
            call.reply(status)
            self.net.settle()
            self.assertEqual(self.successResultOf(polling).status, status)
            self.assertEqual(self.token(), after)

    def test_nowhereElse(self) -> None:
        """
        A redirect gets them to nobody else.
        """
        elsewhere = self.proxyAt(8081, FakeProxy(self.net))
        for status in (301, 302, 303, 307, 308):
            polling, call = self.polled()
            call.reply(status, b"", b"Location: http://proxy:8081/poll")
            self.net.settle()
            self.assertEqual(self.successResultOf(polling).status, status)
        self.assertEqual(elsewhere.connections, 0)


class ReplyTests(UplinkTestCase):
    """
    What comes back.
    """

    def test_reply(self) -> None:
        """
        A reply tells what it is, what the proxy is and how long it took.
        """
        polling, call = self.polled()
        self.net.pass_(3.0)
        call.reply(200, b"work")
        self.net.settle()
        reply = self.successResultOf(polling)
        self.assertEqual((reply.status, reply.reason, reply.body), (200, "OK", b"work"))
        self.assertEqual((reply.version, reply.maxPolls), ("1.2.3", 16))
        self.assertEqual((reply.held, reply.elsewhere), (3.0, None))

    def test_reference(self) -> None:
        """
        A proxy that does not say what it is parks one poll, whatever else it
        says.
        """
        self.proxy.announcement = (b"Pushprox-Max-Polls: 16",)
        polling, call = self.polled()
        call.reply(200, b"work")
        self.net.settle()
        reply = self.successResultOf(polling)
        self.assertEqual((reply.version, reply.maxPolls), (None, 1))

    def test_oddHeaders(self) -> None:
        """
        What makes no sense in a header of the proxy counts as not there.
        """
        for odd in (b"many", b"-1", b"", b"9" * 5000, b"\xb2", b"\xff\xfe"):
            self.proxy.announcement = (
                b"Pushprox-Version: \xff",
                b"Pushprox-Max-Polls: " + odd,
                b"Location: \xe9\xff",
            )
            polling, call = self.polled()
            call.reply(200, b"work")
            self.net.settle()
            reply = self.successResultOf(polling)
            self.assertEqual(reply.maxPolls, 1)

    def test_gzip(self) -> None:
        """
        A compressed reply arrives as what it was.
        """
        polling, call = self.polled()
        call.reply(200, gzip.compress(b"work" * 1000), b"Content-Encoding: gzip")
        self.net.settle()
        self.assertEqual(self.successResultOf(polling).body, b"work" * 1000)

    def test_bomb(self) -> None:
        """
        A compressed reply counts as what it was, and is read no further than it
        may be long.
        """
        polling, call = self.polled()
        data = gzip.compress(b"x" * (MAX_REPLY + 1) + b"y" * MAX_REPLY)
        call.say(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
            % len(data)
        )
        for half in (data[: len(data) // 2 + 99], data[len(data) // 2 + 99 :]):
            call.say(half)
            self.net.settle()
        failure = self.failureResultOf(polling, UplinkError)
        self.assertIn(f"over {MAX_REPLY} bytes", str(failure.value))

    def test_badGzip(self) -> None:
        """
        A reply that only claims to be compressed is an error.
        """
        polling, call = self.polled()
        call.reply(200, b"work", b"Content-Encoding: gzip")
        self.net.settle()
        self.failureResultOf(polling, UplinkError)

    def test_chunked(self) -> None:
        """
        A reply in chunks, as the reference sends long ones, arrives whole.
        """
        polling, call = self.polled()
        call.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwork\r\n")
        self.net.settle()
        self.assertNoResult(polling)
        call.say(b"0\r\n\r\n")
        self.net.settle()
        self.assertEqual(self.successResultOf(polling).body, b"work")

    def test_redirect(self) -> None:
        """
        A redirect is told, and not followed: the name would be lost.
        """
        for status in (301, 302, 303, 307, 308):
            polling, call = self.polled()
            call.reply(status, b"", b"Location: http://proxy:8080/elsewhere")
            self.net.settle()
            reply = self.successResultOf(polling)
            self.assertEqual(reply.elsewhere, "http://proxy:8080/elsewhere")
        self.assertEqual(len(self.proxy.calls), 5)

    def test_brokenOff(self) -> None:
        """
        A reply that is shorter than it says is an error.
        """
        polling, call = self.polled()
        call.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nwork")
        call.close()
        self.net.settle()
        failure = self.failureResultOf(polling, UplinkError)
        self.assertEqual(str(failure.value), "the proxy's reply broke off")

    def test_tooLong(self) -> None:
        """
        A reply beyond all measure is refused, and its connection closed.
        """
        polling, call = self.polled()
        call.say(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_REPLY + 1))
        self.net.settle()
        self.failureResultOf(polling, UplinkError)
        self.assertEqual(self.net.linesTo(8080), [])

    def test_measuresPushes(self) -> None:
        """
        The round trip is that of the quickest push of late: one slow push does
        not change it much.
        """
        self.assertIsNone(self.uplink.roundTrip)
        for seconds, expected in ((1.0, 1.0), (0.5, 0.5), (9.0, 0.55)):
            pushing = self.uplink.push(Whole(b"x"), 10.0)
            self.net.settle()
            self.net.pass_(seconds)
            self.proxy.pushes[-1].reply(200)
            self.net.settle()
            self.successResultOf(pushing)
            self.assertAlmostEqual(self.uplink.roundTrip, expected)


class FailureTests(UplinkTestCase):
    """
    What may go wrong.
    """

    def failed(self, polling: object) -> str:
        """
        @return: what the proxy's user gets to read.
        """
        text = str(self.failureResultOf(polling, UplinkError).value)
        self.assertNotIn("\n", text)
        self.assertTrue(text)
        return text

    def test_refused(self) -> None:
        """
        Nobody listens.
        """
        polling = self.uplinkTo("http://proxy:9999/").poll(25.0, 10.0, [])
        self.net.pass_(1.0)
        self.assertIn("refused", self.failed(polling))

    def test_unknownName(self) -> None:
        """
        The proxy's name has no address: the error tells which one it was.
        """
        polling = self.uplinkTo("http://elsewhere:8080/").poll(25.0, 10.0, [])
        self.net.settle()
        self.assertIn("elsewhere", self.failed(polling))

    def test_noReply(self) -> None:
        """
        A poll is given up some time after its wait, and its connection too.
        """
        polling, call = self.polled()
        self.net.pass_(34.75)
        self.assertNoResult(polling)
        self.net.pass_(0.25)
        self.failureResultOf(polling, TimeoutError)
        self.assertFalse(call.waiting)
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_slowBody(self) -> None:
        """
        A reply that does not end is given up like one that does not begin.
        """
        polling, call = self.polled()
        call.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nwork")
        self.net.pass_(35.0)
        self.failureResultOf(polling, TimeoutError)
        self.assertEqual(self.net.linesTo(8080), [])
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_noWay(self) -> None:
        """
        A machine that does not answer at all is given up by the time of one
        attempt to connect.
        """
        self.net.blackHoles.add("10.0.0.1")
        polling = self.uplink.poll(25.0, 10.0, [])
        self.net.pass_(10.0)
        self.failed(polling)
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """
        To cancel a poll closes its connection and sends nothing more, also where
        the reply has begun.
        """
        for reply in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nwork"):
            polling, call = self.polled()
            call.line.transport.write(reply)
            self.net.settle()
            polling.cancel()
            self.failureResultOf(polling, CancelledError)
            self.net.settle()
            self.assertIsNotNone(call.line.lost)
        self.assertEqual(len(self.proxy.calls), 2)

    def test_cancelledOnTheWay(self) -> None:
        """
        A poll may be cancelled before it is connected: that is no failure of
        the proxy.
        """
        self.net.blackHoles.add("10.0.0.1")
        polling = self.uplink.poll(25.0, 10.0, [])
        self.net.settle()
        polling.cancel()
        self.net.settle()
        self.failureResultOf(polling, CancelledError)
        self.assertEqual(self.net.getDelayedCalls(), [])
        self.assertEqual(self.net.dialling, [])

    def test_timeOnTheWay(self) -> None:
        """
        A push whose time is over before it is connected was too late.
        """
        self.net.blackHoles.add("10.0.0.1")
        pushing = self.uplink.push(Whole(b"x"), 2.0)
        self.net.pass_(2.0)
        self.failureResultOf(pushing, TimeoutError)
        self.assertEqual(self.net.getDelayedCalls(), [])

    def test_garbage(self) -> None:
        """
        What is no HTTP is an error in one line.
        """
        for garbage in (b"\x15\x03\x01\x00\x02\x02\x46", b"\r\n\r\n\r\n", b"HTTP/9"):
            polling, call = self.polled()
            call.say(garbage)
            call.close()
            self.net.settle()
            self.failed(polling)


class RepetitionTests(UplinkTestCase):
    """
    Of a request that met a connection which the other side was just closing.
    """

    def test_repeated(self) -> None:
        """
        A poll that dies unanswered on a connection that had rested is sent once
        more, on a new one.
        """
        self.warmUp()
        polling, call = self.polled()
        self.assertEqual(self.proxy.connections, 1)
        call.close()
        self.net.settle()
        self.assertEqual(self.proxy.connections, 2)
        self.assertNoResult(polling)
        self.assertEqual(len(self.proxy.polls), 3)
        self.proxy.polls[-1].reply(204)
        self.net.settle()
        self.assertEqual(self.successResultOf(polling).status, 204)

    def test_pushRepeated(self) -> None:
        """
        A push is repeated likewise, with its whole body.
        """
        self.warmUp()
        pushing = self.uplink.push(Whole(b"answer"), 5.0)
        self.net.settle()
        self.proxy.pushes[-1].cut()
        self.net.settle()
        self.assertEqual([push.body for push in self.proxy.pushes], [b"answer"] * 2)
        self.proxy.pushes[-1].reply(200)
        self.net.settle()
        self.assertEqual(self.successResultOf(pushing).status, 200)

    def test_once(self) -> None:
        """
        It is not repeated twice.
        """
        self.warmUp()
        self.proxy.onPoll = lambda call: call.cut()
        polling, _ = self.polled()
        self.failureResultOf(polling, UplinkError)
        self.assertEqual(len(self.proxy.polls), 3)

    def test_notAfterItWasHeld(self) -> None:
        """
        A poll that was held and then cut did its work and is not repeated.
        """
        self.warmUp()
        polling, call = self.polled()
        self.net.pass_(STALE)
        call.cut()
        self.net.settle()
        self.failureResultOf(polling, UplinkError)
        self.assertEqual(len(self.proxy.polls), 2)

    def test_notWhenCancelled(self) -> None:
        """
        To cancel ends the connection too, and repeats nothing.
        """
        self.warmUp()
        polling, _ = self.polled()
        polling.cancel()
        self.net.settle()
        self.failureResultOf(polling, CancelledError)
        self.assertEqual(len(self.proxy.polls), 2)

    def test_notAfterAReply(self) -> None:
        """
        A reply that broke off is an answer of a kind.
        """
        self.warmUp()
        polling, call = self.polled()
        call.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        call.close()
        self.net.settle()
        self.failureResultOf(polling, UplinkError)
        self.assertEqual(len(self.proxy.polls), 2)

    def test_notOnANewConnection(self) -> None:
        """
        A poll that dies on a new connection was refused by who listens there.
        """
        polling, call = self.polled()
        call.close()
        self.net.settle()
        self.failureResultOf(polling, UplinkError)
        self.assertEqual(len(self.proxy.polls), 1)


class ReferenceTests(ClientTestCase):
    """
    The same proxy as others see it.
    """

    def test_expired(self) -> None:
        """
        The reference ends the older of two polls, and its words are passed on.
        """
        proxy = self.proxyAt(8080, GoProxy(self.net))
        uplink = self.makeClient().uplink
        older = uplink.poll(25.0, 10.0, [])
        self.net.settle()
        newer = uplink.poll(25.0, 10.0, [])
        self.net.settle()
        reply = self.successResultOf(older)
        self.assertEqual((reply.status, reply.reason), (408, "Request Time-out"))
        self.assertIn(b"request is expired", reply.body)
        self.assertNoResult(newer)
        self.assertEqual(len(proxy.waiting), 1)
