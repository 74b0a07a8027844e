"""
Who may do what: decisions on values, and nothing else.

An asker has all the roles whose conditions he meets, and may do what any of
them lets him do. What is not granted is denied.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import attrs

from pushprox.names import canonicalName
from pushprox.sources import Address, Network, isIn

if TYPE_CHECKING:
    from pushprox.authorities import Shown


#: What may be granted beside scrapes and polls, and the paths these words stand
#: for.
PAGES = {
    "page": b"/",
    "clients": b"/clients",
    "metrics": b"/metrics",
    "ready": b"/-/ready",
    "reload": b"/-/reload",
}


def _expression(glob: str) -> str:
    """
    @return: the same as a regular expression. Where something between two stars
        fits, it is not looked for once more: however many stars, a name is
        never looked at for long.
    """
    first, *others = (
        re.escape(part).replace(r"\?", ".") for part in re.split(r"\*+", glob)
    )
    if not others:
        return first
    *between, last = others
    return "".join((first, *(f"(?>.*?{part})" for part in between), ".*", last))


#: Decisions that are remembered, of all askers together: the same names are asked
#: for again and again.
REMEMBERED = 10_000


class Globs:
    """
    Names, by patterns: C{*} stands for any characters, C{?} for one. All others
    stand for themselves, capitals too: where names are compared without case,
    patterns are to be in small letters as well.

    @ivar globs: the patterns.
    """

    def __init__(self, globs: Iterable[str] = ()) -> None:
        self.globs = tuple(globs)
        self._matches = re.compile(
            "|".join(map(_expression, self.globs)), re.DOTALL
        ).fullmatch

    def has(self, name: str) -> bool:
        """
        @return: whether one of them matches.
        """
        return bool(self.globs) and self._matches(name) is not None


NONE = Globs()


@attrs.frozen
class Asker:
    """
    Who asks, as far as that is known for certain.

    @ivar user: of the list of users, with a password.
    @ivar token: the name of a token.
    @ivar certificate: what was shown over TLS, if a CA of ours vouches for it.
    @ivar source: where the request comes from.
    """

    user: str | None = None
    token: str | None = None
    certificate: Shown | None = None
    source: Address | None = None

    @property
    def isNobody(self) -> bool:
        """
        Whether nothing is known but where the request comes from.
        """
        return self.user is None and self.token is None and self.certificate is None


@attrs.frozen
class Bearer:
    """
    Those with certificates of one CA.

    @ivar names: one of them must be a DNS name of the certificate; L{None} for
        any certificate.
    """

    authority: str
    names: Globs | None = None

    def fits(self, shown: Shown) -> bool:
        """
        @return: whether this is one of them.
        """
        return self.authority == shown.authority and (
            self.names is None or any(map(self.names.has, shown.names))
        )


@attrs.frozen
class Role:
    """
    Some who may do something.

    @ivar name: what it is called.
    @ivar users: names of users, as patterns.
    @ivar tokens: names of tokens, likewise.
    @ivar bearers: who may show a certificate.
    @ivar networks: where requests come from.
    @ivar anyone: whether it is everybody's.
    @ivar scrape: the names that may be scraped.
    @ivar poll: the names that may be polled as.
    @ivar pages: what may be read.
    @ivar fromCertificate: whether of C{poll} only those names are meant that are
        in the certificate.
    @ivar fromToken: whether only the one that the token is called by.
    """

    name: str
    users: Globs = NONE
    tokens: Globs = NONE
    bearers: tuple[Bearer, ...] = ()
    networks: tuple[Network, ...] = ()
    anyone: bool = False
    scrape: Globs = NONE
    poll: Globs = NONE
    pages: frozenset[str] = frozenset()
    fromCertificate: bool = False
    fromToken: bool = False

    def isOf(self, asker: Asker) -> bool:
        """
        @return: whether the asker has it.
        """
        return (
            self.anyone
            or (asker.user is not None and self.users.has(asker.user))
            or (asker.token is not None and self.tokens.has(asker.token))
            or (asker.certificate is not None and self._vouches(asker.certificate))
            or isIn(asker.source, self.networks)
        )

    def _vouches(self, shown: Shown) -> bool:
        return any(bearer.fits(shown) for bearer in self.bearers)

    def grantsPoll(self, asker: Asker, name: str) -> bool:
        """
        @param asker: who has it.
        @return: whether he may poll as this name.
        """
        if not self.poll.has(name):
            return False
        if self.fromCertificate:
            return asker.certificate is not None and name in asker.certificate.names
        if self.fromToken:
            return asker.token is not None and name == canonicalName(asker.token)
        return True


@attrs.frozen(eq=False)
class Access:
    """
    What one asker may do. A name that somebody may not see is treated like one
    that there is not.

    @ivar roles: those he has; L{None} where everybody may do everything.
    @ivar blemish: why something he showed does not count.
    """

    asker: Asker = Asker()
    roles: tuple[Role, ...] | None = None
    blemish: str | None = None

    @cached_property
    def identity(self) -> Hashable:
        """
        What stands for him: an answer is taken only from whom the scrape was
        given to. L{None} where nobody is told apart.
        """
        asker = self.asker
        if not asker.isNobody:
            shown = asker.certificate
            # By its names, since these stay when it is renewed; else by itself.
            bears = shown and (shown.authority, shown.names or shown.serials[:1])
            # Not where he is: that may change from one request to the next.
            return asker.user, asker.token, bears
        if self.roles is None:
            return None
        return tuple(role.name for role in self.roles)

    def mayScrape(self, name: str) -> bool:
        """
        @param name: normalised.
        """
        return self.roles is None or _mayScrape(self, name)

    def mayPoll(self, name: str) -> bool:
        """
        @param name: normalised.
        """
        return self.roles is None or _mayPoll(self, name)

    @cached_property
    def mayScrapeAny(self) -> bool:
        """
        Whether he may scrape anything at all.
        """
        return self.roles is None or any(role.scrape.globs for role in self.roles)

    @cached_property
    def mayPollAny(self) -> bool:
        """
        Whether he may poll as anybody at all.
        """
        return self.roles is None or any(role.poll.globs for role in self.roles)

    def mayRead(self, page: str) -> bool:
        """
        @param page: one of L{PAGES}.
        """
        return self.roles is None or any(page in role.pages for role in self.roles)


@lru_cache(REMEMBERED)
def _mayScrape(access: Access, name: str) -> bool:
    return any(role.scrape.has(name) for role in access.roles or ())


@lru_cache(REMEMBERED)
def _mayPoll(access: Access, name: str) -> bool:
    return any(role.grantsPoll(access.asker, name) for role in access.roles or ())


EVERYTHING = Access()
"""
What everybody may do where nothing is said of it.
"""
