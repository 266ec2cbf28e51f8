"""analysis/filters.py: what every client writes, and what nobody should (https://google.aip.dev/160)."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadstead.analysis import filters, plans
from roadstead.analysis.filters import BEGINS, ENDS, EVERYTHING, And, Condition, Not, Or, Tree
from roadstead.analysis.queries import filters as shapes
from roadstead.errors import FieldInvalid

DIGEST = "sha256:" + "d" * 64
IMAGE = f"gcr.io/p/i@{DIGEST}"


def kind(number: int) -> Condition:
    return Condition("kind", "=", number)


def image(uri: str = IMAGE) -> Condition:
    return Condition("resource", "=", uri)


READ: dict[str, Tree] = {
    "": EVERYTHING,
    "  ": EVERYTHING,
    # gcloud 578, as its own code joins them (contract.md, 2.3)
    f'((kind = "VULNERABILITY") OR (kind = "DISCOVERY")) AND ((resourceUrl = "https://{IMAGE}"))': And((Or((kind(1), kind(6))), image())),
    f'(kind = "BUILD") AND ((resourceUrl = "https://{IMAGE}"))': And((kind(2), image())),
    f'((has_prefix(resourceUrl, "https://gcr.io/p/i")) AND (kind = "BUILD" OR kind = "IMAGE")) AND ((resourceUrl = "{IMAGE}"))': And(
        (Condition("resource", BEGINS, "gcr.io/p/i"), Or((kind(2), kind(3))), image())
    ),
    f'resource_url = "https://{IMAGE}"': image(),
    f'has_suffix(resourceUrl, "{DIGEST}")': Condition("resource", ENDS, DIGEST),
    'noteId="spdx-2-3" AND noteProjectId="p"': And((Condition("note", "=", "spdx-2-3"), Condition("note_project", "=", "p"))),
    'has_prefix(resourceUrl, "https://gcr.io/p") OR has_prefix(resourceUrl, "gcr.io/p")': Or(
        (Condition("resource", BEGINS, "gcr.io/p"), Condition("resource", BEGINS, "gcr.io/p"))
    ),
    # Blanks, quotes, spellings
    'kind="BUILD"': kind(2),
    "kind='BUILD'": kind(2),
    "kind = BUILD": kind(2),
    "kind:BUILD": kind(2),
    "kind : BUILD": kind(2),
    f"resourceUri=https://{IMAGE}": image(),
    'resource.uri = "x"': image("x"),
    r'resourceUrl = "a\"b\\c"': image('a"b\\c'),
    '\tkind\n=\n"BUILD"': kind(2),
    # Order: OR binds closer than AND, a blank is AND
    "kind=BUILD AND kind=IMAGE OR kind=SECRET": And((kind(2), Or((kind(3), kind(13))))),
    "kind=BUILD kind=IMAGE": And((kind(2), kind(3))),
    "(kind=BUILD AND kind=IMAGE) OR kind=SECRET": Or((And((kind(2), kind(3))), kind(13))),
    "NOT kind=BUILD": Not(kind(2)),
    "-kind=BUILD": Not(kind(2)),
    "NOT (kind=BUILD OR kind=IMAGE)": Not(Or((kind(2), kind(3)))),
    "kind != BUILD": Condition("kind", "!=", 2),
    "((((kind=BUILD))))": kind(2),
    # Others
    "severity >= HIGH": Condition("severity", ">=", 4),
    "vulnerability.effectiveSeverity = CRITICAL": Condition("severity", "=", 5),
    "vulnerability.fixAvailable = true": Condition("fixable", "=", 1),
    'updateTime > "1970-01-01T00:00:01.5Z"': Condition("updated", ">", 1_500_000),
    "createTime<=1970-01-01T01:00:00+01:00": Condition("created", "<=", 0),
    'noteName = "projects/p/notes/n"': And((Condition("note_project", "=", "p"), Condition("note", "=", "n"))),
    'note_name != "projects/p/locations/us/notes/n"': Not(And((Condition("note_project", "=", "p"), Condition("note", "=", "n")))),
    # What every address begins with: all of them.
    'has_prefix(resourceUrl, "")': EVERYTHING,
    'has_prefix(resourceUrl, "https://")': EVERYTHING,
}


@pytest.mark.parametrize("text", READ, ids=[f"{number}: {text[:40]!r}" for number, text in enumerate(READ)])
def test_what_a_filter_means(text: str) -> None:
    assert READ[text] == filters.parse(text)


# A filter, the character that is pointed at (from 1), and a part of what is said.
REFUSED: dict[str, tuple[int, str]] = {
    "kind": (5, "operator"),
    "kind =": (7, "value is missing"),
    "kind = AND": (8, "value is missing"),
    '= "BUILD"': (1, "condition is missing"),
    "AND kind=BUILD": (1, "condition is missing"),
    "kind=BUILD AND": (15, "condition is missing"),
    "kind=BUILD OR OR kind=BUILD": (15, "condition is missing"),
    "NOT NOT kind=BUILD": (5, "condition is missing"),
    "(kind=BUILD": (12, "')' is missing"),
    "kind=BUILD)": (11, "cannot stand here"),
    "()": (2, "condition is missing"),
    'kind="BUILD': (6, "quotes"),
    'kind="HUGE"': (6, "no kind 'HUGE'"),
    "kind=1": (6, "no kind"),
    "kind>BUILD": (5, "= and != only"),
    "severity=HUGE": (10, "no severity"),
    "color=red": (1, "no field 'color'"),
    '"kind"=BUILD': (1, "condition is missing"),
    "updateTime > yesterday": (14, "Timestamp"),
    'createTime > "2026-13-01T00:00:00Z"': (14, "Timestamp"),
    "fixAvailable = 1": (16, "true or false"),
    'noteName = "n"': (12, "projects/PROJECT/notes/NOTE"),
    "starts(resourceUrl, 'x')": (1, "no function"),
    "has_prefix(kind, 'x')": (12, "resourceUrl only"),
    "has_prefix(resourceUrl 'x')": (24, "',' is missing"),
    "has_prefix(resourceUrl, 'x'": (28, "')' is missing"),
    "kind : : BUILD": (8, "value is missing"),
    "kind ~ BUILD": (6, "operator"),
    "(" * 21 + "kind=BUILD" + ")" * 21: (21, "deep"),
    " ".join(["kind=BUILD"] * 101): (1101, "100 conditions"),
}


@pytest.mark.parametrize("text", REFUSED, ids=[f"{number}: {text[:40]!r}" for number, text in enumerate(REFUSED)])
def test_a_wrong_filter_is_refused_with_its_place(text: str) -> None:
    position, said = REFUSED[text]

    with pytest.raises(FieldInvalid) as refused:
        filters.parse(text)
    detail: Any = refused.value.detail
    assert (position, True) == (detail["position"], said in refused.value.message), refused.value.message


@pytest.mark.parametrize("text", ["x" * 9000, "kind='\0'"], ids=["long", "nul"])
def test_a_filter_has_a_limit(text: str) -> None:
    with pytest.raises(FieldInvalid):
        filters.parse(text)


PIECES = st.sampled_from(
    [
        *("kind", "resourceUrl", "noteId", "noteName", "severity", "updateTime", "has_prefix", "has_suffix", "fixAvailable", "nonsense"),
        *("AND", "OR", "NOT", "-", "(", ")", ",", "=", "!=", "<", "<=", ">", ">=", ":", " ", '"', "'", "\\"),
        *('"BUILD"', "BUILD", "HIGH", '"https://gcr.io/p/i@sha256:1"', '"projects/p/notes/n"', '"2026-01-01T00:00:00Z"', "true", "\0", "é"),
    ]
)
NEARLY = st.lists(PIECES, max_size=40).map(" ".join) | st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=200)


@given(NEARLY)
@settings(max_examples=400, deadline=None)
def test_no_text_makes_the_parser_hang_or_raise_anything_else(text: str) -> None:
    """And what it takes can be walked, and becomes SQL."""
    before = time.perf_counter()
    try:
        tree = filters.parse(text)
    except FieldInvalid:
        return
    plans.plan(tree)
    form, values = shapes.shape(tree)
    assert len(values) <= 2 * filters.MOST_CONDITIONS
    assert hash(form) is not None
    assert time.perf_counter() - before < 1


@given(st.sampled_from(sorted(READ)), st.sampled_from(sorted(READ)))
@settings(max_examples=100, deadline=None)
def test_two_filters_together_are_both(one: str, other: str) -> None:
    """gcloud puts what the user gives in parentheses and adds its own."""
    if one.strip() and other.strip():
        both = filters.parse(f"({one}) AND ({other})")

        first, second = (tree.parts if isinstance(tree, And) else (tree,) for tree in (READ[one], READ[other]))
        assert And((*first, *second)) == both
