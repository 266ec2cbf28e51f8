"""
The sign-in pages and OAuth endpoints on a real socket in this process, as the server composes them, with a clock that tests can turn and
services that they can call.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import html
import re
import socket
import ssl
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn

from roadstead.accounts import Accounts, accounts
from roadstead.analysis.room import Analysis
from roadstead.api.app import Application
from roadstead.api.google.services import Images
from roadstead.api.http1 import RegistryProtocol
from roadstead.config import DEFAULT_LOCATION, Settings
from roadstead.db.database import Database
from roadstead.db.sqlite import SQLiteDatabase
from roadstead.edges import Edges
from roadstead.iam.generation import SharedNumber
from roadstead.metrics import Board, Recorder
from roadstead.registry.blobs import Blobs
from roadstead.registry.descriptions import Descriptions
from roadstead.registry.manifests import Manifests
from roadstead.registry.package_changes import PackageChanges
from roadstead.registry.packages import Packages
from roadstead.scanning.on_demand import OnDemand
from roadstead.scanning.sboms import Sboms
from tests.kit.schemas import new_file

T = TypeVar("T")
PASSWORD = "four quiet herons wade"


class Clock:
    """Microseconds, as the server's; turn() moves it on."""

    def __init__(self) -> None:
        self._ahead_us = 0

    def __call__(self) -> int:
        return time.time_ns() // 1000 + self._ahead_us

    def turn(self, seconds: float) -> None:
        self._ahead_us += int(seconds * 1_000_000)


class Site:
    """known: its services, to be used by run() only. database: the same for statements of a test's own."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.clock = Clock()
        self.known: Accounts
        self.database: SQLiteDatabase
        self.folder, self._settings = folder, settings
        self._loop = asyncio.new_event_loop()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._server: uvicorn.Server
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.authority}"

    def start(self) -> Site:
        self._thread.start()
        self._ready.result(30)
        return self

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _serve(self) -> None:
        try:
            file = self.folder / "registry.sqlite"
            new_file(file)
            self.database = SQLiteDatabase(file)
            self.known = await accounts(self._settings, self.database, SharedNumber(), self.clock)
            edges = Edges.of(self._settings, self.known, self.clock, images(self.database, self.clock))
            application = Application(None, {}, DEFAULT_LOCATION, edges.site)

            class Protocol(RegistryProtocol):
                handle = staticmethod(application.handle)
                recorder = Recorder(Board(1), 0, "site")

            self._server = uvicorn.Server(
                uvicorn.Config(_nothing, http=Protocol, ws="none", lifespan="off", log_config=None, server_header=False)
            )
        except BaseException as error:
            self._ready.set_exception(error)
            raise
        self._loop.call_soon(self._ready.set_result, None)
        await self._server.serve([self._socket])
        await self.database.close()


async def _nothing(scope: object, receive: object, send: object) -> None:
    """uvicorn wants an application; the protocol never calls it."""


@contextmanager
def site(folder: Path, **settings: Any) -> Iterator[Site]:
    running = Site(folder, Settings(data=folder, **settings)).start()
    try:
        yield running
    finally:
        running.stop()


class Browser(httpx.Client):
    """Keeps cookies, follows no redirects unless told, and sends what browsers send with forms."""

    def __init__(self, url: str, verify: ssl.SSLContext | bool = True) -> None:
        super().__init__(base_url=url, follow_redirects=False, timeout=30, trust_env=False, verify=verify)

    def send_form(self, response: httpx.Response, action: str, **values: str) -> httpx.Response:
        """Fill in the page's form of this action, as a person does, and send it."""
        return self.post(action, data={**hidden(response, action), **values}, headers={"sec-fetch-site": "same-origin"})

    def sign_in(self, email: str, password: str = PASSWORD) -> httpx.Response:
        return self.send_form(self.get("/signin"), "/signin", email=email, password=password)


def hidden(response: httpx.Response, action: str) -> dict[str, str]:
    """The hidden fields of a page's form."""
    for found, inside in re.findall(r'<form method="post" action="([^"]*)">(.*?)</form>', response.text, re.DOTALL):
        if html.unescape(found) == action:
            return {
                html.unescape(name): html.unescape(value)
                for name, value in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', inside)
            }
    raise AssertionError(f"there is no form for {action} in:\n{response.text}")


def images(database: Database, clock: Clock) -> Images:
    """Without a registry: what is asked of images finds none."""
    blobs = Blobs(database, {}, 0, clock)
    sboms = Sboms(database, blobs, {}, Manifests(database, Descriptions(database, {}), clock), {})
    analysis, on_demand = Analysis.of(database, clock), OnDemand(database, clock)
    return Images(analysis, on_demand, PackageChanges(database, clock), Packages(database), sboms)
