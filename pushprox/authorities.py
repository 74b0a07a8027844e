"""
Whose certificate it is that somebody shows: which CA vouches for it, for which
names, for how long, and whether it was taken back.

Knows X.509. Does not know what anybody may do with a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import (
    Certificate,
    CertificateRevocationList,
    DNSName,
    DuplicateExtension,
    load_pem_x509_crl,
)
from OpenSSL.SSL import Connection

from pushprox.certificates import alternativeNames, certificatesIn
from pushprox.names import canonicalName
from pushprox.webconfig import Authority

_BEGIN = b"-----BEGIN X509 CRL-----"

#: The parts of a list that we understand: its number and who signed it
#: (RFC 5280 sections 5.2.1 and 5.2.3). Of what else is critical we do not know
#: what it takes back, and what not.
_UNDERSTOOD = frozenset(["2.5.29.20", "2.5.29.35"])


@attrs.frozen(cache_hash=True)
class Shown:
    """
    A certificate that a CA vouches for.

    @ivar authority: the name we have for that CA.
    @ivar names: the DNS names that it is for (RFC 5280 section 4.2.1.6), in
        small letters; those with a star are for none.
    @ivar until: when it expires, or one that vouches for it; seconds since 1970.
    @ivar serials: what it and those up to the CA's are called on lists of what
        was taken back, its own first: who issued it, in DER, and the number.
    """

    authority: str
    names: frozenset[str]
    until: float
    serials: tuple[tuple[bytes, int], ...] = attrs.field(repr=False)


def dnsNames(certificate: Certificate) -> frozenset[str]:
    """
    @return: the DNS names it is for, less those with a star.
    """
    found = alternativeNames(certificate)
    names = found.get_values_for_type(DNSName) if found is not None else ()
    return frozenset(canonicalName(name) for name in names if "*" not in name)


def _markOf(certificate: Certificate) -> tuple[bytes, bytes]:
    """
    @return: what a CA's certificates have in common, also when it is renewed: the
        subject and the key. Of a key that we do not know, it stands for itself.
    """
    try:
        key = certificate.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
    except (UnsupportedAlgorithm, ValueError):
        key = certificate.fingerprint(SHA256())
    return certificate.subject.public_bytes(), key


@attrs.frozen
class Revoked:
    """
    What an issuer has taken back, by all its lists.

    @ivar numbers: of the certificates.
    @ivar since: when the newest list was made; seconds since 1970.
    @ivar until: when the next is due after that.
    """

    numbers: frozenset[int] = frozenset()
    since: float = float("-inf")
    until: float = float("inf")

    def plus(self, each: CertificateRevocationList) -> Revoked:
        """
        @return: this with one more list.
        """
        numbers = self.numbers | {entry.serial_number for entry in each}
        since, due = each.last_update_utc.timestamp(), each.next_update_utc
        if since < self.since:
            return attrs.evolve(self, numbers=numbers)
        return Revoked(numbers, since, due.timestamp() if due else float("inf"))


def _listsIn(name: str, pem: bytes) -> list[CertificateRevocationList]:
    """
    @raise ValueError: if there is none, or one that we do not understand.
    """
    _, *parts = pem.split(_BEGIN)
    try:
        lists = [load_pem_x509_crl(_BEGIN + part) for part in parts]
        critical = {
            extension.oid.dotted_string
            for each in lists
            for extension in each.extensions
            if extension.critical
        }
    except (ValueError, DuplicateExtension):
        lists = []
    if not lists:
        raise ValueError(
            f"{name}: expected PEM revocation lists (-----BEGIN X509 CRL-----)"
        )
    if not critical <= _UNDERSTOOD:
        raise ValueError(f"{name}: expected complete lists, for all purposes")
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

    @ivar certificates: of all of them.
    @ivar _owners: the name of the CA that each mark is of.
    @ivar _revoked: what was taken back, by the name of the CA and the subject of
        who issued it. A CA with no lists is not there.
    """

    def __init__(self, authorities: Iterable[Authority]) -> None:
        """
        @param authorities: with all that is in their files.
        @raise ValueError: if a file has no certificates or no lists in it, a
            list is from somebody else, or one certificate is of two CAs.
        """
        self.certificates: list[Certificate] = []
        self._owners: dict[tuple[bytes, bytes], str] = {}
        self._revoked: dict[str, dict[bytes, Revoked]] = {}
        for authority in authorities:
            pem = authority.certificates
            assert pem.content is not None
            own = certificatesIn(pem.name, pem.content)
            for certificate in own:
                owner = self._owners.setdefault(_markOf(certificate), authority.name)
                if owner != authority.name:
                    raise ValueError(f"{pem.name}: expected another CA than {owner}'s")
            self.certificates += own
            lists = authority.revoked
            if lists is not None:
                assert lists.content is not None
                self._revoked[authority.name] = _revokedBy(
                    own, lists.name, lists.content
                )

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
        for position, link in enumerate(chain):
            owner = self._owners.get(_markOf(link)) if position else None
            if owner is not None:
                links = chain[: position + 1]
                # By the subject of who signed it, as lists are kept: a name may
                # be spelled in more than one way.
                issuers = [above.subject for above in links[1:]] + [link.issuer]
                return Shown(
                    owner,
                    dnsNames(chain[0]),
                    min(each.not_valid_after_utc.timestamp() for each in chain),
                    tuple(
                        (issuer.public_bytes(), each.serial_number)
                        for each, issuer in zip(links, issuers, strict=True)
                    ),
                )
        return None

    def fault(self, shown: Shown, now: float) -> str | None:
        """
        @param now: seconds since 1970.
        @return: why it counts for nothing (any more), if so.
        """
        if shown.until <= now:
            return "expired certificate"
        lists = self._revoked.get(shown.authority)
        if lists is None:
            return None
        for position, (issuer, number) in enumerate(shown.serials, 1):
            found = lists.get(issuer)
            if found is None:
                # The CA's own may be signed by somebody whose lists are not here.
                if position == len(shown.serials):
                    break
                return "no revocation list for its issuer"
            if found.until <= now:
                # What was taken back since is not on it.
                return "revocation list of its CA out of date"
            if number in found.numbers:
                return "revoked certificate"
        return None


def _revokedBy(
    own: Sequence[Certificate], name: str, pem: bytes
) -> dict[bytes, Revoked]:
    """
    @param own: the certificates of one CA.
    @param name: of where its lists are, for errors.
    @return: what it has taken back, by the subject of who issued it.
    """
    revoked: dict[bytes, Revoked] = {}
    for each in _listsIn(name, pem):
        signer = next((by for by in own if _isSignedBy(each, by)), None)
        if signer is None:
            raise ValueError(
                f"{name}: expected lists that this CA signed, got one from"
                f" {each.issuer.rfc4514_string()!r}"
            )
        subject = signer.subject.public_bytes()
        revoked[subject] = revoked.get(subject, Revoked()).plus(each)
    return revoked


NO_AUTHORITIES = Authorities(())
