"""
One day's advisories against many images: from the import of the changed feed to the last finding, and what it costs by size.

    python bench/rematch.py [--images 10000,100000] [--records 1000] [--engines sqlite,postgres] [--out FILE]

Images are rows made in bulk from real package lists (the folder that ROADSTEAD_TEST_DATA names, or ../shared/data), each with some
packages of other versions, so that inventories and versions differ as those of real images do. The feed is Alpine's complete secdb; the
day changes the fixed version of so many of its records, of packages that images have.
"""

import argparse
import asyncio
import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sqlalchemy import bindparam, func, insert, select  # noqa: E402

from roadstead.db.database import Statement  # noqa: E402
from roadstead.db.schema import scanning as tables  # noqa: E402
from roadstead.db.sqlite import SQLiteDatabase  # noqa: E402
from roadstead.scanner.inventory import Distro, Inventory, Package  # noqa: E402
from tests.kit.catalogue import Catalogue  # noqa: E402
from tests.kit.data import FOLDER, load  # noqa: E402
from tests.kit.schemas import new_database, new_file  # noqa: E402

RELEASE = "3.7"
INVENTORIES_PER_IMAGE = 0.2
OTHER_VERSIONS = 6
BATCH = 2000


def clock() -> int:
    return time.time_ns() // 1000


def packages() -> list[Package]:
    case = load(FOLDER / "cases" / "secdb-alpine37-full.json")
    return [
        Package("apk", each["name"], each["version"], each["source_name"], each["source_version"], each.get("arch") or "x86_64", "")
        for each in case["packages"]
    ]


def inventory(base: list[Package], number: int) -> Inventory:
    """Some packages are of other builds: `-r7` instead of `-r2`."""
    chance = random.Random(number)
    changed = set(chance.sample(range(len(base)), min(OTHER_VERSIONS, len(base))))
    made = [rebuilt(package, chance.randrange(40)) if index in changed else package for index, package in enumerate(base)]
    return Inventory(Distro("alpine", RELEASE), tuple((package, "") for package in made))


def rebuilt(package: Package, build: int) -> Package:
    version = f"{package.source_version.rpartition('-r')[0]}-r{build}"
    return Package("apk", package.name, version, package.source_name, version, package.architecture, "")


async def fill(own: Catalogue, images: int) -> None:
    base = packages()
    kinds = max(1, int(images * INVENTORIES_PER_IMAGE))
    for number in range(kinds):
        await own.image(f"project-{number % 100:03}/app-{number}", inventory(base, number))
        if number % 2000 == 1999:
            print(f"  {number + 1} inventories", file=sys.stderr, flush=True)
    i = tables.scanned_images.c
    of = [int(row[0]) for row in await own.database.all(Statement(select(i.inventory_id).order_by(i.id)), {})]
    names = ("location", "project", "name", "digest", "resource", "inventory_id")
    add = Statement(
        insert(tables.scanned_images).values(
            **{name: bindparam(name) for name in names}, state="FINISHED", error="", analyzer=1, created_at_us=1, scanned_at_us=1
        )
    )
    for start in range(kinds, images, BATCH):
        rows = []
        for number in range(start, min(start + BATCH, images)):
            project, digest = f"project-{number % 100:03}", f"sha256:{number:064x}"
            name = f"{project}/more-{number}"
            rows.append({"location": "gcr", "project": project, "name": name, "digest": digest,
                         "resource": f"gcr.io/{name}@{digest}", "inventory_id": of[number % kinds]})  # fmt: skip
        async with own.database.transaction() as tx:
            await tx.run_many(add, rows)


def feed(folder: Path, changed: int) -> list[Path]:
    """The secdb's files; changed: of so many records the fixed version is another, first of those packages that images have."""
    source = FOLDER / "advisories" / "alpine-secdb-2020-06-08"
    wanted = {package.source_name for package in packages()}
    files = sorted(source.rglob("*.json"))
    left = changed
    found = []
    for number, file in enumerate(sorted(files, key=lambda file: RELEASE not in str(file))):
        database = json.loads(file.read_text())
        entries = sorted(database["packages"], key=lambda each: each["pkg"]["name"] not in wanted)
        for each in entries:
            fixes = each["pkg"]["secfixes"]
            if not isinstance(fixes, dict):
                continue
            new = {}
            for version, ids in fixes.items():
                is_changed = left > 0 and version != "0"
                left -= len(ids) if is_changed else 0
                told = f"{version.rpartition('-r')[0]}-r39" if is_changed and "-r" in version else version
                new.setdefault(told, []).extend(ids)
            each["pkg"]["secfixes"] = new
        made = folder / f"{number:03}-{changed}.json"
        made.write_text(json.dumps(database))
        found.append(made)
    return found


async def count(own: Catalogue, table: object) -> int:
    row = await own.database.one(Statement(select(func.count()).select_from(table)), {})  # type: ignore[arg-type]
    return int(row[0])


async def touched(own: Catalogue) -> tuple[int, int]:
    """Events of findings, and images that have a version with one."""
    e, iv, i = tables.scan_events.c, tables.inventory_versions.c, tables.scanned_images.c
    events = select(e.version_id).where(e.version_id.is_not(None)).distinct().subquery()
    images = (
        select(func.count(i.id.distinct()))
        .select_from(events.join(tables.inventory_versions, iv.version_id == events.c.version_id))
        .join(tables.scanned_images, i.inventory_id == iv.inventory_id)
    )
    found = await own.database.one(Statement(select(func.count()).where(e.version_id.is_not(None))), {})
    row = await own.database.one(Statement(images), {})
    return int(found[0]), int(row[0])


async def measure(engine: str, images: int, records: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="roadstead-bench-") as folder:
        database = await open_database(engine, Path(folder))
        own = Catalogue(database, clock)
        await own.feeds.import_files("alpine-secdb", feed(Path(folder), 0))
        begun = time.monotonic()
        await fill(own, images)
        filled = time.monotonic() - begun
        changed = feed(Path(folder), records)
        begun = time.monotonic()
        loaded = await own.feeds.import_files("alpine-secdb", changed)
        imported = time.monotonic() - begun
        changes = await own.rematch.all()
        seconds = time.monotonic() - begun
        events, hit = await touched(own)
        result = {
            "engine": engine, "images": images, "inventories": await count(own, tables.inventories),
            "versions": await count(own, tables.package_versions), "findings": await count(own, tables.findings),
            "records changed": loaded.changed + loaded.added + loaded.removed, "packages matched": loaded.packages,
            "findings changed": changes.new + changes.changed + changes.gone, "events": events, "images touched": hit,
            "import s": round(imported, 2), "to the last finding s": round(seconds, 2),
            "images touched per s": round(hit / seconds), "rows made in s": round(filled, 1),
            "peak memory MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }  # fmt: skip
        await database.close()
        return result


async def open_database(engine: str, folder: Path):
    if engine == "sqlite":
        new_file(folder / "registry.sqlite")
        return SQLiteDatabase(folder / "registry.sqlite")
    from roadstead.db.postgres import PostgresDatabase

    return PostgresDatabase(await asyncio.to_thread(new_database), 4)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--images", default="10000,100000")
    arguments.add_argument("--records", type=int, default=1000)
    arguments.add_argument("--engines", default="sqlite")
    arguments.add_argument("--out", type=Path)
    asked = arguments.parse_args()
    if not FOLDER.is_dir():
        sys.exit(f"needs the scanning test data: no folder {FOLDER} (set ROADSTEAD_TEST_DATA)")
    results = []
    for engine in asked.engines.split(","):
        for images in map(int, asked.images.split(",")):
            results.append(asyncio.run(measure(engine, images, asked.records)))
            print("  ".join(f"{name}: {value}" for name, value in results[-1].items()), flush=True)
    if asked.out:
        asked.out.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
