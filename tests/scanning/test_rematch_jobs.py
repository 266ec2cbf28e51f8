"""Every part of a load queues a job; in one worker they are done together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from roadstead.scanning.match import Changes
from roadstead.scanning.rematch import Rematch

pytestmark = pytest.mark.anyio


async def test_jobs_that_come_meanwhile_are_done_by_the_first_which_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: Any = None
    rematch, begun = Rematch(nothing, lambda: 0), 0

    async def all_of_them() -> Changes:
        nonlocal begun
        begun += 1
        await asyncio.sleep(0.01)
        return Changes()

    monkeypatch.setattr(rematch, "all", all_of_them)
    await asyncio.gather(*(rematch.run() for _ in range(5)))
    await rematch.run()

    assert 3 == begun


async def test_after_a_failure_the_next_job_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: Any = None
    rematch = Rematch(nothing, lambda: 0)
    with pytest.raises(AttributeError):
        await rematch.run()

    async def done() -> Changes:
        return Changes(new=1)

    monkeypatch.setattr(rematch, "all", done)
    await rematch.run()
