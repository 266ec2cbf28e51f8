"""Severities as Google shows them, and the scores of FIRST's specifications of CVSS."""

from __future__ import annotations

from itertools import product

import pytest
from cvss import CVSS2, CVSS3, CVSS4
from hypothesis import given
from hypothesis import strategies as st

from roadstead.scanner import cvss
from roadstead.scanner.advisories.advisory import Cvss
from roadstead.scanner.severity import Severity, effective, highest, rating, severity_of_score, severity_of_word

# From FIRST's examples of versions 3.1 and 4.0, and the guide of version 2.
SCORES = {
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H": 9.8,
    "CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N": 6.1,
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H": 10.0,
    "CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N": 0.0,
    "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:L/I:L/A:H/E:P/RL:O": 6.6,
    "AV:N/AC:L/Au:N/C:N/I:N/A:C": 7.8,
    "AV:L/AC:H/Au:N/C:C/I:C/A:C": 6.2,
    "(AV:N/AC:L/Au:N/C:C/I:C/A:C)": 10.0,
    "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N": 9.3,
    "CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N": 0.0,
}


@pytest.mark.parametrize("text", SCORES)
def test_a_vector_has_its_score(text: str) -> None:
    vector = cvss.parse(text)

    assert vector is not None
    assert SCORES[text] == cvss.score(vector)


NO_VECTORS = [
    "",
    "9.8",
    "CVSS:3.1/AV:N",
    "CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    "CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    "CVSS:5.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    "CVSS:4.0/AV:N",
    "AV:N/AC:L",
    "CVSS:3.1/" + "AV:N/" * 200,
]


@pytest.mark.parametrize("text", NO_VECTORS, ids=range(len(NO_VECTORS)))
def test_what_has_no_base_score_is_no_vector(text: str) -> None:
    assert cvss.parse(text) is None


def every(**metrics: str) -> list[str]:
    """All vectors of these metrics, each with its values' letters."""
    return ["/".join(f"{name}:{value}" for name, value in zip(metrics, values, strict=True)) for values in product(*metrics.values())]


@pytest.mark.parametrize("version", ["3.0", "3.1"])
def test_version_3_agrees_with_the_reference_library(version: str) -> None:
    """On all 2,592 vectors."""
    for text in every(AV="NALP", AC="LH", PR="NLH", UI="NR", S="UC", C="HLN", I="HLN", A="HLN"):
        vector = f"CVSS:{version}/{text}"
        assert float(CVSS3(vector).base_score) == cvss.score(Cvss(version, vector)), vector


def test_version_2_agrees_with_the_reference_library() -> None:
    """On all 729 vectors."""
    for text in every(AV="LAN", AC="HML", Au="MSN", C="NPC", I="NPC", A="NPC"):
        assert float(CVSS2(text).base_score) == cvss.score(Cvss("2.0", text)), text


def test_version_4_is_the_library_s() -> None:
    text = "CVSS:4.0/AV:A/AC:H/AT:P/PR:L/UI:P/VC:H/VI:L/VA:N/SC:L/SI:N/SA:H"

    assert float(CVSS4(text).base_score) == cvss.score(Cvss("4.0", text))


@given(st.text(max_size=80) | st.text("CVSS:3.140/AVNLHPRUI", max_size=100))
def test_no_text_raises(text: str) -> None:
    parsed = cvss.parse(text)
    assert parsed is None or cvss.score(parsed) is not None


@pytest.mark.parametrize(
    ("score", "severity"),
    [
        (0.0, "MINIMAL"),
        (0.1, "LOW"),
        (3.9, "LOW"),
        (4.0, "MEDIUM"),
        (6.9, "MEDIUM"),
        (7.0, "HIGH"),
        (8.9, "HIGH"),
        (9.0, "CRITICAL"),
        (10.0, "CRITICAL"),
    ],
)
def test_a_score_has_a_class(score: float, severity: str) -> None:
    assert severity == severity_of_score(score, "3.1").name


def test_version_2_knows_no_critical() -> None:
    assert Severity.HIGH is severity_of_score(10.0, "2.0")


WORDS = {
    "negligible": "MINIMAL",
    "unimportant": "MINIMAL",
    "low": "LOW",
    "Medium": "MEDIUM",
    "moderate": "MEDIUM",
    "high": "HIGH",
    "important": "HIGH",
    "critical": "CRITICAL",
    "untriaged": "SEVERITY_UNSPECIFIED",
    "not yet assigned": "SEVERITY_UNSPECIFIED",
    "unknown": "SEVERITY_UNSPECIFIED",
    "": "SEVERITY_UNSPECIFIED",
}


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_a_severity(word: str) -> None:
    assert WORDS[word] == severity_of_word(word).name


V3_MEDIUM = Cvss("3.1", "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H")
V3_LOW = Cvss("3.0", "CVSS:3.0/AV:L/AC:L/PR:N/UI:R/S:U/C:N/I:N/A:L")
V4_CRITICAL = Cvss("4.0", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N")
V2_HIGH = Cvss("2.0", "AV:N/AC:L/Au:N/C:C/I:C/A:C")


def test_version_3_counts_before_4_and_4_before_2() -> None:
    """What distributions and Google rate by, and what other scanners show."""
    assert (5.5, Severity.MEDIUM) == rating((V2_HIGH, V4_CRITICAL, V3_LOW, V3_MEDIUM))
    assert (9.3, Severity.CRITICAL) == rating((V2_HIGH, V4_CRITICAL))
    assert (10.0, Severity.HIGH) == rating((V2_HIGH,))
    assert (None, Severity.SEVERITY_UNSPECIFIED) == rating(())


def test_the_effective_severity_is_the_distribution_s_if_it_has_one() -> None:
    assert Severity.LOW is effective("low", (V4_CRITICAL,))
    assert Severity.CRITICAL is effective("untriaged", (V4_CRITICAL,))
    assert Severity.SEVERITY_UNSPECIFIED is effective("", ())


def test_the_highest_of_several_counts() -> None:
    assert Severity.HIGH is highest([Severity.LOW, Severity.HIGH, Severity.SEVERITY_UNSPECIFIED])
    assert Severity.SEVERITY_UNSPECIFIED is highest([])


def test_the_order_is_that_of_grafeas() -> None:
    """grafeas/v1/severity.proto: the numbers are part of the API."""
    assert ["SEVERITY_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "CRITICAL"] == [severity.name for severity in sorted(Severity)]
    assert [0, 1, 2, 3, 4, 5] == sorted(Severity)
