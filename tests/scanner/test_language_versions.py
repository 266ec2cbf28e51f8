"""Orders of versions of Python's, npm's, Go's, Maven's and Ruby's packages: each ecosystem's own examples."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.version import InvalidVersion, Version

from roadstead.errors import VersionInvalid
from roadstead.scanner import versions
from roadstead.scanner.versions import pypi

# semver.org, section 11; Go's module reference; PEP 440; Gem::Version; Maven's POM reference.
ASCENDING = {
    "npm": "0.0.1 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.1 1.2 1.10.0 2.0.0",
    "golang": "v0.0.0-20190101000000-abcdefabcdef v0.0.1 v1.2.3-0.20200101000000-abcdefabcdef v1.2.3 v1.20.0 "
    "1.21.0-0 go1.21rc2 go1.21.3 v2.0.0+incompatible",
    "pypi": "1.dev0 1.0.dev456 1.0a1 1.0a2.dev456 1.0a12.dev456 1.0a12 1.0b1.dev456 1.0b2 1.0b2.post345.dev456 1.0b2.post345 "
    "1.0rc1.dev456 1.0rc1 1.0 1.0+abc.5 1.0+abc.7 1.0+5 1.0.post456.dev34 1.0.post456 1.0.15 1.1.dev1 1!0.1",
    "gem": "0.9 1.a.1 1.a.2 1.a.10 1.b 1.0-x 1 1.0.0.1 1.0.1.a 1.0.1 1.1.pre 1.1 1.10 2",
    "maven": "1-alpha-1 1-a2 1.0-beta 1-milestone-3 1-rc 1-snapshot 1 1-sp 1-foo 1-1 1-2 1.0.1 1.1 1.2-beta-2 1.2 1.10 2 "
    "31.1-android 31.1-jre",
}

EQUAL = {
    "npm": ["1.2.3 v1.2.3 1.2.3+build 01.2.3", "1 1.0 1.0.0"],
    "golang": ["v1.2.3 1.2.3 go1.2.3", "v2.0.0+incompatible 2.0.0"],
    "pypi": ["1.0 1 v1.0 1.0.0", "1.0rc1 1.0c1 1.0-preview_1 1.0.RC1", "1.0-1 1.0.post1 1.0-r1", "1.0.dev 1.0.dev0"],
    "gem": ["1 1.0 1.0.0", "1.0.a 1.a", "1-x 1.pre.x"],
    "maven": ["1 1.0 1.0.0 1-ga 1.0.final 1-0 1.release", "1-rc1 1-cr-1 1rc1 1.0.0-RC1", "1.0.alpha1 1-a1 1alpha1"],
}

INVALID = {
    "npm": ["", "a", "1..2", "1.2.3-", "^1.2", "latest", "1.2.3 "],
    "golang": ["", "(devel)", "v", "unknown"],
    "pypi": ["", "french toast", "1.0+", "1.0.x", "2004d", "1-"],
    "gem": ["", "a", "1..2", "1.0 ", "1/2"],
    "maven": ["", " ", "${project.version}", "1 2", "-1"],
}


@pytest.mark.parametrize("ecosystem", ASCENDING)
def test_versions_ascend(ecosystem: str) -> None:
    expected = ASCENDING[ecosystem].split()

    keys = [versions.key(ecosystem, version) for version in expected]

    assert expected == sorted(reversed(expected), key=lambda version: versions.key(ecosystem, version))
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(("ecosystem", "texts"), [(name, texts) for name, groups in EQUAL.items() for texts in groups])
def test_the_same_version_may_be_written_in_many_ways(ecosystem: str, texts: str) -> None:
    assert 1 == len({versions.key(ecosystem, text) for text in texts.split()})


@pytest.mark.parametrize(("ecosystem", "text"), [(name, text) for name, texts in INVALID.items() for text in texts])
def test_what_is_no_version(ecosystem: str, text: str) -> None:
    with pytest.raises(VersionInvalid):
        versions.key(ecosystem, text)


NUMBERS = st.sampled_from(["0", "1", "01", "2", "10"])
PEP440 = st.builds(
    "{}{}{}{}{}{}".format,
    st.sampled_from(["", "", "0!", "1!"]),
    st.lists(NUMBERS, min_size=1, max_size=3).map(".".join),
    st.sampled_from(["", "a1", ".b2", "-rc", "rc10", "c1"]),
    st.sampled_from(["", ".post1", "-2", ".post10"]),
    st.sampled_from(["", ".dev0", "dev2"]),
    st.sampled_from(["", "", "+a", "+a.1", "+1", "+1.a"]),
)


@given(PEP440, PEP440)
@settings(max_examples=150)
def test_python_s_order_is_that_of_the_packaging_library(left: str, right: str) -> None:
    a, b = pypi.key(left), pypi.key(right)

    assert ((Version(left) > Version(right)) - (Version(left) < Version(right))) == ((a > b) - (a < b))


@given(st.text("0123456789.abcrdevpost!+-_ ", max_size=16))
@example("1.0.post")
@settings(max_examples=150)
def test_a_python_version_is_what_the_packaging_library_reads(text: str) -> None:
    try:
        Version(text)
    except InvalidVersion:
        with pytest.raises(VersionInvalid):
            pypi.key(text)
    else:
        pypi.key(text)


@given(st.sampled_from(sorted(ASCENDING)), st.text(max_size=40) | st.text("0123456789.-+~ab", max_size=600))
def test_no_text_raises_anything_else(ecosystem: str, text: str) -> None:
    with contextlib.suppress(VersionInvalid):
        versions.key(ecosystem, text)
