"""
Whom we trust over TLS, and what we show of us.

Knows: what a server must prove. Does not know: which server that is, the proxy,
a web proxy or a target.

No key leaves this module in a repr or in the text of an error.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, cast
from weakref import proxy

import attrs
from OpenSSL.crypto import X509, X509Store, X509StoreFlags
from OpenSSL.SSL import VERIFY_FAIL_IF_NO_PEER_CERT, VERIFY_PEER, Connection, Session
from service_identity.hazmat import DNS_ID, IPAddress_ID, verify_service_identity
from service_identity.pyopenssl import extract_patterns
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from pushprox.certificates import readCertificates, readIdentity


def _identityOf(host: str) -> DNS_ID | IPAddress_ID:
    """
    @return: what a certificate must be for.

    @raise ValueError: if a certificate can be for no such name.
    """
    with suppress(ValueError):
        return IPAddress_ID(host)
    try:
        return DNS_ID(host)
    except ValueError:
        raise ValueError(
            f"expected a name that a certificate can have, got {host!r}"
        ) from None


#: Of how many hosts sessions are kept. (Each takes a connection, 30 kB.)
KEPT = 8

# What OpenSSL calls the state after a handshake.
_FINISHED = b"SSL negotiation finished successfully"


@attrs.define(eq=False)
class _Sessions:
    """
    What was verified lately, so that who comes back need not prove it again.

    @ivar _verified: the newest connection to each host and port that proved all
        it must. Not those that resumed a session, or nothing would ever be
        proved again. The connection is kept for its session's sake: OpenSSL
        gives up on the session of a connection that is freed before it was
        closed.
    """

    _verified: dict[tuple[str, int], Connection] = attrs.field(factory=dict)

    def keep(self, netloc: tuple[str, int], connection: Connection) -> None:
        """
        Keep the session of this connection, rather than one of before.
        """
        connection.set_app_data(None)  # not what travels on it too
        self._verified[netloc] = connection
        if len(self._verified) > KEPT:
            del self._verified[next(iter(self._verified))]

    def resume(self, netloc: tuple[str, int], connection: Connection) -> None:
        """
        Have a new connection offer the session of an earlier one.
        """
        earlier = self._verified.get(netloc)
        if earlier is None or earlier.get_state_string() != _FINISHED:
            # Certificates go round in public. That a server has the key to the
            # one it showed is proved by the rest of the handshake.
            return
        connection.set_session(cast(Session, earlier.get_session()))


@implementer(IOpenSSLClientConnectionCreator)
@attrs.frozen
class _VerifyingCreator:
    """
    Makes connections that verify the chain and the host, name or address.

    L{twisted.internet.ssl.optionsForClientTLS} will not do: it knows no names
    with an underscore, and takes a certificate without any subjectAltName for
    every host's.
    """

    _options: CertificateOptions = attrs.field(repr=False)
    _sessions: _Sessions = attrs.field(repr=False)
    _identity: DNS_ID | IPAddress_ID
    _netloc: tuple[str, int]

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> Connection:
        context = self._options.getContext()
        # Any trusted certificate may end a chain, also an intermediate one, as
        # with the reference; OpenSSL alone insists on a root.
        store = cast(X509Store, context.get_cert_store())
        store.set_flags(X509StoreFlags.PARTIAL_CHAIN)
        connection = Connection(context, None)
        if isinstance(self._identity, DNS_ID):  # RFC 6066 section 3.
            connection.set_tlsext_host_name(self._identity.hostname)
        protocol = proxy(tlsProtocol)  # It holds the connection, which holds verify.

        def verify(
            by: Connection, shown: X509, error: int, depth: int, ok: int
        ) -> bool:
            if not ok or depth:
                return bool(ok)
            try:
                verify_service_identity(extract_patterns(shown), [self._identity], [])
            except Exception:
                # Of whatever kind: what is not verified is not trusted.
                protocol.failVerification(Failure())
                return False
            self._sessions.keep(self._netloc, by)
            return True

        connection.set_verify(VERIFY_PEER | VERIFY_FAIL_IF_NO_PEER_CERT, verify)
        self._sessions.resume(self._netloc, connection)
        return connection


@implementer(IPolicyForHTTPS)
@attrs.frozen
class _VerifyingPolicy:
    """
    Verifies every host, and shows our certificate to all.
    """

    _options: CertificateOptions = attrs.field(repr=False)
    _sessions: _Sessions = attrs.field(factory=_Sessions, repr=False)

    def creatorForNetloc(
        self, hostname: bytes, port: int
    ) -> IOpenSSLClientConnectionCreator:
        # Neither SNI nor certificates have a trailing dot (RFC 6066 section 3).
        host = hostname.decode("ascii").removesuffix(".")
        return _VerifyingCreator(
            self._options, self._sessions, _identityOf(host), (host, port)
        )


def tlsPolicy(
    caFile: str | None, certFile: str | None, keyFile: str | None
) -> IPolicyForHTTPS:
    """
    What a TLS connection to the proxy must prove, and what it shows of us.

    @param caFile: a PEM bundle: only what it contains is trusted. Without it
        the system's roots are.
    @param certFile: our certificate, followed by its chain, in PEM.
    @param keyFile: its private key, in PEM, without a passphrase.
    @return: a policy that always verifies, TLS 1.2 at least; who comes back to
        the same host and port within the life of a ticket (hours, as a rule)
        may resume what was verified then. It has one context for all hosts,
        made when first needed: to load the system's roots takes milliseconds.
    @raise ValueError: if a file is not what it should be; it names the file.
    """
    trustRoot = platformTrust()
    if caFile:
        trustRoot = trustRootFromCertificates(
            Certificate(X509.from_cryptography(authority))
            for authority in readCertificates(caFile)
        )
    identity: dict[str, Any] = {}
    if certFile and keyFile:
        identity = readIdentity(certFile, keyFile)
    elif certFile:
        raise ValueError(f"{certFile}: expected the file of its private key too")
    elif keyFile:
        raise ValueError(f"{keyFile}: expected the file of its certificate too")
    return _VerifyingPolicy(
        CertificateOptions(trustRoot=trustRoot, enableSessionTickets=True, **identity)
    )
