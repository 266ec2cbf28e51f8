"""What a worker does again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from roadstead.errors import ReadOnly

_log = structlog.get_logger()


async def every(seconds: float, work: Callable[[], Awaitable[object]], stop: asyncio.Event) -> None:
    """Run work, wait, run it again, until stop. A failure is logged and does not end the series."""
    while not stop.is_set():
        try:
            await work()
        except ReadOnly:
            _log.debug("scheduled work waits until writes are allowed", work=getattr(work, "__qualname__", repr(work)))
        except Exception:
            _log.exception("scheduled work failed", work=getattr(work, "__qualname__", repr(work)))
        try:
            await asyncio.wait_for(stop.wait(), seconds)
        except TimeoutError:
            continue
