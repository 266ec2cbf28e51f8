"""
Continuous analysis against real histories of Alpine's secdb: after each edition, an image's findings are those that hold, and what
was created and deleted on the way is told by events (the answers are apk-tools', see the data's own README).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import bindparam, select

from roadstead.db.database import Database, Statement
from roadstead.db.schema import scanning as tables
from roadstead.scanner.match import Finding
from tests.kit.catalogue import Catalogue, inventory
from tests.kit.clock import Clock
from tests.kit.data import FOLDER, each_file, load

pytestmark = pytest.mark.anyio

i, iv, p, f = (each.c for each in (tables.scanned_images, tables.inventory_versions, tables.package_versions, tables.findings))
FINDINGS = Statement(
    select(f.vulnerability, p.name, p.version, f.content)
    .select_from(
        tables.scanned_images.join(tables.inventory_versions, iv.inventory_id == i.inventory_id)
        .join(tables.package_versions, p.id == iv.version_id)
        .join(tables.findings, f.version_id == p.id)
    )
    .where(i.id == bindparam("image"))
)
EVENTS = Statement(select(tables.scan_events.c.kind, tables.scan_events.c.content).order_by(tables.scan_events.c.id))


@pytest.mark.parametrize("path", each_file("continuous/*.json"))
async def test_every_edition_of_the_feed_is_followed(path: Path, database: Database, clock: Clock) -> None:
    case = load(path)
    own = Catalogue(database, clock)
    image = await own.image("my-project/case", inventory(case["os"]["distro"], case["os"]["release"], case["packages"]))
    told = 0
    for stage in case["stages"]:
        await own.feeds.import_files("alpine-secdb", [FOLDER / stage["dir"]], lossy=True)
        await own.rematch.all()

        found = await database.all(FINDINGS, {"image": image})
        assert {_expected(each) for each in stage["expected"]} == {(row[0], row[1], row[2]) for row in found}
        fixes = {(row[0], row[1]): msgspec.json.decode(row[3], type=Finding).fixed for row in found}
        for each in stage["expected"]:
            assert fixes[each["id"], each["source_name"]] in each["fixed_version_any_of"]

        events = (await database.all(EVENTS, {}))[told:]
        told += len(events)
        sources = {each["name"]: each["source_name"] for each in case["packages"]}
        assert {(vulnerability, sources[name]) for vulnerability, name, *_ in stage["created"]} == _told(events, "FINDING_NEW")
        assert {(vulnerability, sources[name]) for vulnerability, name, *_ in stage["deleted"]} == _told(events, "FINDING_GONE")


def _expected(each: dict[str, Any]) -> tuple[str, str, str]:
    return each["id"], each["source_name"], each["source_version"]


def _told(events: list[Any], kind: str) -> set[tuple[str, str]]:
    read = [msgspec.json.decode(row[1]) for row in events if row[0] == kind]
    return {(each["vulnerability"], each["package"]) for each in read}
