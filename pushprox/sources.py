"""
Where a request comes from: from the other end of its connection, or from where
proxies that are trusted say.

Pure decisions on values. What proxies say is the last part of a list to which
each of them adds whom it heard; before that anybody may have written anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# An address as proxies write it down; IPv6 with a port has brackets.
_ENTRY = re.compile(
    r"\[(?P<six>[^\]]*)\](?::[0-9]{1,5})?"
    r"|(?P<four>[0-9.]+)(?::[0-9]{1,5})?"
    r"|(?P<bare>[^\[\]]*)"
)

#: Characters of the longest address; a zone is the name of an interface.
LONGEST = 64

#: How many bits of IPv6 belong to one and the same: who has one address of such a
#: network has all.
SUBNET = 64


def addressFrom(text: str) -> Address | None:
    """
    @param text: an address of IPv4 or IPv6, which may have a zone.
    @return: the address, without its zone, and of IPv4 if it is one of these in
        the form of IPv6 (RFC 4291 section 2.5.5.2); L{None} for anything else.
    """
    return _recall(text) if len(text) <= LONGEST else None


@lru_cache(10_000)
def _recall(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def networkFrom(text: str) -> Network:
    """
    @param text: an address, or a network like C{192.168.0.0/24}.
    @raise ValueError: if it is neither.
    """
    try:
        network = ip_network(text)
    except ValueError:
        raise ValueError(
            f"an address or a network like 192.168.0.0/24, got {text!r}"
        ) from None
    mapped = network.network_address
    if isinstance(mapped, IPv6Address) and mapped.ipv4_mapped is not None:
        # Addresses in it are taken for those of IPv4.
        return ip_network((mapped.ipv4_mapped, network.prefixlen - 96))
    return network


def isIn(address: Address | None, networks: Iterable[Network]) -> bool:
    """
    @return: whether an address is in one of the networks.
    """
    return address is not None and any(address in network for network in networks)


def peerOf(end: object) -> Address | None:
    """
    @param end: an address as Twisted has it.
    @return: the address; L{None} if it is not one of IP.
    """
    host = getattr(end, "host", None)
    return None if host is None else addressFrom(host)


def sourceOf(
    peer: Address | None, forwarded: Iterable[bytes], trusted: Sequence[Network]
) -> Address | None:
    """
    Walk from the other end of a connection towards whoever asked first, from one
    proxy that is trusted to whom it heard, up to the first that is not.

    @param forwarded: the values of all C{X-Forwarded-For}, in order: each proxy
        adds at the end whom it heard.
    @param trusted: the proxies that are believed.
    @return: that one; or the last that was trusted, where the next cannot be
        read or is not told.
    """
    if not isIn(peer, trusted):
        return peer
    source = peer
    for entry in reversed(b",".join(forwarded).split(b",")):
        said = _entryFrom(entry.strip(b" \t").decode("latin-1"))
        if said is None:
            break
        source = said
        if not isIn(source, trusted):
            break
    return source


def _entryFrom(text: str) -> Address | None:
    match = _ENTRY.fullmatch(text)
    return None if match is None else addressFrom(match[match.lastgroup or 0])


def networkOf(source: Address | None) -> str:
    """
    @return: as what a source is counted and told: of IPv6 the network.
    """
    if source is None:
        return "a local socket"
    if isinstance(source, IPv4Address):
        return str(source)
    return str(ip_network((source, SUBNET), strict=False))
