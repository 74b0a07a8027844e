"""
Which web proxy stands between the client and its proxy.

Knows: C{HTTP_PROXY}, C{HTTPS_PROXY} and C{NO_PROXY}. Does not know: how to get
through a web proxy (L{pushprox.client.transport} and L{pushprox.client.tunnel}
do). Scrapes never go through one.

No secret leaves this module in a repr or in the text of an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

import attrs

from pushprox.client.location import ServerURL


class WebProxyError(Exception):
    """
    The web proxy is at fault, or our settings for it; not the PushProx proxy.
    """


@attrs.frozen
class WebProxy:
    """
    A web proxy that stands between the client and its proxy.

    @ivar url: without credentials; https where it is itself spoken to over TLS.
    @ivar authorization: the value of Proxy-Authorization, or L{None}.
    """

    url: str
    host: str
    port: int
    authorization: bytes | None = attrs.field(repr=False)

    def __str__(self) -> str:
        return f"web proxy {self.url}"


def _addressOf(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _networkOf(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _exempts(entry: str, host: str, port: int) -> bool:
    """
    @param entry: one entry of NO_PROXY: C{*}, a name, C{.suffix}, C{*.suffix},
        an address, a network; all but C{*} and networks perhaps with C{:port}.
    @return: whether it exempts this host and port from the web proxy.
    """
    name, network = entry, _networkOf(entry)
    if network is None:
        before, colon, after = entry.rpartition(":")
        if colon and after.isdecimal():
            if int(after) != port:
                return False
            name = before
        network = _networkOf(name.removeprefix("[").removesuffix("]"))
    if network is not None:
        address = _addressOf(host)
        return address is not None and address in network
    if name == "*":
        return True
    suffix = name.removeprefix("*")
    if suffix.startswith("."):
        return host.endswith(suffix)
    return host == name or (name != "" and host.endswith(f".{name}"))


@attrs.frozen
class WebProxies:
    """
    The web proxies that an environment names, as Go's net/http reads it (so
    did the reference): C{HTTP_PROXY}, C{HTTPS_PROXY}, C{NO_PROXY}, each also in
    lower case.

    The standard library's C{proxy_bypass_environment} will not do: it knows no
    networks, proxies loopback addresses, and takes C{.example.com} for
    C{example.com} itself.

    @ivar environment: what C{os.environ} is to the whole process.
    """

    environment: Mapping[str, str] = attrs.field(repr=False)

    def _lookUp(self, name: str) -> tuple[str, str]:
        for spelling in (name, name.lower()):
            if value := self.environment.get(spelling):
                return spelling, value
        return name, ""

    def _isExempt(self, host: str, port: int) -> bool:
        address = _addressOf(host)
        if host == "localhost" or (address is not None and address.is_loopback):
            return True
        _, exempt = self._lookUp("NO_PROXY")
        return any(
            _exempts(entry.strip(), host, port) for entry in exempt.lower().split(",")
        )

    def proxyFor(self, url: str) -> WebProxy | None:
        """
        @param url: an http or https URL.
        @return: the web proxy to reach it through, or L{None} for none.
        @raise ValueError: if there is one and it is of a kind we do not speak;
            it names the variable.
        """
        target = ServerURL.fromText(url, "http://proxy:8080/")
        variable, value = self._lookUp(f"{target.scheme.upper()}_PROXY")
        # In a CGI script HTTP_PROXY is a "Proxy:" header of a request
        # (CVE-2016-5385).
        isForged = target.scheme == "http" and self.environment.get("REQUEST_METHOD")
        if not value or isForged or self._isExempt(target.host, target.port):
            return None
        try:
            parsed = ServerURL.fromText(
                value if "://" in value else f"http://{value}", "http://proxy:3128"
            )
        except ValueError as error:
            raise ValueError(f"{variable}: {error}") from None
        return WebProxy(parsed.origin, parsed.host, parsed.port, parsed.authorization)
