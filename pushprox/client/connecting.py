"""
A connection to a host, whatever its name looks like.

Knows: that machines have names which IDNA refuses, and how to find them all the
same. Does not know: what the connection is for.
"""

from __future__ import annotations

import re

import attrs
import idna
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
)
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IReactorPluggableNameResolver,
    IReactorTime,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from zope.interface import implementer

# What a resolver takes (RFC 2181 section 11), and no more than hosts are called.
_isPlain = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE
).fullmatch


def isBeyondIDNA(host: str) -> bool:
    """
    @return: whether this is a name that machines have, though IDNA (RFC 5891)
        allows none like it, and Twisted no other: C{node_exporter}.
    """
    if not _isPlain(host):
        return False
    try:
        idna.encode(host)
    except idna.IDNAError:
        return True
    return False


def endpointFor(
    reactor: IReactorTime, host: str, port: int, timeout: float
) -> IStreamClientEndpoint:
    """
    @param reactor: also provides what L{HostnameEndpoint} asks for.
    @param host: a name or an address, without brackets.
    @param timeout: how long one attempt to connect may take, in seconds.

    @return: what connects to the host, by one of its addresses. It fails with
        L{DNSLookupError}, L{ConnectError}, or a L{ValueError} where C{host} is
        no name of a host.
    """
    if isBeyondIDNA(host):
        return _NameEndpoint(reactor, host, port, timeout)
    return HostnameEndpoint(reactor, host, port, timeout)


@implementer(IResolutionReceiver)
@attrs.define(eq=False)
class _Addresses:
    """
    The addresses of a name, as they are found.

    @ivar found: fires with all of them. To cancel is to wait no longer: not
        every lookup can be called off.
    """

    _addresses: list[IPv4Address | IPv6Address] = attrs.field(factory=list)
    found: Deferred[list[IPv4Address | IPv6Address]] = attrs.field(factory=Deferred)

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """
        There is nothing to do yet.
        """

    def addressResolved(self, address: IAddress) -> None:
        """
        One more.
        """
        assert isinstance(address, IPv4Address | IPv6Address)
        self._addresses.append(address)

    def resolutionComplete(self) -> None:
        """
        That was the last.
        """
        self.found.callback(self._addresses)


@implementer(IStreamClientEndpoint)
@attrs.frozen(eq=False)
class _NameEndpoint:
    """
    Connects to the first address of a name that takes the connection.
    """

    _reactor: IReactorTime
    _host: str
    _port: int
    _timeout: float

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, protocolFactory: IProtocolFactory) -> IProtocol:
        receiver = _Addresses()
        resolver = IReactorPluggableNameResolver(self._reactor).nameResolver
        resolver.resolveHostName(receiver, self._host, self._port)
        fault: Exception = DNSLookupError(f"no address for the name {self._host}")
        for address in await receiver.found:
            isNew = isinstance(address, IPv6Address)
            kind = TCP6ClientEndpoint if isNew else TCP4ClientEndpoint
            endpoint = kind(self._reactor, address.host, self._port, self._timeout)
            try:
                return await endpoint.connect(protocolFactory)
            except ConnectError as error:
                fault = error
        raise fault
