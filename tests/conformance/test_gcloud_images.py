"""`gcloud container images`, unchanged, as Container Registry's users type it: gcr.io itself, over HTTPS (contract.md, 1)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.kit import gcloud_output
from tests.kit.accounts import REGISTRY_API
from tests.kit.content import complete_image, complete_index, is_absent, manifest_of
from tests.kit.gcr import Gcr, GcrGCloud, installed_as_gcr
from tests.kit.google import needs_gcloud
from tests.kit.push import Document, image, index, push, push_blob

pytestmark = [pytest.mark.slow, needs_gcloud]


@pytest.fixture(scope="module")
def gcr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gcr]:
    with installed_as_gcr("https", tmp_path_factory.mktemp("images")) as found:
        yield found


@pytest.fixture(scope="module")
def home(gcr: Gcr) -> str:
    """The project that gcloud is set to."""
    return gcr.installation.project()


@pytest.fixture(scope="module")
def gcloud(gcr: Gcr, home: str, tmp_path_factory: pytest.TempPathFactory) -> GcrGCloud:
    return gcr.gcloud(tmp_path_factory.mktemp("gcloud"), home)


@pytest.fixture(scope="module")
def owner(gcr: Gcr) -> httpx.Client:
    return gcr.installation.owner


def pushed(client: httpx.Client, repository: str, created: str, *tags: str, unique: str = "") -> Document:
    """An image that says when it was made. Without a tag it is pushed by its digest."""
    config, layer = json.dumps({"created": created, "os": "linux", "unique": unique}).encode(), f"{repository} {created} {unique}".encode()
    for blob in (config, layer):
        push_blob(client, repository, blob)
    document = image(config, [layer])
    for reference in tags or (document.digest,):
        response = push(client, repository, document, reference)
        assert 201 == response.status_code, response.text
    return document


def pushed_index(client: httpx.Client, repository: str, tag: str) -> Document:
    children = [pushed(client, repository, "2024-01-01T00:00:00Z", unique=name) for name in ("amd64", "arm64")]
    document = index(children)
    assert 201 == push(client, repository, document, tag).status_code
    return document


@dataclass(frozen=True, slots=True)
class Shelf:
    """A project with two images in `nginx`, one of them with two tags, and one in a folder."""

    project: str
    old: Document
    new: Document


@pytest.fixture(scope="module")
def shelf(gcr: Gcr, owner: httpx.Client) -> Shelf:
    project = gcr.installation.project()
    old = pushed(owner, f"{project}/nginx", "2024-02-03T04:05:06.789Z", "v1")
    new = pushed(owner, f"{project}/nginx", "2024-03-04T05:06:07Z", "v2", "latest")
    pushed(owner, f"{project}/team/app", "2024-01-01T00:00:00Z", "v1")
    return Shelf(project, old, new)


@pytest.fixture(scope="module")
def known(gcr: Gcr, owner: httpx.Client) -> None:
    made = owner.post("/v1/projects", json={"projectId": gcloud_output.PROJECT, "name": "Golden"})
    assert 200 == made.status_code, made.text
    gcr.installation.enable(gcloud_output.PROJECT, REGISTRY_API)
    gcloud_output.push_known(owner)


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def test_images_are_listed(gcr: Gcr, gcloud: GcrGCloud, shelf: Shelf) -> None:
    """A folder stands in the list like an image, and has a list of its own."""
    here = f"{gcr.host()}/{shelf.project}"

    assert ["NAME", f"{here}/nginx", f"{here}/team"] == lines(gcloud("container", "images", "list", f"--repository={here}"))
    assert ["NAME", f"{here}/team/app"] == lines(gcloud("container", "images", "list", f"--repository={here}/team"))


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("list", f"--repository=gcr.io/{gcloud_output.PROJECT}"), gcloud_output.LIST),
        (("list-tags", f"gcr.io/{gcloud_output.PROJECT}/nginx"), gcloud_output.LIST_TAGS),
        (("describe", f"gcr.io/{gcloud_output.PROJECT}/nginx:v1"), gcloud_output.DESCRIBE),
    ],
    ids=["list", "list-tags", "describe"],
)
def test_its_words_are_written_down(gcr: Gcr, gcloud: GcrGCloud, known: None, arguments: Sequence[str], wanted: str) -> None:
    """What our own command line is compared with."""
    done = gcloud.run("container", "images", *arguments)

    assert wanted == done.stdout, done.stderr


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (["--filter=name~nginx", "--format=value(name)"], ["nginx"]),
        (["--limit=1", "--format=get(name)"], ["nginx"]),
        (["--sort-by=~name", "--format=csv[no-heading](name)"], ["team", "nginx"]),
    ],
    ids=["filter", "limit", "sort-by"],
)
def test_a_list_of_images_is_chosen_from(gcr: Gcr, gcloud: GcrGCloud, shelf: Shelf, flags: list[str], names: list[str]) -> None:
    here = f"{gcr.host()}/{shelf.project}"

    assert [f"{here}/{name}" for name in names] == lines(gcloud("container", "images", "list", f"--repository={here}", *flags))


def test_tags_are_listed(gcr: Gcr, gcloud: GcrGCloud, shelf: Shelf) -> None:
    """The newest first. The time is that of the image's making, as its config says."""
    head, *rows = lines(gcloud("container", "images", "list-tags", f"{gcr.host()}/{shelf.project}/nginx"))

    assert ["DIGEST", "TAGS", "TIMESTAMP"] == head.split()
    assert [
        [shelf.new.digest[7:19], "latest,v2", "2024-03-04T05:06:07"],
        [shelf.old.digest[7:19], "v1", "2024-02-03T04:05:07"],
    ] == [row.split() for row in rows]


@pytest.mark.parametrize("track", [(), ("beta",)], ids=["ga", "beta"])
def test_a_list_of_tags_is_chosen_from(gcr: Gcr, gcloud: GcrGCloud, shelf: Shelf, track: Sequence[str]) -> None:
    """beta asks for occurrences too, unless told not to."""
    flags = ["--no-show-occurrences"] if track else []
    name = f"{gcr.host()}/{shelf.project}/nginx"
    wanted = ["--filter=tags:v1", "--sort-by=TIMESTAMP", "--limit=1", "--format=json"]

    (found,) = json.loads(gcloud(*track, "container", "images", "list-tags", name, *wanted, *flags))

    assert (shelf.old.digest, ["v1"]) == (found["digest"], found["tags"])
    assert (2024, 2, 3, 4, 5, 7) == tuple(found["timestamp"][each] for each in ("year", "month", "day", "hour", "minute", "second"))


def test_an_unknown_repository_has_no_tags(gcr: Gcr, gcloud: GcrGCloud, shelf: Shelf) -> None:
    done = gcloud.run("container", "images", "list-tags", f"{gcr.host()}/{shelf.project}/nothing")

    assert "Not found" in done.stderr or "Listed 0 items" in done.stderr, done.stderr


@pytest.mark.parametrize("by", ["tag", "digest", "beginning of a digest", "nothing: latest"])
def test_an_image_is_described(gcr: Gcr, gcloud: GcrGCloud, shelf: Shelf, by: str) -> None:
    name, digest = f"{gcr.host()}/{shelf.project}/nginx", shelf.new.digest
    reference = {"tag": ":v2", "digest": f"@{digest}", "beginning of a digest": f"@{digest[:15]}"}.get(by, "")

    found = json.loads(gcloud("container", "images", "describe", f"{name}{reference}", "--format=json"))

    assert {
        "digest": digest,
        "fully_qualified_digest": f"{name}@{digest}",
        "registry": gcr.host(),
        "repository": f"{shelf.project}/nginx",
    } == found["image_summary"]


def test_what_is_not_there_is_not_described(gcr: Gcr, gcloud: GcrGCloud, shelf: Shelf) -> None:
    for reference in (":none", f"@sha256:{'0' * 64}"):
        done = gcloud.run("container", "images", "describe", f"{gcr.host()}/{shelf.project}/nginx{reference}")

        assert 1 == done.returncode
        assert "is not found or is not a valid name" in done.stderr


def test_a_tag_is_added(gcr: Gcr, gcloud: GcrGCloud, home: str, owner: httpx.Client) -> None:
    """Several at once, in the same repository."""
    repository = f"{home}/tagged"
    document = pushed(owner, repository, "2024-01-01T00:00:00Z", "v1")
    name = f"{gcr.host()}/{repository}"

    gcloud("container", "images", "add-tag", f"{name}:v1", f"{name}:stable", f"{name}:v1.0")

    assert {document.digest} == {manifest_of(owner, repository, tag).digest for tag in ("v1", "stable", "v1.0")}


@pytest.mark.parametrize(("target", "location"), [("gcr.io", "gcr.io"), ("eu.gcr.io", "eu.gcr.io")], ids=["project", "host"])
def test_an_image_is_copied(gcr: Gcr, gcloud: GcrGCloud, home: str, owner: httpx.Client, target: str, location: str) -> None:
    """To another project, and to another host: `add-tag` downloads every blob and uploads it again."""
    other = gcr.installation.project()
    document = pushed(owner, f"{home}/copied", "2024-01-01T00:00:00Z", "v1")

    gcloud("container", "images", "add-tag", f"{gcr.host()}/{home}/copied:v1", f"{gcr.host(target)}/{other}/copied:v2")

    with gcr.installation.client(gcr.installation.owner_token, Host=location) as there:
        assert document.payload == complete_image(there, f"{other}/copied", "v2").payload
        assert is_absent(there, f"{other}/copied", "v1")
    if target != "gcr.io":
        assert is_absent(owner, f"{other}/copied", "v2")


def test_an_index_is_copied_with_its_images(gcr: Gcr, gcloud: GcrGCloud, home: str, owner: httpx.Client) -> None:
    other = gcr.installation.project()
    document = pushed_index(owner, f"{home}/several", "v1")

    gcloud("container", "images", "add-tag", f"{gcr.host()}/{home}/several:v1", f"{gcr.host()}/{other}/several:v1")

    assert document.payload == complete_index(owner, f"{other}/several", "v1").payload


def test_a_tag_is_taken_away(gcr: Gcr, gcloud: GcrGCloud, home: str, owner: httpx.Client) -> None:
    """The image stays."""
    document = pushed(owner, f"{home}/untagged", "2024-01-01T00:00:00Z", "v1", "v2")

    gcloud("container", "images", "untag", f"{gcr.host()}/{home}/untagged:v2", "--quiet")

    assert is_absent(owner, f"{home}/untagged", "v2")
    assert document.digest == manifest_of(owner, f"{home}/untagged", "v1").digest


def test_an_image_is_deleted_by_its_tag(gcr: Gcr, gcloud: GcrGCloud, home: str, owner: httpx.Client) -> None:
    """It says what goes before it asks."""
    repository = f"{home}/deleted-by-tag"
    document = pushed(owner, repository, "2024-01-01T00:00:00Z", "v1")
    kept = pushed(owner, repository, "2024-01-02T00:00:00Z", "v2")
    name = f"{gcr.host()}/{repository}"

    done = gcloud.run("container", "images", "delete", f"{name}:v1", "--quiet")

    assert 0 == done.returncode, done.stderr
    said = [f"- {name}@{document.digest}", f"- {name}:v1", f"Deleted [{name}:v1].", f"Deleted [{name}@{document.digest}]."]
    assert said == [line for line in lines(done.stderr) if line.startswith(("- ", "Deleted"))]
    assert is_absent(owner, repository, document.digest)
    assert kept.digest == manifest_of(owner, repository, "v2").digest


def test_a_tagged_image_is_deleted_by_its_digest_only_with_its_tags(gcr: Gcr, gcloud: GcrGCloud, home: str, owner: httpx.Client) -> None:
    repository = f"{home}/deleted-by-digest"
    document = pushed(owner, repository, "2024-01-01T00:00:00Z", "v1", "v2")
    name = f"{gcr.host()}/{repository}@{document.digest}"

    done = gcloud.run("container", "images", "delete", name, "--quiet")

    assert 0 != done.returncode
    assert "--force-delete-tags" in done.stderr
    assert document.digest == manifest_of(owner, repository, "v1").digest

    gcloud("container", "images", "delete", name, "--force-delete-tags", "--quiet")

    assert [True] * 3 == [is_absent(owner, repository, reference) for reference in ("v1", "v2", document.digest)]


def test_several_images_are_deleted_at_once(gcr: Gcr, gcloud: GcrGCloud, home: str, owner: httpx.Client) -> None:
    """As the guides clean up: untagged digests."""
    repository = f"{home}/cleaned"
    found = [pushed(owner, repository, f"2024-01-0{day}T00:00:00Z") for day in (1, 2)]
    name = f"{gcr.host()}/{repository}"

    listed = lines(gcloud("container", "images", "list-tags", name, "--filter=-tags:*", "--format=get(digest)"))
    gcloud("container", "images", "delete", *(f"{name}@{digest}" for digest in listed), "--quiet")

    assert {document.digest for document in found} == set(listed)
    assert [True, True] == [is_absent(owner, repository, document.digest) for document in found]


def test_who_may_only_pull_changes_nothing(gcr: Gcr, shelf: Shelf, tmp_path: Path, owner: httpx.Client) -> None:
    gcloud = gcr.gcloud(tmp_path, shelf.project, gcr.installation.robot(shelf.project, "roles/storage.objectViewer"))
    name = f"{gcr.host()}/{shelf.project}/nginx"

    assert name in gcloud("container", "images", "list", f"--repository={gcr.host()}/{shelf.project}")
    for command in (
        ("add-tag", f"{name}:v1", f"{name}:mine", "--quiet"),
        ("delete", f"{name}:v1", "--quiet"),
        ("untag", f"{name}:v1", "--quiet"),
    ):
        done = gcloud.run("container", "images", *command)
        assert 0 != done.returncode, command
        assert "403" in done.stderr or "Access denied" in done.stderr, done.stderr

    assert shelf.old.digest == manifest_of(owner, f"{shelf.project}/nginx", "v1").digest
    assert is_absent(owner, f"{shelf.project}/nginx", "mine")


def test_a_stranger_sees_nothing(gcr: Gcr, shelf: Shelf, tmp_path: Path) -> None:
    other = gcr.installation.project()
    gcloud = gcr.gcloud(tmp_path, other, gcr.installation.robot(other, "roles/owner"))
    here = f"{gcr.host()}/{shelf.project}"

    for command in (("list", f"--repository={here}"), ("list-tags", f"{here}/nginx"), ("describe", f"{here}/nginx:v1")):
        done = gcloud.run("container", "images", *command)
        assert 0 != done.returncode, command
        assert "403" in done.stderr or "Access denied" in done.stderr, done.stderr
        assert shelf.old.digest not in done.stdout + done.stderr


def test_a_project_without_the_api_takes_no_copy(gcr: Gcr, gcloud: GcrGCloud, shelf: Shelf) -> None:
    """The story, step 6: it is refused with a sentence that says so."""
    other = gcr.installation.project(registry=False)

    done = gcloud.run(
        "container", "images", "add-tag", f"{gcr.host()}/{shelf.project}/nginx:v1", f"{gcr.host()}/{other}/nginx:v1", "--quiet"
    )

    assert 0 != done.returncode
    assert "Please enable Google Container Registry API" in done.stderr
    assert f"containerregistry.googleapis.com/overview?project={other}" in done.stderr
