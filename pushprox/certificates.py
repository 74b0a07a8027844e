"""
Certificates and keys in files.

Knows PEM, and how to say in one line what is wrong with a file. Does not know
what the certificates are for. It never asks anybody for a passphrase.

No key leaves this module in the text of an error.
"""

from __future__ import annotations

from typing import Any, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import (
    Certificate,
    DuplicateExtension,
    ExtensionNotFound,
    SubjectAlternativeName,
    UnsupportedGeneralNameType,
    load_pem_x509_certificates,
)
from OpenSSL.crypto import X509, PKey
from OpenSSL.SSL import Error as OpenSSLError
from twisted.internet.ssl import CertificateOptions

from pushprox.watched import openNow


def readFile(path: str) -> bytes:
    """
    @raise ValueError: if it cannot be read.
    """
    try:
        with openNow(path) as file:
            return file.read()
    except OSError as error:
        raise ValueError(
            f"{path}: expected a readable PEM file: {error.strerror}"
        ) from None


def certificatesIn(name: str, pem: bytes) -> list[Certificate]:
    """
    @param name: of what they are in, for errors.
    @return: at least one.
    @raise ValueError: if there is none.
    """
    try:
        return load_pem_x509_certificates(pem)
    except ValueError:
        raise ValueError(
            f"{name}: expected PEM certificates (-----BEGIN CERTIFICATE-----)"
        ) from None


def alternativeNames(certificate: Certificate) -> SubjectAlternativeName | None:
    """
    @return: the subject alternative names of a certificate (RFC 5280 section
        4.2.1.6); L{None} if it has none, or none that can be read: OpenSSL takes
        certificates with extensions that cryptography does not.
    """
    try:
        found = certificate.extensions.get_extension_for_class(SubjectAlternativeName)
    except (
        ExtensionNotFound,
        DuplicateExtension,
        UnsupportedGeneralNameType,
        ValueError,
    ):
        return None
    return found.value


def readCertificates(path: str) -> list[Certificate]:
    """
    @return: at least one.
    @raise ValueError: if the file cannot be read, or has none.
    """
    return certificatesIn(path, readFile(path))


def readIdentity(
    certFile: str, keyFile: str, chainFile: str | None = None
) -> dict[str, Any]:
    """
    Read what a program shows of itself.

    @param certFile: its certificate, which may be followed by its chain.
    @param keyFile: the private key, without a passphrase.
    @param chainFile: more of the chain.
    @return: the certificate, its chain and its key, as arguments of
        L{CertificateOptions}.
    @raise ValueError: if a file is not what it should be, or they do not fit.
    """
    certificates = readCertificates(certFile)
    if chainFile is not None:
        certificates += readCertificates(chainFile)
    return identity(certFile, certificates, keyFile, readFile(keyFile))


def identity(
    certName: str, certificates: list[Certificate], keyName: str, keyPem: bytes
) -> dict[str, Any]:
    """
    What a program shows of itself.

    @param certName: where its certificate is, for errors.
    @param certificates: that, and its chain.
    @param keyName: where the private key is.
    @param keyPem: that, without a passphrase.
    @return: all of it, as arguments of L{CertificateOptions}.
    @raise ValueError: if the key is none, or they do not fit.
    """
    try:
        loaded = load_pem_private_key(keyPem, password=None)
        # Not every key is one for certificates.
        key = PKey.from_cryptography_key(cast(Any, loaded))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(
            f"{keyName}: expected a PEM private key without a passphrase"
        ) from None
    leaf, *chain = certificates
    found: dict[str, Any] = {
        "privateKey": key,
        "certificate": X509.from_cryptography(leaf),
        "extraCertChain": [X509.from_cryptography(link) for link in chain],
    }
    try:
        # OpenSSL would only look at it at the first connection.
        CertificateOptions(**found).getContext()
    except OpenSSLError as error:
        raise ValueError(
            f"{keyName}: expected the private key of the certificate in {certName}"
            f" ({error.args[0][0][-1]})"
        ) from None
    return found
