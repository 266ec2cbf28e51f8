"""Repository names, tags and references (distribution-spec, Pulling manifests)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadstead.errors import DigestInvalid, NameInvalid, TagInvalid
from roadstead.oci.digest import Digest
from roadstead.oci.reference import MAX_NAME_LENGTH, Repository, Tag, parse_reference

# The specification's own expressions, word for word.
SPEC_PART = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
SPEC_NAME = rf"{SPEC_PART}(\/{SPEC_PART})*"
SPEC_TAG = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"

NAMES = [
    "project/image",
    "my-project/team/a.b_c__d---e",
    "example.com/proj/image",
    "0/0",
    "a/b/c/d/e/f/g/h",
    "p/manifests",
    "p/blobs/uploads",
    "p/tags/list",
    "p/" + "a" * (MAX_NAME_LENGTH - 2),
]

NOT_NAMES = {
    "nothing": "",
    "a project without an image": "project",
    "an upper-case letter": "project/Image",
    "an empty part": "project//image",
    "a slash at the start": "/project/image",
    "a slash at the end": "project/image/",
    "this folder": "project/./image",
    "the folder above": "project/../image",
    "a separator at the start": "project/-image",
    "a separator at the end": "project/image_",
    "two dots": "project/a..b",
    "three underscores": "project/a___b",
    "mixed separators": "project/a.-b",
    "a blank": "project/a b",
    "a line end": "project/image\n",
    "a NUL": "project/image\0",
    "a colon": "project/image:v1",
    "a backslash": "project\\image",
    "a letter that only looks like one": "project/im\u0430ge",
    "a letter with an accent": "project/é",
    "Arabic digits": "project/१",
    "an escaped slash": "project%2fimage",
    "a character too many": "p/" + "a" * (MAX_NAME_LENGTH - 1),
    "a lone surrogate": "project/\ud800",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_the_specification_is_taken(name: str) -> None:
    assert name == Repository.parse("gcr", name).name


@pytest.mark.parametrize("name", NOT_NAMES.values(), ids=NOT_NAMES.keys())
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(NameInvalid):
        Repository.parse("gcr", name)


@settings(max_examples=40)
@given(st.lists(st.from_regex(SPEC_PART, fullmatch=True).map(lambda part: part[:40].rstrip("._-")), min_size=2, max_size=6))
def test_every_name_that_the_specification_s_expression_makes_is_taken(parts: list[str]) -> None:
    name = "/".join(parts)

    assert re.fullmatch(SPEC_NAME, name)
    assert name == str(Repository.parse("gcr", name))


@given(st.text(max_size=300) | st.text(alphabet="ab0/._-%\n\0A", max_size=40))
def test_any_text_is_a_name_or_name_invalid(name: str) -> None:
    try:
        repository = Repository.parse("gcr", name)
    except NameInvalid:
        return
    assert re.fullmatch(SPEC_NAME, name)
    assert "/" in name
    assert name == str(repository)


def test_one_name_in_two_locations_is_two_repositories() -> None:
    assert Repository.parse("gcr", "p/a") != Repository.parse("eu", "p/a")
    assert Repository.parse("gcr", "p/a") == Repository.parse("gcr", "p/a")


@pytest.mark.parametrize("name", ["a" * 100_000, "a/" * 50_000, "a-" * 50_000, "a__" * 80 + "!", "a" + "-" * 100_000 + "!"])
def test_no_name_makes_the_parser_slow(name: str) -> None:
    """An expression that tries every split of a long text would hang here; the run's own time limit would tell."""
    with pytest.raises(NameInvalid):
        Repository.parse("gcr", name)


TAGS = ["v1", "latest", "_", "1", "A.b-C_d", "a" * 128, "sha256-abc.sig", "list", "v..1"]

NOT_TAGS = {
    "nothing": "",
    "a dot first": ".v1",
    "a dash first": "-v1",
    "the folder above": "..",
    "a character too many": "a" * 129,
    "a slash": "a/b",
    "a blank": "a b",
    "a line end": "v1\n",
    "a NUL": "v1\0",
    "an accent": "é",
    "Arabic digits": "१०",
    "a plus": "v1+build",
    "a percent sign": "v1%00",
    "a lone surrogate": "\ud800",
}


@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_of_the_specification_is_taken(tag: str) -> None:
    assert tag == Tag.parse(tag)


@pytest.mark.parametrize("tag", NOT_TAGS.values(), ids=NOT_TAGS.keys())
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(TagInvalid):
        Tag.parse(tag)


@given(st.from_regex(SPEC_TAG, fullmatch=True))
def test_every_tag_that_the_specification_s_expression_makes_is_taken(tag: str) -> None:
    reference = parse_reference(tag)

    assert isinstance(reference, Tag)
    assert tag == str(reference)


@given(st.binary(max_size=100), st.sampled_from(["sha256", "sha512"]))
def test_printing_and_parsing_a_digest_as_a_reference_gives_it_back(content: bytes, algorithm: str) -> None:
    digest = Digest.of(content, algorithm)

    reference = parse_reference(str(digest))

    assert isinstance(reference, Digest)
    assert digest == reference


@given(st.text(max_size=200) | st.text(alphabet="a:0.-_/\n", max_size=20))
def test_any_text_is_a_reference_or_one_of_our_errors(text: str) -> None:
    """A colon decides which of the two it was meant to be, so that the error names the right thing."""
    try:
        assert text == str(parse_reference(text))
    except DigestInvalid:
        assert ":" in text
    except TagInvalid:
        assert ":" not in text
