"""Numbers of any size as bytes that compare as the numbers do."""

from __future__ import annotations

# Longer ones do not occur; every order takes time linear in the length.
MAX_VERSION_LENGTH = 512


def number(digits: str) -> bytes:
    """digits are 0-9 only, of at most 65,535; leading zeros do not count and no digits are zero."""
    significant = digits.lstrip("0").encode("ascii")
    size = len(significant)
    return (size.to_bytes(1) if size < 255 else b"\xff" + size.to_bytes(2)) + significant
