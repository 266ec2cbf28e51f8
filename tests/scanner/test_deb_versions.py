"""Debian's order of versions is dpkg's (deb-version(7)); checked against libdpkg's own answers and a second way to say the same."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from roadstead.errors import VersionInvalid
from roadstead.scanner import versions
from roadstead.scanner.versions import deb
from tests.kit.data import needs_data, rows

# The manual's and Debian Policy's own examples, and what they leave to the reader.
ASCENDING = [
    "0~~",
    "0~~a",
    "0~",
    "0",
    "0a",
    "0+",
    "1.0~beta1~svn1245",
    "1.0~beta1",
    "1.0",
    "1.0-1~bpo1",
    "1.0-1",
    "1.0-1+b1",
    "1.0-1.1",
    "1.0-2",
    "1.0-10",
    "1.0a-1",
    "1.0+dfsg-1",
    "1.0.1",
    "1.2",
    "1.10",
    "1:0.1",
    "2:0",
    "10:0",
]

EQUAL = [("1.0", "0:1.0"), ("1.0", "1.0-0"), ("1.0", "1.0-00"), ("1.00", "1.0"), ("1.", "1.0"), ("001", "1"), ("1.0-1", "1.0-01")]

INVALID = ["", " ", "1 0", "1.0-", "-1", ":1", "a:1", "-1:1", "1:", "1:-1", "2147483648:1", "1\n", "1é", "1.0\x00", "9" * 513]


def sign(left: str, right: str) -> str:
    a, b = deb.key(left), deb.key(right)
    return "<" if a < b else ">" if a > b else "="


def is_version(text: str) -> bool:
    try:
        deb.key(text)
    except VersionInvalid:
        return False
    return True


def test_versions_ascend() -> None:
    assert ASCENDING == sorted(reversed(ASCENDING), key=deb.key)
    assert len({deb.key(version) for version in ASCENDING}) == len(ASCENDING)


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_missing_parts_and_leading_zeros_make_no_difference(left: str, right: str) -> None:
    assert deb.key(left) == deb.key(right)


@pytest.mark.parametrize("text", INVALID, ids=range(len(INVALID)))
def test_what_dpkg_cannot_read_is_no_version(text: str) -> None:
    with pytest.raises(VersionInvalid):
        deb.key(text)


@needs_data()
def test_every_known_pair_compares_as_libdpkg_says() -> None:
    pairs = rows("versions/deb.tsv")

    assert len(pairs) > 4_000
    assert [] == [(left, sign(left, right), right, expected) for left, expected, right, _ in pairs if sign(left, right) != expected]
    reverse = {"<": ">", ">": "<", "=": "="}
    assert [] == [(right, left) for left, expected, right, _ in pairs if sign(right, left) != reverse[expected]]


@needs_data()
def test_a_version_is_what_libdpkg_reads() -> None:
    """With or without a warning: packages that it warns of are installed all the same."""
    answers = rows("versions/deb_validity.tsv")

    assert len(answers) > 30
    for text, _, verdict, _ in answers:
        assert (verdict != "invalid") == is_version(text), (text, verdict)


# The same order said again, character by character as deb-version(7) describes it.
def rank(character: str) -> int:
    return -1 if character == "~" else ord(character) if character.isalpha() else ord(character) + 256


def compare_parts(left: str, right: str) -> int:
    while left or right:
        while (left and not left[0].isdigit()) or (right and not right[0].isdigit()):
            a = rank(left[0]) if left and not left[0].isdigit() else 0
            b = rank(right[0]) if right and not right[0].isdigit() else 0
            if a != b:
                return -1 if a < b else 1
            left, right = left[1:], right[1:]
        m, n = digits(left), digits(right)
        if int(m or 0) != int(n or 0):
            return -1 if int(m or 0) < int(n or 0) else 1
        left, right = left[len(m) :], right[len(n) :]
    return 0


def digits(text: str) -> str:
    return text[: len(text) - len(text.lstrip("0123456789"))]


def compare(left: str, right: str) -> int:
    (epoch_a, a), (epoch_b, b) = (v.split(":", 1) if ":" in v else ("0", v) for v in (left, right))
    if int(epoch_a) != int(epoch_b):
        return -1 if int(epoch_a) < int(epoch_b) else 1
    (upstream_a, revision_a), (upstream_b, revision_b) = (v.rsplit("-", 1) if "-" in v else (v, "") for v in (a, b))
    return compare_parts(upstream_a, upstream_b) or compare_parts(revision_a, revision_b)


EPOCHS = st.sampled_from(["", "", "", "0:", "1:", "12:"])
UPSTREAM = st.text("0019.+~ab:-", min_size=1, max_size=12).map(lambda text: "1" + text)
REVISION = st.text("0019.+~ab", min_size=1, max_size=8)
VERSIONS = st.builds("{}{}-{}".format, EPOCHS, UPSTREAM, REVISION) | st.builds(
    "{}{}".format, EPOCHS, UPSTREAM.map(lambda text: text.replace("-", "").replace(":", ""))
)


@given(VERSIONS, VERSIONS)
@example("1", "1~")
@example("1a", "1a0")
@settings(max_examples=150)
def test_keys_compare_as_the_manual_s_algorithm(left: str, right: str) -> None:
    assume(is_version(left) and is_version(right))
    assert "<=>"[compare(left, right) + 1] == sign(left, right)


@given(st.text(max_size=40) | st.text("0123456789.:-+~ab\n\0", max_size=600))
def test_no_text_raises_anything_else(text: str) -> None:
    is_version(text)


@given(st.lists(VERSIONS.filter(is_version), max_size=5))
def test_equal_keys_are_equal_however_they_are_written(texts: list[str]) -> None:
    """So that a database that orders keys orders versions: adding an epoch of 0 changes nothing."""
    for text in texts:
        if ":" not in text:
            assert deb.key(text) == deb.key(f"0:{text}")


def test_keys_are_bytes_of_moderate_size_and_are_cached() -> None:
    """They may be stored: a row per version, not per pair."""
    key = versions.key("debian", "1:2.38-13ubuntu1.2")

    assert isinstance(key, bytes)
    assert len(key) < 64
    assert key is versions.key("debian", "1:2.38-13ubuntu1.2")
    assert key == versions.key("ubuntu", "1:2.38-13ubuntu1.2")
