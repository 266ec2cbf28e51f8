"""
What machines ask about the server itself: /healthz (does the process live?), /readyz (may it be sent requests?), /metrics.

They are no part of any API, need no account, and say nothing of what is stored but its amount.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec
import structlog

from roadstead.api.messages import Request, Response
from roadstead.errors import RoadsteadError
from roadstead.metrics import Recorder, Stock

ANSWER_SECONDS = 2.0
# Balancers ask often, and several of them at once.
CHECKED_SECONDS = 1.0
STOCK_SECONDS = 30.0

Check = Callable[[], Awaitable[object]]
Answer = tuple[int, str, bytes]
"""Status, content type, body."""

PATHS = ("/healthz", "/readyz", "/metrics")
_JSON = "application/json"
_log = structlog.get_logger()


@dataclass(slots=True)
class Condition:
    """Of this process."""

    draining: bool = False


class Health:
    """
    checks: what must answer before requests make sense, by the name that /readyz gives it.

    stock: asks the database for what it knows; says so if that does not answer.
    """

    def __init__(
        self, checks: Mapping[str, Check], stock: Callable[[], Awaitable[Stock]], recorder: Recorder, condition: Condition
    ) -> None:
        self._checks = checks
        self._ask_stock = stock
        self._recorder = recorder
        self._condition = condition
        self._answers: dict[str, Callable[[], Awaitable[Answer]]] = dict(zip(PATHS, (self._alive, self._ready, self._metrics), strict=True))
        self._checking = asyncio.Lock()
        self._problems: dict[str, str] = {}
        self._checked_at = -CHECKED_SECONDS
        self._stocktaking = asyncio.Lock()
        self._stock: Stock | None = None
        self._stock_at = -STOCK_SECONDS

    async def handle(self, request: Request) -> Response:
        answer = self._answers[request.path]
        request.route = request.path
        if request.method not in ("GET", "HEAD"):
            return Response(405, [("content-type", _JSON), ("allow", "GET, HEAD")], b'{"error":"only GET and HEAD"}')
        status, kind, body = await answer()
        return Response(status, [("content-type", kind), ("cache-control", "no-store")], body)

    async def _alive(self) -> Answer:
        return 200, _JSON, b'{"alive":true}'

    async def _ready(self) -> Answer:
        async with self._checking:
            if time.monotonic() - self._checked_at >= CHECKED_SECONDS:
                self._problems = await self._checked()
                self._checked_at = time.monotonic()
        problems = dict(self._problems)
        if self._condition.draining:
            problems["server"] = "it is being stopped and takes no new requests"
        return (503 if problems else 200), _JSON, msgspec.json.encode({"ready": not problems, "problems": problems})

    async def _checked(self) -> dict[str, str]:
        said = await asyncio.gather(*(_problem(check) for check in self._checks.values()))
        problems = {name: problem for name, problem in zip(self._checks, said, strict=True) if problem}
        if problems.keys() != self._problems.keys():
            (_log.warning if problems else _log.info)("readiness changed", ready=not problems, problems=problems)
        return problems

    async def _metrics(self) -> Answer:
        # Importing the library and making the text take some milliseconds, which other requests should not wait for.
        return await asyncio.to_thread(self._text, await self._known_stock())

    def _text(self, stock: Stock) -> Answer:
        from roadstead import prometheus

        node = prometheus.Node(self._recorder.board.snapshots(), stock, self._condition.draining)
        return 200, prometheus.CONTENT_TYPE, prometheus.text(node)

    async def _known_stock(self) -> Stock:
        async with self._stocktaking:
            if self._stock is None or not self._stock.answers or time.monotonic() - self._stock_at >= STOCK_SECONDS:
                self._stock = await self._ask_stock()
                self._stock_at = time.monotonic()
        # What this process has counted until now: an answer of the next one must not have less.
        self._recorder.publish()
        return self._stock


async def _problem(check: Check) -> str:
    """What is wrong, "" if nothing is."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await check()
    except TimeoutError:
        return f"no answer within {ANSWER_SECONDS:g} seconds"
    except RoadsteadError as error:
        return error.message
    return ""
