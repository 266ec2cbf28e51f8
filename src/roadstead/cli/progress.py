"""How long work shows how far it is: a bar on a terminal, else a line now and then. On standard error, so that results stay apart."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from roadstead.cli.output import size

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

T = TypeVar("T")

LINE_SECONDS = 5.0


class Progress:
    def __init__(self) -> None:
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._phase = ""
        self._next_line = 0.0
        self._began = time.monotonic()

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
            from rich.progress import Progress as RichProgress

            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
            self._bar = RichProgress(*columns, console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task("", total=None)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, phase: str, blobs: int, all_blobs: int, size_bytes: int, all_bytes: int, rows: int = 0) -> None:
        """A new phase is always told."""
        if self._bar is not None and self._task is not None:
            shown = f"{phase} · {min(blobs, all_blobs)} of {all_blobs} blobs{f' · {rows} rows' if rows else ''}"
            self._bar.update(self._task, description=shown, completed=min(size_bytes, all_bytes), total=all_bytes)
        elif phase != self._phase or time.monotonic() >= self._next_line:
            seconds = int(time.monotonic() - self._began)
            more = f", {rows} rows" if rows else ""
            line = f"{phase}: {blobs} of {all_blobs} blobs, {size(size_bytes)} of {size(all_bytes)}{more}, {seconds} s"
            print(line, file=sys.stderr, flush=True)
            self._next_line = time.monotonic() + LINE_SECONDS
        self._phase = phase


def run(work: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run, but SIGTERM ends the work as Ctrl-C does: what must be undone is undone."""

    async def main() -> T:
        task = asyncio.ensure_future(work)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await task

    try:
        return asyncio.run(main())
    except (asyncio.CancelledError, KeyboardInterrupt):
        print("\nroadstead: ended before it was done; the same command goes on with it", file=sys.stderr)
        sys.exit(130)
