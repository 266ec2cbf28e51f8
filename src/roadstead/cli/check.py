"""`roadstead check`"""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from roadstead import config
from roadstead.cli.gc import existing
from roadstead.cli.output import Format, print_json, print_table, size

if TYPE_CHECKING:
    from roadstead.registry.check import Checked, Finding


def check(
    data: Annotated[Optional[Path], typer.Option(help="The server's data folder. [default: data]")] = None,  # noqa: UP045
    config_file: Annotated[Optional[Path], typer.Option("--config", help="TOML file with settings.")] = None,  # noqa: UP045
    repair: Annotated[bool, typer.Option("--repair", help="Remove orphans; put damaged files aside, so that a push heals them.")] = False,
    output: Annotated[Format, typer.Option("--format", help="table or json.")] = Format.TABLE,
) -> None:
    """Read every blob and manifest and compare it with its digest. Exit code 1 if something is wrong and was not mended."""
    settings = config.load(config_file, {"data": data})
    checked, findings = asyncio.run(_check(settings, repair))
    if output is Format.JSON:
        print_json(
            {
                "blobs": checked.blobs,
                "manifests": checked.manifests,
                "sizeBytes": checked.size_bytes,
                "findings": [dataclasses.asdict(finding) for finding in findings],
            }
        )
    else:
        if findings:
            rows = [[f.kind, f.what, f.location, f.name, f.used_by, "yes" if f.repaired else "no"] for f in findings]
            print_table(["finding", "what", "location", "name", "used by", "mended"], rows)
        print(f"{checked.blobs} blobs ({size(checked.size_bytes)}) and {checked.manifests} manifests read, {len(findings)} findings.")
    raise typer.Exit(1 if any(not finding.repaired for finding in findings) else 0)


async def _check(settings: config.Settings, repair: bool) -> tuple[Checked, list[Finding]]:
    from roadstead import wiring
    from roadstead.registry.check import Checked, Checker, Finding

    existing(settings)
    broken = wiring.database_problems(settings)
    if broken:
        # Nothing that a broken database says can be relied on: restoring a backup comes first.
        return Checked(), [Finding("corrupt", "database", "", problem, "", repaired=False) for problem in broken]
    await wiring.prepare_here(settings)
    own = wiring.parts(settings)
    checker = Checker(own.database, own.stores, repair, _progress)
    try:
        return checker.checked, await checker.run()
    finally:
        await own.database.close()


def _progress(checked: Checked) -> None:
    if sys.stderr.isatty():
        print(f"\r{checked.blobs} blobs ({size(checked.size_bytes)}), {checked.manifests} manifests", end="", file=sys.stderr, flush=True)
