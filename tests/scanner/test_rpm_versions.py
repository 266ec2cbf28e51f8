"""RPM's order of versions (rpm-version(7)); the pairs are the manual's own and those that follow from its rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadstead.errors import VersionInvalid
from roadstead.scanner.versions import rpm

ASCENDING = [
    "1.0~alpha",
    "1.0~beta~git1",
    "1.0~beta",
    "1.0~rc1^git1",
    "1.0",
    "1.0^git1",
    "1.0^git2",
    "1.0a",
    "1.0ab",
    "1.0b",
    "1.0.1",
    "1.1",
    "1.9",
    "1.10",
    "2.0-1.el8",
    "2.0-1.el9",
    "2.0-1.el10",
    "2.0-2.el8",
    "1:0.1",
    "2:0",
]

EQUAL = [("1.0", "1_0"), ("1.0", "1..0"), ("1.0", "1.0."), ("1.05", "1.5"), ("0:1", "1"), ("1.0a", "1.0.a"), ("1.01", "1.1")]


def sign(left: str, right: str) -> int:
    a, b = rpm.key(left), rpm.key(right)
    return (a > b) - (a < b)


def test_versions_ascend() -> None:
    assert ASCENDING == sorted(reversed(ASCENDING), key=rpm.key)
    assert len({rpm.key(version) for version in ASCENDING}) == len(ASCENDING)


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_separators_and_leading_zeros_make_no_difference(left: str, right: str) -> None:
    assert rpm.key(left) == rpm.key(right)


@pytest.mark.parametrize("text", ["", "a:1", ":1", "1:", "1 0", "1:-1", "1" * 513], ids=range(7))
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(VersionInvalid):
        rpm.key(text)


def compare_parts(left: str, right: str) -> int:
    """The manual's algorithm, step by step."""
    while True:
        left, right = (text.lstrip("._+") for text in (left, right))
        for mark, answer in (("~", -1), ("^", 1)):
            a, b = left[:1] == mark, right[:1] == mark
            if a and b:
                left, right = left[1:], right[1:]
                break
            if a != b:
                other = right if a else left
                # A caret is more than the end, and less than anything else.
                verdict = answer if mark == "~" or not other else -1
                return verdict if a else -verdict
        else:
            if not left or not right:
                return bool(left) - bool(right)
            a_digit, b_digit = left[0].isdigit(), right[0].isdigit()
            if a_digit != b_digit:
                return 1 if a_digit else -1
            m, n = segment(left), segment(right)
            x, y = (int(m), int(n)) if a_digit else (m, n)
            if x != y:
                return 1 if x > y else -1  # type: ignore[operator]
            left, right = left[len(m) :], right[len(n) :]


def segment(text: str) -> str:
    size = 0
    while size < len(text) and text[size].isalnum() and text[size].isdigit() == text[0].isdigit():
        size += 1
    return text[:size]


PARTS = st.text("019ab.~^_", min_size=1, max_size=8)


@given(PARTS, PARTS)
@settings(max_examples=150)
def test_keys_compare_as_the_manual_s_algorithm(left: str, right: str) -> None:
    assert compare_parts(left, right) == sign(left, right)
