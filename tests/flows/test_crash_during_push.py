"""
No acknowledged push is lost when processes are killed (design: nothing is acknowledged before it is durable).

ROADSTEAD_KILLS sets the number of kills, 10 where nobody says otherwise.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.kit.ledger import BLOB, MANIFEST, TAG, Ledger
from tests.kit.load import Verdict, verify
from tests.kit.pushers import Load, pushers
from tests.kit.server import Server, serving

KILLS = int(os.environ.get("ROADSTEAD_KILLS", "10"))
SEED = int(os.environ.get("ROADSTEAD_SEED", "1"))
RECHECKED = 300


def children(server: Server) -> list[int]:
    """The serving processes and the worker, as the kernel lists them."""
    assert server.process
    pid = server.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill_one_process(server: Server, source: random.Random) -> None:
    with suppress(ProcessLookupError):
        os.kill(source.choice(children(server)), signal.SIGKILL)


def crash(server: Server, load: Load, source: random.Random) -> str:
    """One kill at a random moment under load. Afterwards the server answers again and nobody pushes."""
    load.start(server.url)
    time.sleep(source.uniform(0.1, 1.0))
    try:
        if source.random() < 0.7:
            server.kill()
            return "all processes"
        kill_one_process(server, source)
        time.sleep(source.uniform(0.2, 1.5))
        return "one process"
    finally:
        load.stop()
        if server.process is None or server.process.poll() is not None:
            server.start()


@pytest.mark.slow
@pytest.mark.timeout(120 + 10 * KILLS)
def test_no_acknowledged_push_is_lost_when_the_server_is_killed(tmp_path: Path, project: str) -> None:
    """After each kill what was touched since and a sample of the rest is read back byte for byte, in the end everything."""
    source, ledger, verdict = random.Random(SEED), Ledger(), Verdict()
    load = Load(ledger, pushers(ledger, project, seed=SEED))
    kinds: dict[str, int] = {}

    with serving(tmp_path / "data") as server:
        for _ in range(KILLS):
            begun = time.time()
            kind = crash(server, load, source)
            kinds[kind] = kinds.get(kind, 0) + 1
            known = list(ledger.writes)
            verdict += verify(server.url, ledger, [*ledger.touched(begun), *source.sample(known, min(RECHECKED, len(known)))])
        final = verify(server.url, ledger)
        server.stop()
        findings = json.loads(server.run("check", "--format", "json").stdout)["findings"]
        mended = server.run("check", "--repair")
        clean = server.run("check")

    acknowledged = {kind: len(ledger.acknowledged(kind)) for kind in (MANIFEST, TAG, BLOB)}
    print(
        f"\n{KILLS} kills {kinds}, acknowledged {acknowledged}, read in the end: {final.manifests} manifests, {final.tags} tags, "
        f"{final.blobs} blobs; lost {len(verdict.lost + final.lost)}, wrong {len(verdict.wrong + final.wrong)}, "
        f"unexpected answers {len(ledger.surprises)}, orphaned files {len(findings)}"
    )
    assert [] == verdict.lost + final.lost
    assert [] == verdict.wrong + final.wrong
    assert [] == ledger.surprises
    assert set() == {finding["kind"] for finding in findings} - {"orphaned"}
    assert 0 == mended.returncode, mended.stdout
    assert 0 == clean.returncode, clean.stdout
