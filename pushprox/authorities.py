"""
Whose certificate it is that somebody shows: which CA vouches for it, for which
names, for how long, and whether it was taken back.

Knows X.509. Does not know what anybody may do with a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import attrs
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509 import (
    Certificate,
    CertificateRevocationList,
    DNSName,
    ExtensionNotFound,
    Name,
    SubjectAlternativeName,
    load_pem_x509_crl,
)
from OpenSSL.SSL import Connection

from pushprox.certificates import certificatesIn
from pushprox.webconfig import Authority

_LIST = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----\s*", re.DOTALL)

#: The parts of a list that we understand: its number and who signed it
#: (RFC 5280 sections 5.2.1 and 5.2.3). Of what else is critical we do not know
#: what it takes back, and what not.
_UNDERSTOOD = frozenset(["2.5.29.20", "2.5.29.35"])


@attrs.frozen
class Shown:
    """
    A certificate that a CA vouches for.

    @ivar authority: the name we have for that CA.
    @ivar names: the DNS names that it is for (RFC 5280 section 4.2.1.6), in
        small letters; those with a star are for none.
    @ivar until: when it expires, or one that vouches for it; seconds since 1970.
    @ivar serials: what it and those between it and the CA are called on lists of
        what was taken back: the issuer and the number.
    """

    authority: str
    names: frozenset[str]
    until: float
    serials: tuple[tuple[Name, int], ...] = attrs.field(repr=False)


def dnsNames(certificate: Certificate) -> frozenset[str]:
    """
    @return: the DNS names it is for, less those with a star.
    """
    try:
        found = certificate.extensions.get_extension_for_class(SubjectAlternativeName)
    except (ExtensionNotFound, ValueError):
        # None, or nothing that can be read.
        return frozenset()
    names = found.value.get_values_for_type(DNSName)
    return frozenset(
        name.removesuffix(".").lower() for name in names if "*" not in name
    )


def _listsIn(name: str, pem: bytes) -> list[CertificateRevocationList]:
    """
    @raise ValueError: if there is none, or one that we do not understand.
    """
    try:
        lists = [load_pem_x509_crl(found) for found in _LIST.findall(pem)]
        for each in lists:
            if any(
                extension.critical and extension.oid.dotted_string not in _UNDERSTOOD
                for extension in each.extensions
            ):
                raise ValueError(f"{name}: expected a complete list, for all purposes")
    except ValueError as error:
        if str(error).startswith(name):
            raise
        lists = []
    if not lists:
        raise ValueError(
            f"{name}: expected PEM revocation lists (-----BEGIN X509 CRL-----)"
        ) from None
    return lists


def _isSignedBy(each: CertificateRevocationList, by: Certificate) -> bool:
    if each.issuer != by.subject:
        return False
    try:
        return each.is_signature_valid(by.public_key())  # type: ignore[arg-type]
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False


class Authorities:
    """
    CAs that are told apart.

    @ivar _owners: the name of the CA that each certificate is of.
    @ivar _lists: what was taken back, by who issued it.
    """

    def __init__(self, authorities: Iterable[Authority]) -> None:
        """
        @param authorities: with all that is in their files.
        @raise ValueError: if a file has no certificates or no lists in it, a
            list is from somebody else, or one certificate is of two CAs.
        """
        self.certificates: list[Certificate] = []
        self._owners: dict[Certificate, str] = {}
        self._lists: dict[Name, CertificateRevocationList] = {}
        for authority in authorities:
            pem = authority.certificates
            assert pem.content is not None
            own = certificatesIn(pem.name, pem.content)
            for certificate in own:
                if certificate in self._owners:
                    owner = self._owners[certificate]
                    raise ValueError(f"{pem.name}: expected another CA than {owner}'s")
            self._owners.update(dict.fromkeys(own, authority.name))
            self.certificates += own
            if authority.revoked is not None:
                self._addLists(authority.revoked.name, authority.revoked.content, own)

    def _addLists(
        self, name: str, pem: bytes | None, own: Sequence[Certificate]
    ) -> None:
        assert pem is not None
        for each in _listsIn(name, pem):
            if not any(_isSignedBy(each, by) for by in own):
                raise ValueError(
                    f"{name}: expected lists that this CA signed, got one from"
                    f" {each.issuer.rfc4514_string()}"
                )
            self._lists[each.issuer] = each

    def shownOn(self, connection: Connection) -> Shown | None:
        """
        @return: what the other side of a TLS connection has shown; L{None} if it
            showed nothing that one of these CAs vouches for.
        """
        chain = connection.get_verified_chain()
        return self.shown([link.to_cryptography() for link in chain or ()])

    def shown(self, chain: Sequence[Certificate]) -> Shown | None:
        """
        @param chain: as it was verified, the certificate itself first.
        """
        if not chain:
            return None
        leaf, *above = chain
        for position, link in enumerate(above, 1):
            if link in self._owners:
                below = chain[:position]
                return Shown(
                    self._owners[link],
                    dnsNames(leaf),
                    min(each.not_valid_after_utc.timestamp() for each in chain),
                    tuple((each.issuer, each.serial_number) for each in below),
                )
        return None

    def fault(self, shown: Shown, now: float) -> str | None:
        """
        @param now: seconds since 1970.
        @return: why it counts for nothing (any more), if so.
        """
        if shown.until <= now:
            return "expired certificate"
        for issuer, serial in shown.serials:
            found = self._lists.get(issuer)
            if found is None:
                continue
            due = found.next_update_utc
            if due is not None and due.timestamp() <= now:
                # What was taken back since is not on it.
                return f"revocation list of {shown.authority} out of date"
            if found.get_revoked_certificate_by_serial_number(serial) is not None:
                return "revoked certificate"
        return None


NO_AUTHORITIES = Authorities(())
