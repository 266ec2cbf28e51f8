"""`roadstead advisories`: on the server's own machine, or on any that reaches its database."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional, TypeVar

import typer

from roadstead import config
from roadstead.cli.gc import existing
from roadstead.cli.output import Failed, Format, print_json, print_rows

if TYPE_CHECKING:
    from roadstead.scanning.loads import Loaded
    from roadstead.scans import Scanning

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Advisories that images are matched with.")

T = TypeVar("T")
Data = Annotated[Optional[Path], typer.Option(help="The server's data folder. [default: data]")]  # noqa: UP045
Config = Annotated[Optional[Path], typer.Option("--config", help="TOML file with settings.")]  # noqa: UP045
Output = Annotated[Format, typer.Option("--format", help="table or json.")]
Loss = Annotated[bool, typer.Option("--accept-loss", help="Also when the feed has lost much of what it held.")]
Wait = Annotated[bool, typer.Option("--wait", help="Return when all images are matched with what is new.")]


@app.command("import")
def import_files(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE_OR_FOLDER...", help="JSON files, folders of them, zip or tar archives.")],
    feed: Annotated[str, typer.Option(help="The feed's name, such as debian-tracker, alpine-secdb or osv.")],
    wait: Wait = False,
    accept_loss: Loss = False,
    data: Data = None,
    config_file: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """
    Load advisories from files: what they hold together takes the place of what the feed held before.

    \b
    Example: roadstead advisories import --feed alpine-secdb --wait v3.22/main.json v3.22/community.json
    """

    async def load(scanning: Scanning) -> Loaded:
        loaded = await scanning.feeds.import_files(feed, paths, accept_loss)
        if wait:
            await _wait(scanning)
        return loaded

    loaded = _run(config.load(config_file, {"data": data}), load)
    if output is Format.JSON:
        print_json(_of_loaded(loaded))
    else:
        print(f"{feed}: {_sentence(loaded)}")


@app.command("update")
def update(
    names: Annotated[Optional[list[str]], typer.Argument(metavar="[FEED]...", help="Of the settings; all without.")] = None,  # noqa: UP045
    wait: Wait = False,
    accept_loss: Loss = False,
    data: Data = None,
    config_file: Config = None,
    output: Output = Format.TABLE,
) -> None:
    """
    Fetch the feeds of the settings that have changed. The server does the same by itself every few hours.

    \b
    Example: roadstead advisories update debian-tracker
    """

    async def fetch(scanning: Scanning) -> dict[str, Loaded | str | None]:
        done = await scanning.feeds.update(names or (), accept_loss)
        if wait:
            await _wait(scanning)
        return done

    done = _run(config.load(config_file, {"data": data}), fetch)
    failed = [name for name, loaded in done.items() if isinstance(loaded, str)]
    if output is Format.JSON:
        print_json({name: _of_update(loaded) for name, loaded in done.items()})
    else:
        for name, loaded in done.items():
            print(f"{name}: {'nothing has changed' if loaded is None else loaded if isinstance(loaded, str) else _sentence(loaded)}")
    if failed:
        raise Failed(f"not fetched: {', '.join(failed)}")


@app.command("status")
def status(data: Data = None, config_file: Config = None, output: Output = Format.TABLE) -> None:
    """
    Show what feeds hold, since when, and of which releases.

    \b
    Example: roadstead advisories status --format json
    """

    async def ask(scanning: Scanning) -> tuple[list[Any], int]:
        return await scanning.feeds.status(), await scanning.rematch.left()

    feeds, left = _run(config.load(config_file, {"data": data}), ask)
    if output is Format.JSON:
        print_json({"feeds": [_of_status(each) for each in feeds], "packagesToMatch": left})
        return
    rows = [
        [each.name, each.form, str(each.records), _releases(each), _time(each.loaded_at_us), _time(each.checked_at_us), each.error]
        for each in feeds
    ]
    print_rows(
        ["FEED", "KIND", "RECORDS", "RELEASES", "LOADED", "CHECKED", "ERROR"], rows, "No feed was loaded, and the settings name none."
    )
    if left:
        print(f"{left} packages are still to be matched with what has changed.")


async def _wait(scanning: Scanning) -> None:
    """The worker does it too; both together are done when nothing is left."""
    while left := await scanning.rematch.left():
        print(f"{left} packages to match", file=sys.stderr, flush=True)
        await scanning.rematch.all()


def _run(settings: config.Settings, work: Callable[[Scanning], Awaitable[T]]) -> T:
    from roadstead import log, wiring
    from roadstead.errors import FeedInvalid, FeedShrunk

    log.configure("error")
    existing(settings)

    async def run() -> T:
        await wiring.prepare_here(settings)
        own = wiring.parts(settings)
        if own.scanning is None:
            raise Failed("without accounts nothing is scanned: leave `accounts` on")
        try:
            return await work(own.scanning())
        finally:
            await own.database.close()

    try:
        return asyncio.run(run())
    except (FeedInvalid, FeedShrunk) as error:
        raise Failed(error.message) from error


def _sentence(loaded: Loaded) -> str:
    ended = f"; no longer told of, and kept: {', '.join(loaded.ended_releases)}" if loaded.ended_releases else ""
    skipped = f", {loaded.skipped} that make no sense left out" if loaded.skipped else ""
    return (
        f"{loaded.records} records{skipped}: {loaded.added} new, {loaded.changed} changed, {loaded.removed} gone; "
        f"{loaded.packages} packages of images are matched again{ended}"
    )


def _of_loaded(loaded: Loaded) -> dict[str, Any]:
    return {_camel(name): value for name, value in asdict(loaded).items()}


def _of_update(loaded: Loaded | str | None) -> dict[str, Any]:
    if loaded is None:
        return {"changed": False}
    return {"error": loaded} if isinstance(loaded, str) else {"changed": True, **_of_loaded(loaded)}


def _of_status(feed: Any) -> dict[str, Any]:
    found = {_camel(name): value for name, value in asdict(feed).items() if not name.endswith("_us")}
    return {**found, "checkedAt": _time(feed.checked_at_us), "loadedAt": _time(feed.loaded_at_us)}


def _releases(feed: Any) -> str:
    return ", ".join(f"{each.ecosystem} {each.release}".rstrip() + (" (ended)" if each.ended else "") for each in feed.releases)


def _time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at_us else ""


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)
