"""
Headers, as values and as the lines of HTTP/1.1 (RFC 9110 section 5).

Knows: what may stand in one, how they are found and dropped by name, and which
of them belong to one hop. Does not know: what a header is there for, but for
those; where a head or a body ends (L{pushprox.framing} does).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Set

Headers = tuple[tuple[bytes, bytes], ...]
Fields = Iterable[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    [
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    ]
)
"""What ends at the next hop, in small letters (RFC 9110 section 7.6.1)."""

END_TO_END = frozenset(
    [
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"host",
        b"id",
        b"x-prometheus-scrape-timeout",
        b"x-prometheus-scrape-timeout-seconds",
    ]
)
"""
What a Connection header cannot take away, in small letters: where a message
goes, who asks, which scrape it belongs to, how long that may take, and what its
body is and where it ends. RFC 9110 section 7.6.1 forbids senders to name such
fields there; who does it all the same wants them gone behind our back.
"""

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""A name or a method, as the source of a pattern (RFC 9110 section 5.6.2)."""

TEXT = rb"[\t\x20-\x7e\x80-\xff]*"
"""A value or a reason phrase, likewise (RFC 9110 section 5.5)."""

_matchToken = re.compile(TOKEN).fullmatch
_matchText = re.compile(TEXT).fullmatch
# Lines of a head, without the line end of the last.
_matchFields = re.compile(
    rb"%b:%b(?:\r\n%b:%b)*" % (TOKEN, TEXT, TOKEN, TEXT)
).fullmatch
# The same for many, one a line: which is quicker than one by one.
_matchTokens = re.compile(rb"%b(?:\n%b)*" % (TOKEN, TOKEN)).fullmatch
_matchTexts = re.compile(rb"%b(?:\n%b)*" % (TEXT, TEXT)).fullmatch


class ReadHeaders(tuple[tuple[bytes, bytes], ...]):
    """
    Headers as L{splitFields} has read them, or some of them: there is nothing
    that L{checkHeaders} could find.
    """


class MalformedMessage(ValueError):
    """
    This is not the message that it should be. The text says in one line why,
    is plain ASCII, and quotes no header's value but that of a Content-Length:
    fit for a log or a reply of plain text.
    """


def firstHeader(headers: Headers, name: bytes) -> bytes | None:
    """
    @return: the value of the first header of that name, in whatever case.
    """
    values = allHeaders(headers, name)
    return values[0] if values else None


def allHeaders(headers: Fields, name: bytes) -> list[bytes]:
    """
    @return: the values of all headers of that name, in whatever case, in order.
    """
    name = name.lower()
    size = len(name)
    return [
        value
        for field, value in headers
        if len(field) == size and field.lower() == name
    ]


def without(headers: Headers, *names: bytes) -> Headers:
    """
    @return: the headers less those of these names, in whatever case.
    """
    return withoutAll(headers, {name.lower() for name in names})


def withoutAll(headers: Fields, names: Set[bytes]) -> Headers:
    """
    L{without}, for a set that is made once.

    @param names: in small letters.
    """
    kept = [field for field in headers if field[0].lower() not in names]
    return ReadHeaders(kept) if isinstance(headers, ReadHeaders) else tuple(kept)


def replaceHeader(headers: Headers, name: bytes, value: bytes) -> Headers:
    """
    @return: the headers with this one at their end, and no other of its name.
    """
    return (*without(headers, name), (name, value))


def endToEnd(headers: Fields, ending: Set[bytes] = HOP_BY_HOP) -> Headers:
    """
    @param ending: what ends here, in small letters: L{HOP_BY_HOP} and maybe more.

    @return: the headers that an intermediary passes on: not those, nor what a
        Connection header names, but always L{END_TO_END}.
    """
    options = [
        option.strip(b" \t").lower()
        for value in allHeaders(headers, b"connection")
        for option in value.split(b",")
    ]
    if options:
        ending = ending | (set(options) - END_TO_END)
    return withoutAll(headers, ending)


def isToken(data: bytes) -> bool:
    """
    @return: whether this may be a header's name, or a method.
    """
    return _matchToken(data) is not None


def isText(data: bytes) -> bool:
    """
    @return: whether this may be a header's value, or a reason phrase.
    """
    return _matchText(data) is not None


def shown(data: bytes) -> str:
    """
    @return: the beginning of some bytes, so that it can be printed anywhere.
    """
    return repr(data[:60])[1:] + ("..." if len(data) > 60 else "")


def checkHeaders(headers: Headers) -> None:
    """
    @raise MalformedMessage: if one has no token for a name (which a space
        before the colon and a folded line come to), or a control byte.
    """
    if not headers or isinstance(headers, ReadHeaders):
        return
    names = b"\n".join([name for name, _ in headers])
    values = b"\n".join([value for _, value in headers])
    lineEnds = 2 * (len(headers) - 1)
    if (
        _matchTokens(names)
        and _matchTexts(values)
        and names.count(b"\n") + values.count(b"\n") == lineEnds
    ):
        return
    for number, (name, value) in enumerate(headers, 1):  # pragma: no branch
        if not isToken(name):
            raise MalformedMessage(f"header {number} has no valid name")
        if not isText(value):
            raise MalformedMessage(f"header {shown(name)} has a control byte in it")


def joinFields(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """
    @return: a line for each, with its line end.
    """
    return b"".join([b"%b: %b\r\n" % field for field in headers])


def splitFields(block: bytes) -> Headers:
    """
    @param block: header lines, without the line end of the last.

    @raise MalformedMessage: if one has no colon, or not what L{checkHeaders}
        asks for.
    """
    if not block:
        return ()
    fields = []
    for number, line in enumerate(block.split(b"\r\n"), 1):
        name, colon, value = line.partition(b":")
        if not colon:
            raise MalformedMessage(f"header {number} has no colon")
        fields.append((name, value.strip(b" \t")))
    if not _matchFields(block):
        checkHeaders(tuple(fields))
    return ReadHeaders(fields)
