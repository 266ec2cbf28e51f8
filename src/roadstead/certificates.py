"""
A private certificate authority for labs, and the server's certificate from it.

The extensions are those that RFC 5280 asks for, so that Go, OpenSSL and Python with VERIFY_X509_STRICT (3.13's default) take it.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from roadstead.errors import ConfigurationError

# What a Container Registry's clients ask for, where their machines are told that these names are here.
GOOGLE_NAMES = ("gcr.io", "*.gcr.io", "*.googleapis.com", "accounts.google.com")
NAMES = ("localhost", "127.0.0.1", "::1", *GOOGLE_NAMES)
DAYS = 825  # the longest that Apple's programs accept
_CA_DAYS = 3650
# Clocks of labs are not all right.
_EARLIER = timedelta(hours=1)
_MOST_NAME = 64  # RFC 5280, ub-common-name
_HOST = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


@dataclass(frozen=True, slots=True)
class SelfSigned:
    """Files and what is in them; fingerprints: SHA-256 of the DER form, in lower-case hexadecimal digits."""

    ca: Path
    ca_fingerprint: str
    ca_is_new: bool
    certificate: Path
    key: Path
    fingerprint: str
    hosts: tuple[str, ...]
    not_after: datetime


def self_signed(folder: Path, hosts: Sequence[str], days: int = DAYS) -> SelfSigned:
    """
    ca.pem with ca.key and tls.pem with tls.key in folder. What is there of authority and keys is kept, so clients that trust
    it go on; the server's certificate is always new.

    hosts: DNS names (a first label may be *) and IP addresses; none for those of the certificate that is renewed, or NAMES and the
    machine's own.

    Raises ConfigurationError.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    wanted = tuple(dict.fromkeys(_host(host) for host in hosts)) or _present(folder / "tls.pem") or _usual()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        ca, ca_key, is_new = _authority(folder, now)
        key = _key(folder / "tls.key")
        certificate = _server(ca, ca_key, key, wanted, now, days)
        _write(folder / "tls.pem", certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    except OSError as error:
        raise ConfigurationError(f"cannot keep certificates in {folder}: {error.strerror}") from error
    return SelfSigned(
        ca=folder / "ca.pem",
        ca_fingerprint=ca.fingerprint(hashes.SHA256()).hex(),
        ca_is_new=is_new,
        certificate=folder / "tls.pem",
        key=folder / "tls.key",
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        hosts=wanted,
        not_after=certificate.not_valid_after_utc,
    )


def _authority(folder: Path, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey, bool]:
    """Certificate, key, and whether they are new."""
    file, key_file = folder / "ca.pem", folder / "ca.key"
    again = f"remove {file} and {key_file} to begin with another authority, which all clients must then be told of"
    if not file.exists():
        key = _key(key_file)
        ca = _make_authority(key, now)
        _write(file, ca.public_bytes(serialization.Encoding.PEM), 0o644)
        return ca, key, True
    if not key_file.exists():
        raise ConfigurationError(f"{key_file} is gone, so {file} can sign nothing more: {again}")
    key = _key(key_file)
    ca = _read(file)
    if ca.public_key() != key.public_key():
        raise ConfigurationError(f"{key_file} is not the key of {file}: {again}")
    if ca.not_valid_after_utc <= now:
        raise ConfigurationError(f"{file} has expired: {again}")
    return ca, key, False


def _make_authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    # The name differs from one authority to the next: a client that trusts several must find the right one.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Roadstead lab CA {secrets.token_hex(4)}")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + timedelta(days=_CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _server(
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    hosts: Sequence[str],
    now: datetime,
    days: int,
) -> x509.Certificate:
    common = next((host for host in hosts if len(host) <= _MOST_NAME), "roadstead")
    issuer = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(min(now + timedelta(days=days), ca.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(host) for host in hosts]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _usual() -> tuple[str, ...]:
    """NAMES, and what the machine calls itself where that can stand in a certificate."""
    own = socket.gethostname().lower()
    return tuple(dict.fromkeys([*NAMES, *([own] if _HOST.fullmatch(own) else [])]))


def _present(file: Path) -> tuple[str, ...]:
    """The names of the certificate that is there."""
    if not file.exists():
        return ()
    found = _read(file).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return tuple(str(name.value) for name in found)


def _host(text: str) -> str:
    """In the form that it has in a certificate. Raises ConfigurationError."""
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        pass
    wildcard, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    try:
        encoded = wildcard + name.encode("idna").decode("ascii").lower()
    except UnicodeError:
        encoded = ""
    if not _HOST.fullmatch(encoded) or len(encoded) > 253:
        raise ConfigurationError(f"{text!r} is neither a host name nor an IP address: give names without https:// and port")
    return encoded


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key(file: Path) -> ec.EllipticCurvePrivateKey:
    """The key in file, which gets a new one where there is none. Raises ConfigurationError, OSError."""
    if not file.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        _write(file, made.private_bytes(*form), 0o600)
        return made
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{file} holds no key that can be read: remove it, or give another folder with --out") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigurationError(f"{file} is not a key of an elliptic curve, as this command makes them: give another folder with --out")
    return key


def _read(file: Path) -> x509.Certificate:
    """Raises ConfigurationError, OSError."""
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except ValueError as error:
        raise ConfigurationError(f"{file} holds no certificate that can be read: remove it, or give another folder with --out") from error


def _write(file: Path, content: bytes, mode: int) -> None:
    """Whole or not at all, and never readable by more than mode says."""
    staged = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        output.write(content)
        output.flush()
        os.fsync(output.fileno())
    staged.chmod(mode)
    staged.rename(file)
