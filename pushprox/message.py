"""
The requests and responses that travel inside /poll and /push.

Knows: both as frozen values and as the bytes of HTTP/1.1 (RFC 9110, RFC 9112).
What does not keep the rules is refused, with a reason; what is written here
cannot carry more lines than its values have fields.

Does not know: connections, Twisted, names, deadlines, who asked for what.
"""

from __future__ import annotations

import re
from collections.abc import Set

import attrs

from pushprox.framing import (
    MAX_HEAD,
    Body,
    IncompleteMessage,
    Section,
    bodyReader,
    framingOf,
    hasNoBody,
)
from pushprox.headers import (
    HOP_BY_HOP,
    TEXT,
    TOKEN,
    Fields,
    Headers,
    MalformedMessage,
    allHeaders,
    checkHeaders,
    endToEnd,
    isText,
    isToken,
    joinFields,
    shown,
    splitFields,
    withoutAll,
)

# Of a response, and of a request: what is written anew each time.
_FRAMING = frozenset([b"content-length", b"transfer-encoding", b"connection"])
_ENDING = HOP_BY_HOP | _FRAMING
_NOT_KEPT = frozenset([b"host", b"content-length", b"transfer-encoding"])
_ALWAYS_WITH_LENGTH = frozenset([b"POST", b"PUT", b"PATCH"])
_BODY_OF_HEAD = "a body follows the head of an answer to HEAD"

# User names in URLs are refused (RFC 9110 section 4.2.4): "t1@elsewhere" fools.
_matchUrl = re.compile(
    rb"https?://((?:[0-9A-Za-z._~!$&'()*+,;=%-]+|\[[0-9A-Za-z:.%_~-]+\])(?::[0-9]*)?)"
    rb"(?:[/?][\x21\x22\x24-\x7e\x80-\xff]*)?",
    re.IGNORECASE,
).fullmatch
_matchRequestLine = re.compile(rb"(%b) ([^\s]+) HTTP/1\.1" % TOKEN).fullmatch
# The reference's own errors come as HTTP/0.0.
_matchStatusLine = re.compile(
    rb"HTTP/([0-9]\.[0-9]) ([1-9][0-9]{2})(?: (%b))?" % TEXT
).fullmatch


def _authority(url: bytes) -> bytes:
    """
    @return: host and port, as they stand in the URL.

    @raise MalformedMessage: if it is not one of http or https in absolute form.
    """
    found = _matchUrl(url)
    if not found:
        raise MalformedMessage(f"no absolute http(s) URL: {shown(url)}")
    return found[1]


def requestLines(
    method: bytes, headers: Fields, size: int, drop: Set[bytes] = frozenset()
) -> bytes:
    """
    @param headers: those for Host and for the framing are not looked at.
    @param size: bytes of the body.
    @param drop: names in small letters, of what else is not written.

    @return: the lines after Host in the order of the reference: User-Agent,
        Content-Length, then the others as they came.
    """
    first = others = b""
    for field in headers:
        name = field[0].lower()
        if name == b"user-agent":
            first += b"User-Agent: %b\r\n" % field[1]
        elif name not in _NOT_KEPT and name not in drop:
            others += b"%b: %b\r\n" % field
    if size or method in _ALWAYS_WITH_LENGTH:
        first += b"Content-Length: %d\r\n" % size
    return first + others


@attrs.frozen
class Request:
    """
    A scrape, as it travels in the reply to a poll.

    @ivar url: in absolute form, as the scraper wrote it.
    @ivar headers: those for Host and for the framing are written from C{url} and
        C{body}, and are not looked at here.

    @raise MalformedMessage: if the method is no token, the URL not absolute, or
        a header not valid.
    """

    method: bytes
    url: bytes
    headers: Headers
    body: bytes = b""

    def __attrs_post_init__(self) -> None:
        if not isToken(self.method):
            raise MalformedMessage(f"no valid method: {shown(self.method)}")
        _authority(self.url)
        checkHeaders(self.headers)

    def toBytes(self) -> bytes:
        """
        @return: the request, with the head's lines as L{requestLines} has them.
        """
        return b"%b %b HTTP/1.1\r\nHost: %b\r\n%b\r\n%b" % (
            self.method,
            self.url,
            _authority(self.url),
            requestLines(self.method, self.headers, len(self.body)),
            self.body,
        )

    @classmethod
    def fromBytes(cls, data: bytes) -> Request:
        """
        @param data: the whole reply to a poll.

        @raise MalformedMessage: if it is anything but one whole request, such as
            the web page of a load balancer.
        """
        line = _matchRequestLine(data.partition(b"\r\n")[0])
        if not line:
            raise MalformedMessage(f"no request but {shown(data)}")
        found = Section("request's head", MAX_HEAD).feed(data)
        if found is None:
            raise IncompleteMessage("the request broke off in its head")
        _, block, rest = found
        headers = splitFields(block)
        if len(allHeaders(headers, b"host")) != 1:
            # RFC 9112 section 3.2. The URL counts, not what stands there (3.2.2).
            raise MalformedMessage("not exactly one Host header")
        length, chunked = framingOf(headers, b"1.1")
        body = bodyReader(length or 0, chunked)
        content = body.feed(rest)
        body.end()
        return cls(line[1], line[2], withoutAll(headers, _NOT_KEPT), content)


@attrs.frozen
class ResponseHead:
    """
    All of a response but its body.

    @ivar headers: those for the framing are written from C{length} and
        C{chunked}, and are not looked at here.
    @ivar length: bytes of the body, which an answer to HEAD tells but lacks.
    @ivar chunked: whether the body travels in chunks. If not, and without a
        length, it runs to the end of the push.

    @raise MalformedMessage: if one of these is not valid.
    """

    status: int
    reason: bytes
    headers: Headers
    length: int | None
    chunked: bool = False

    def __attrs_post_init__(self) -> None:
        if not 100 <= self.status <= 999:
            raise MalformedMessage(f"no valid status: {self.status}")
        if not isText(self.reason):
            raise MalformedMessage("the reason phrase has a control byte in it")
        if self.length is not None and (self.length < 0 or self.chunked):
            raise MalformedMessage("a length below 0, or of a chunked body")
        checkHeaders(self.headers)

    def toBytes(self) -> bytes:
        """
        @return: the head, with the empty line after it. 1xx and 204 get no
            framing (RFC 9110 section 8.6, RFC 9112 section 6.1).
        """
        framing: list[tuple[bytes, bytes]] = []
        if self.status >= 200 and self.status != 204:
            if self.chunked:
                framing = [(b"Transfer-Encoding", b"chunked")]
            elif self.length is not None:
                framing = [(b"Content-Length", b"%d" % self.length)]
        fields = joinFields((*framing, *withoutAll(self.headers, _FRAMING)))
        return b"HTTP/1.1 %d %b\r\n%b\r\n" % (self.status, self.reason, fields)


@attrs.frozen
class Response:
    """
    What a target answered, as it travels in a push.
    """

    head: ResponseHead
    body: bytes = b""

    def toBytes(self, method: bytes = b"GET") -> bytes:
        """
        @param method: of the request that this answers.

        @raise MalformedMessage: if the body is not what the head announces, or
            there is one where none may be.
        """
        expected = self.head.length
        if hasNoBody(self.head.status, method):
            expected = 0
        elif self.head.chunked:
            chunk = b"%x\r\n%b\r\n" % (len(self.body), self.body) if self.body else b""
            return b"%b%b0\r\n\r\n" % (self.head.toBytes(), chunk)
        if expected not in (None, len(self.body)):
            raise MalformedMessage(
                f"a body of {len(self.body)} bytes where {expected} belong"
            )
        return self.head.toBytes() + self.body

    @classmethod
    def fromBytes(cls, data: bytes, method: bytes = b"GET") -> Response:
        """
        @param data: the whole body of a push.
        @param method: of the request that this answers.

        @raise MalformedMessage: if it is anything but one whole response.
        """
        decoder = ResponseDecoder()
        body = decoder.feed(data)
        decoder.end(method)
        assert decoder.head is not None
        return cls(decoder.head, body)


@attrs.define(eq=False)
class ResponseDecoder:
    """
    Reads a push piece by piece. It holds no more than the head, and of the body
    no more than a line between chunks.

    After an error it only repeats that error.

    @ivar _size: bytes of the push, if that is known.
    @ivar head: once it is whole; without what ended at the client
        (L{endToEnd}: the Connection header, which says what that is, is gone).
    @ivar length: bytes of the body, from the head on: where that does not tell,
        they are known of a push with a size whose body is not in chunks.
    @ivar _section: the head, until then.
    @ivar _headSize: bytes of the head.
    @ivar _body: after the head.
    @ivar _bodyBegan: whether a byte came after the head.
    @ivar _fault: what was wrong.
    """

    _size: int | None = None
    _maxHead: int = MAX_HEAD
    head: ResponseHead | None = attrs.field(default=None, init=False)
    length: int | None = attrs.field(default=None, init=False)
    _section: Section = attrs.field(init=False)
    _headSize: int = attrs.field(default=0, init=False)
    _body: Body = attrs.field(init=False)
    _bodyBegan: bool = attrs.field(default=False, init=False)
    _fault: str = attrs.field(default="", init=False)

    def __attrs_post_init__(self) -> None:
        self._section = Section("response's head", self._maxHead)

    @property
    def whole(self) -> bool:
        """
        Whether the body is at its end, so that nothing may follow.
        """
        return self.head is not None and self._body.whole

    def feed(self, data: bytes) -> bytes:
        """
        @param data: the next piece of the push, of any size.

        @return: what there is of the target's body in it.

        @raise MalformedMessage: as soon as the push cannot become a response.
        """
        if self._fault:
            raise MalformedMessage(self._fault)
        try:
            if self.head is None:
                data = self._feedHead(data)
                if self.head is None:
                    return b""
            if data:
                self._bodyBegan = True
            return self._body.feed(data)
        except MalformedMessage as error:
            self._fault = str(error)
            raise

    def _feedHead(self, data: bytes) -> bytes:
        """
        @return: what came after the head.
        """
        found = self._section.feed(data)
        self._headSize += len(data)
        if found is None:
            start = bytes(self._section.held[:60])
            if not b"HTTP/".startswith(start[:5]):
                raise MalformedMessage(f"no response but {shown(start)}")
            return b""
        first, block, rest = found
        self._headSize -= len(rest)
        line = _matchStatusLine(first)
        if not line:
            raise MalformedMessage(f"no status line but {shown(first)}")
        headers = splitFields(block)
        length, chunked = framingOf(headers, line[1])
        self.head = head = ResponseHead(
            int(line[2]),
            line[3] or b"",
            endToEnd(headers, _ENDING),
            length,
            chunked,
        )
        if hasNoBody(head.status, b""):
            self.length = 0
        elif length is not None:
            self.length = length
        elif self._size is not None and not chunked:
            self.length = self._size - self._headSize
        self._body = bodyReader(self.length, chunked and self.length is None)
        return rest

    def check(self, method: bytes = b"GET") -> None:
        """
        See by the size of the push, from the head on, whether the body can be
        the one that the head announces.

        @param method: as for L{end}.

        @raise IncompleteMessage: if it breaks off.
        @raise MalformedMessage: if there is too much of it.
        """
        if self._size is None:
            return
        rest = self._size - self._headSize
        if method == b"HEAD":
            if rest:
                raise MalformedMessage(_BODY_OF_HEAD)
        elif self.length is not None:
            if rest < self.length:
                raise IncompleteMessage(f"the body is {self.length - rest} bytes short")
            if rest > self.length:
                raise MalformedMessage("bytes follow the end of the body")

    def end(self, method: bytes = b"GET") -> None:
        """
        The push is over.

        @param method: of the request that this answers; an answer to HEAD has no
            body, whatever its head says.

        @raise IncompleteMessage: if the head or the body broke off.
        @raise MalformedMessage: if a body follows where none may be.
        """
        if self._fault:
            raise MalformedMessage(self._fault)
        if self.head is None:
            raise IncompleteMessage("the response broke off in its head")
        if method != b"HEAD":
            self._body.end()
        elif self._bodyBegan:
            raise MalformedMessage(_BODY_OF_HEAD)
