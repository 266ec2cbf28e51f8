"""
TLS of the listeners: the certificate they show, and another one when its files have been renewed, without a restart.

A renewal is a whole new context that the handshakes from then on are handed over to (OpenSSL's SSL_set_SSL_CTX, in the callback for
the client's server name, which is called for clients that send none as well). To load the new files into the context that is in use
would be shorter, but a certificate whose key is of another kind would then stand beside the old one instead of replacing it, and a
key that does not fit would leave half a pair behind.
"""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime
from pathlib import Path

import structlog

from roadstead.errors import ConfigurationError

HANDSHAKE_SECONDS = 10.0
# From our close to the client's: what it has not read yet goes out in this time, as a blob's reader may be silent for so long.
SHUTDOWN_SECONDS = 60.0
LOOK_SECONDS = 2.0

_log = structlog.get_logger()

_State = tuple[tuple[int, int, int], ...]
"""Of each file: inode, time of its last change in nanoseconds, size in bytes. Zeros for one that is not there."""


class Certificate:
    """
    The chain and key in two PEM files. context is what the listeners are opened with, once and for all.

    Raises ConfigurationError when they cannot be read or do not fit.
    """

    def __init__(self, chain: Path, key: Path) -> None:
        self._files = (chain, key)
        self._seen = self._tried = self._state()
        self._current = self.context = _context(chain, key)
        self.context.sni_callback = self._choose

    def look(self, *, at_once: bool = False) -> None:
        """
        Renew if the files have changed since the last time, and not since the last look: of two files that are replaced one
        after the other, the first alone does not fit.

        at_once: without waiting for another look, in a process that has just begun.
        """
        state = self._state()
        settled, self._seen = at_once or state == self._seen, state
        if settled and state != self._tried:
            self.renew()

    def renew(self) -> None:
        """Show what the files hold now to whoever comes from now on. What is wrong with them is logged, and the old pair stays."""
        chain, key = self._files
        self._tried = self._seen = self._state()
        try:
            self._current = _context(chain, key)
        except ConfigurationError as error:
            _log.error("the renewed certificate cannot be used, the old one stays", cause=error.message)
            return
        _log.info("certificate loaded", file=str(chain), not_after=_not_after(chain))

    def _choose(self, connection: ssl.SSLObject, name: str, context: ssl.SSLContext) -> None:
        connection.context = self._current

    def _state(self) -> _State:
        return tuple(_file_state(file) for file in self._files)


def certificate(chain: str, key: str) -> Certificate | None:
    """Of the settings tls_cert and tls_key; None for neither. Raises ConfigurationError."""
    if not chain and not key:
        return None
    if not chain or not key:
        raise ConfigurationError("tls_cert and tls_key belong together: give both, or neither to serve plain HTTP")
    return Certificate(Path(chain), Path(key))


def _context(chain: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for file in (chain, key):
        try:
            file.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"cannot read {file} for TLS: {error.strerror}") from error
    try:
        context.load_cert_chain(chain, key, password=_no_password)
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        raise ConfigurationError(
            f"{chain} and {key} are not a certificate with its chain and the key that belongs to it, in PEM ({reason})"
        ) from error
    except OSError as error:
        raise ConfigurationError(f"cannot read {chain} and {key} for TLS: {error.strerror}") from error
    return context


def _no_password() -> str:
    """OpenSSL would ask for it on the terminal, and wait."""
    raise ConfigurationError("the key for TLS is encrypted: give one without a password, readable by the server alone")


def _file_state(file: Path) -> tuple[int, int, int]:
    try:
        found = os.stat(file)
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def _not_after(chain: Path) -> str:
    from cryptography import x509

    try:
        end = x509.load_pem_x509_certificates(chain.read_bytes())[0].not_valid_after_utc
    except (OSError, ValueError):
        return "unknown"
    return end.astimezone(UTC).isoformat() if isinstance(end, datetime) else "unknown"
