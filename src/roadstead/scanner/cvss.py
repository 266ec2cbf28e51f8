"""CVSS vectors and their base scores (FIRST's specifications of versions 2.0, 3.0, 3.1 and 4.0)."""

from __future__ import annotations

import re
from functools import lru_cache

from cvss import CVSS4
from cvss.exceptions import CVSSError

from roadstead.scanner.advisories.advisory import Cvss

_MAX_LENGTH = 512
_PREFIX = re.compile(r"CVSS:(3\.0|3\.1|4\.0)/")
_METRIC = re.compile(r"([A-Za-z]{1,3}):([A-Za-z]{1,2})")

_V3 = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "UI": {"N": 0.85, "R": 0.62},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
_V3_PRIVILEGES = {"U": {"N": 0.85, "L": 0.62, "H": 0.27}, "C": {"N": 0.85, "L": 0.68, "H": 0.5}}
_V2 = {
    "AV": {"L": 0.395, "A": 0.646, "N": 1.0},
    "AC": {"H": 0.35, "M": 0.61, "L": 0.71},
    "Au": {"M": 0.45, "S": 0.56, "N": 0.704},
    "C": {"N": 0.0, "P": 0.275, "C": 0.66},
    "I": {"N": 0.0, "P": 0.275, "C": 0.66},
    "A": {"N": 0.0, "P": 0.275, "C": 0.66},
}


@lru_cache(maxsize=20_000)
def parse(vector: str) -> Cvss | None:
    """The vector with its version, which the prefix tells (version 2 has none); None for what is no vector with a base score."""
    text = vector.strip()
    if len(text) > _MAX_LENGTH:
        return None
    prefix = _PREFIX.match(text)
    known = Cvss(prefix.group(1) if prefix else "2.0", text if prefix else text.strip("()"))
    return known if score(known) is not None else None


@lru_cache(maxsize=20_000)
def score(vector: Cvss) -> float | None:
    """The base score, 0.0 to 10.0; None if the vector is malformed or lacks a base metric."""
    try:
        if vector.version == "4.0":
            return float(CVSS4(vector.vector).base_score)
        metrics = _metrics(vector.vector)
        return _score_v2(metrics) if vector.version == "2.0" else _score_v3(metrics)
    except (CVSSError, KeyError):
        return None


def _metrics(vector: str) -> dict[str, str]:
    body = _PREFIX.sub("", vector)
    metrics: dict[str, str] = {}
    for part in body.rstrip("/").split("/"):
        match = _METRIC.fullmatch(part)
        if match is None or match.group(1) in metrics:
            raise KeyError(part)
        metrics[match.group(1)] = match.group(2)
    return metrics


def _score_v3(metrics: dict[str, str]) -> float:
    attack_vector, complexity, interaction, confidentiality, integrity, availability = (
        values[metrics[name]] for name, values in _V3.items()
    )
    changed = metrics["S"] == "C"
    privileges = _V3_PRIVILEGES[metrics["S"]][metrics["PR"]]
    base = 1 - (1 - confidentiality) * (1 - integrity) * (1 - availability)
    impact = 7.52 * (base - 0.029) - 3.25 * (base - 0.02) ** 15 if changed else 6.42 * base
    if impact <= 0:
        return 0.0
    exploitability = 8.22 * attack_vector * complexity * privileges * interaction
    return _round_up(min((1.08 if changed else 1.0) * (impact + exploitability), 10.0))


def _round_up(value: float) -> float:
    """To one decimal, as version 3.1 has it in appendix A, so that floating point makes no difference."""
    scaled = round(value * 100_000)
    return scaled / 100_000 if scaled % 10_000 == 0 else (scaled // 10_000 + 1) / 10


def _score_v2(metrics: dict[str, str]) -> float:
    access, complexity, authentication, confidentiality, integrity, availability = (values[metrics[name]] for name, values in _V2.items())
    impact = 10.41 * (1 - (1 - confidentiality) * (1 - integrity) * (1 - availability))
    exploitability = 20 * access * complexity * authentication
    return round((0.6 * impact + 0.4 * exploitability - 1.5) * (0.0 if impact == 0 else 1.176), 1)
