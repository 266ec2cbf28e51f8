"""A layer that kills the process that reads it fails alone: whatever was read beside it is read again."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from roadstead.errors import ScanFailed, ScanStopped, StorageBroken
from roadstead.scanning import process
from roadstead.scanning.layers import Layers


def _layers() -> Layers:
    nothing: Any = None
    return Layers(nothing, nothing, 1, lambda: 0)


@pytest.mark.slow
def test_what_was_read_beside_it_is_read_again() -> None:
    async def read() -> list[Any]:
        layers = _layers()
        deadly: Any = os._exit
        good: Any = bytes.upper
        return await asyncio.gather(
            layers._run(deadly, 1), layers._run(deadly, 1), layers._run(good, b"a"), layers._run(good, b"b"), return_exceptions=True
        )

    first, second, *others = asyncio.run(read())

    assert [ScanStopped, ScanStopped] == [type(first), type(second)]
    assert [b"A", b"B"] == others


def test_what_no_parser_expects_is_a_failure_with_a_sentence() -> None:
    """Of its own: a job that failed otherwise would come again for ever, and the image be SCANNING."""
    with pytest.raises(ScanFailed, match="mistake of this program"):
        process.merge_indexes([("sha256:0", b"damaged")])


def test_a_worker_that_ends_begins_nothing() -> None:
    async def read() -> None:
        layers = _layers()
        layers.close()
        await layers._run(bytes.upper, b"a")

    with pytest.raises(StorageBroken):
        asyncio.run(read())
