"""--format and --filter beside gcloud's own, on the same rows: what is printed must be the same, to the letter."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.cli import filters, formats
from roadstead.errors import ConfigurationError
from tests.kit.gcloud_formats import ERROR, Case, printed

ROWS: list[dict[str, Any]] = [
    {
        "projectId": "shop-images",
        "name": "The shop",
        "projectNumber": "1234",
        "createTime": "2026-01-02T03:04:05.123456Z",
        "labels": {"team": "web", "stage": "live"},
        "tags": ["v1", "latest"],
        "lifecycleState": "ACTIVE",
        "parent": {"id": "0", "type": "organization"},
        "size": 1536,
        "ratio": 0.25,
        "on": True,
    },
    {
        "projectId": "alpha",
        "name": 'A, "quoted" one',
        "projectNumber": "99",
        "createTime": "2025-06-30T23:59:59Z",
        "labels": {},
        "tags": [],
        "lifecycleState": "DELETE_REQUESTED",
        "size": 0,
        "on": False,
        "items": [{"name": "x", "n": 1}, {"name": "y"}],
    },
    {
        "projectId": "beta-9",
        "name": "Ünïcode 日本",
        "projectNumber": "100",
        "createTime": "2026-11-29T00:00:00+02:00",
        "tags": ["a;b", " c "],
        "text": "two\nlines",
        "empty": "",
        "none": None,
        "uri": "https://h/projects/p/zones/z1",
        "f": 1e12,
        "big": 123456789012,
        "items": [{"name": "z", "n": 3}],
        "back": "a\\b",
        "nested": [["a", "b"], ["c"]],
        "long": "word " * 40,
        # What a reader of YAML might take for something else.
        "odd": [
            "no",
            "yes",
            "null",
            "~",
            "0123",
            "12",
            "1.5",
            "1e3",
            "2026-01-01",
            "a: b",
            "- x",
            "#c",
            "*a",
            "&b",
            "true",
            "0x1f",
            "1_000",
            "=",
        ],
    },
]

DEFAULTS = {
    "projects": "table(projectId:sort=1, name, projectNumber)",
    "elaborate": "table(projectId.upper():label=ID, createTime.date('%Y'):label=WHEN:sort=1:reverse, tags.list():label=TAGS,"
    " items[].name.list():optional, size:align=right:width=9)",
}

FORMATS = """
json
yaml
json(projectId, labels.team)
json(items[].name)
json(items[0].name, tags[1])
json(items.name)
json(createTime.date())
json(labels.nosuch)
json(nosuch)
json(tags[])
json(nested)
yaml(projectId, tags)
yaml(items, labels)
csv(projectId, name, tags, labels, on, size, ratio, f)
csv[no-heading](projectId, name)
csv[separator=';'](projectId, name)
csv[no-quote](name)
csv(createTime)
csv(nosuch, projectId)
csv(projectId, projectId.upper():label=UP)
value(projectId)
value(projectId, name, tags, labels)
value(items[0].name)
value(items.name)
value(items[].name)
value(tags.list())
value(tags[0], on, none, f, ratio)
value[separator=","](projectId, size)
value[delimiter="|"](tags)
value[quote](name, tags)
value[terminator=' '](projectId)
value(.)
value(nosuch)
value(labels.'team')
value(project_id, create_time)
value(PROJECT_ID, NAME)
value(nested[0][1], nested[][0])
get(projectId, createTime.date())
table(projectId, name, createTime.date())
table(projectId, createTime.date('%Y-%m-%d'):label=CREATED)
table[no-heading](projectId, name)
table[box](projectId, name)
table[all-box](projectId, size)
table[title=Projects](projectId, name)
table[box, title=Projects](projectId, name)
table[pad=4](projectId, size)
table(projectId:label=ID, size:align=right)
table(projectId:width=20, size)
table(name, items[0].name, parent.id)
table(projectId, labels, tags, on, size, ratio, f)
table(name:sort=1:reverse, projectId)
table(size:sort=1, projectId)
table(projectId, empty:optional, parent.type:optional)
table(NAME, PROJECT_NUMBER:label=N)
table(nosuch, projectId)
table(projectId, text.yesno(yes='*', no='-'))
table(projectId.upper(), uri.basename(), uri.scope(), uri.segment(-2))
table(createTime.date(format='%Y'), PROJECT_ID)
value(labels.list(), tags.join('+'), tags.len(), size.size())
value(labels.list(show=keys), labels.list(show=values))
value(projectId.slice(0:3).join(''), tags.slice(:1), tags.slice(-1))
value(tags.map().upper(), tags.sort(), lifecycleState.yesno(), name.lower())
value(projectId.split('-'), projectId.sub('a', 'b'))
value(createTime.date('%d/%m/%Y %H:%M'), createTime.date(tz=UTC))
value(labels.firstof(nosuch, team), extract(projectId, name))
value(labels.flatten(), nested.flatten(separator=' '))
value(items.count(), labels.len(), items.notnull())
value(size.size(units_out=K), f.float(), ratio.float(precision=2))
list
list(projectId, name)
flattened
flattened(projectId, labels, tags)
text(projectId)
none
default
""".strip().splitlines()

FILTERS = """
projectId:shop
projectId=shop-images
projectId=SHOP-IMAGES
projectId:sh*
projectId:*images
projectId : shop
project_id:shop
PROJECT_ID:shop
name:The
name="The shop"
name:unicode
text:lines
labels.team=web
labels.team:*
labels:*
labels:web
labels:team
-labels:*
NOT labels:*
tags:*
-tags:*
tags=v1
tags:v
tags:(v1 zzz)
tags=(latest, zzz)
tags!=v1
tags!~v
tags:"a;b"
size>100
size<1
size>=1536
size<=1536
size!=0
size:15
-size:0
ratio<0.5
ratio=0.25
f>1000
f=1000000000000
projectNumber>99
projectNumber=100
projectNumber=100.0
createTime>2026-01-01
createTime<'2026-01-01'
createTime>=2026-01-02T03:04:05Z
createTime=2026-01-02T03:04:05.123456Z
createTime>-P3000D
createTime>-p1d
createTime.date('%Y')=2026
name~^T
name!~^T
name>M
projectId~'a$'
projectId<b
projectId.upper()=ALPHA
tags.len()>1
on=true
on:true
on=false
NOT on=true
shop
-shop
'The shop'
nosuch:*
nosuch=x
nosuch!=x
-nosuch=x
nosuch<5
empty:*
none:*
items.name:x
items.name=y
items[0].name=x
parent.type:org
back:'a\\b'
alpha OR shop
(alpha OR shop) size>5
projectId:shop OR projectId:alpha
projectId:shop AND size>5
projectId:shop size>2000
labels.stage=live labels.team=web
lifecycleState=ACTIVE OR lifecycleState:DELETE*
NOT (projectId:shop OR size=0)
((projectId:shop) OR (alpha))
shop OR alpha beta
beta shop OR alpha
projectId:shop OR NOT alpha
a AND b OR c
projectId:(
projectId=
=x
projectId:a*b*c
projectId:AND
projectId~'['
projectId:'x
AND
OR x
x AND
NOT
(x
x)
""".strip().splitlines()


def cases() -> list[Case]:
    found = []
    for default in DEFAULTS.values():
        found += [Case(rows=rows, default=default, format=each) for each in ["", *FORMATS] for rows in (ROWS, [])]
        structured = [each for each in FORMATS if each.startswith(("json", "yaml", "value", "flattened", "text", "default"))]
        found += [Case(rows=[row], default=default, format=each, single=True) for each in structured for row in ROWS]
        found += [Case(rows=ROWS, default=default, format="value(projectId)", filter=each) for each in FILTERS]
    return found


def ours(case: Case) -> str:
    try:
        how = formats.wanted(case.format, case.default)
        wanted = filters.parse(case.filter, formats.wanted("", case.default).aliases)
        return formats.text([row for row in case.rows if wanted(row)], how, case.single)
    except ConfigurationError:
        return ERROR


@pytest.mark.slow
def test_formats_and_filters_are_gcloud_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of cases in one run of gcloud's library."""
    monkeypatch.setenv("TZ", "UTC")
    compared = cases()

    theirs = printed(compared)

    assert len(compared) > 600
    assert len([each for each in theirs if each == ERROR]) < 60, "most cases say something"
    different = [
        (case.format, case.filter, wanted, ours(case)) for case, wanted in zip(compared, theirs, strict=True) if wanted != ours(case)
    ]
    assert [] == different
