"""A clock for what takes one as an argument: it stands still until it is told to go on."""

from __future__ import annotations

START_US = 1_790_000_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now_us = START_US

    def __call__(self) -> int:
        return self.now_us

    @property
    def seconds(self) -> int:
        return self.now_us // 1_000_000

    def go(self, seconds: float) -> None:
        self.now_us += int(seconds * 1_000_000)
