"""A full disk costs the pushes that meet it and nothing else: what was stored stays readable, and it heals by itself."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.kit.engines import only_with
from tests.kit.ledger import Ledger
from tests.kit.load import Client, Refused, Wire, image_manifest, verify
from tests.kit.pushers import some_bytes
from tests.kit.server import Server, serving

DISK_MIB = 24
LEFT_FREE_BYTES = 1_500_000
STATUS = {503, 507}

pytestmark = only_with("the full disk is that of the data folder", database="sqlite", blobs="folder")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A data folder that is a file system of its own, 24 MiB large."""
    folder = tmp_path / "data"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("a file system of the test's own needs root")
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@dataclass
class Outcome:
    stored: int = 0
    refused: list[Refused] = field(default_factory=list)


def free_bytes(folder: Path) -> int:
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize


def fill(folder: Path, leave_bytes: int) -> None:
    """Somebody else's file takes nearly all there is."""
    with (folder / "filler").open("ab") as filler:
        filler.write(bytes(max(0, free_bytes(folder) - leave_bytes)))


def push_images(client: Client, repository: str, number: int, largest_bytes: int) -> Outcome:
    """Goes on after refusals, as different clients would."""
    outcome = Outcome()
    for each in range(number):
        try:
            config, layer = some_bytes(client.random, 2000), some_bytes(client.random, largest_bytes)
            client.blob(repository, config)
            client.blob(repository, layer)
            client.manifest(repository, image_manifest(config, [layer]), f"t{each % 7}")
            outcome.stored += 1
        except Refused as refused:
            outcome.refused.append(refused)
    return outcome


def staged_bytes(server: Server) -> int:
    return sum(file.stat().st_size for file in server.data.glob("blobs/*/uploads/*"))


@pytest.mark.slow
@pytest.mark.parametrize("largest_bytes", [300_000, 20_000], ids=["large blobs", "small blobs"])
def test_a_full_disk_refuses_pushes_and_harms_nothing(small_disk: Path, repository: str, largest_bytes: int) -> None:
    """Fails cleanly, goes on reading, and takes pushes again as soon as there is space, without a restart."""
    ledger = Ledger()
    with serving(small_disk) as server:
        client = Client(Wire(server.url), ledger, random.Random(1))
        before = push_images(client, repository, 5, largest_bytes)
        fill(small_disk, LEFT_FREE_BYTES)
        full = push_images(client, repository, 400, largest_bytes)
        fill(small_disk, 0)
        fuller = push_images(client, repository, 20, largest_bytes)
        reading = verify(server.url, ledger)
        (small_disk / "filler").unlink()
        after = push_images(client, repository, 10, largest_bytes)
        final = verify(server.url, ledger)
        server.stop()
        findings = json.loads(server.run("check", "--format", "json").stdout)["findings"]

    refused = full.refused + fuller.refused
    print(
        f"\n{before.stored} images stored before, {full.stored + fuller.stored} while the disk got full, {after.stored} afterwards; "
        f"{len(refused)} refused with {sorted({refusal.status for refusal in refused})}; "
        f"lost {len(reading.lost + final.lost)}, wrong {len(reading.wrong + final.wrong)}"
    )
    assert (5, 10) == (before.stored, after.stored)
    assert len(fuller.refused) > 0
    assert set() == {refusal.status for refusal in refused} - STATUS, [str(refusal) for refusal in refused]
    assert {"UNAVAILABLE"} == {code for refusal in refused for code in refusal.codes}
    assert [] == reading.lost + reading.wrong + final.lost + final.wrong
    assert set() == {finding["kind"] for finding in findings} - {"orphaned"}


@pytest.mark.slow
def test_a_refused_upload_in_one_request_leaves_no_bytes_on_the_full_disk(small_disk: Path, repository: str) -> None:
    """Its client never learned the upload's name, so nobody could go on with it: what it staged would only keep the disk full."""
    with serving(small_disk) as server:
        client = Client(Wire(server.url), Ledger(), random.Random(1))
        fill(small_disk, LEFT_FREE_BYTES)
        with pytest.raises(Refused) as refused:
            large = client.random.randbytes(4_000_000)
            client.wire.expect(201, "POST", f"/v2/{repository}/blobs/uploads/?digest=sha256:{'0' * 64}", large)
        staged = staged_bytes(server)

    assert refused.value.status in STATUS
    assert 0 == staged
