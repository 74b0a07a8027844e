"""
Which scrapes this client may run, and where each of them leads.

Knows: the name this client polls as, how C{_scheme=https} asks for TLS, what a
redirect may lead to. Pure decisions on values: no Twisted, no connections, and
no word about what becomes of a refusal.
"""

from __future__ import annotations

from urllib.parse import urljoin

import attrs

from pushprox.names import TargetUrl, canonicalName

DEFAULT_PORTS = {"http": 80, "https": 443}
"""Where a URL without a port leads (RFC 9110 sections 4.2.1 and 4.2.2)."""

Origin = tuple[str, str, int]
"""Scheme, host and port (RFC 6454 section 4)."""


class NotAllowed(Exception):
    """
    This client does not scrape that. The text is fit for a reason phrase.
    """


@attrs.frozen
class Destination:
    """
    Where a scrape leads.

    Its text names the target and leaves out the query, which may hold secrets.

    @ivar scheme: C{"http"} or C{"https"}.
    @ivar host: what to connect to and what a certificate must be for, without
        the brackets of an IPv6 address, in small letters, without a trailing dot.
    @ivar port: the default one of the scheme where the URL has none.
    @ivar resource: path and query as the target sees them (RFC 9112 section
        3.2.1).
    @ivar authority: host and port for the Host header, as the URL spelled them.
    """

    scheme: str
    host: str
    port: int
    resource: bytes
    authority: bytes

    @property
    def origin(self) -> Origin:
        """
        What a connection, or a password, is good for.
        """
        return self.scheme, self.host, self.port

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority.decode('ascii')}"


def _chosenScheme(url: TargetUrl) -> TargetUrl:
    """
    Obey the parameter C{_scheme}, by which a scraper that can only ask a proxy
    for http URLs gets TLS. The first one counts, all are removed, and what else
    is in the query stays as it is.
    """
    path, _, query = url.resource.partition(b"?")
    parameters = query.split(b"&")
    schemes = [each for each in parameters if each.partition(b"=")[0] == b"_scheme"]
    if not schemes:
        return url
    scheme = schemes[0].partition(b"=")[2].decode("latin-1")
    rest = b"&".join([each for each in parameters if each not in schemes])
    return attrs.evolve(
        url, scheme=scheme, resource=path + b"?" + rest if rest else path
    )


@attrs.frozen
class Policy:
    """
    What one client serves: every port and path of its own name, and no other.

    @ivar name: the name that this client polls as.
    """

    name: str

    def destination(self, url: bytes) -> Destination:
        """
        @param url: of a scrape, in absolute form.

        @raise NotAllowed: if another name stands in it.

        @raise ValueError: if it is no URL that can be scraped.
        """
        return self._admit(_chosenScheme(TargetUrl.fromBytes(_withoutFragment(url))))

    def redirect(self, origin: Destination, location: bytes) -> Destination | None:
        """
        Where a redirect leads, if this client may follow it. Port and scheme
        may change; C{_scheme} means nothing here, it would be the target's own.

        @param origin: what answered with the redirect.
        @param location: the value of the Location header, maybe relative
            (RFC 3986 section 5).

        @return: L{None} if it leads elsewhere, or cannot be read: whoever asked
            may know better, and is told.
        """
        base = f"{origin}{origin.resource.decode('latin-1')}"
        try:
            url = urljoin(base, location.decode("latin-1")).encode("latin-1")
            return self._admit(TargetUrl.fromBytes(_withoutFragment(url)))
        except (NotAllowed, ValueError):
            return None

    def _admit(self, url: TargetUrl) -> Destination:
        defaultPort = DEFAULT_PORTS.get(url.scheme)
        if defaultPort is None:
            raise ValueError(f"expected the scheme http or https, got {url.scheme!a}")
        host = canonicalName(url.host)
        if host != canonicalName(self.name):
            raise NotAllowed(f"This client serves {self.name}, not {url.host}")
        resource = url.resource
        return Destination(
            url.scheme,
            host,
            defaultPort if url.port is None else url.port,
            # RFC 9112 section 3.2.1.
            resource if resource.startswith(b"/") else b"/" + resource,
            url.authority,
        )


def _withoutFragment(url: bytes) -> bytes:
    """
    A fragment is for whoever reads the answer (RFC 9110 section 7.1).
    """
    return url.partition(b"#")[0]
