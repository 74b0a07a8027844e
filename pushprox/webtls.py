"""
TLS as a web config file wants it.

Knows what the words in the file come to in OpenSSL. Does not know when the
files are read again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import attrs
from cryptography.x509 import (
    Certificate,
    DNSName,
    IPAddress,
    RFC822Name,
    UniformResourceIdentifier,
)
from OpenSSL._util import lib
from OpenSSL.crypto import X509, X509Store, X509StoreFlags
from OpenSSL.SSL import VERIFY_FAIL_IF_NO_PEER_CERT, VERIFY_PEER, Connection
from twisted.internet.ssl import (
    AcceptableCiphers,
    CertificateOptions,
    TLSVersion,
    trustRootFromCertificates,
)
from twisted.internet.ssl import Certificate as TwistedCertificate
from twisted.protocols.tls import TLSMemoryBIOProtocol

from pushprox.authorities import Authorities
from pushprox.certificates import alternativeNames, certificatesIn, identity, readFile
from pushprox.sections import PEM
from pushprox.webconfig import TLSServer

_VERSIONS = {12: TLSVersion.TLSv1_2, 13: TLSVersion.TLSv1_3}

Verify = Callable[[Connection, X509, int, int, int], bool]


def _read(pem: PEM) -> PEM:
    if pem.path is None:
        return pem
    try:
        return attrs.evolve(pem, content=readFile(pem.path))
    except ValueError as error:
        raise ValueError(f"{pem.key}: {error}") from None


def readFiles(tls: TLSServer) -> TLSServer:
    """
    @return: the same, with all that is in its files.
    @raise ValueError: if one cannot be read; it names the key and the file.
    """
    return attrs.evolve(
        tls,
        certificate=_read(tls.certificate),
        key=_read(tls.key),
        clientCA=tls.clientCA and _read(tls.clientCA),
        authorities=tuple(
            attrs.evolve(
                authority,
                certificates=_read(authority.certificates),
                revoked=authority.revoked and _read(authority.revoked),
            )
            for authority in tls.authorities
        ),
    )


def namesOf(certificate: Certificate) -> set[str]:
    """
    @return: the subject alternative names that Go compares: DNS names, addresses
        of IP and of e-mail, and URIs.
    """
    names = alternativeNames(certificate)
    if names is None:
        return set()
    return {
        *names.get_values_for_type(DNSName),
        *names.get_values_for_type(RFC822Name),
        *names.get_values_for_type(UniformResourceIdentifier),
        *map(str, names.get_values_for_type(IPAddress)),
    }


def verifier(tls: TLSServer) -> Verify:
    """
    @return: what OpenSSL asks about every certificate of a client's chain, the
        client's own last.
    """
    verifies, allowed = tls.clientAuth.verifies, tls.allowedNames

    def verify(
        connection: Connection, certificate: X509, error: int, depth: int, isGood: int
    ) -> bool:
        if verifies and not isGood:
            return False
        if allowed is None or depth:
            return True
        return not allowed.isdisjoint(namesOf(certificate.to_cryptography()))

    return verify


class WebOptions(CertificateOptions):
    """
    What a context is made of, and what is asked of each connection.

    @ivar authorities: the CAs that are told apart.
    """

    def __init__(self, tls: TLSServer) -> None:
        """
        @param tls: after L{readFiles}.
        @raise ValueError: if a certificate or key is none, or they do not fit; it
            names the key in the file.
        """
        certificate, key, authority = tls.certificate, tls.key, tls.clientCA
        assert certificate.content is not None
        assert key.content is not None
        settings = identity(
            certificate.name,
            certificatesIn(certificate.name, certificate.content),
            key.name,
            key.content,
        )
        self.authorities = Authorities(tls.authorities)
        trusted = list(self.authorities.certificates)
        if authority is not None:
            assert authority.content is not None
            trusted += certificatesIn(authority.name, authority.content)
        if trusted:
            settings["trustRoot"] = trustRootFromCertificates(
                TwistedCertificate(X509.from_cryptography(each)) for each in trusted
            )
        if tls.ciphers:
            settings["acceptableCiphers"] = AcceptableCiphers.fromOpenSSLCipherString(
                ":".join(tls.ciphers)
            )
        super().__init__(
            # Who resumes a session shows no certificates, and it is these that
            # tell CAs apart.
            enableSessionTickets=not tls.authorities,
            raiseMinimumTo=_VERSIONS[tls.minimum],
            lowerMaximumSecurityTo=_VERSIONS[tls.maximum],
            **settings,
        )
        # As in Go, a CA in the file is trusted also if another signed it.
        store = cast(X509Store, self.getContext().get_cert_store())
        store.set_flags(X509StoreFlags.PARTIAL_CHAIN)
        self._curves = ":".join(tls.curves).encode("ascii")
        self._verifyMode = 0
        if tls.clientAuth.asks:
            self._verifyMode |= VERIFY_PEER
        if tls.clientAuth.requires:
            self._verifyMode |= VERIFY_FAIL_IF_NO_PEER_CERT
        self._verify = verifier(tls)

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> Connection:
        """
        @return: one more connection.
        """
        connection = super().serverConnectionForTLS(protocol)
        connection.set_verify(self._verifyMode, self._verify)
        if self._curves:
            # pyOpenSSL knows no way to name more than one.
            lib.SSL_set1_curves_list(vars(connection)["_ssl"], self._curves)
        return connection
