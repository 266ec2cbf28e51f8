"""--filter and --format by themselves; test_gcloud_formats.py compares them with gcloud's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.cli import filters, formats, listings, projections
from roadstead.cli.options import Options
from roadstead.errors import ConfigurationError

ROWS: list[dict[str, Any]] = [
    {"id": "a", "size": 10, "labels": {"team": "web"}, "at": "2026-01-01T00:00:00Z", "tags": ["v1", "v2"]},
    {"id": "b", "size": 9, "labels": {}, "at": "2024-01-01T00:00:00.123456789Z", "tags": []},
    {"id": "c", "labels": {"team": "Ops"}, "tags": ["latest"]},
]
TEXT = st.text(alphabet=st.sampled_from(list("ab.[]()':\"=!<>~,*- \\019%ANDORT:{}é\n")), max_size=40)


def kept(text: str) -> str:
    wanted = filters.parse(text)
    return "".join(row["id"] for row in ROWS if wanted(row))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "abc"),
        ("id:a", "a"),
        ("labels.team=ops", "c"),
        ("labels.team:w*", "a"),
        ("-labels:*", "b"),
        ("size>9", "a"),
        ("size<10", "bc"),
        ("at>2025-06-01", "a"),
        ("at<'2025-06-01'", "b"),
        ("tags:(v2 latest)", "ac"),
        ("id~'^[ab]$' AND NOT tags:*", "b"),
        ("(id=a OR id=c) -id=a", "c"),
        ("v1", "a"),
    ],
)
def test_a_filter_keeps_what_fits(text: str, expected: str) -> None:
    assert expected == kept(text)


def test_a_duration_is_from_now() -> None:
    ago = {name: (datetime.now(UTC) - timedelta(days=days)).isoformat() for name, days in (("new", 1), ("old", 40))}

    assert [True, False] == [filters.parse("at>-P30D")({"at": ago[name]}) for name in ("new", "old")]
    assert [False, True] == [filters.parse("at<-P4W")({"at": ago[name]}) for name in ("new", "old")]


@pytest.mark.parametrize(
    "text",
    ["a=", "a AND", "OR a", "(a", "a)", "a~'['", "a='x", "a:b*c*", "a=1 AND b=2 OR c=3", "(" * 60 + "a" + ")" * 60, "a:" + "x" * 10_001,
     "a~" + "(a+)+" * 400, "a.nosuch()=1"],
    ids=range(13),
)  # fmt: skip
def test_what_is_no_filter_is_told_in_a_sentence(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--filter"):
        filters.parse(text)


@pytest.mark.parametrize(
    "text",
    ["xml", "table(a", "table(a,)", "json(a", "value(a.nosuch())", "table(a:colour=red)", "table(a:align=up)", "csv[a", "value(a.b.)",
     "table(a:sort=x)", "value(a.size(1,2,3,4,5,6))", "(a)", "json json json("],
    ids=range(13),
)  # fmt: skip
def test_what_is_no_format_is_told_in_a_sentence(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--format"):
        formats.wanted(text, "table(id)")


@given(TEXT)
def test_no_filter_does_more_than_be_refused(text: str) -> None:
    try:
        wanted = filters.parse(text)
    except ConfigurationError:
        return
    assert all(isinstance(wanted(row), bool) for row in ROWS)


@given(TEXT)
def test_no_format_does_more_than_be_refused(text: str) -> None:
    for name in ("table", "value", "json"):
        try:
            how = projections.parse(f"{name}({text})")
        except ConfigurationError:
            continue
        assert isinstance(formats.text(ROWS, how), str)


def test_rows_are_sorted_by_several_keys_and_the_other_way_round() -> None:
    rows = [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}, {"a": 1, "b": "y"}, {"b": "z"}]

    def order(keys: str) -> list[tuple[Any, str]]:
        return [(each.get("a"), each["b"]) for each in listings.chosen(rows, {}, Options(sort_by=keys))]

    assert [(None, "z"), (1, "x"), (1, "y"), (2, "x")] == order("a,b")
    assert [(2, "x"), (1, "y"), (1, "x"), (None, "z")] == order("~a,~b")
    assert [(1, "x"), (2, "x"), (1, "y"), (None, "z")] == order("b,a")
    assert [(2, "x"), (1, "x")] == listings_limited(rows)


def listings_limited(rows: list[dict[str, Any]]) -> list[tuple[Any, str]]:
    return [(each.get("a"), each["b"]) for each in listings.chosen(rows, {}, Options(sort_by="~a", filter="b=x", limit=2))]


def test_lists_are_flattened_into_rows() -> None:
    """As in the scripts that ask who has which role: --flatten='bindings[].members'."""
    policy = {"bindings": [{"role": "r", "members": ["a", "b"]}, {"role": "s", "members": ["c"]}], "etag": "e"}

    found = listings.chosen([policy], {}, Options(flatten="bindings[].members", filter="bindings.members:(a c)"))

    assert [("r", "a"), ("s", "c")] == [(each["bindings"]["role"], each["bindings"]["members"]) for each in found]


def test_a_heading_of_the_default_is_a_key_too() -> None:
    aliases = formats.wanted("", "table(name.basename():label=KEY)").aliases

    assert ["y/1", "x/2"] == [
        each["name"] for each in listings.chosen([{"name": "x/2"}, {"name": "y/1"}], aliases, Options(sort_by="~KEY"))
    ]


def test_other_people_s_text_does_not_steer_the_terminal() -> None:
    """What breaks lines or steers is shown as what it is, and a row stays a row."""
    how = formats.wanted("table(a,b)", "table(a)")

    lines = formats.text([{"a": "x\x1b[2J", "b": "y\nz\u202e"}], how).splitlines()

    assert ["A         B", "x\\x1b[2J  y\\x0az\\x202e"] == lines


def test_an_untold_number_of_rows_has_pages() -> None:
    assert [[1, 2], [3]] == [list(page) for page in listings.pages([1, 2, 3], 2)]
    assert [[1, 2, 3]] == [list(page) for page in listings.pages([1, 2, 3], None)]
