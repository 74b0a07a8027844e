"""
Certificates for a proxy that listens with TLS.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

#: The kinds of key that are in use.
KINDS: dict[str, Callable[[], ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]] = {
    "ECDSA P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RSA 2048": lambda: rsa.generate_private_key(65537, 2048),
}


@attrs.frozen
class Certificate:
    """
    A key and its certificate.

    @ivar both: a file with both of them.
    """

    key: Path
    certificate: Path
    both: Path

    def listen(self, port: int) -> str:
        """
        @return: the flag that makes a proxy listen with it on 127.0.0.1.
        """
        return (
            f"--listen=ssl:{port}:privateKey={self.key}:certKey={self.certificate}"
            ":interface=127.0.0.1:backlog=4096"
        )


def makeCertificate(kind: str, folder: Path) -> Certificate:
    """
    Make a key and a certificate for localhost, signed by itself.

    @param kind: one of L{KINDS}.
    """
    key = KINDS[kind]()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    keyText = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    start = kind.replace(" ", "-")
    made = Certificate(
        *(folder / f"{start}-{part}.pem" for part in ("key", "cert", "both"))
    )
    made.key.write_bytes(keyText)
    made.certificate.write_bytes(certificate)
    made.both.write_bytes(certificate + keyText)
    return made
