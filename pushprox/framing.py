"""
Where the parts of a message end: heads and trailers, and bodies with a length,
in chunks, or up to the end of all (RFC 9112 sections 6 and 7).

All come in pieces of any size, and what is held of them has a limit. Does not
know: what is in a head or a body.
"""

from __future__ import annotations

import re
from typing import Protocol

import attrs

from pushprox.headers import (
    TEXT,
    Headers,
    MalformedMessage,
    shown,
    splitFields,
)

MAX_HEAD = 64 * 1024
"""Bytes of a head, with the empty line that ends it."""

MAX_CHUNK_LINE = 512
"""Bytes of the line before a chunk: CRLF, size, extensions, CRLF."""

MAX_TRAILERS = 8 * 1024
"""Bytes of the trailers after a chunked body, all of which are dropped."""

isLength = re.compile(rb"[0-9]{1,18}").fullmatch
# Begins with the line end of the chunk before (RFC 9112 section 7.1).
_matchChunkLine = re.compile(rb"\r\n([0-9A-Fa-f]{1,16})(?:;%b)?\r\n" % TEXT).match
_findBareLineFeed = re.compile(rb"(?<!\r)\n").search


class IncompleteMessage(MalformedMessage):
    """
    It broke off before its end; what came so far was in order.
    """


def framingOf(headers: Headers, version: bytes) -> tuple[int | None, bool]:
    """
    Where the body ends (RFC 9112 section 6.3), less all that two readers could
    understand in two ways.

    @param version: of HTTP, such as C{b"1.1"}.

    @return: its Content-Length, if there is one, and whether it is chunked.
    """
    lengths = []
    codings = []
    for name, value in headers:
        size = len(name)
        if size == 14 and name.lower() == b"content-length":
            lengths.append(value)
        elif size == 17 and name.lower() == b"transfer-encoding":
            codings.append(value)
    if len(lengths) + len(codings) > 1:
        raise MalformedMessage("more than one Content-Length or Transfer-Encoding")
    if codings and codings[0].lower() != b"chunked":
        raise MalformedMessage("a Transfer-Encoding other than chunked")
    if codings and version < b"1.1":
        # RFC 9112 section 6.1.
        raise MalformedMessage("a Transfer-Encoding from before HTTP/1.1")
    if lengths and not isLength(lengths[0]):
        raise MalformedMessage(f"Content-Length is {shown(lengths[0])}")
    return int(lengths[0]) if lengths else None, bool(codings)


def hasNoBody(status: int, method: bytes) -> bool:
    """
    Whatever its head says (RFC 9112 section 6.3, the first rule).
    """
    return method == b"HEAD" or status < 200 or status in (204, 304)


@attrs.define(eq=False)
class Section:
    """
    Lines that end with an empty one: a head, or trailers.

    @ivar _name: what to call it.
    @ivar _limit: bytes that it may have.
    @ivar held: what came of it.
    """

    _name: str
    _limit: int
    held: bytearray = attrs.field(factory=bytearray)

    def feed(self, data: bytes) -> tuple[bytes, bytes, bytes] | None:
        """
        @return: the first line, the other lines, and what came after them, or
            L{None} as long as the empty line is missing.
        """
        held = self.held
        if not held:
            # Most come at one blow.
            end = data.find(b"\r\n\r\n", 0, self._limit)
            if end >= 0:
                first, _, others = data[:end].partition(b"\r\n")
                return first, others, data[end + 4 :]
        before = len(held)
        held += data[: self._limit - before]
        # Only what is new is searched: one byte at a time is no attack.
        end = held.find(b"\r\n\r\n", max(0, before - 3))
        if end >= 0:
            first, _, others = bytes(held[:end]).partition(b"\r\n")
            return first, others, data[end + 4 - before :]
        if _findBareLineFeed(held, before):
            raise MalformedMessage(f"a line of the {self._name} ends without a CR")
        if before + len(data) > self._limit:
            raise MalformedMessage(f"the {self._name} has over {self._limit} bytes")
        return None


class Body(Protocol):
    """
    One of the ways in which a body finds its end.
    """

    @property
    def whole(self) -> bool:
        """
        Whether it is known to be at its end.
        """

    def feed(self, data: bytes) -> bytes:
        """
        @return: the content in the next piece.
        """

    def end(self) -> None:
        """
        @raise IncompleteMessage: if there should have been more.
        """


@attrs.define(eq=False)
class _Counted:
    """
    A body with a length.

    @ivar _remaining: bytes that are still to come.
    """

    _remaining: int

    @property
    def whole(self) -> bool:
        return not self._remaining

    def feed(self, data: bytes) -> bytes:
        if len(data) > self._remaining:
            raise MalformedMessage("bytes follow the end of the body")
        self._remaining -= len(data)
        return data

    def end(self) -> None:
        if self._remaining:
            raise IncompleteMessage(f"the body is {self._remaining} bytes short")


@attrs.define(eq=False)
class _Chunked:
    """
    A body in chunks (RFC 9112 section 7.1). Extensions and trailers are dropped.

    @ivar _remaining: bytes that are still to come of this chunk.
    @ivar _held: the beginning of the line before a chunk. The first has no chunk
        before it, and gets the line end that others begin with.
    @ivar _trailers: after the last chunk.
    @ivar whole: after the trailers.
    """

    _remaining: int = 0
    _held: bytes = b"\r\n"
    _trailers: Section | None = None
    whole: bool = False

    def feed(self, data: bytes) -> bytes:
        if self._trailers is not None:
            self._feedTrailers(self._trailers, data)
            return b""
        content = []
        view = memoryview(data)  # Each byte is copied once, by the join.
        position = 0
        while position < len(data):
            if self._remaining:
                piece = view[position : position + self._remaining]
                content.append(piece)
                position += len(piece)
                self._remaining -= len(piece)
                continue
            start = self._held + data[position : position + MAX_CHUNK_LINE]
            line = _matchChunkLine(start, 0, MAX_CHUNK_LINE)
            if line is None:
                if len(start) >= MAX_CHUNK_LINE or b"\n" in start[2:]:
                    raise MalformedMessage("no valid chunk size where one should be")
                self._held = start
                break
            position += line.end() - len(self._held)
            self._held = b""
            self._remaining = int(line[1], 16)
            if not self._remaining:
                # With the line end of the last chunk's size, so that "no
                # trailers" is an empty line like any other.
                self._trailers = Section("trailers", MAX_TRAILERS, bytearray(b"\r\n"))
                self._feedTrailers(self._trailers, data[position:])
                break
        return b"".join(content)

    def _feedTrailers(self, trailers: Section, data: bytes) -> None:
        if not self.whole:
            found = trailers.feed(data)
            if found is None:
                return
            self.whole = True
            _, fields, data = found
            splitFields(fields)
        if data:
            raise MalformedMessage("bytes follow the last chunk")

    def end(self) -> None:
        if not self.whole:
            raise IncompleteMessage("the chunked body broke off before its last chunk")


class _ToTheEnd:
    """
    A body that ends where the push ends.
    """

    whole = False

    def feed(self, data: bytes) -> bytes:
        return data

    def end(self) -> None:
        """
        Wherever it ends, it is whole.
        """


def bodyReader(length: int | None, chunked: bool) -> Body:
    """
    @return: what reads a body that is in chunks, or has this length, or else
        runs to the end.
    """
    if chunked:
        return _Chunked()
    return _ToTheEnd() if length is None else _Counted(length)
