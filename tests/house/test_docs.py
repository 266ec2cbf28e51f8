"""The documents lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec
import pytest

from roadstead import config
from roadstead.api import oauth
from roadstead.api.distribution import routes as distribution
from roadstead.api.google import routes as google
from roadstead.api.signin import pages

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")])

_FENCED = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\s*\)|^\[[^\]]+\]:\s+<?([^\s>]+)", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


def text_of(document: Path) -> str:
    """Without code, where brackets mean other things."""
    return _CODE.sub("", _FENCED.sub("", document.read_text(encoding="utf-8")))


def links(document: Path) -> list[str]:
    return [inline or defined for inline, defined in _LINK.findall(text_of(document))]


def anchors(document: Path) -> set[str]:
    """As forges make them of headings."""
    found = set()
    for heading in _HEADING.findall(_FENCED.sub("", document.read_text(encoding="utf-8"))):
        plain = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
        found.add(plain.replace(" ", "-"))
    return found


def test_there_is_something_to_read() -> None:
    assert ROOT / "README.md" in DOCUMENTS


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_a_relative_link_leads_to_a_file_and_its_heading(document: Path) -> None:
    broken = []
    for link in links(document):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = document if not parts.path else (document.parent / unquote(parts.path)).resolve()
        inside = not parts.path.startswith("/") and target.is_relative_to(ROOT) and target.exists()
        if not inside or (parts.fragment and target.suffix == ".md" and parts.fragment not in anchors(target)):
            broken.append(link)

    assert [] == broken


def test_a_broken_link_would_be_seen(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text("# One *two*\n[x](no.md) [y](a.md#one-two 'title') `[z](code.md)`\n```\n[c](fence.md)\n```\n\n[ref]: there.md\n")

    assert ["no.md", "there.md"] == [link for link in links(document) if not link.startswith("a.md")]
    assert "one-two" in anchors(document)


DECISION = re.compile(r"docs/decisions/[0-9]{4}-[a-z0-9-]+\.md")


def test_a_decision_that_the_code_names_is_written() -> None:
    named = {path for file in ROOT.glob("src/**/*.py") for path in DECISION.findall(file.read_text(encoding="utf-8"))}
    assert named

    assert [] == sorted(path for path in named if not (ROOT / path).exists())


_ROUTE = re.compile(r"^\| `(?P<method>[A-Z]+)` \| `(?P<path>/[^`]*)` \| `?(?P<permission>[A-Za-z.]+)`? \|", re.MULTILINE)


def test_every_route_is_in_the_list_of_apis_with_its_permission() -> None:
    """And nothing that there is not."""
    listed = _ROUTE.findall((ROOT / "docs/apis.md").read_text(encoding="utf-8"))
    there = {
        *((route.method, route.template, route.permission) for route in google.ROUTES),
        *((route.method, route.template, route.permission.value) for route in distribution.ROUTES),
        *((route.method, route.template, route.permission.value) for route in oauth.ROUTES),
        *((route.method, route.template, route.permission.value) for route in pages.ROUTES),
    }

    assert there == set(listed)
    assert len(there) == len(listed), "each once"


def test_every_setting_is_in_the_list_of_settings() -> None:
    text = (ROOT / "docs/configure.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([a-z_]+)` \| `ROADSTEAD_", text, re.MULTILINE))

    assert {field.name for field in msgspec.structs.fields(config.Settings)} == listed
    for table in (config.Location, config.OpenIDProvider):
        assert [] == [field.name for field in msgspec.structs.fields(table) if f"`{field.name}`" not in text]
