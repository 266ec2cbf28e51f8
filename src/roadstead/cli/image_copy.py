"""`roadstead container images copy`"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from roadstead.cli import progress
from roadstead.cli.copying import Copied, Copier, Moved, below, each, references
from roadstead.cli.image_hosts import Hosts
from roadstead.cli.image_names import InvalidName, Name, parse_image, parse_repository
from roadstead.cli.image_names import parse as parse_name
from roadstead.cli.image_search import whole
from roadstead.cli.options import Options, asking
from roadstead.cli.output import Failed, note, plain, show_one, size
from roadstead.cli.registry_client import Registry

ATTEMPTS = 6
JOBS = 4
"""Blobs at once."""


@dataclass(slots=True)
class _Report:
    """What has become of the images so far."""

    options: Options
    copied: list[Copied] = field(default_factory=list)
    failed: list[tuple[Name, str]] = field(default_factory=list)

    def add(self, image: Copied) -> None:
        self.copied.append(image)
        verb = "Copied" if image.is_new else "Already there:"
        sentence = f"{verb} [{image.source}] to [{image.target}] ({image.digest}): {_moved(image.moved)}."
        if self.options.format:
            note(sentence)
        else:
            print(plain(sentence), flush=True)

    def fail(self, image: Name, error: Failed) -> None:
        self.failed.append((image, error.message))
        note(f"Failed to copy [{image}]: {error.message}")

    def end(self, total: Moved) -> None:
        """Raises Failed where something was not copied."""
        if self.options.format:
            show_one(_summary(self, total), self.options)
        elif len(self.copied) + len(self.failed) > 1:
            print(f"{sum(image.is_new for image in self.copied)} copied, {_moved(total)}.")
        if self.failed:
            raise Failed(f"{len(self.failed)} images were not copied: run it once more, what is there is not sent again")


@asking
def copy(
    options: Options,
    source: Annotated[str, typer.Argument(metavar="SRC", help="HOST/PROJECT/IMAGE[:TAG|@DIGEST], or a folder with --recursive.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="HOST/PROJECT/IMAGE[:TAG]; without a tag it gets SRC's.")],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="All images in and below SRC, with all tags.")] = False,
    all_tags: Annotated[bool, typer.Option("--all-tags", "-a", help="All tags of the image SRC.")] = False,
    with_referrers: Annotated[
        bool, typer.Option("--with-referrers", help="Also signatures, attestations and all else that says it is about the image.")
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, max=32, help="So many blobs at once.")] = JOBS,
    src_server: Annotated[
        str, typer.Option(help="The server of SRC, where its host alone does not say that.", show_default=False, metavar="SERVER")
    ] = "",
) -> None:
    """
    Copy images between projects, locations, servers and registries.

    Within a server no bytes are moved. What is there already is not sent again: after an interruption, run it once more.

    \b
    Example: roadstead container images copy gcr.io/shop-test/web:v1 eu.gcr.io/shop-images/web
    Example: roadstead container images copy -r --src-server https://old.example.com gcr.io/shop gcr.io/shop
    """
    if recursive and all_tags:
        raise InvalidName("--recursive has all tags: --all-tags is for one image")
    read = parse_repository if recursive or all_tags else parse_image
    named = read(source), (parse_repository if recursive or all_tags else parse_name)(target)
    if "/" not in named[1].repository and not recursive:
        raise InvalidName("Pushing to project root-level images is disabled. Name an image in a project, e.g. gcr.io/project-id/my-image")

    async def run() -> None:
        async with Hosts(options.server, options.account, options.ca, ATTEMPTS) as hosts:
            registries = hosts.registry(named[0].host, src_server), hosts.registry(named[1].host)
            with progress.Progress() as shown:
                copier = Copier(*registries, jobs, lambda moved: _show(shown, moved), with_referrers=with_referrers)
                report = _Report(options)
                if recursive or all_tags:
                    await _many(copier, registries[0], *named, report, recursive=recursive, jobs=jobs)
                else:
                    report.add(await copier.copy(await whole(registries[0], named[0]), _aim(*named)))
            report.end(copier.total)

    progress.run(run())


def _aim(source: Name, target: Name) -> Name:
    if target.reference or not source.tag:
        return target
    return target.at(source.tag)


async def _many(copier: Copier, registry: Registry, source: Name, target: Name, report: _Report, *, recursive: bool, jobs: int) -> None:
    """Tags first, so that what is left without one is only what no index has brought already."""
    repositories = await below(registry, source) if recursive else [source.repository]
    tagged: list[Name] = []
    untagged: list[Name] = []
    for repository in repositories:
        for reference in await references(registry, repository, untagged=recursive):
            (untagged if ":" in reference else tagged).append(Name(source.host, repository).at(reference))
    if not tagged and not untagged:
        raise Failed(f"there are no images in {source}")

    async def one(image: Name) -> None:
        try:
            copied = await copier.copy(image, image.inside(source, target).at(image.reference))
        except Failed as error:
            report.fail(image, error)
            return
        if copied.is_new or image.tag:
            report.add(copied)

    await each(tagged, one, jobs)
    await each(untagged, one, jobs)


def _moved(moved: Moved) -> str:
    counts = ((moved.mounted, "mounted"), (moved.there, "there already"), (moved.sent, f"sent ({size(moved.bytes_sent)})"))
    return ", ".join(f"{count} blobs {how}" for count, how in counts if count) or "nothing sent"


def _show(shown: progress.Progress, moved: Moved) -> None:
    if sys.stderr.isatty():
        shown.show("copying", moved.mounted + moved.there + moved.sent, moved.all_blobs, moved.bytes_sent, moved.all_bytes)


def _summary(report: _Report, total: Moved) -> dict[str, Any]:
    return {
        "images": [
            {
                "source": str(each.source),
                "target": str(each.target),
                "digest": each.digest,
                "state": "copied" if each.is_new else "unchanged",
            }
            for each in report.copied
        ],
        "failed": [{"source": str(name), "error": error} for name, error in report.failed],
        "blobs": {"mounted": total.mounted, "unchanged": total.there, "sent": total.sent},
        "bytesSent": total.bytes_sent,
    }
