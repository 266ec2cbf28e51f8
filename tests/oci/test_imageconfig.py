"""When an image was created, as its config says it (image-spec, Image Configuration; RFC 3339)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.oci.imageconfig import MOST_MS, NO_TIME_MS, created_ms, time_ms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2023-02-11T02:26:42.558Z", 1676082402558),
        ("2023-02-11T02:26:42.558999999Z", 1676082402558),
        ("2023-02-11T02:26:42.5Z", 1676082402500),
        ("2023-02-11T02:26:42.05Z", 1676082402050),
        ("2023-02-11T03:26:42+01:00", 1676082402000),
        ("2023-02-10T20:56:42-05:30", 1676082402000),
        ("2023-02-11t02:26:42z", 1676082402000),
        ("1969-12-31T23:59:59.999Z", -1),
        ("0001-01-01T00:00:00Z", NO_TIME_MS),
        ("0001-01-01T00:00:00+14:00", NO_TIME_MS),
        ("9999-12-31T23:59:59.999999999-12:00", MOST_MS),
        ("2024-02-29T00:00:00Z", 1709164800000),
    ],
)
def test_a_time_is_told_in_milliseconds(text: str, expected: int) -> None:
    assert expected == time_ms(text)
    assert expected == created_ms(json.dumps({"created": text}).encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2023-02-11",
        "2023-02-11T02:26:42",
        "2023-02-30T00:00:00Z",
        "2023-13-01T00:00:00Z",
        "2023-02-11T24:00:00Z",
        "2023-02-11T02:26:60Z",
        "0000-01-01T00:00:00Z",
        "12023-02-11T02:26:42Z",
        " 2023-02-11T02:26:42Z",
        "2023-02-11T02:26:42Z\n",
        "२०२३-02-11T02:26:42Z",
        "2023-02-11T02:26:42.Z",
        "2023-02-11T02:26:42+0100",
    ],
)
def test_what_is_no_time_is_the_year_1(text: str) -> None:
    assert NO_TIME_MS == time_ms(text)
    assert NO_TIME_MS == created_ms(json.dumps({"created": text}).encode())


@pytest.mark.parametrize(
    "config",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'"2023-02-11T02:26:42Z"',
        b'{"created": null}',
        b'{"created": 1676082402}',
        b'{"created": {"at": 1}}',
        b'{"created": "2023-02-11T02:26:42Z"',
        b'{"created": "\xff\xfe"}',
        b'{"Created": "2023-02-11T02:26:42Z"}',
        b"\x7fELF",
        b"[" * 100_000,
        b'{"created": ' * 100_000,
    ],
    ids=range(14),
)
def test_a_config_that_does_not_say_is_the_year_1(config: bytes) -> None:
    """Anything may be a config: a chart, a signature's `{}`, a file."""
    assert NO_TIME_MS == created_ms(config)


@given(st.binary(max_size=200) | st.text(max_size=60).map(lambda text: json.dumps({"created": text}).encode()))
def test_nothing_makes_it_raise(config: bytes) -> None:
    assert NO_TIME_MS <= created_ms(config) <= MOST_MS


@given(
    st.datetimes(
        datetime(2, 1, 1),
        datetime(9998, 12, 31),
        timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    )
)
def test_every_time_that_python_writes_is_read(moment: datetime) -> None:
    assert (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1) == time_ms(moment.isoformat())
