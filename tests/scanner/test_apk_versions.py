"""Alpine's order of versions is that of apk-tools 3 (apk-package(5), pkgver), checked against its own answers."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from roadstead.errors import VersionInvalid
from roadstead.scanner.versions import apk
from tests.kit.data import needs_data, rows

ASCENDING = [
    "0.9",
    "1_alpha",
    "1_alpha1",
    "1_beta_pre2",
    "1_beta",
    "1_pre",
    "1_rc2",
    "1_rc10",
    "1",
    "1-r0",
    "1-r2",
    "1-r10",
    "1~0123abc",
    "1~0123abc-r1",
    "1~0123abd",
    "1_cvs1",
    "1_git20240101",
    "1_p1",
    "1_p10",
    "1a",
    "1b",
    "1.0",
    "1.01",
    "1.05",
    "1.1",
    "1.2",
    "1.10",
    "1.10.0",
    "2",
    "10",
]

EQUAL = [("1-r1", "1-r01"), ("01", "1"), ("1_p1", "1_p01")]

INVALID = [
    "",
    "a",
    ".1",
    "1.",
    "1..2",
    "1.2.r0",
    "1-r",
    "1-1",
    "1.2-r1-r2",
    "1_foo",
    "1_",
    "1ab",
    "1a1",
    "1.2p1",
    "1.2D",
    "1~xyz",
    "1 ",
    "1\n",
]


def sign(left: str, right: str) -> str:
    a, b = apk.order(left), apk.order(right)
    return "<" if a < b else ">" if a > b else "="


def is_version(text: str) -> bool:
    try:
        apk.key(text)
    except VersionInvalid:
        return False
    return True


def test_versions_ascend() -> None:
    assert ASCENDING == sorted(reversed(ASCENDING), key=apk.key)
    assert len({apk.key(version) for version in ASCENDING}) == len(ASCENDING)


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_leading_zeros_make_no_difference_but_in_fractions(left: str, right: str) -> None:
    assert apk.key(left) == apk.key(right)
    assert apk.key("1.1") != apk.key("1.01")


@pytest.mark.parametrize("text", INVALID, ids=range(len(INVALID)))
def test_what_apk_refuses_is_no_version(text: str) -> None:
    with pytest.raises(VersionInvalid):
        apk.key(text)


def test_what_is_too_long_is_no_version() -> None:
    with pytest.raises(VersionInvalid):
        apk.order("1." * 300 + "1")


def test_what_is_no_version_is_compared_up_to_where_it_goes_wrong() -> None:
    """So apk does it, with versions such as OpenSMTPD's 6.6.2p1, which were really published."""
    assert apk.order("6.6.1") < apk.order("6.6.2p1-r0") < apk.order("6.6.3-r0")
    assert apk.order("1-ruff1") == apk.order("1-ruff2") < apk.order("1")


@needs_data()
def test_every_known_pair_compares_as_apk_tools_says() -> None:
    pairs = rows("versions/apk.tsv")

    assert len(pairs) > 4_000
    assert [] == [(left, sign(left, right), right, expected) for left, expected, right, _ in pairs if sign(left, right) != expected]
    reverse = {"<": ">", ">": "<", "=": "="}
    assert [] == [(right, left) for left, expected, right, _ in pairs if sign(right, left) != reverse[expected]]


@needs_data()
def test_a_version_is_what_apk_tools_calls_valid() -> None:
    answers = rows("versions/apk_validity.tsv")

    assert len(answers) > 30
    for text, _, verdict, _ in answers:
        assert (verdict == "valid") == is_version(text), (text, verdict)


NUMBER = st.sampled_from(["0", "00", "01", "1", "2", "09", "10", "100"])
SUFFIX = st.builds(
    lambda name, number: f"_{name}{number}", st.sampled_from(["alpha", "beta", "pre", "rc", "cvs", "git", "p"]), NUMBER | st.just("")
)
VERSIONS = st.builds(
    lambda numbers, letter, suffixes, commit, revision: ".".join(numbers) + letter + "".join(suffixes) + commit + revision,
    st.lists(NUMBER, min_size=1, max_size=3),
    st.sampled_from(["", "", "a", "b"]),
    st.lists(SUFFIX, max_size=2),
    st.sampled_from(["", "", "~a0", "~a"]),
    st.just("") | NUMBER.map("-r{}".format),
)


def tokens(version: str) -> list[tuple[str, str]]:
    """The version cut in pieces by hand, each with its kind."""
    found: list[tuple[str, str]] = []
    rest, kind = version, "initial"
    while True:
        size = len(rest) - len(rest.lstrip("0123456789"))
        if kind in ("initial", "digit", "revision") or (kind == "suffix" and size):
            found.append((f"{kind}-number" if kind == "suffix" else kind, rest[:size]))
            rest = rest[size:]
        if not rest:
            return [*found, ("end", "")]
        head, rest = rest[0], rest[1:]
        if head == ".":
            kind = "digit"
        elif head == "_":
            kind, name = "suffix", rest[: len(rest) - len(rest.lstrip("abcdefghijklmnopqrstuvwxyz"))]
            found.append((kind, name))
            rest = rest[len(name) :]
        elif head == "~":
            kind, text = "hash", rest.split("-")[0]
            found.append((kind, text))
            rest = rest[len(text) :]
        elif head == "-":
            kind, rest = "revision", rest[1:]
        else:
            kind = "letter"
            found.append((kind, head))


KINDS = ["initial", "digit", "letter", "suffix", "suffix-number", "hash", "revision", "end"]
SUFFIXES = ["alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p"]


def compare(left: str, right: str) -> int:
    for (kind_a, a), (kind_b, b) in zip(tokens(left), tokens(right), strict=False):
        if kind_a != kind_b:
            for kind, text, answer in ((kind_a, a, -1), (kind_b, b, 1)):
                if kind == "suffix" and SUFFIXES.index(text) < SUFFIXES.index(""):
                    return answer
            return -1 if KINDS.index(kind_a) > KINDS.index(kind_b) else 1
        if a != b and (answer := compare_values(kind_a, a, b)):
            return answer
    return 0


def compare_values(kind: str, a: str, b: str) -> int:
    if kind == "suffix":
        return -1 if SUFFIXES.index(a) < SUFFIXES.index(b) else 1
    if kind in ("letter", "hash") or (kind == "digit" and "0" in (a[0], b[0])):
        return -1 if a < b else 1
    return (int(a) > int(b)) - (int(a) < int(b))


@given(VERSIONS, VERSIONS)
@example("1.0_alpha", "1.0")
@settings(max_examples=150)
def test_keys_compare_token_by_token(left: str, right: str) -> None:
    assert "<=>"[compare(left, right) + 1] == sign(left, right)


@given(st.text(max_size=40) | st.text("0123456789._-~rpab\n\0", max_size=600))
def test_no_text_raises_anything_else(text: str) -> None:
    is_version(text)
