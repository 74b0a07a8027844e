"""
What somebody has to show to be known: a password, or a token.

Knows how these stand in a header. A password is compared slowly, on purpose
(L{pushprox.passwords}); a token need not be, since nobody can guess one: it is
256 random bits, and what is kept of it is its SHA-256.
"""

from __future__ import annotations

import re
from hashlib import sha256
from secrets import token_urlsafe
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from pushprox.webconfig import WebConfig

#: Bytes of chance in a token.
RANDOM = 32

# RFC 6750 section 2.1. The scheme has no case (RFC 9110 section 11.1).
_BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/-]+=*)[ \t]*", re.IGNORECASE)


@attrs.frozen(cache_hash=True)
class Credential:
    """
    Who somebody has proved to be.

    @ivar kind: C{"user"} or C{"token"}.
    @ivar name: of the user or of the token.
    @ivar hashed: what it was compared with. When that is exchanged, it proves
        nothing any more.
    """

    kind: str
    name: str
    hashed: bytes = attrs.field(repr=False)

    def isInForce(self, config: WebConfig) -> bool:
        """
        @return: whether it still proves something.
        """
        if self.kind == "user":
            return config.users.get(self.name.encode("utf-8")) == self.hashed
        return config.tokens.get(self.hashed) == self.name


def makeToken() -> str:
    """
    @return: a new one, in letters that may stand in a header.
    """
    return token_urlsafe(RANDOM)


def digestOf(token: bytes) -> bytes:
    """
    @return: what is kept of a token: its SHA-256, in hex.
    """
    return sha256(token).hexdigest().encode("ascii")


def readBearer(header: bytes) -> bytes | None:
    """
    @param header: an C{Authorization} or C{Proxy-Authorization}.
    @return: the token in it (RFC 6750 section 2.1), if there is one.
    """
    found = _BEARER.fullmatch(header)
    return found[1] if found else None
