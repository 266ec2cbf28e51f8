"""
How bad a vulnerability is: the distribution's own word first, then the class of its CVSS score.

Google's `effectiveSeverity` is the distribution's where there is one, else that of the note (grafeas.v1 VulnerabilityOccurrence).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache

from roadstead.scanner.advisories.advisory import Cvss
from roadstead.scanner.cvss import score


class Severity(IntEnum):
    """Names and order are those of Grafeas (grafeas/v1/severity.proto)."""

    SEVERITY_UNSPECIFIED = 0
    MINIMAL = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5


# Debian's urgencies, Ubuntu's priorities and what other trackers say. Missing are `not yet assigned`, `end-of-life`, `untriaged`.
_WORDS = {
    "unimportant": Severity.MINIMAL,
    "negligible": Severity.MINIMAL,
    "minimal": Severity.MINIMAL,
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "moderate": Severity.MEDIUM,
    "high": Severity.HIGH,
    "important": Severity.HIGH,
    "critical": Severity.CRITICAL,
}

# Version 3 first: it is what distributions and Google rate by, and what nearly every record has.
_PREFERENCE = ("3.1", "3.0", "4.0", "2.0")


def severity_of_word(priority: str) -> Severity:
    """SEVERITY_UNSPECIFIED for an empty or unknown word, and for those that say that nobody has decided yet."""
    return _WORDS.get(priority.strip().rstrip("*").lower(), Severity.SEVERITY_UNSPECIFIED)


def severity_of_score(base_score: float, version: str) -> Severity:
    """The class of a base score (CVSS v3.1, section 5; a score of version 2 is HIGH at most)."""
    if base_score <= 0:
        return Severity.MINIMAL
    if base_score < 4:
        return Severity.LOW
    if base_score < 7:
        return Severity.MEDIUM
    return Severity.HIGH if base_score < 9 or version == "2.0" else Severity.CRITICAL


@lru_cache(maxsize=10_000)
def rating(vectors: tuple[Cvss, ...]) -> tuple[float | None, Severity]:
    """The base score that counts and its class: of version 3 if there is one, else 4, else 2; the highest of several of a version."""
    for version in _PREFERENCE:
        scores = [value for vector in vectors if vector.version == version and (value := score(vector)) is not None]
        if scores:
            return max(scores), severity_of_score(max(scores), version)
    return None, Severity.SEVERITY_UNSPECIFIED


def effective(priority: str, vectors: tuple[Cvss, ...]) -> Severity:
    """The distribution's word, else the class of the score, else SEVERITY_UNSPECIFIED."""
    return severity_of_word(priority) or rating(vectors)[1]


def highest(severities: Iterable[Severity]) -> Severity:
    """SEVERITY_UNSPECIFIED of none."""
    return max(severities, default=Severity.SEVERITY_UNSPECIFIED)
