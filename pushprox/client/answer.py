"""
One answer of a target, as it comes in pieces.

Knows: how HTTP/1.1 frames it, where it ends, whether it is whole (RFC 9112
sections 4 to 7). Bytes go in; a head and pieces of a body come out. Does not
know: Twisted, connections, what was asked for but the method.
"""

from __future__ import annotations

from typing import Protocol

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserUpgrade,
    HttpResponseParser,
)

from pushprox.framing import MAX_HEAD, isLength
from pushprox.headers import (
    HOP_BY_HOP,
    MalformedMessage,
    allHeaders,
    endToEnd,
    firstHeader,
)
from pushprox.message import ResponseHead

_ENDING = HOP_BY_HOP | {b"content-length"}


class NotHTTP(Exception):
    """
    What came is no answer that HTTP/1.1 allows. The text says why.
    """


class Receiver(Protocol):
    """
    Where an answer goes. It may pause the transport of its line at any time,
    and has to resume it.
    """

    def headReceived(self, head: ResponseHead) -> None:
        """
        The answer has begun.

        @param head: without what ends at this hop.
        """

    def bodyReceived(self, piece: bytes) -> None:
        """
        The next bytes of the body, without its transfer coding.
        """

    def readEnded(self) -> None:
        """
        That was all that came at once, and the answer goes on.
        """


class Answer:
    """
    One answer, as it comes in pieces. Methods called C{on_...} are what llhttp
    calls, which also reads on behind the end of the answer.

    @ivar begun: whether anything came.
    @ivar whole: whether the end has come.
    @ivar reusable: whether another request can follow on this connection.
    @ivar received: bytes of the body that came.
    @ivar _hasHead: whether the head, other than interim ones, is complete.
    @ivar _endsWithConnection: whether the end of the connection is the end of
        the body (RFC 9112 section 6.3, the last rule).
    @ivar _unread: bytes that came since the last byte of the body.
    """

    begun = False
    whole = False
    reusable = False
    received = 0
    _hasHead = False
    _endsWithConnection = False
    _unread = 0

    def __init__(self, method: bytes, receiver: Receiver) -> None:
        """
        @param method: of the request.
        """
        self._method = method
        self._receiver = receiver
        self._reason = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._headSize = 0
        self._parser = HttpResponseParser(self)
        # Small exporters end their lines with LF alone, which scrapers accept
        # (RFC 9112 section 2.2).
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)

    def feed(self, data: bytes) -> None:
        """
        Take the next piece, unless it is whole.

        @raise NotHTTP: as soon as this cannot become an answer.
        """
        self.begun = True
        before = self.received
        try:
            self._parser.feed_data(data)
        except HttpParserCallbackError as error:
            # What was raised below, here or in the receiver.
            raise (error.__context__ or error) from None
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self.whole:
                raise NotHTTP(str(error)) from None
        # llhttp limits neither heads, nor interim answers, nor trailers.
        self._unread = 0 if self.received > before else self._unread + len(data)
        if self.whole:
            # It holds us as we hold it: a circle, which is dear to collect.
            del self._parser
            return
        if self._unread > MAX_HEAD:
            raise NotHTTP(f"over {MAX_HEAD} bytes of head or trailers")
        self._receiver.readEnded()

    def connectionEnded(self, cleanly: bool) -> None:
        """
        @param cleanly: whether the target ended it, with a FIN, and for TLS
            after a close_notify.
        """
        self.whole = self.whole or (self._endsWithConnection and cleanly)

    def on_message_begin(self) -> None:
        if self.whole:
            # More than was asked for: who would the rest belong to?
            self.reusable = False
        self._reason = b""
        self._headers.clear()

    def on_status(self, piece: bytes) -> None:
        self._reason += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.whole:
            return
        self._headSize += len(name) + len(value) + len(b": \r\n")
        if self._headSize > MAX_HEAD:
            raise NotHTTP(f"over {MAX_HEAD} bytes of head or trailers")
        self._headers.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        if self.whole:
            return
        status = self._parser.get_status_code()
        version = self._parser.get_http_version()
        if status == 101 or version not in ("1.0", "1.1"):
            raise NotHTTP("another protocol than HTTP/1.1")
        if 100 <= status < 200:
            return
        headers = tuple(self._headers)
        length = firstHeader(headers, b"content-length")
        if length is not None and not isLength(length):
            raise NotHTTP("a Content-Length of over 18 digits")
        codings = [each.lower() for each in allHeaders(headers, b"transfer-encoding")]
        # RFC 9112 section 6.1. Other codings were not asked for, by a TE header.
        if codings and (codings != [b"chunked"] or version == "1.0"):
            raise NotHTTP("a transfer coding that was not asked for")
        hasBody = self._method != b"HEAD" and status not in (204, 304)
        try:
            head = ResponseHead(
                status,
                self._reason,
                endToEnd(headers, _ENDING),
                None if length is None else int(length),
                bool(codings) and hasBody,
            )
        except MalformedMessage as error:
            raise NotHTTP(str(error)) from None
        self._hasHead = True
        self._endsWithConnection = hasBody and length is None and not codings
        self._receiver.headReceived(head)
        if self._method == b"HEAD":
            # llhttp knows nothing of HEAD and takes what follows for the body:
            # so that nothing can, the connection is not used again.
            self.whole = True

    def on_body(self, piece: bytes) -> None:
        if not self.whole:
            self.received += len(piece)
            self._receiver.bodyReceived(piece)

    def on_message_complete(self) -> None:
        if self._hasHead and not self.whole:
            self.whole = True
            self.reusable = self._parser.should_keep_alive()
