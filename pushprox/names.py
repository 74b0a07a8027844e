"""
Names of clients, and the URLs they stand in.

What both houses must agree on: how a name is compared, and how the URL of a
scrape is taken apart. Pure functions and values, no Twisted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import attrs

_T = TypeVar("_T")

#: Bytes of a text that is remembered with what it says.
REMEMBERED = 256

# A host name as DNS, containers and /etc/hosts have it, or an IP address.
_NAME = re.compile(r"[A-Za-z0-9_~.:-]+")

_URL = re.compile(
    rb"""
    (?P<scheme>[A-Za-z][A-Za-z0-9+.-]*) ://
    (?P<host> [A-Za-z0-9_~.-]+ | \[ [0-9A-Fa-f:.]+ \] )
    (?: : (?P<port> [0-9]{0,5} ) )?
    (?P<resource> (?: [/?] [\x21\x22\x24-\x7e\x80-\xff]* )? )
    """,
    re.VERBOSE,
)

# Of somebody, and his password.
_USER = re.compile(rb"//[^/]*@")


def canonicalName(name: str) -> str:
    """
    @return: the name as it is compared: DNS knows no case (RFC 4343), and a
        trailing dot only says that nothing is missing.
    """
    return name.removesuffix(".").lower()


def nameFromText(text: bytes, limit: int) -> str:
    """
    Check a name as a client sends it.

    @param limit: the most bytes a name may have.
    @return: the name as it was spelled, without white space around it.
    @raise ValueError: if this can be no name; says why.
    """
    text = text.strip()
    if not text:
        raise ValueError("expected the name of a client, got nothing")
    if len(text) > limit:
        raise ValueError(f"expected a name of at most {limit} bytes, got {len(text)}")
    name = text.decode("latin-1")
    if not _NAME.fullmatch(name) or not canonicalName(name):
        raise ValueError(f"expected the name of a client, got {name!a}")
    return name


def remembered(read: Callable[[bytes, int], _T]) -> Callable[[bytes, int], _T]:
    """
    Remember what was read from a text, where that is not long: the same clients
    poll and the same targets are scraped again and again.

    @param read: takes a text, and the limit of names.
    """
    recall = lru_cache(maxsize=10_000)(read)

    def readOrRecall(text: bytes, limit: int) -> _T:
        return recall(text, limit) if len(text) <= REMEMBERED else read(text, limit)

    return readOrRecall


@attrs.frozen
class TargetUrl:
    """
    The URL of a scrape, in its parts as they were written.

    @ivar scheme: in lower case.
    @ivar host: without the brackets of an IPv6 address.
    @ivar port: L{None} where the URL has none.
    @ivar resource: path and query; empty where the URL ends with the host.
    """

    scheme: str
    host: str
    port: int | None
    resource: bytes

    @classmethod
    def fromBytes(cls, url: bytes) -> TargetUrl:
        """
        @raise ValueError: if this is no absolute URL (RFC 9112 section 3.2.2).
            User names in a URL are refused: RFC 9110 section 4.2.4.
        """
        match = _URL.fullmatch(url)
        if match is None:
            shown = _USER.sub(b"//...@", url)[:200].decode("latin-1")
            raise ValueError(
                f"expected an absolute URL like http://name:9100/metrics, got {shown!a}"
            )
        port = int(match["port"]) if match["port"] else None
        if port is not None and not 0 < port < 65536:
            raise ValueError(f"expected a port from 1 to 65535, got {port}")
        return cls(
            match["scheme"].decode("ascii").lower(),
            match["host"].decode("ascii").strip("[]"),
            port,
            match["resource"],
        )

    @property
    def authority(self) -> bytes:
        """
        Host and port as they stand in a URL or a Host header.
        """
        return self.spelled(self.host)[1]

    def toBytes(self) -> bytes:
        """
        The URL again.
        """
        return self.spelled(self.host)[0]

    def spelled(self, host: str) -> tuple[bytes, bytes]:
        """
        @param host: another spelling of the host.
        @return: the URL, and host and port, with it.
        """
        if ":" in host:
            host = f"[{host}]"
        if self.port is not None:
            host = f"{host}:{self.port}"
        authority = host.encode("ascii")
        scheme = self.scheme.encode("ascii")
        return b"%b://%b%b" % (scheme, authority, self.resource), authority
