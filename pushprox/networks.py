"""
As what an address counts.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network


def networkOf(host: str) -> str:
    """
    @param host: an address of IPv4 or IPv6, which may have a zone; anything else
        counts as it is.
    @return: of IPv6 the network, since who has one address of it has all.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((address, 64), strict=False))
