"""A database from before there was a list like Container Registry's tells the same as a new one (migration 0004)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect

from roadstead.db import migrate, schema
from tests.kit.inside import Inside
from tests.kit.push import connect, image, index, push, push_blob
from tests.kit.server import Server, serving

CREATED = '"created":"2023-02-11T02:26:42.558Z"'
CONFIGS = {
    "small": f"{{{CREATED}}}".encode(),
    "large": f'{{"history":"{"x" * 100_000}",{CREATED}}}'.encode(),
    "silent": b"{}",
    "no-json": b"\xff",
}
PATIENCE_SECONDS = 20


def taken_back(inside: Inside, folder: Path, revision: str) -> None:
    """The database as it was at the revision: what later ones have made is dropped."""
    engine = create_engine(f"sqlite:///{folder / 'old.sqlite'}")
    settings = Config()
    settings.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    with engine.begin() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, revision)
    old = inspect(engine)
    for table in reversed(schema.metadata.sorted_tables):
        if not old.has_table(table.name):
            inside.rows(f"DROP TABLE {table.name}")
            continue
        names = {each["name"] for each in old.get_indexes(table.name)} | {"tags_in_order"}
        for each in table.indexes:
            if each.name not in names:
                inside.rows(f"DROP INDEX {each.name}")
        columns = {each["name"] for each in old.get_columns(table.name)}
        for column in table.columns:
            if column.name not in columns:
                inside.rows(f"ALTER TABLE {table.name} DROP COLUMN {column.name}")
    inside.rows("UPDATE alembic_version SET version_num = ?", revision)
    engine.dispose()


def listed(server: Server, repository: str) -> dict[str, Any]:
    with connect(server.url) as client:
        return dict(client.get(f"/v2/{repository}/tags/list").json())


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")
@pytest.mark.slow
def test_manifests_from_before_are_described_at_once_and_then_for_good(tmp_path: Path) -> None:
    data, repository = tmp_path / "data", "my-project/image"
    with serving(data) as server, connect(server.url) as client:
        children = []
        for name, config in CONFIGS.items():
            push_blob(client, repository, config)
            children.append(image(config))
            assert 201 == push(client, repository, children[-1], name).status_code
        push(client, repository, index(children), "multi")
        expected = listed(server, repository)
    assert "1676082402558" == expected["manifest"][children[1].digest]["timeCreatedMs"]
    inside = Inside(server)
    taken_back(inside, tmp_path, "0003")

    # Nobody does the job here.
    with serving(data, "--no-worker") as upgraded:
        assert expected == listed(upgraded, repository)
        assert 5 == inside.rows("SELECT count(*) FROM manifests WHERE created_at_ms IS NULL")[0][0]
        assert [("describe-manifests",)] == [tuple(row) for row in inside.rows("SELECT kind FROM jobs")]
        # What is pushed now is described as ever.
        with connect(upgraded.url) as client:
            push_blob(client, repository, b'{"new":1}')
            assert 201 == push(client, repository, image(b'{"new":1}'), "new").status_code
        assert 5 == inside.rows("SELECT count(*) FROM manifests WHERE created_at_ms IS NULL")[0][0]

    with serving(data) as upgraded:
        until = time.monotonic() + PATIENCE_SECONDS
        while inside.rows("SELECT count(*) FROM jobs")[0][0] and time.monotonic() < until:
            time.sleep(0.05)
        assert 0 == inside.rows("SELECT count(*) FROM manifests WHERE created_at_ms IS NULL OR image_size_bytes IS NULL")[0][0]
        now = listed(upgraded, repository)
    for digest, told in expected["manifest"].items():
        assert told == now["manifest"][digest]


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")
@pytest.mark.slow
def test_an_empty_database_is_upgraded_without_a_job(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        pass
    inside = Inside(server)
    taken_back(inside, tmp_path, "0003")

    with serving(tmp_path / "data", "--no-worker"):
        assert [] == list(inside.rows("SELECT kind FROM jobs"))


@pytest.mark.slow
def test_a_config_that_cannot_be_read_when_its_manifest_comes_is_read_later(tmp_path: Path) -> None:
    """The push is not refused for it; a job reads it as soon as it can."""
    data, repository, config = tmp_path / "data", "my-project/image", CONFIGS["large"]
    with serving(data) as server, connect(server.url) as client:
        inside = Inside(server)
        file = inside.file_of(push_blob(client, repository, config))
        aside = file.rename(file.with_suffix(".aside"))
        manifest = image(config)

        assert 201 == push(client, repository, manifest).status_code
        told = listed(server, repository)["manifest"][manifest.digest]
        assert ("-62135596800000", ["v1"]) == (told["timeCreatedMs"], told["tag"])
        aside.rename(file)
        assert "1676082402558" == listed(server, repository)["manifest"][manifest.digest]["timeCreatedMs"]

        # It may have failed by now, and waits a while before it tries again.
        inside.rows("UPDATE jobs SET run_at_us = 0")
        until = time.monotonic() + PATIENCE_SECONDS
        while inside.rows("SELECT count(*) FROM manifests WHERE created_at_ms IS NULL")[0][0] and time.monotonic() < until:
            inside.rows("UPDATE jobs SET run_at_us = 0")
            time.sleep(0.2)
        assert [(1676082402558, len(config))] == [
            tuple(row) for row in inside.rows("SELECT created_at_ms, image_size_bytes FROM manifests")
        ]


def test_the_configs_are_what_they_are_called() -> None:
    assert "created" in json.loads(CONFIGS["small"])
    assert len(CONFIGS["large"]) > 32 * 1024
