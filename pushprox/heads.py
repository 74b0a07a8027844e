"""
The head of a request, as far as HTTP itself is concerned: whether it keeps the
rules, and where its body ends.

What L{httptools} lets through though the RFCs forbid it is refused here; each
place names the section. Pure functions and values, no Twisted.
"""

from __future__ import annotations

import attrs

Fields = list[tuple[bytes, bytes]]

# Of two, it depends on the reader which counts (RFC 9110 section 5.3).
_SINGLE = (b"Host", b"Authorization", b"Proxy-Authorization")
_ONE = b"Expected one %b header"
_ONLY_CHUNKED = b"No Transfer-Encoding but chunked"


class BadHead(Exception):
    """
    A request that is not answered by any resource.

    @ivar status: what it is answered instead.
    @ivar reason: the reason phrase.
    """

    def __init__(self, status: int, reason: bytes) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


@attrs.frozen
class Head:
    """
    What a head says.

    @ivar named: the fields by their names in small letters; the last, where a
        name is there more than once.
    @ivar size: bytes of the body; L{None} if it comes in chunks.
    @ivar expectsContinue: whether the body waits to be asked for.
    """

    named: dict[bytes, bytes]
    size: int | None
    expectsContinue: bool


def readHead(version: str, fields: Fields, upgrades: bool) -> Head:
    """
    @param version: of HTTP, such as C{"1.1"}.
    @param fields: what llhttp took for fields: it knows no second
        Content-Length, nor one beside a Transfer-Encoding.
    @param upgrades: whether llhttp takes what follows for another protocol.

    @raise BadHead: if two readers could understand it in two ways.
    """
    named = {name.lower(): value for name, value in fields}
    if version not in ("1.1", "1.0"):
        raise BadHead(505, b"HTTP Version Not Supported")
    isNew = version == "1.1"
    if len(named) < len(fields):
        _checkRepeated(fields)
    if isNew and b"host" not in named:
        # RFC 9112 section 3.2.
        raise BadHead(400, _ONE % b"Host")
    size: int | None = None
    if b"transfer-encoding" in named:
        if not isNew:
            # RFC 9112 section 6.1.
            raise BadHead(400, b"Transfer-Encoding needs HTTP/1.1")
        if named[b"transfer-encoding"].lower() != b"chunked":
            # RFC 9112 section 6.1.
            raise BadHead(501, _ONLY_CHUNKED)
    else:
        size = int(named.get(b"content-length", 0))
    hasBody = size != 0
    if upgrades and hasBody:
        # llhttp would take the body for another protocol.
        raise BadHead(400, b"No Upgrade with a body")
    # One of HTTP/1.0 must be ignored (RFC 9110 section 10.1.1).
    expects = b"expect" in named and named[b"expect"].lower() == b"100-continue"
    return Head(named, size, expects and isNew and hasBody)


def _checkRepeated(fields: Fields) -> None:
    """
    @raise BadHead: if it matters which of several fields of a name counts.
    """
    names = [name.lower() for name, _ in fields]
    for name in _SINGLE:
        if names.count(name.lower()) > 1:
            raise BadHead(400, _ONE % name)
    if names.count(b"transfer-encoding") > 1:
        raise BadHead(501, _ONLY_CHUNKED)
