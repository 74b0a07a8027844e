"""
Tests for L{pushprox.request}: what stock resources of Twisted Web are
answered on our channel is what they are on Twisted Web's own.
"""

from __future__ import annotations

from typing import Any

from h11 import RemoteProtocolError
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.compat import networkString
from twisted.python.components import Componentized
from twisted.python.filepath import FilePath
from twisted.web import http, server
from twisted.web.resource import EncodingResourceWrapper, NoResource, Resource
from twisted.web.server import NOT_DONE_YET, GzipEncoderFactory, Request
from twisted.web.static import Data, File
from twisted.web.template import Element, TagLoader, renderElement, renderer, tags
from twisted.web.util import Redirect, redirectTo
from zope.interface import Interface

from pushprox import channel
from pushprox.channel import PIECE
from pushprox.limits import Limits
from pushprox.request import StreamingResource
from tests.test_channel import ChannelTestCase, Reply, get, post, replies


class IAttached(Interface):
    """
    Something to attach to a request.
    """


class Page(Element):
    """
    A page from a template, with a part that comes later.
    """

    loader = TagLoader(tags.html(tags.p(render="words"), tags.b("<&>")))

    def __init__(self, later: Deferred[str]) -> None:
        super().__init__()
        self.later = later

    @renderer
    def words(self, request: Request, tag: Any) -> Any:
        """
        A slot.
        """
        return tag(self.later)


class Templated(Resource):
    """
    A page that waits for a part of it.
    """

    def render_GET(self, request: Request) -> Any:
        """
        Begin, and go on.
        """
        later: Deferred[str] = Deferred()
        found = renderElement(request, Page(later))
        later.callback("words & more")
        return found


class Mirror(Resource):
    """
    A resource that tells all that it can ask of a request.
    """

    def getChild(self, path: bytes, request: Request) -> Resource:
        """
        It has any child.
        """
        return self if path != b"none" else NoResource()

    def render(self, request: Request) -> bytes:
        """
        Tell.
        """
        assert request.content is not None
        attached: Componentized = request
        attached.setComponent(IAttached, "attached")
        told = (
            request.method,
            request.uri,
            request.path,
            request.clientproto,
            request.prepath,
            request.postpath,
            request.sitepath,
            sorted((request.args or {}).items()),
            sorted(request.getAllHeaders().items()),
            request.requestHeaders.getRawHeaders("x"),
            request.getHeader("X"),
            request.getHeader(b"absent"),
            request.getCookie(b"a"),
            request.getCookie(b"b"),
            sorted(request.received_cookies.items()),
            request.getRequestHostname(),
            request.getUser(),
            request.getPassword(),
            request.isSecure(),
            request.prePathURL(),
            str(request.URLPath()),
            request.childLink(b"x"),
            request.sibLink(b"x"),
            request.getHost().port,
            request.getClientAddress().host,
            request.transport.getPeer().host,
            request.content.read(),
            request.getComponent(IAttached),
        )
        return networkString(repr(told))


class Reading(StreamingResource):
    """
    A resource that reads bodies as they come.

    @ivar read: what it read: the body's pieces, and L{None} for its end.
    @ivar requests: whose bodies those were.
    @ivar fails: whether it has a bug.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.read: list[bytes | None] = []
        self.requests: list[Any] = []
        self.fails = False

    def render(self, request: Any) -> int:
        """
        Begin to read.
        """
        if request.path == b"/later":
            request.whenLost = lambda: self.read.append(b"lost")
        self.requests.append(request)
        request.readBody(self)
        return NOT_DONE_YET

    def bodyReceived(self, piece: bytes) -> None:
        """
        Read a piece.
        """
        if self.fails:
            raise ZeroDivisionError
        self.read.append(piece)

    def bodyEnded(self) -> None:
        """
        That was all.
        """
        self.read.append(None)
        request = self.requests[-1]
        if request.path != b"/later":
            request.reply(200, b"OK", b"Content-Length: 2\r\n", b"ok")


class Cookies(Resource):
    """
    A resource that sets much.
    """

    def render_GET(self, request: Request) -> bytes:
        """
        Set it.
        """
        request.addCookie(b"a", b"1", path=b"/", httpOnly=True)
        request.addCookie("b", "2\r\nX: y;", max_age="5", sameSite="lax")
        request.setHeader("x-one", "\u00e9\r\nX-Two: 2")
        request.responseHeaders.addRawHeader(b"X-Many", b"1")
        request.responseHeaders.addRawHeader(b"X-Many", b"2")
        request.setResponseCode(418)
        return b"x" * 3

    def render_POST(self, request: Request) -> bytes:
        """
        Go elsewhere.
        """
        return redirectTo(b"/else?where", request)


class Conditional(Resource):
    """
    A resource that has not changed.
    """

    def render_GET(self, request: Request) -> bytes:
        """
        Unless it has.
        """
        request.setLastModified(1_000_000.5)
        if request.setETag(b'"tag"'):
            return b""
        return b"changed"


class Pieces(Resource):
    """
    A resource that writes by and by.
    """

    def render_GET(self, request: Request) -> int:
        """
        Write.
        """
        for piece in (b"a", b"", b"b" * 100_000):
            request.write(piece)
        request.finish()
        return NOT_DONE_YET

    def render_DELETE(self, request: Request) -> int:
        """
        Say nothing.
        """
        request.setResponseCode(204)
        request.finish()
        return NOT_DONE_YET


class Faulty(Resource):
    """
    A resource that is wrong.
    """

    def render_GET(self, request: Request) -> Any:
        """
        Fail.
        """
        raise ZeroDivisionError

    def render_POST(self, request: Request) -> Any:
        """
        Return no bytes.
        """
        return None


class StockChannel(http.HTTPChannel):
    """
    Twisted Web's channel, but that it asks those who wait to be asked here and
    now, and not by the global reactor.
    """

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Ask until it is done.
        """
        while producer.request is not None:
            producer.resumeProducing()


class StockTests(ChannelTestCase):
    """
    The same answers, but for the date and who gives them.
    """

    def tree(self) -> Resource:
        """
        @return: resources of all kinds.
        """
        folder = FilePath(self.mktemp())
        folder.makedirs()
        folder.child("a.txt").setContent(b"0123456789" * 10_000)
        folder.child("b.html").setContent(b"<p>")
        root = Resource()
        root.putChild(b"", Data(b"root", "text/plain"))
        root.putChild(b"files", File(folder.path))
        root.putChild(b"page", Templated())
        root.putChild(b"mirror", Mirror())
        root.putChild(b"cookies", Cookies())
        root.putChild(b"moved", Redirect(b"http://p/else"))
        root.putChild(b"conditional", Conditional())
        root.putChild(b"pieces", Pieces())
        root.putChild(b"faulty", Faulty())
        packed = EncodingResourceWrapper(
            Data(b"z" * 1000, "text/plain"), [GzipEncoderFactory()]
        )
        root.putChild(b"packed", packed)
        return root

    def both(self, request: bytes) -> list[Reply]:
        """
        What our site and Twisted Web's answer.
        """
        method = request.partition(b" ")[0]
        found = []
        for host in ("10.0.0.1", "10.0.0.2"):
            talker = self.net.talk(host, 80, request)
            self.net.settle()
            closed = talker.lost is not None
            self.assertNotEqual(talker.received, b"", (host, request))
            (reply,) = replies(talker.received, method, closed=closed)
            self.assertTrue(reply.whole)
            found.append(reply)
            self.net.cut([talker.transport] if not closed else [])
        return found

    def test_same(self) -> None:
        """
        Each request is answered with the same status, headers and body.
        """
        tree = self.tree()
        self.serve(Limits(), tree)
        stock = server.Site(tree, reactor=self.net, parsePOSTFormSubmission=False)
        stock.noisy = False
        stock.protocol = StockChannel
        # As ours.
        stock.requestFactory = type(
            "Untyped", (server.Request,), {"defaultContentType": None}
        )
        port = self.net.listenTCP(80, stock, interface="10.0.0.2")
        stock.log = lambda request: None
        form = b"Content-Type: application/x-www-form-urlencoded\r\n"
        gzip = b"Accept-Encoding: gzip\r\n"
        secret = b"Authorization: Basic dTpw\r\n"
        since = b"If-Modified-Since: Tue, 13 Jan 1970 00:00:00 GMT\r\n"
        requests = [
            get(b"/"),
            get(b"/?x"),
            get(b"http://p/"),
            get(b"/nowhere"),
            get(b"/files/a.txt"),
            get(b"/files/b.html"),
            get(b"/files/"),
            get(b"/files"),
            get(b"/files/..%2fx"),
            get(b"/files/absent"),
            get(b"/files/a.txt", b"Range: bytes=10-19\r\n"),
            get(b"/files/a.txt", b"Range: bytes=-3\r\n"),
            get(b"/files/a.txt", b"Range: bytes=900000-\r\n"),
            get(b"/files/a.txt", version=b"1.0"),
            get(b"/page"),
            get(b"/page", version=b"1.0"),
            get(b"/mirror/a%20b/c%2Fd/?x=1&y=%3d&x=&z&x=2"),
            get(b"/mirror", b"X: a\r\nx: b\r\nCookie: a=1; b=2;c\r\nCookie: a=3\r\n"),
            get(b"/mirror", secret),
            get(b"/mirror/none"),
            post(b"a=1&b=2", b"/mirror?a=0", form),
            post(b"", b"/mirror"),
            get(b"/mirror", b"Transfer-Encoding: chunked\r\n") + b"1\r\na\r\n0\r\n\r\n",
            get(b"/cookies"),
            post(b"x", b"/cookies"),
            get(b"/moved"),
            get(b"/conditional"),
            get(b"/conditional", since),
            get(b"/conditional", b'If-None-Match: "tag"\r\n'),
            get(b"/conditional", b'If-None-Match: "other"\r\n'),
            get(b"/pieces"),
            get(b"/pieces", version=b"1.0"),
            get(b"/pieces").replace(b"GET", b"DELETE"),
            get(b"/pieces").replace(b"GET", b"PUT"),
            get(b"/pieces").replace(b"GET", b"PURGE"),
            get(b"/faulty"),
            post(b"", b"/faulty").replace(b"POST", b"PUT"),
            get(b"/packed"),
            get(b"/packed", gzip),
            get(b"/").replace(b"GET / ", b"OPTIONS * "),
            get(b"/").replace(b"GET / ", b"GET * "),
        ]
        heads = [
            request.replace(b"GET", b"HEAD")
            for request in requests
            if request.startswith(b"GET")
            # What writes by itself gets away from Twisted Web's HEAD.
            and not any(word in request for word in (b"chunked", b"/p", b"* "))
        ]
        for request in requests + heads:
            ours, theirs = self.both(request)
            for reply in (ours, theirs):
                for name in (b"date", b"server", b"pushprox-version"):
                    reply.headers.pop(name, None)
            if b"HTTP/1.0" in request:
                # We say what theirs only does.
                self.assertEqual(ours.headers.pop(b"connection"), b"close")
                theirs.headers.pop(b"connection", None)
            self.assertEqual(vars(ours), vars(theirs), request)
        port.stopListening()
        self.assertNotEqual(self.flushLoggedErrors(ZeroDivisionError), [])

    def test_late(self) -> None:
        """
        A resource that fails after its reply breaks the connection: who is on
        the other side must not take what follows for a reply.
        """

        class Late(Resource):
            isLeaf = True

            def render(self, request: Request) -> Any:
                request.write(b"abc")
                request.finish()
                raise ZeroDivisionError

        self.serve(Limits(), Late())
        talker = self.talk(get() + get())
        self.net.settle()
        self.assertNotIn(b" 400 ", talker.received)
        self.assertEqual(len(self.broken), 1)
        self.assertNotEqual(self.flushLoggedErrors(ZeroDivisionError), [])

    def test_failure(self) -> None:
        """
        A resource that fails is a 500.
        """
        self.serve(Limits(), self.tree())
        (reply,) = self.heard(self.talk(get(b"/faulty")))
        self.assertEqual(reply.status, 500)
        self.assertIn(b"Processing Failed", reply.body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_encoderFails(self) -> None:
        """
        An encoder that fails before it is made is a failure as any.
        """

        class Broken:
            """
            Makes no encoder.
            """

            def encoderForRequest(self, request: Request) -> None:
                """
                Fail.
                """
                raise ZeroDivisionError

        data = Data(b"z", "text/plain")
        root = Resource()
        root.putChild(b"broken", EncodingResourceWrapper(data, [Broken()]))
        self.serve(Limits(), root)
        talker = self.talk(get(b"/broken"))
        self.assertIn(b" 500 ", talker.received)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_notBytes(self) -> None:
        """
        A resource that returns no bytes is a 500.
        """
        self.serve(Limits(), self.tree())
        self.assertEqual(self.statuses(self.talk(post(b"", b"/faulty"))), [500])

    def test_session(self) -> None:
        """
        A session is found again by its cookie.
        """

        class Counting(Resource):
            isLeaf = True

            def render_GET(self, request: Request) -> bytes:
                session = request.getSession()
                session.count = getattr(session, "count", 0) + 1
                return b"%d" % session.count

        self.serve(Limits(), Counting())
        (first,) = self.heard(self.talk(get()))
        cookie = first.headers[b"set-cookie"].partition(b";")[0]
        (second,) = self.heard(self.talk(get(more=b"Cookie: %b\r\n" % cookie)))
        self.assertEqual((first.body, second.body), (b"1", b"2"))
        for session in list(self.site.sessions.values()):
            session.expire()

    def test_reply(self) -> None:
        """
        A head may be written in one go, with fields of one's own, and is the
        same for HTTP/1.0.
        """
        for version in (b"1.1", b"1.0"):
            talker = self.talk(get(b"/later", version=version))
            request: Any = self.parking.parked.pop()
            lines = b"X: 1\r\nContent-Length: 4\r\nX: 2\r\n"
            request.beginReply(201, b"Made", lines, b"ab")
            request.write(b"cd")
            request.finish()
            self.net.settle()
            closing = b"Connection: close\r\n" if version == b"1.0" else b""
            self.assertEqual(
                talker.received,
                b"HTTP/%b 201 Made\r\nX: 1\r\nContent-Length: 4\r\nX: 2\r\n%b\r\nabcd"
                % (version, closing),
            )
            self.assertEqual((request.code, request.code_message), (201, b"Made"))

    def test_replyWhole(self) -> None:
        """
        A whole reply may be written in one go; whoever wants to know of its end
        is told.
        """
        for asks in (False, True):
            talker = self.talk(get(b"/later"))
            request: Any = self.parking.parked.pop()
            self.parking.ends.clear()
            if not asks:
                del request.notifications
            request.reply(200, b"OK", b"Content-Length: 2\r\n", b"ab")
            self.assertEqual(self.bodies(talker), [])
            self.net.settle()
            self.assertEqual(self.bodies(talker), [b"ab"])
            self.assertEqual(self.parking.ends, [(b"/later", None)] * asks)

    def test_chunkedReply(self) -> None:
        """
        A reply that does not tell where it ends goes in chunks, or for HTTP/1.0
        to the end of the connection.
        """
        for version in (b"1.1", b"1.0"):
            talker = self.talk(get(b"/later", version=version))
            request: Any = self.parking.parked.pop()
            request.beginReply(200, b"OK", b"", b"ab", False)
            request.write(b"cd")
            request.finish()
            self.net.settle()
            self.assertEqual(self.bodies(talker), [b"abcd"])
            self.assertEqual(talker.lost is None, version == b"1.1")

    def test_breakOff(self) -> None:
        """
        A reply that breaks off is not whole, though all that was written of it
        is sent; where only the end of the connection could tell, it is reset.
        """
        for version, lines, isReset in (
            (b"1.1", b"Content-Length: 9\r\n", False),
            (b"1.1", b"", False),
            (b"1.0", b"Content-Length: 9\r\n", False),
            (b"1.0", b"", True),
        ):
            talker = self.talk(get(b"/later", version=version))
            request: Any = self.parking.parked.pop()
            request.beginReply(200, b"OK", lines, b"ab", bool(lines))
            request.breakOff()
            request.pauseProducing()
            self.net.settle()
            self.assertEqual(b"ab" in talker.received, not isReset)
            self.assertIsNotNone(talker.lost)
            self.assertEqual(talker.lost.check(ConnectionDone) is None, isReset)
            if not isReset:
                self.assertRaises(
                    RemoteProtocolError, replies, talker.received, closed=True
                )

    def test_forget(self) -> None:
        """
        A request that has been read may let go of what it was read from, and
        can be answered all the same.
        """
        talker = self.talk(post(b"abc", b"/later"))
        request: Any = self.parking.parked[0]
        request.forget()
        self.assertFalse(hasattr(request, "head"))
        self.assertEqual(request.fields, [])
        self.assertIsNone(request.content)
        self.answer()
        self.assertEqual(self.bodies(talker), [b"/later"])

    def test_madeLate(self) -> None:
        """
        What nobody asked for is not made.
        """
        self.talk(get(b"/later"))
        (request,) = self.parking.parked
        made = {"requestHeaders", "responseHeaders", "cookies", "args", "client"}
        self.assertEqual(made & set(vars(request)), set())
        self.assertIs(request.cookies, request.cookies)


class StreamingTests(ChannelTestCase):
    """
    Bodies that are read as they come.
    """

    def setUp(self) -> None:
        """
        Serve a resource that reads them so.
        """
        super().setUp()
        self.reading = Reading()
        self.serve(Limits(bodySize=10), self.reading)

    def test_pieces(self) -> None:
        """
        A resource is asked when the head is there, and reads the body in the
        pieces in which it comes; no limit on bodies that are kept counts.
        """
        talker = self.talk(b"POST / HTTP/1.1\r\nHost: p\r\nContent-Length: 30\r\n\r\n")
        self.assertEqual(len(self.reading.requests), 1)
        for piece in (b"a" * 10, b"b" * 10, b"c" * 10):
            self.assertEqual(self.bodies(talker), [])
            self.say(talker, piece)
        self.assertEqual(self.reading.read, [b"a" * 10, b"b" * 10, b"c" * 10, None])
        self.assertEqual(self.bodies(talker), [b"ok"])

    def test_together(self) -> None:
        """
        Bodies and the heads that follow them may come in one piece, with the
        beginning of a body before or after it.
        """
        requests = post(b"one", b"/") + post(b"two", b"/") + post(b"three", b"/")
        for at in range(1, len(requests)):
            self.reading.read.clear()
            talker = self.talk(requests[:at])
            self.say(talker, requests[at:])
            self.assertEqual(self.bodies(talker), [b"ok"] * 3)
            pieces = [piece or b"|" for piece in self.reading.read]
            self.assertEqual(b"".join(pieces), b"one|two|three|")

    def test_slow(self) -> None:
        """
        While nobody is known to wait for it, a body has as long as a head.
        """
        talker = self.talk(post(b"abcd", b"/")[:-4])
        for _ in range(3):
            self.net.pass_(6)
            self.say(talker, b"x")
        self.assertIsNone(talker.lost)
        self.net.pass_(3)
        self.assertRefused(talker, 408)

    def test_slowWhilePaused(self) -> None:
        """
        The time in which nothing is read does not count.
        """
        talker = self.talk(post(b"abcd", b"/")[:-2])
        (request,) = self.reading.requests
        request.pauseProducing()
        self.net.pass_(100)
        request.resumeProducing()
        self.net.pass_(19)
        self.assertIsNone(talker.lost)
        self.net.pass_(3)
        self.assertRefused(talker, 408)

    def test_claimed(self) -> None:
        """
        Once somebody is, it may take as long as pieces come, but these may not be
        too far apart.
        """
        talker = self.talk(post(b"abcde", b"/")[:-5])
        self.reading.requests[0].isClaimed = True
        for _ in range(4):
            self.say(talker, b"x")
            self.net.pass_(58)
        self.assertIsNone(talker.lost)
        self.net.pass_(3)
        self.assertRefused(talker, 408)

    def test_continue(self) -> None:
        """
        A body that is read as it comes is asked for when somebody begins to read.
        """
        expecting = post(b"abc", b"/", b"Expect: 100-continue\r\n")
        talker = self.talk(expecting[:-3])
        self.assertEqual(talker.received, b"HTTP/1.1 100 Continue\r\n\r\n")
        self.say(talker, b"abc")
        continued, reply = self.heard(talker)
        self.assertEqual((continued.status, reply.status), (100, 200))
        self.assertNotIn(b"connection", reply.headers)

    def test_chunks(self) -> None:
        """
        So may bodies in chunks, and bodies that are empty.
        """
        chunked = (
            b"POST / HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\none\r\n2\r\ntw\r\n0\r\n\r\n"
        )
        talker = self.talk(chunked + post(b"", b"/") + chunked)
        self.assertEqual(self.bodies(talker), [b"ok"] * 3)
        self.assertEqual(
            self.reading.read, [b"one", b"tw", None, None, b"one", b"tw", None]
        )

    def test_largePieces(self) -> None:
        """
        Large bodies are read in large pieces, and what follows them is not.
        """
        sizes: list[int] = []
        self.patch(channel, "readPieces", lambda line, size=0: sizes.append(size))
        for size, read in ((PIECE, [0]), (PIECE + 1, [PIECE, 0])):
            request = post(b"x" * size, b"/")
            talker = self.talk(request[:-size])
            self.say(talker, request[-size:])
            self.assertEqual(sizes, read)
            sizes.clear()

    def test_behindAnother(self) -> None:
        """
        A body that came while its request waited for its turn is read then, all
        in one.
        """
        for rest, read in ((b"", [b"abc", None]), (b"def", [b"abc", b"def", None])):
            size = b"%d" % (3 + len(rest))
            talker = self.talk(
                post(b"", b"/later")
                + b"POST / HTTP/1.1\r\nHost: p\r\nContent-Length: %b\r\n\r\nabc" % size
            )
            first = self.reading.requests.pop()
            self.reading.read.clear()
            first.reply(204, b"None", b"")
            self.net.settle()
            self.say(talker, rest)
            self.assertEqual(self.reading.read, read)
            self.assertEqual(self.statuses(talker), [204, 200])

    def test_refusedInItsTurn(self) -> None:
        """
        One that is refused at its first byte is not told of its end.
        """
        talker = self.talk(post(b"", b"/later") + post(b"abc", b"/"))
        first = self.reading.requests.pop()
        self.reading.read.clear()
        self.reading.fails = True
        first.reply(204, b"None", b"")
        self.net.settle()
        self.assertEqual(self.statuses(talker), [204, 500])
        self.assertEqual(self.reading.read, [])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_bug(self) -> None:
        """
        A bug in the reading is logged, and is a 500.
        """
        self.reading.fails = True
        talker = self.talk(post(b"abc", b"/"))
        self.assertEqual(self.statuses(talker), [500])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_lost(self) -> None:
        """
        Whoever reads is told when the other side hangs up, once.
        """
        talker = self.talk(
            b"POST /later HTTP/1.1\r\nHost: p\r\nContent-Length: 9\r\n\r\nabc"
        )
        self.net.cut([talker.transport])
        self.assertEqual(self.reading.read, [b"abc", b"lost"])

    def test_pause(self) -> None:
        """
        While its reading is paused a body does not come, and takes as long as
        it likes; after that it is due again.
        """
        talker = self.talk(
            b"POST / HTTP/1.1\r\nHost: p\r\nContent-Length: 9\r\n\r\nabc"
        )
        (request,) = self.reading.requests
        request.pauseProducing()
        self.say(talker, b"def")
        self.net.pass_(1000)
        self.assertEqual(self.reading.read, [b"abc"])
        request.resumeProducing()
        request.resumeProducing()
        self.net.settle()
        self.assertEqual(self.reading.read, [b"abc", b"def"])
        self.net.pass_(61)
        self.assertEqual(self.statuses(talker), [408])
        request.pauseProducing()
        request.resumeProducing()

    def test_answeredWhilePaused(self) -> None:
        """
        After a reply the rest of a body is read and thrown away, though its
        reading was paused; then comes the next request.
        """
        talker = self.talk(
            b"POST / HTTP/1.1\r\nHost: p\r\nContent-Length: 9\r\n\r\nabc"
        )
        (request,) = self.reading.requests
        request.pauseProducing()
        request.reply(404, b"Gone", b"Content-Length: 0\r\n")
        self.say(talker, b"defghi" + post(b"", b"/"))
        self.assertEqual(self.statuses(talker), [404, 200])
        self.assertEqual(self.reading.read, [b"abc", None])
