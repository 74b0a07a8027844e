"""
Where a server is, and who we are there: URLs with credentials.

Knows: what a URL of the proxy or of a web proxy may look like, and how it goes
to L{treq}. Does not know: whether anybody is there, or how to get there
(L{pushprox.client.transport} does).

No secret leaves this module in a repr or in the text of an error.
"""

from __future__ import annotations

import re
from base64 import b64encode
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from urllib.parse import quote, unquote_to_bytes

import attrs
from hyperlink import EncodedURL

from pushprox.client.connecting import isBeyondIDNA

# RFC 3986 section 3. An "@" in the path is refused: far more often than not it
# ends a password with an unescaped "/", which must not be taken for a path.
_URL = re.compile(
    r"(?P<scheme>https?)://(?:(?P<userinfo>[^/?#]*)@)?"
    r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[^/?#@:\[\]]+))"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/[^?#@\s]*)?",
    re.IGNORECASE,
)
_CREDENTIALS = re.compile(r"^([a-z][a-z0-9+.-]*://)?.*@", re.IGNORECASE | re.DOTALL)
_IMPLIED = {"http": ":80", "https": ":443"}


def authorityOf(host: str, port: int) -> str:
    """
    @return: C{host:port}, with brackets where the host is an IPv6 address.
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _inASCII(name: str) -> str:
    """
    @return: the name of a host, as it goes over the wire.
    @raise ValueError: if it is none.
    """
    if isBeyondIDNA(name):
        return name.lower()
    # As Twisted will do it, so that what it refuses at the first connection is
    # refused here, at start.
    return str(EncodedURL(host=name).to_uri().host)


@attrs.frozen
class ServerURL:
    """
    A URL of a server, taken apart.

    @ivar host: a name in ASCII (IDNA) or an address, without brackets.
    @ivar path: percent-encoded; may be empty.
    @ivar authorization: the Basic credentials, RFC 7617, or L{None}.
    """

    scheme: str
    host: str
    port: int
    path: str
    authorization: bytes | None = attrs.field(repr=False)

    @classmethod
    def fromText(cls, text: str, example: str) -> ServerURL:
        """
        @param example: what a good one looks like, for the text of the error.
        @raise ValueError: if it is no http or https URL of a host. The text of
            the error does not contain the password.
        """
        parts = _URL.fullmatch(text)
        try:
            if parts is None:
                raise ValueError(text)
            scheme = parts["scheme"].lower()
            if parts["address"]:
                host = str(IPv6Address(parts["address"]))
            else:
                host = _inASCII(parts["name"])
            port = int(parts["port"] or _IMPLIED[scheme][1:])
            if not 0 < port < 65536:
                raise ValueError(port)
        except ValueError:
            shown = _CREDENTIALS.sub(r"\1***@", text)
            raise ValueError(f"expected a URL like {example}, got {shown!r}") from None
        authorization = None
        if parts["userinfo"]:
            user, _, password = parts["userinfo"].partition(":")
            pair = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
            authorization = b"Basic " + b64encode(pair)
        path = quote(parts["path"] or "", safe="/%:!$&'()*+,;=")
        return cls(scheme, host, port, path, authorization)

    @property
    def origin(self) -> str:
        """
        The URL without path, credentials and default port.
        """
        authority = authorityOf(self.host, self.port)
        return f"{self.scheme}://{authority.removesuffix(_IMPLIED[self.scheme])}"


class _FinishedURL(EncodedURL):
    """
    A URL that is fit for the wire as it stands.

    L{treq} calls C{to_uri} on every URL, and hyperlink's fails for IPv6
    addresses (U{https://github.com/python-hyper/hyperlink/issues/188}), and for
    names with an underscore.
    """

    def to_uri(self) -> EncodedURL:
        return self


@attrs.frozen
class ProxyLocation:
    """
    Where the proxy is, and who we are there: a parsed C{--proxy-url}.

    @ivar base: the URL with a trailing slash and without credentials, in ASCII.
    @ivar authorization: the value of an Authorization header, or L{None}.
    @ivar serverName: what its certificate must be for; L{None} for the host of
        the URL.
    """

    base: str
    authorization: bytes | None = attrs.field(repr=False)
    serverName: str | None = None

    @classmethod
    def fromText(cls, text: str) -> ProxyLocation:
        """
        @param text: C{http://user:password@proxy:8080/prefix}; user and
            password percent-encoded.
        @raise ValueError: if it is not such a URL; it says what was expected.
        """
        parsed = ServerURL.fromText(text, "http://proxy:8080/")
        return cls(f"{parsed.origin}{parsed.path.rstrip('/')}/", parsed.authorization)

    def provenAs(self, name: str) -> ProxyLocation:
        """
        @param name: a name or an address: C{proxy.example.com}.
        @return: the same place, whose certificate must be for this.
        @raise ValueError: if it shows no certificate, or can show none for this.
        """
        if not self.base.startswith("https:"):
            raise ValueError(f"expected a --proxy-url with https, got {self.base}")
        with suppress(ValueError):
            return attrs.evolve(self, serverName=str(ip_address(name)))
        try:
            return attrs.evolve(self, serverName=_inASCII(name))
        except ValueError:
            raise ValueError(
                f"expected a name like proxy.example.com, got {name!r}"
            ) from None

    def url(self, path: str) -> str:
        """
        @param path: relative to the base: C{poll}.
        """
        return self.base + path

    def requestURL(self, path: str) -> EncodedURL:
        """
        @return: the same as L{url}, in a form that L{treq} takes for every
            host, IPv6 addresses among them.
        """
        return _FinishedURL.from_text(self.url(path))
