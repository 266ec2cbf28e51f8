"""registry/listing.py on both databases: what is more than one piece, more than there may be, and more than the caller may know of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import insert

from roadstead.db import schema
from roadstead.db.database import Database, Statement
from roadstead.errors import NameUnknown
from roadstead.oci.reference import Repository
from roadstead.registry.descriptions import Descriptions
from roadstead.registry.listing import MOST, MOST_IN_VAIN, PIECE, Listing

pytestmark = pytest.mark.anyio

MANY = Repository("gcr", "my-project/many")
Fill = Callable[[Database], Awaitable[None]]


@pytest.fixture
def listing(database: Database) -> Listing:
    return Listing(database, Descriptions(database, {}))


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


async def add_repositories(database: Database, names: list[str], manifests: int = 1) -> None:
    async with database.transaction() as tx:
        rows = [{"id": i, "location": "gcr", "name": name, "created_at_us": 1} for i, name in enumerate(names, 1)]
        await tx.run_many(Statement(insert(schema.repositories)), rows)
        fixed = {"media_type": "a/b", "artifact_type": "", "subject": None, "annotations": "{}", "size_bytes": 2, "payload": b"{}"}
        await tx.run_many(
            Statement(insert(schema.manifests)),
            [
                {
                    "id": i * manifests + number,
                    "repository_id": i,
                    "digest": digest(number),
                    "pushed_at_us": 1_000 * number,
                    "image_size_bytes": number,
                    "created_at_ms": -number,
                    **fixed,
                }
                for i in range(1, len(names) + 1)
                for number in range(manifests)
            ],
        )


async def add_tags(database: Database, names: list[str], manifest_id: Callable[[int], int]) -> None:
    async with database.transaction() as tx:
        rows = [{"repository_id": 1, "name": name, "manifest_id": manifest_id(i), "updated_at_us": 1} for i, name in enumerate(names)]
        await tx.run_many(Statement(insert(schema.tags)), rows)


@pytest.mark.slow
async def test_all_pieces_come_together(database: Database, listing: Listing) -> None:
    count = 2 * PIECE + 1
    await add_repositories(database, [MANY.name], count)
    names = [f"{'V' if number % 3 else 'v'}{number:05}" for number in range(count)]
    await add_tags(database, names, lambda number: count + number // 2)

    images = await listing.images(MANY)

    assert images is not None
    assert [(count + n, digest(n), "a/b", n, -n, 1_000 * n) for n in range(count)] == [tuple(row) for row in images.manifests]
    assert sorted(names, key=lambda name: (name.lower(), name)) == images.tags
    assert {count + number // 2 for number in range(count)} == set(images.tags_of)
    assert sorted(names[:2]) == sorted(images.tags_of[count])


async def test_a_repository_that_is_not_there_is_unknown(listing: Listing) -> None:
    with pytest.raises(NameUnknown):
        await listing.images(MANY)


@pytest.mark.slow
@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_so_many_tags_are_told_and_no_more(database: Database, listing: Listing, more: int) -> None:
    await add_repositories(database, [MANY.name])
    await add_tags(database, [f"{number:06}" for number in range(MOST + more)], lambda _: 1)

    images = await listing.images(MANY)

    assert (images is None) == bool(more)


async def test_what_is_below_is_found_in_few_steps(database: Database, listing: Listing) -> None:
    """A folder of many images is jumped over; its neighbours on both sides of it in the order of names are found."""
    below = [f"my-project/b/{number:05}" for number in range(2 * PIECE)]
    await add_repositories(
        database, ["my-project/a", "my-project/b", "my-project/b-c", *below, "my-project/b/d/e", "my-project/z", "my-project0/x"]
    )

    assert ["a", "b", "b-c", "z"] == await listing.children(Repository("gcr", "my-project"), None)
    assert [*(f"{number:05}" for number in range(2 * PIECE)), "d"] == await listing.children(Repository("gcr", "my-project/b"), None)
    assert [] == await listing.children(Repository("eu", "my-project"), None)


async def test_only_what_may_be_seen_is_told(database: Database, listing: Listing) -> None:
    """A folder is seen as soon as something in it is."""
    await add_repositories(database, [f"my-project/{name}" for name in ("a", "b/c", "b/d", "e/f")])

    async def sees(repository: Repository) -> bool:
        return repository.name in ("my-project/a", "my-project/b/d")

    assert ["a", "b"] == await listing.children(Repository("gcr", "my-project"), sees)


async def test_the_search_for_what_may_be_seen_ends(database: Database, listing: Listing) -> None:
    await add_repositories(database, [f"my-project/{number:05}" for number in range(MOST_IN_VAIN + 2 * PIECE)])
    asked = 0

    async def sees(repository: Repository) -> bool:
        nonlocal asked
        asked += 1
        return False

    assert [] == await listing.children(Repository("gcr", "my-project"), sees)
    assert asked <= MOST_IN_VAIN + PIECE


async def test_others_have_their_turn_between_the_pieces(database: Database, listing: Listing) -> None:
    """A list of 100,000 must not keep everybody else waiting until it is whole."""
    await add_repositories(database, [MANY.name], 5 * PIECE)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(others())
    await listing.images(MANY)
    task.cancel()

    assert turns >= 4
