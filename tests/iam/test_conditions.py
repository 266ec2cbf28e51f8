"""Conditions of bindings: what IAM documents of CEL holds as documented, and the rest is refused with a sentence."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.errors import ConditionInvalid
from roadstead.iam.conditions import MAX_DEPTH, MAX_EXPRESSION_BYTES, MAX_LOGICAL_OPERATORS, Context, parse

# A Wednesday.
NOW = datetime(2026, 11, 25, 22, 30, 15, 250_000, tzinfo=UTC)
CONTEXT = Context(
    now_us=int(NOW.timestamp() * 1_000_000),
    resource_name="projects/_/buckets/eu.artifacts.my-project.appspot.com/objects/team/app",
    resource_type="storage.googleapis.com/Object",
    resource_service="storage.googleapis.com",
)

HOLD = [
    "true",
    "!false",
    "!!true",
    "(((true)))",
    "true || false && false",
    "false && false || true",
    "!(true && false)",
    "1 < 2",
    "-1 < 0",
    "2-1 == 1",
    "2 - -1 == 3",
    "3 in [1, 2, 3]",
    "!(4 in [1, 2, 3])",
    "[1, 2] == [1, 2]",
    "'a' + 'b' == \"ab\"",
    r"'it\'s' == 'it' + '\x27s'",
    r'"\u00e9\n" == "é" + "\n"',
    "1 == 1 == true",
    " \t\r\n true \n",
    # Attribute reference for IAM Conditions: date and time.
    'request.time < timestamp("2027-01-01T00:00:00Z")',
    'request.time >= timestamp("2026-11-25T22:30:15.25Z")',
    'request.time > timestamp("2026-11-25T23:30:15+01:00")',
    'request.time > date("2026-11-25")',
    'request.time < date("2026-11-24") + duration("48h")',
    'request.time - timestamp("2026-11-25T22:00:00Z") > duration("30m15s")',
    'request.time - duration("1.5h") < timestamp("2026-11-25T21:00:15.3Z")',
    'duration("90s") == duration("1m30s")',
    'duration("-1s") + duration("1000ms") == duration("0s")',
    "request.time.getFullYear() == 2026",
    "request.time.getMonth() == 10",
    "request.time.getDate() == 25",
    "request.time.getDayOfMonth() == 24",
    "request.time.getDayOfWeek() == 3",
    "request.time.getDayOfYear() == 328",
    "request.time.getHours() == 22",
    "request.time.getMinutes() == 30",
    "request.time.getSeconds() == 15",
    "request.time.getMilliseconds() == 250",
    'request.time.getHours("Europe/Berlin") == 23',
    'request.time.getHours("UTC") == 22',
    'request.time.getHours("-08:00") == 14',
    'request.time.getHours("+05:30") == 4 && request.time.getDayOfWeek("+05:30") == 4',
    'request.time.getHours("Europe/Berlin") >= 9 && request.time.getHours("Europe/Berlin") <= 23 && '
    'request.time.getDayOfWeek("Europe/Berlin") >= 1 && request.time.getDayOfWeek("Europe/Berlin") <= 5',
    # Attribute reference: resources.
    'resource.type == "storage.googleapis.com/Object"',
    'resource.service == "storage.googleapis.com"',
    'resource.type != "storage.googleapis.com/Bucket"',
    'resource.type in ["storage.googleapis.com/Object", "storage.googleapis.com/Bucket"]',
    'resource.name.startsWith("projects/_/buckets/eu.artifacts.my-project.appspot.com/objects/team/")',
    'resource.name.endsWith("/app")',
    'resource.name.contains("/objects/team/")',
    'resource.name.extract("buckets/{bucket}/objects") == "eu.artifacts.my-project.appspot.com"',
    'resource.name.extract("/objects/{path}") == "team/app"',
    'resource.name.extract("{host}/buckets") == "projects/_"',
    'resource.name.extract("{all}") == resource.name',
    'resource.name.extract("/secrets/{id}") == ""',
    'resource.name.extract("/objects/{id}/versions") == ""',
    'resource.name.extract("/objects/{path}").startsWith("team")',
    '(resource.type == "storage.googleapis.com/Bucket" || resource.name.endsWith("app")) && request.time < date("2027-01-01")',
    # What decides is enough, even if the other side cannot be said (CEL, Logical operators).
    "true || request.time < timestamp(resource.name)",
    "request.time < timestamp(resource.name) || true",
]

DO_NOT_HOLD = [
    "false",
    "!true",
    'request.time > timestamp("2027-01-01T00:00:00Z")',
    'resource.name == "projects/_"',
    'resource.name.startsWith("projects/_/buckets/eu.artifacts.my-project.appspot.com/objects/other")',
    'resource.type in ["storage.googleapis.com/Bucket"]',
    "request.time.getDayOfWeek() in [0, 6]",
]

CANNOT_BE_SAID = [
    "request.time < timestamp(resource.name)",
    "!(request.time < timestamp(resource.name))",
    "request.time < timestamp(resource.name) || false",
    "false || request.time < timestamp(resource.name)",
    "true && request.time < timestamp(resource.name)",
    "request.time < timestamp(resource.name) && true",
    "(request.time < timestamp(resource.name)) == (request.time < timestamp(resource.name))",
    'request.time < date(resource.name.extract("/objects/{day}/"))',
    'duration(resource.name) != duration("1s")',
    '(timestamp("9999-12-31T23:59:59Z") + duration("9999h")).getFullYear() != 2026',
    '(timestamp("0001-01-01T00:00:00Z") - duration("9999h")).getFullYear() != 2026',
    '(timestamp("9999-12-31T23:59:59Z")).getFullYear("+14:00") != 2026',
    "9223372036854775807 + 1 != 0",
    "-9223372036854775808 - 1 != 0",
]

REFUSED = {
    "nothing": "",
    "blanks": "  ",
    "no bool": "1",
    "a text": "'true'",
    "an operand missing": "true &&",
    "an operator missing": "true true",
    "a bracket open": "(true",
    "a bracket too many": "true)",
    "an unknown attribute": 'resource.nam == "x"',
    "an attribute of another service": 'api.getAttribute("storage.googleapis.com/objectListPrefix", "") == ""',
    "a tag": 'resource.matchTag("123/env", "prod")',
    "an unknown function": "size('a') == 1",
    "a macro": "[1, 2].exists(x, x == 1)",
    "a conditional": "true ? true : false",
    "an index": "['a'][0] == 'a'",
    "a map": "{'a': 1}['a'] == 1",
    "a regular expression": 'resource.name.matches("(a+)+$")',
    "a float": "1.5 < 2",
    "a number in hexadecimal": "0x10 == 16",
    "an unsigned number": "1u == 1u",
    "a number of 65 bits": "9223372036854775808 != 0",
    "a number of 2,000 digits": "1" * 2000 + " == 1",
    "multiplication": "2 * 2 == 4",
    "a minus without a number": "-resource.name == ''",
    "a text and a number": "'1' == 1",
    "a time and a text": 'request.time < "2027-01-01T00:00:00Z"',
    "a time and a number": "request.time < 5",
    "a time in texts": "request.time in ['a']",
    "bools in order": "true < false",
    "lists in order": "[1] < [2]",
    "a list of nothing": "1 in []",
    "a list of this and that": "1 in [1, 'a']",
    "and with a text": "true && 'a'",
    "not with a number": "!1",
    "two times added": "request.time + request.time == request.time",
    "a method of a number": "(1).startsWith('a')",
    "a method without brackets": "resource.name.startsWith",
    "a method with too little": "resource.name.startsWith()",
    "a method with too much": "resource.name.startsWith('a', 'b')",
    "a method with a number": "resource.name.startsWith(1)",
    "a template without a name": 'resource.name.extract("a/b") == "a"',
    "a template with two names": 'resource.name.extract("{a}/{b}") == "a"',
    "a template that is computed": "resource.name.extract(resource.type) == 'a'",
    "a day that is none": 'request.time < timestamp("2026-02-30T00:00:00Z")',
    "an hour that is none": 'request.time < timestamp("2026-02-03T25:00:00Z")',
    "a time without a zone": 'request.time < timestamp("2026-02-03T00:00:00")',
    "a date that is a time": 'request.time < date("2026-02-03T00:00:00Z")',
    "a length of time in days": 'request.time < request.time + duration("1d")',
    "a length of time of nothing": 'request.time < request.time + duration("")',
    "a time zone that is none": 'request.time.getHours("Europe/Atlantis") == 1',
    "a folder of time zones": 'request.time.getHours("Europe") == 1',
    "a path for a time zone": 'request.time.getHours("../../../etc/passwd") == 1',
    "an absolute path for a time zone": 'request.time.getHours("/etc/passwd") == 1',
    "an offset of a day": 'request.time.getHours("+24:00") == 1',
    "a time zone that is computed": "request.time.getHours(resource.name) == 1",
    "two time zones": 'request.time.getHours("UTC", "UTC") == 1',
    "a text without an end": "'a",
    "a line end in a text": "'a\n' == 'a'",
    "an escape that is none": r"'\q' == 'q'",
    "half a surrogate pair, escaped": r"'\ud800' == 'a'",
    "half a surrogate pair": "'\ud800' == 'a'",
    "a NUL": "true\0",
    "a comment": "true // yes",
    "a name with an accent": "é == 1",
    "Arabic digits": "१ == 1",
}


@pytest.mark.parametrize("expression", HOLD)
def test_it_holds(expression: str) -> None:
    assert parse(expression).holds(CONTEXT)


@pytest.mark.parametrize("expression", DO_NOT_HOLD)
def test_it_does_not_hold(expression: str) -> None:
    assert not parse(expression).holds(CONTEXT)


@pytest.mark.parametrize("expression", CANNOT_BE_SAID)
def test_what_cannot_be_said_does_not_hold(expression: str) -> None:
    """Not even turned round: access is denied when there is doubt."""
    assert not parse(expression).holds(CONTEXT)


@pytest.mark.parametrize("expression", REFUSED.values(), ids=REFUSED.keys())
def test_what_makes_no_sense_is_refused_with_a_sentence(expression: str) -> None:
    with pytest.raises(ConditionInvalid) as refused:
        parse(expression)

    assert len(refused.value.message) > 20
    refused.value.message.encode()


def test_an_expression_says_where_it_is_wrong() -> None:
    with pytest.raises(ConditionInvalid, match="at character 9"):
        parse("true && # false")


def test_twelve_logical_operators_are_the_limit() -> None:
    """IAM, Quotas and limits: logical operators in a role binding's condition expression: 12."""
    parse(" && ".join(["true"] * (MAX_LOGICAL_OPERATORS + 1)))
    parse("!" * MAX_LOGICAL_OPERATORS + "true")

    for expression in (
        " || ".join(["true"] * (MAX_LOGICAL_OPERATORS + 2)),
        "!" * (MAX_LOGICAL_OPERATORS + 1) + "true",
        "!true && " * 6 + "!true",
    ):
        with pytest.raises(ConditionInvalid, match="12 logical operators"):
            parse(expression)


def test_the_size_is_limited_in_bytes() -> None:
    longest = "'" + "é" * ((MAX_EXPRESSION_BYTES - 8) // 2) + "' != ''"
    assert MAX_EXPRESSION_BYTES == len(longest.encode())

    assert parse(longest).holds(CONTEXT)
    with pytest.raises(ConditionInvalid, match="2048 bytes"):
        parse(longest + " ")


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 1000,
        "(" * 1000 + "true" + ")" * 1000,
        "[" * 1000 + "1" + "]" * 1000,
        "1" + "+1" * 1000,
        "1" + "-1" * 900 + "==1",
        "true" + "==true" * 330,
        "'a'" + ".extract('{x}')" * 130 + " == 'a'",
        "timestamp(" * 200,
        "1 in [" + "1," * 900 + "1]",
        "a." * 1000,
        '"' * 2047,
        "\\" * 2047,
        "true && " * 10_000_000,
    ],
)
def test_no_expression_makes_the_parser_slow_or_deep(expression: str) -> None:
    with pytest.raises(ConditionInvalid):
        parse(expression)


def test_the_deepest_expression_is_evaluated() -> None:
    expression = "(" * (MAX_DEPTH - 1) + "1" + "+1" * 90 + " == 91" + ")" * (MAX_DEPTH - 1)

    assert parse(expression).holds(CONTEXT)


PIECES = """
    true false ( ) [ ] , . ! && || == != < >= in + - 1 0 'a' '{x}' 'Europe/Berlin' '1h' '2026-01-01' request.time resource.name
    resource.type .startsWith( .extract( .getHours( timestamp( duration( date(
"""


@given(st.text(max_size=100) | st.lists(st.sampled_from(PIECES.split()), max_size=20).map(" ".join))
def test_any_text_is_a_condition_or_condition_invalid(expression: str) -> None:
    try:
        condition = parse(expression)
    except ConditionInvalid as error:
        error.message.encode()
        return
    assert condition.holds(CONTEXT) in (True, False)


@given(st.integers(min_value=-(2**70), max_value=2**70), st.text(max_size=50))
def test_no_request_makes_a_condition_raise(now_us: int, name: str) -> None:
    context = Context(now_us, name, name, name)

    for expression in (*HOLD, *CANNOT_BE_SAID):
        assert parse(expression).holds(context) in (True, False)


# What CEL and Python say alike, and how Python says it.
numbers = st.integers(-5, 5).map(lambda number: (str(number), str(number)))
texts = st.sampled_from("abc").map(lambda text: (f"'{text}'", f"'{text}'"))
CALLS = [".startsWith({})", ".endsWith({})"], [".startswith({})", ".endswith({})"]


def compared(values: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[tuple[str, str]]:
    signs = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
    return st.builds(lambda left, sign, right: (f"{left[0]} {sign} {right[0]}", f"({left[1]} {sign} {right[1]})"), values, signs, values)


added = st.builds(
    lambda left, sign, right: (f"{left[0]} {sign} {right[0]}", f"({left[1]} {sign} {right[1]})"), numbers, st.sampled_from("+-"), numbers
)
listed = st.builds(
    lambda one, many: (f"{one[0]} in [{', '.join(v for v, _ in many)}]", f"({one[1]} in [{', '.join(v for _, v in many)}])"),
    texts,
    st.lists(texts, min_size=1, max_size=3),
)
called = st.builds(
    lambda text, call, other: (text[0] + CALLS[0][call].format(other[0]), text[1] + CALLS[1][call].format(other[1])),
    texts,
    st.sampled_from([0, 1]),
    texts,
)
simple = compared(numbers | added) | compared(texts) | listed | called
joined = st.recursive(
    simple,
    lambda inner: (
        st.builds(lambda bool_: (f"!({bool_[0]})", f"(not {bool_[1]})"), inner)
        | st.builds(lambda left, right: (f"{left[0]} && ({right[0]})", f"({left[1]} and {right[1]})"), simple, inner)
        | st.builds(lambda left, right: (f"({left[0]}) || {right[0]}", f"({left[1]} or {right[1]})"), inner, simple)
    ),
    max_leaves=8,
)


@given(joined)
def test_logic_is_what_python_says(both: tuple[str, str]) -> None:
    cel, python = both
    if sum(map(cel.count, ("&&", "||", "!("))) > MAX_LOGICAL_OPERATORS:
        return

    assert eval(python) == parse(cel).holds(CONTEXT)


plain = st.text(alphabet=st.characters(exclude_characters="{}\\'", exclude_categories=["C"]), max_size=10)


@given(plain, plain, plain)
def test_extract_cuts_out_what_stands_between(before: str, middle: str, after: str) -> None:
    """Attribute reference, extract(): the first text before, and the next one after."""
    text = before + middle + after
    rest = text.partition(before)[2] if before else text
    expected = (rest.partition(after)[0] if after in rest else "") if after else rest

    assert parse(f"resource.name.extract('{before}{{x}}{after}') == '{expected}'").holds(Context(0, text))


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_a_timestamp_is_read_to_the_microsecond(moment: datetime) -> None:
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution)
    text = moment.isoformat(timespec="microseconds").replace("+00:00", "Z").rjust(27, "0")
    equal = parse(f'request.time == timestamp("{text}")')

    assert equal.holds(Context(micros))
    assert not equal.holds(Context(micros + 1))
    assert parse(f"request.time.getFullYear() == {moment.year} && request.time.getDate() == {moment.day}").holds(Context(micros))
