"""
gcr-cleaner, which people ran beside Container Registry: it reads tags and times from the tags list, takes the tags of what it deletes away
first, and tries again, by Container Registry's own code of refusal, what an index still names.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from tests.kit.content import complete_image, complete_index, is_absent
from tests.kit.gcr import Gcr
from tests.kit.places import PULLS, PUSHES
from tests.kit.program import Program, find
from tests.kit.push import Document, image, index, push, push_blob, push_image

pytestmark = pytest.mark.slow

_numbers = itertools.count()


@pytest.fixture
def cleaner(gcr: Gcr, tools: Path, tmp_path: Path) -> Program:
    environment = {**gcr.environment, "PATH": str(tools), "NO_GCE_CHECK": "true", "GCRCLEANER_TOKEN": gcr.installation.owner_token}
    return Program(find("gcr-cleaner-cli", tools), tmp_path / "home", environment=environment)


@pytest.fixture
def owner(gcr: Gcr) -> Iterator[httpx.Client]:
    with gcr.installation.client(gcr.installation.owner_token, Host="gcr.io") as client:
        yield client


@pytest.fixture
def owned(gcr: Gcr) -> str:
    return gcr.installation.project()


@pytest.fixture
def repository(owned: str) -> str:
    return f"{owned}/app"


@pytest.fixture
def repo(gcr: Gcr, repository: str) -> str:
    return f"-repo={gcr.host()}/{repository}"


def made(owner: httpx.Client, repository: str, *tags: str, day: int = 1) -> Document:
    """An image that no other is like, and that says on which day it was made; without a tag, if none is given."""
    config = json.dumps({"os": "linux", "created": f"2024-01-{day:02}T00:00:00Z", "unique": next(_numbers)}).encode()
    push_blob(owner, repository, config)
    document = image(config)
    for reference in tags or [document.digest]:
        assert 201 == push(owner, repository, document, reference).status_code
    return document


def there(owner: httpx.Client, repository: str, documents: Sequence[Document]) -> list[bool]:
    return [not is_absent(owner, repository, each.digest) for each in documents]


def test_what_has_no_tag_is_deleted(cleaner: Program, owner: httpx.Client, repository: str, repo: str) -> None:
    kept, gone = push_image(owner, repository, "v1"), [made(owner, repository) for _ in range(3)]

    said = cleaner.text(repo)

    assert [False, False, False] == there(owner, repository, gone)
    assert kept.payload == complete_image(owner, repository, "v1").payload
    assert {each.digest for each in gone} == {line.split()[1] for line in said.splitlines() if "✓" in line}


def test_a_dry_run_names_and_deletes_nothing(cleaner: Program, owner: httpx.Client, repository: str, repo: str) -> None:
    document = made(owner, repository)

    said = cleaner.text(repo, "-dry-run")

    assert document.digest in said
    assert [True] == there(owner, repository, [document])


def test_what_was_pushed_within_the_grace_stays(cleaner: Program, owner: httpx.Client, repository: str, repo: str) -> None:
    """By timeUploadedMs: when it was pushed, not when it says that it was made."""
    document = made(owner, repository)

    said = cleaner.text(repo, "-grace=1h")

    assert "no refs were deleted" in said
    assert [True] == there(owner, repository, [document])


def test_the_youngest_are_kept(cleaner: Program, owner: httpx.Client, repository: str, repo: str) -> None:
    """By timeCreatedMs: when they say that they were made, not when they were pushed."""
    documents = [made(owner, repository, day=day) for day in (3, 1, 4, 2)]

    cleaner.run(repo, "-keep=2")

    assert [True, False, True, False] == there(owner, repository, documents)


@pytest.mark.parametrize(("option", "gone"), [("any", [True, True, False]), ("all", [True, False, False])])
def test_tags_that_fit_go_with_their_images(
    cleaner: Program, owner: httpx.Client, repository: str, repo: str, option: str, gone: list[bool]
) -> None:
    """All tags of an image, then the image: the other way round it would be refused (GOOGLE_MANIFEST_DANGLING_TAG)."""
    tags = (("pr-1",), ("pr-2", "v2"), ("v3",))
    documents = [made(owner, repository, *each) for each in tags]

    said = cleaner.text(repo, f"-tag-filter-{option}=^pr-")

    assert gone == [not each for each in there(owner, repository, documents)]
    left = {tag for each, lost in zip(tags, gone, strict=True) if not lost for tag in each}
    assert left == set(owner.get(f"/v2/{repository}/tags/list").json()["tags"])
    assert all(tag in said for each, lost in zip(tags, gone, strict=True) if lost for tag in each)


def test_it_goes_down_from_a_project(cleaner: Program, gcr: Gcr, owner: httpx.Client, owned: str) -> None:
    """By the catalog, and nothing that is not below."""
    names = [f"{owned}/{path}" for path in ("app", "team/api", "team/api/deep")]
    other = gcr.installation.project()
    gone = [made(owner, name) for name in names]
    kept = made(owner, f"{other}/app")

    said = cleaner.text(f"-repo={gcr.host()}/{owned}", "-recursive")

    assert [False] * 3 == [there(owner, name, [each])[0] for name, each in zip(names, gone, strict=True)]
    assert [True] == there(owner, f"{other}/app", [kept])
    assert all(f"{gcr.host()}/{name}" in said for name in names)


def test_an_index_goes_before_its_images(cleaner: Program, owner: httpx.Client, repository: str, repo: str) -> None:
    """What is refused with GOOGLE_MANIFEST_DANGLING_PARENT_IMAGE is tried again after the rest, up to three times."""
    children = [made(owner, repository) for _ in range(2)]
    both = index(children)
    outer = index([both])
    for each in (both, outer):
        assert 201 == push(owner, repository, each, each.digest).status_code

    said = cleaner.text(repo, "-concurrency=1")

    assert [False] * 4 == there(owner, repository, [*children, both, outer])
    assert 4 == said.count("✓")


def test_the_images_of_an_index_that_has_a_tag_stay(cleaner: Program, owner: httpx.Client, repository: str, repo: str) -> None:
    """They have none of their own. Every attempt is refused, which the program takes as an answer."""
    children = [push_image(owner, repository, name) for name in ("amd64", "arm64")]
    both = index(children)
    assert 201 == push(owner, repository, both, "multi").status_code
    for name in ("amd64", "arm64"):
        assert 202 == owner.delete(f"/v2/{repository}/manifests/{name}").status_code

    said = cleaner.text(repo)

    assert both.payload == complete_index(owner, repository, "multi").payload
    assert "no refs were deleted" in said


def test_nothing_is_deleted_without_the_right_to(
    cleaner: Program, gcr: Gcr, owner: httpx.Client, owned: str, repository: str, repo: str
) -> None:
    document = made(owner, repository)
    cleaner.environment["GCRCLEANER_TOKEN"] = gcr.installation.robot(owned, PULLS)

    said = cleaner.refused(repo)

    assert "DENIED" in said
    assert [True] == there(owner, repository, [document])


@pytest.mark.parametrize("gcr", ["https"], indirect=True, scope="session")
def test_application_default_credentials_are_used(
    cleaner: Program, gcr: Gcr, owner: httpx.Client, owned: str, repository: str, repo: str
) -> None:
    """Of a key file, as in the jobs that people ran it in; Google's libraries take them for Google's names only."""
    document, email = made(owner, repository), gcr.installation.account(owned)
    gcr.installation.grant(owned, PUSHES, f"serviceAccount:{email}")
    (cleaner.home / "key.json").write_text(json.dumps(gcr.key(email)))
    del cleaner.environment["GCRCLEANER_TOKEN"]
    cleaner.environment["GOOGLE_APPLICATION_CREDENTIALS"] = str(cleaner.home / "key.json")

    cleaner.run(repo)

    assert [False] == there(owner, repository, [document])
