"""/healthz and /readyz: what balancers, supervisors and people ask first."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.kit.engines import S3, Postgres, removed_at_the_end
from tests.kit.observed import wait_for
from tests.kit.push import connect, push_image
from tests.kit.raw import Raw, request
from tests.kit.server import Server, serving

EMBEDDED = {"ROADSTEAD_DATABASE": "", "ROADSTEAD_LOCATIONS": "{}"}


def ready(url: str) -> tuple[int, dict[str, str]]:
    response = httpx.get(f"{url}/readyz", timeout=10)
    document = response.json()
    assert document["ready"] == (response.status_code == 200) == (not document["problems"])
    return response.status_code, document["problems"]


def test_a_process_that_lives_says_so(client: httpx.Client) -> None:
    response = client.get("/healthz")

    assert {"alive": True} == response.json()
    assert 200 == response.status_code
    assert "no-store" == response.headers["Cache-Control"]


def test_a_server_that_can_work_is_ready(server: Server) -> None:
    assert (200, {}) == ready(server.url)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_a_probe_may_send_head_and_nothing_that_writes(client: httpx.Client, path: str) -> None:
    head = client.head(path)

    assert (200, b"") == (head.status_code, head.content)
    assert 405 == client.post(path).status_code
    assert "GET, HEAD" == client.put(path).headers["Allow"]


@pytest.mark.parametrize("path", ["/v2/healthz", "/v2/readyz", "/v2/metrics", "/healthz/", "/metrics/x", "/livez"])
def test_only_these_paths_are_about_the_server(client: httpx.Client, path: str) -> None:
    """They are no names of repositories, and no repository's name leads to them."""
    assert client.get(path).status_code in (400, 404)


def test_a_project_may_have_the_name_of_such_a_path(client: httpx.Client) -> None:
    found = client.get("/v2/metrics/tags/list")

    assert (200, "metrics", []) == (found.status_code, found.json()["name"], found.json()["tags"])


@pytest.mark.slow
def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    """Whoever reads the answer must know which location to look after; the others still serve."""
    with serving(tmp_path / "data", "--processes", "1", env=EMBEDDED) as server:
        shutil.rmtree(tmp_path / "data/blobs/eu/uploads")

        status, problems = wait_for(lambda: (found := ready(server.url))[0] == 503 and found)

        assert 503 == status
        assert ["location eu"] == list(problems)
        assert "data/blobs/eu/uploads" in problems["location eu"]
        assert 200 == httpx.get(f"{server.url}/healthz").status_code, "to start it again would mend nothing"
        (tmp_path / "data/blobs/eu/uploads").mkdir()
        wait_for(lambda: ready(server.url) == (200, {}))


@pytest.fixture
def engines() -> Iterator[tuple[Postgres, S3]]:
    postgres, s3 = Postgres(), S3()
    with removed_at_the_end([postgres, s3]):
        yield postgres.start(), s3.start()


@pytest.mark.slow
def test_a_database_or_bucket_that_is_away_makes_a_server_unready_and_it_recovers_by_itself(
    tmp_path: Path, engines: tuple[Postgres, S3]
) -> None:
    postgres, s3 = engines
    env = {"ROADSTEAD_DATABASE": postgres.new_database(), "ROADSTEAD_LOCATIONS": s3.locations(s3.new_bucket())}
    with serving(tmp_path / "data", "--processes", "1", env=env) as server:
        assert (200, {}) == ready(server.url)

        postgres.stop(signal.SIGQUIT)
        wait_for(lambda: list(ready(server.url)[1]) == ["database"])
        assert 200 == httpx.get(f"{server.url}/healthz").status_code
        assert 200 == httpx.get(f"{server.url}/metrics", timeout=10).status_code, "it counts all the same"
        postgres.start()
        wait_for(lambda: ready(server.url) == (200, {}))

        s3.stop()
        problems = wait_for(lambda: ready(server.url)[1])
        assert {f"location {name}" for name in ("asia", "eu", "gcr", "mirror", "us")} == set(problems)
        s3.start()
        wait_for(lambda: ready(server.url) == (200, {}))


@pytest.mark.slow
def test_a_draining_server_is_not_ready_but_still_serves(tmp_path: Path) -> None:
    """A balancer has to see it before the door is closed: between the two, requests are answered, and connections end."""
    env = {"ROADSTEAD_DRAIN_DELAY_SECONDS": "2.5"}
    with serving(tmp_path / "data", "--processes", "2", env=env) as server:
        with connect(server.url) as client:
            manifest = push_image(client, "project/image")
        with Raw(server.port) as before:
            assert "connection" not in before.send(request("GET", "/v2/")).reply().headers
            assert server.process
            server.process.terminate()

            problems = wait_for(lambda: ready(server.url)[1])
            assert ["server"] == list(problems)
            answer = before.send(request("GET", "/v2/project/image/manifests/v1")).reply()
            assert (200, manifest.payload) == (answer.status, answer.body)
            assert "close" == answer.headers["connection"], "the client is told to go elsewhere"
            assert before.is_closed()
        assert 1 == httpx.get(f"{server.url}/metrics").text.count("roadstead_draining 1.0")
        assert 0 == server.process.wait(timeout=20)


@pytest.mark.slow
def test_a_worker_answers_where_it_is_told_to(tmp_path: Path) -> None:
    """A node that only works has no serving process that could be asked."""
    file = tmp_path / "ready"
    with serving(tmp_path / "data", "--processes", "1", "--no-worker") as server:
        command = [sys.executable, "-m", "roadstead", "worker", "--data", str(server.data), "--listen", "127.0.0.1:0"]
        worker = subprocess.Popen([*command, "--ready-file", str(file)], env=server.env)
        try:
            address = wait_for(lambda: file.exists() and file.read_text().strip())
            wait_for(lambda: ready(address) == (200, {}))
            assert 200 == httpx.get(f"{address}/healthz").status_code
            assert "roadstead_gc_runs_total" in httpx.get(f"{address}/metrics").text
            assert 404 == httpx.get(f"{address}/v2/").status_code, "it serves no images"
        finally:
            worker.terminate()
        assert 0 == worker.wait(timeout=20)
