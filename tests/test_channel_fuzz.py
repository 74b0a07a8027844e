"""
Whatever comes, however it is cut: tests for L{pushprox.channel} by Hypothesis.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import h11
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from pushprox.limits import Limits
from pushprox.request import StreamingResource
from pushprox.site import Site
from tests.internet import Internet
from tests.test_channel import get, post, replies

Asked = tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]


class Telling(Resource):
    """
    A resource that keeps what it was asked, and says which that was.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Asked] = []

    def render(self, request: Request) -> bytes:
        """
        Keep it.
        """
        given: Any = request
        fields = [(name.lower(), value) for name, value in given.fields]
        body = given.content.read()
        self.asked.append((given.method, given.uri, fields, body))
        return b"%d" % len(self.asked)


class TellingInPieces(StreamingResource):
    """
    The same, but it reads bodies as they come.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Asked] = []

    def render(self, request: Any) -> int:
        """
        Begin to read.
        """
        request.readBody(Listening(self, request))
        return NOT_DONE_YET


class Listening:
    """
    Keeps a request, and its body as it comes.
    """

    def __init__(self, resource: TellingInPieces, request: Any) -> None:
        self.resource = resource
        self.request = request
        self.body = b""

    def bodyReceived(self, piece: bytes) -> None:
        """
        Some more of it.
        """
        assert piece
        self.body += piece

    def bodyEnded(self) -> None:
        """
        Say which request that was.
        """
        request, asked = self.request, self.resource.asked
        fields = [(name.lower(), value) for name, value in request.fields]
        asked.append((request.method, request.uri, fields, self.body))
        number = b"%d" % len(asked)
        isHead = request.method == b"HEAD"
        length = b"Content-Length: %d\r\n" % len(number)
        lines = request.site.signature + length
        request.reply(200, b"OK", lines, b"" if isHead else number)


def exchange(
    pieces: list[bytes], inPieces: bool
) -> tuple[bytes, list[Asked], list[int]]:
    """
    Say something in pieces, wait for a while, hang up, and wait again. No
    exception, no line and no timer must come of it.

    @param inPieces: whether bodies are read as they come.
    @return: what was replied, what the resource was asked, and which refusals
        there were.
    """
    net = Internet()
    resource = TellingInPieces() if inPieces else Telling()
    refused: list[int] = []
    limits = Limits(bodySize=1000)
    site = Site(resource, net, refused=refused.append, limits=limits)
    port = net.listenTCP(80, site)
    talker = net.talk("10.0.0.1", 80)
    for piece in pieces:
        talker.transport.write(piece)
        net.settle()
    received = talker.received
    talker.transport.loseConnection()
    net.pass_(7)
    port.stopListening()
    left = (site.lines, net.getDelayedCalls(), net.ends)
    assert left == (set(), [], []), left
    return received, resource.asked, refused


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """
    @return: the pieces.
    """
    bounds = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(bounds)]


CHUNKED = b"Transfer-Encoding: chunked\r\n"

#: Requests, good and bad, to make worse ones of.
SEEDS = st.lists(
    st.sampled_from(
        [
            get(),
            get(version=b"1.0"),
            get(more=b"Connection: close\r\n"),
            get(more=b"Connection: Upgrade\r\nUpgrade: x\r\n"),
            get(more=CHUNKED) + b"3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n",
            get(more=b"Content-Length: 1\r\nContent-Length: 1\r\n") + b"a",
            get().replace(b"GET", b"HEAD"),
            get(b"*"),
            post(b"abc"),
            post(b"x" * 1001),
            post(b"abc", more=b"Expect: 100-continue\r\n"),
            b"CONNECT p:1 HTTP/1.1\r\nHost: p\r\n\r\n",
            b"\r\n",
        ]
    ),
    max_size=4,
).map(b"".join)

#: What to put in anywhere.
BITS = st.sampled_from(
    [
        *(bytes([byte]) for byte in b"\r\n\0 \t:,;0\xff9"),
        b"\r\n",
        CHUNKED,
        b"Content-Length: 0\r\n",
        b"Host: q\r\n",
        b"HTTP/1.1",
        b"HTTP/2.0",
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """
    Requests with bytes put in and taken out.
    """
    data = draw(SEEDS)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(data)))
        data = data[:place] + draw(BITS) + data[place + draw(st.integers(0, 3)) :]
    return data


TOKENS = st.text("abcXYZ09-_.!", min_size=1, max_size=6).map(str.encode)
NAMES = TOKENS.map(lambda token: b"X-" + token)
VALUES = st.text("ab ,;=\"'\t(){}<>@%", max_size=10).map(
    lambda text: text.strip(" \t").encode()
)


@st.composite
def valid(draw: st.DrawFn) -> tuple[bytes, int]:
    """
    A pipeline of requests as h11 writes them.

    @return: the bytes, and how many requests they are.
    """
    data = b""
    number = draw(st.integers(1, 5))
    client = h11.Connection(h11.CLIENT)
    for _ in range(number):
        body = draw(st.binary(max_size=40))
        framing = draw(
            st.sampled_from(
                [
                    [],
                    [(b"Content-Length", b"%d" % len(body))],
                    [(b"Transfer-Encoding", b"chunked")],
                ]
            )
        )
        others = draw(st.lists(st.tuples(NAMES, VALUES), max_size=3))
        data += client.send(
            h11.Request(
                method=draw(st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE"])),
                target=b"/" + draw(TOKENS),
                headers=[(b"Host", b"p"), *others, *framing],
            )
        )
        if framing:
            for piece in cut(body, draw(st.lists(st.integers(0, 40), max_size=2))):
                data += client.send(h11.Data(data=piece))
        data += client.send(h11.EndOfMessage())
        client = h11.Connection(h11.CLIENT)
    return data, number


def asH11(data: bytes) -> list[Asked]:
    """
    @return: the requests, as h11 reads them.
    """
    found: list[Asked] = []
    server = h11.Connection(h11.SERVER)
    server.receive_data(data)
    while True:
        event = server.next_event()
        if isinstance(event, h11.Request):
            fields = [(bytes(name), bytes(value)) for name, value in event.headers]
            found.append((bytes(event.method), bytes(event.target), fields, b""))
        elif isinstance(event, h11.Data):
            found[-1] = (*found[-1][:3], found[-1][3] + bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            server.send(h11.Response(status_code=204, headers=[]))
            server.send(h11.EndOfMessage())
            server.start_next_cycle()
        else:
            return found


PLACES = st.lists(st.integers(0, 2000), max_size=8)


class FuzzTests(SynchronousTestCase):
    """
    The channel holds.
    """

    @settings(max_examples=500)
    @given(st.one_of(st.binary(max_size=60), mutated()), PLACES, st.booleans())
    def test_anything(self, data: bytes, places: list[int], inPieces: bool) -> None:
        """
        Arbitrary bytes and broken requests in arbitrary pieces do no harm, and
        are answered the same however they were cut.
        """
        whole = exchange([data], inPieces)
        self.assertEqual(exchange(cut(data, places), inPieces), whole)
        received, asked, refused = whole
        self.assertLessEqual(len(refused), 1)
        answered = received.count(b"Pushprox-Version: ")
        stars = answered - len(asked) - len(refused)
        self.assertGreaterEqual(stars, 0)
        self.assertLessEqual(stars, data.count(b"*"))

    @settings(max_examples=250)
    @given(valid(), PLACES, st.booleans())
    def test_valid(
        self, pipeline: tuple[bytes, int], places: list[int], inPieces: bool
    ) -> None:
        """
        Good requests are read as h11 reads them, and answered in order.
        """
        data, number = pipeline
        received, asked, refused = exchange(cut(data, places), inPieces)
        self.assertEqual((asked, refused), (asH11(data), []))
        found = replies(received)
        self.assertEqual(
            [(reply.status, reply.body, reply.whole) for reply in found],
            [(200, b"%d" % (each + 1), True) for each in range(number)],
        )
