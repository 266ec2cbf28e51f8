"""scanning/feeds.py: feeds that the settings name are fetched when they have changed, and what cannot be fetched harms nothing."""

from __future__ import annotations

import email.utils
import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from roadstead.db.database import Database
from roadstead.errors import FeedInvalid
from roadstead.scanning import fetch
from roadstead.scanning.feeds import Feeds
from roadstead.scanning.loads import Loaded, Loads
from tests.kit import scanned
from tests.kit.clock import Clock
from tests.kit.engines import free_port

pytestmark = pytest.mark.anyio


class Mirror:
    """A server of files: path → content and, where it is not an error, how often it was asked and answered with what."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.broken: dict[str, int] = {}
        self.with_etag = True
        self.answers: Counter[tuple[str, int]] = Counter()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body, headers = mirror.answer(self.path, self.headers)
                mirror.answers[self.path, status] += 1
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{name}"

    def answer(self, path: str, headers: Any) -> tuple[int, bytes, dict[str, str]]:
        name = path[1:]
        if name in self.broken:
            return self.broken[name], b"no", {}
        body = self.files[name]
        digest = hashlib.sha256(body).hexdigest()
        if self.with_etag:
            known, validators = headers.get("If-None-Match") == f'"{digest}"', {"ETag": f'"{digest}"'}
        else:
            modified = email.utils.formatdate(int(digest[:7], 16), usegmt=True)
            known, validators = headers.get("If-Modified-Since") == modified, {"Last-Modified": modified}
        return (304, b"", {}) if known else (200, body, validators)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    made = Mirror()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def feeds(database: Database, clock: Clock, mirror: Mirror, tmp_path: Path) -> Feeds:
    """One of two files, and one of one."""
    put(mirror, tmp_path, "main.json", "CVE-2026-1001")
    put(mirror, tmp_path, "community.json", "CVE-2026-1002", package="nginx")
    put(mirror, tmp_path, "other.json", "CVE-2026-1003", "3.19")
    addresses = {"alpine": [mirror.url("main.json"), mirror.url("community.json")], "other": [mirror.url("other.json")]}
    return Feeds(database, Loads(database, clock), addresses, clock)


def put(mirror: Mirror, folder: Path, name: str, vulnerability: str, release: str = "3.18", package: str = "openssl") -> None:
    mirror.files[name] = scanned.secdb(folder, release, {package: {"2-r0": [vulnerability]}}).read_bytes()


async def state(feeds: Feeds, name: str) -> tuple[int, str]:
    (found,) = [each for each in await feeds.status() if each.name == name]
    return found.records, found.error


@pytest.mark.parametrize("with_etag", [True, False], ids=["etag", "last-modified"])
async def test_what_has_not_changed_is_not_sent_again(feeds: Feeds, mirror: Mirror, clock: Clock, with_etag: bool) -> None:
    mirror.with_etag = with_etag

    first = await feeds.update()
    clock.go(60)
    second = await feeds.update()

    assert [2, 1] == [each.records for each in first.values() if isinstance(each, Loaded)]
    assert {"alpine": None, "other": None} == second
    assert {(f"/{name}", status): 1 for name in mirror.files for status in (200, 304)} == dict(mirror.answers)
    (alpine, _) = await feeds.status()
    assert (60_000_000, 2, "") == (alpine.checked_at_us - alpine.loaded_at_us, alpine.records, alpine.error)


async def test_of_several_files_one_has_changed(feeds: Feeds, mirror: Mirror, tmp_path: Path) -> None:
    """A load replaces all, so all are needed: what was only asked for is fetched."""
    await feeds.update()
    put(mirror, tmp_path, "community.json", "CVE-2026-2002", package="nginx")

    done = await feeds.update()

    loaded = done["alpine"]
    assert isinstance(loaded, Loaded)
    assert (2, 1, 1) == (loaded.records, loaded.added, loaded.removed)
    assert {"alpine": None, "other": None} == await feeds.update()


@pytest.mark.parametrize("status", [404, 500, 403])
async def test_what_cannot_be_fetched_is_told_and_what_was_there_stays(feeds: Feeds, mirror: Mirror, status: int) -> None:
    """The other feeds are loaded all the same; the next time that it works, the error is gone."""
    await feeds.update()
    mirror.broken["community.json"] = status

    done = await feeds.update()
    told = await state(feeds, "alpine")
    mirror.broken.clear()
    again = await feeds.update()

    sentence = f"{mirror.url('community.json')} answers {status}"
    assert {"alpine": sentence, "other": None} == done
    assert (2, sentence) == told
    assert {"alpine": None, "other": None} == again
    assert (2, "") == await state(feeds, "alpine")


async def test_a_feed_that_never_was_loaded_has_its_error_too(feeds: Feeds, mirror: Mirror) -> None:
    mirror.broken["main.json"] = 503

    done = await feeds.update()

    assert isinstance(done["other"], Loaded)
    assert (0, f"{mirror.url('main.json')} answers 503") == await state(feeds, "alpine")


async def test_what_is_no_feed_is_told_and_what_was_there_stays(feeds: Feeds, mirror: Mirror) -> None:
    await feeds.update()
    mirror.files["main.json"] = b"<html>please sign in</html>"

    done = await feeds.update(["alpine"])

    assert "is no feed" in str(done["alpine"])
    records, error = await state(feeds, "alpine")
    assert (2, True) == (records, "is no feed" in error)


async def test_a_server_that_does_not_answer_is_told(database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "SECONDS", 0.3)
    feeds = Feeds(database, Loads(database, clock), {"gone": [f"http://127.0.0.1:{free_port()}/x"], "wrong": ["nonsense"]}, clock)

    done = await feeds.update()

    assert all("cannot be fetched" in str(each) for each in done.values()), done


async def test_more_than_any_feed_has_is_refused(feeds: Feeds, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MAX_BYTES", 1000)
    mirror.files["other.json"] += b" " * 1000

    done = await feeds.update(["other"])

    assert "gives more than 1000 bytes" in str(done["other"])


async def test_a_name_that_the_settings_do_not_have_is_refused(feeds: Feeds) -> None:
    with pytest.raises(FeedInvalid, match="no feed nosuch: alpine, other"):
        await feeds.update(["nosuch"])


async def test_another_address_is_fetched_whatever_was_known_of_the_first(
    feeds: Feeds, mirror: Mirror, database: Database, clock: Clock
) -> None:
    await feeds.update()
    mirror.answers.clear()
    moved = Feeds(database, Loads(database, clock), {"other": [mirror.url("main.json")]}, clock)

    await moved.update(lossy=True)

    assert {("/main.json", 200): 1} == dict(mirror.answers)
