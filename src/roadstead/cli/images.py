"""
`roadstead container images`, also `roadstead images`: what gcloud's commands of this name do, in its words.

Spec: `gcloud container images --help`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer

from roadstead.cli import image_copy, vulnerabilities
from roadstead.cli.copying import Copier
from roadstead.cli.image_hosts import Hosts
from roadstead.cli.image_names import InvalidName, Name, parse, parse_image, parse_repository, parse_tag
from roadstead.cli.image_search import found, manifests, tags_of, whole
from roadstead.cli.options import Options, asking, listing
from roadstead.cli.output import Failed, confirm, note, show_list, show_one
from roadstead.cli.registry_answers import Refusal

T = TypeVar("T")

TAGS_FORMAT = "table(digest.slice(7:19).join(''), tags.list(), timestamp.date():optional)"
_HELP = "Images in the registry: list, describe, tag, untag, delete and copy them."

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=_HELP)
container = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Container images, named as in gcloud.")
container.add_typer(app, name="images")
app.command("copy")(image_copy.copy)
app.command("list-vulnerabilities")(vulnerabilities.list_vulnerabilities)
app.command("sbom")(vulnerabilities.sbom)

ImageArgument = Annotated[str, typer.Argument(metavar="IMAGE_NAME", help="HOST/PROJECT/IMAGE[:TAG|@DIGEST].")]
ImagesArgument = Annotated[list[str], typer.Argument(metavar="IMAGE_NAME", help="HOST/PROJECT/IMAGE[:TAG|@DIGEST].")]


@app.command("list")
@listing
def list_images(
    options: Options,
    repository: Annotated[
        str, typer.Option("--repository", help="HOST/PROJECT[/FOLDER]. [default: gcr.io/ and the project]", show_default=False)
    ] = "",
) -> None:
    """
    List the images of a project or folder.

    \b
    Example: roadstead container images list --repository=gcr.io/shop-images
    """
    said = repository or f"gcr.io/{options.need_project().replace(':', '/', 1)}"
    folder = parse_repository(said)

    async def listed(hosts: Hosts) -> list[str]:
        return list((await hosts.registry(folder.host).listing(folder.repository)).child or ())

    with _told(said):
        children = _with_hosts(options, listed)
    show_list([{"name": f"{folder.path}/{each}"} for each in children], "table(name)", options, "Listed 0 items.")
    if not repository:
        note(f"Only listing images in {said}. Use --repository to list images in other repositories.")


@app.command("list-tags")
@listing
def list_tags(options: Options, image: Annotated[str, typer.Argument(metavar="IMAGE_NAME", help="HOST/PROJECT/IMAGE.")]) -> None:
    """
    List the digests of an image with their tags, the newest first.

    \b
    Example: roadstead container images list-tags gcr.io/shop-images/web --filter="NOT tags:*" --format="get(digest)"
    """
    name = parse_repository(image)

    with _told(image):
        known = _with_hosts(options, lambda hosts: manifests(hosts.registry(name.host), name.repository))
    rows = [{"digest": digest, "tags": list(about.tag), "timestamp": created(about.time_created_ms)} for digest, about in known.items()]
    show_list(rows, TAGS_FORMAT, replace(options, sort_by=options.sort_by or "~timestamp"), "Listed 0 items.")


@app.command("describe")
@asking
def describe(
    options: Options,
    image: ImageArgument,
    show_package_vulnerability: Annotated[
        bool, typer.Option("--show-package-vulnerability", help="Also what the scan of its packages found.")
    ] = False,
) -> None:
    """
    Show an image's digest and where it is, and what is known of its packages.

    \b
    Example: roadstead container images describe gcr.io/shop-images/web:v1 --format="value(image_summary.digest)"
    """
    named = parse_image(image)
    with _told(image):
        name = _with_hosts(options, lambda hosts: _digest(hosts, named))
    about = {"digest": name.digest, "fully_qualified_digest": str(name), "registry": name.host, "repository": name.repository}
    found_in = {"package_vulnerability_summary": vulnerabilities.summary(options, name)} if show_package_vulnerability else {}
    show_one({"image_summary": about, **found_in}, options)


@app.command("add-tag")
@asking
def add_tag(
    options: Options,
    source: Annotated[str, typer.Argument(metavar="SRC_IMAGE", help="HOST/PROJECT/IMAGE[:TAG|@DIGEST].")],
    targets: Annotated[list[str], typer.Argument(metavar="DEST_IMAGE", help="HOST/PROJECT/IMAGE:TAG, wherever it is.")],
) -> None:
    """
    Add tags to an image, in its own repository or in others, which then have it too.

    \b
    Example: roadstead container images add-tag gcr.io/shop-images/web:v1 gcr.io/shop-images/web:production
    """
    named, wanted = parse_image(source), [_destination(each) for each in targets]
    if sys.stdin.isatty():
        confirm("\n".join([f"This will tag {named} with:", *map(str, wanted)]), options)

    async def tag(hosts: Hosts) -> None:
        registry = hosts.registry(named.host)
        whole_name = await whole(registry, named)
        for each in wanted:
            copier = Copier(registry, hosts.registry(each.host), image_copy.JOBS, lambda moved: None, with_referrers=False)
            await copier.copy(whole_name, each)
            note(f"Created [{each}].")

    with _told(""):
        _with_hosts(options, tag, attempts=image_copy.ATTEMPTS)
    _show_names(wanted, options)


@app.command("untag")
@asking
def untag(options: Options, images: Annotated[list[str], typer.Argument(metavar="IMAGE_NAME", help="HOST/PROJECT/IMAGE:TAG.")]) -> None:
    """
    Remove tags. The images they stood for stay, under their digests.

    \b
    Example: roadstead container images untag gcr.io/shop-images/web:v1
    """
    tags = list(dict.fromkeys(parse_tag(each) for each in images))
    with _told(""):
        digests = _with_hosts(options, lambda hosts: _all_found(hosts, tags, "Image could not be found: [{}]"))
    for tag, digest in zip(tags, digests, strict=True):
        note(f"Tag: [{tag}]\n- referencing digest: [{digest}]\n")
    confirm(
        "This operation will remove the above tags. Tag removals only delete the tags; The underlying image layers (referenced by the "
        "above digests) will continue to exist.",
        options,
    )

    async def remove(hosts: Hosts) -> None:
        for tag, digest in zip(tags, digests, strict=True):
            await hosts.registry(tag.host).delete(tag.repository, tag.tag)
            note(f"Deleted [[{tag}] (referencing [{digest}])].")

    with _told(""):
        _with_hosts(options, remove)
    _show_names(tags, options)


@app.command("delete")
@asking
def delete(
    options: Options,
    images: ImagesArgument,
    force_delete_tags: Annotated[bool, typer.Option("--force-delete-tags", help="Also the tags that were not named.")] = False,
) -> None:
    """
    Delete images, and the tags that were named with them.

    \b
    Example: roadstead container images delete gcr.io/shop-images/web:v1 --force-delete-tags
    """
    named = list(dict.fromkeys(map(parse_image, images)))
    for text in images:
        if not parse(text).reference:
            note(f'WARNING: Implicit ":latest" tag specified: {text}')
    with _told(""):
        digests, implicit = _with_hosts(options, lambda hosts: _going(hosts, named))
    explicit = [each for each in named if each.tag]
    unsaid = [tag for tags in implicit.values() for tag in tags if tag not in explicit]
    if unsaid and not force_delete_tags:
        note("\n".join(["Tags:", *(f"- {each}" for each in unsaid)]))
        raise Failed(
            "This operation will implicitly delete the tags listed above. Please manually remove with the `untag` command or re-run with "
            "--force-delete-tags to confirm."
        )
    _show_going(digests, implicit, explicit)
    confirm("This operation will delete the tags and images identified by the digests above.", options)
    going = [*explicit, *unsaid, *digests]

    async def remove(hosts: Hosts) -> None:
        # Tags first: what has one is not deleted.
        for each in going:
            await hosts.registry(each.host).delete(each.repository, each.reference)
            note(f"Deleted [{each}].")

    with _told(""):
        _with_hosts(options, remove)
    _show_names(going, options)


def created(text: str) -> dict[str, Any] | None:
    """Milliseconds as the time of this machine's zone, in gcloud's parts; None where no calendar has it, as of images without a time."""
    try:
        at = datetime.fromtimestamp(round(float(text) / 1000), UTC).astimezone()
    except (ValueError, OverflowError, OSError):
        return None
    parts = ("day", "fold", "hour", "microsecond", "minute", "month", "second", "year")
    return {"datetime": str(at), **{name: getattr(at, name) for name in parts}}


def _destination(text: str) -> Name:
    name = parse(text)
    if not name.tag:
        raise InvalidName(f"[{text}] must say which tag: HOST/PROJECT/IMAGE:TAG")
    if "/" not in name.repository:
        raise InvalidName(
            "Pushing to project root-level images is disabled. Please designate an image within a project, "
            "e.g. gcr.io/project-id/my-image:tag"
        )
    return name


async def _digest(hosts: Hosts, name: Name) -> Name:
    digest = await found(hosts.registry(name.host), name)
    if name.tag:
        note("WARNING: Successfully resolved tag to sha256, but it is recommended to use sha256 directly.")
    return digest


async def _all_found(hosts: Hosts, names: Sequence[Name], missing: str) -> list[Name]:
    """missing: the sentence for one that is not there."""
    digests = []
    for each in names:
        try:
            digests.append(await _digest(hosts, each))
        except InvalidName as error:
            raise InvalidName(missing.format(each)) from error
    return digests


async def _going(hosts: Hosts, named: Sequence[Name]) -> tuple[list[Name], dict[Name, list[Name]]]:
    """Digests of what was named, and the tags that each has, in one look at each repository."""
    digests = list(dict.fromkeys([await _digest(hosts, each) for each in named]))
    return digests, {each: await tags_of(hosts.registry(each.host), each) for each in digests}


def _show_going(digests: Sequence[Name], tags: dict[Name, list[Name]], explicit: Sequence[Name]) -> None:
    lines = ["Digests:"]
    for each in digests:
        lines.append(f"- {each}")
        if tags[each]:
            lines += ["  Associated tags:", *(f" - {tag.tag}" for tag in tags[each])]
    if explicit:
        lines += ["Tags:", *(f"- {each}" for each in explicit)]
    note("\n".join(lines))


def _show_names(names: Sequence[Name], options: Options) -> None:
    """Nothing, unless --format asks for it: what was done is told already."""
    if options.format:
        show_list([{"name": str(each)} for each in names], "none", options)


def _with_hosts(options: Options, work: Callable[[Hosts], Awaitable[T]], attempts: int = 3) -> T:
    async def run() -> T:
        async with Hosts(options.server, options.account, options.ca, attempts) as hosts:
            return await work(hosts)

    return asyncio.run(run())


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Refusals as gcloud tells them. name: of the image that was asked for, "" for several."""
    try:
        yield
    except Refusal as error:
        if error.status in (401, 403):
            raise Failed(f"Access denied: {name or error.message}") from error
        if error.status == 404:
            raise Failed(f"Not found: {name or error.message}") from error
        raise
