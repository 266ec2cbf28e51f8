"""How a server starts and how it ends: the supervisor and its children."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx
import pytest

from tests.kit.observed import children, wait_for
from tests.kit.push import digest
from tests.kit.raw import Raw, request
from tests.kit.server import Server, serving

SECONDS = 30


@contextmanager
def starting(folder: Path, program: str = "pass", **env: str) -> Iterator[subprocess.Popen[str]]:
    """`roadstead serve`, which may never be ready. program: what is run before it in its process."""
    command = f"import sys; {program}; from roadstead.cli.main import main; main()"
    arguments = ["serve", "--data", str(folder / "data"), "--listen", "127.0.0.1:0", "--processes", "2"]
    process = subprocess.Popen(
        [sys.executable, "-c", command, *arguments, "--ready-file", str(folder / "ready")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "ROADSTEAD_DATABASE": "", "ROADSTEAD_LOCATIONS": "{}", "ROADSTEAD_ACCOUNTS": "false", **env},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def nothing_is_left(process: subprocess.Popen[str]) -> bool:
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return True
    return False


# The end


@pytest.mark.slow
def test_a_slow_upload_is_finished_before_the_server_ends(tmp_path: Path, repository: str) -> None:
    """Draining waits for what is under way, byte by byte, and acknowledges it; then the exit code is 0."""
    content = Random("slow").randbytes(400_000)
    with serving(tmp_path / "data", "--processes", "2") as server:
        with Raw(server.port) as raw:
            path = f"/v2/{repository}/blobs/uploads/?digest={digest(content)}"
            raw.send(request("POST", path, f"Content-Length: {len(content)}") + content[:100_000])
            time.sleep(0.2)
            assert server.process
            server.process.terminate()
            for start in range(100_000, 400_000, 100_000):
                time.sleep(0.3)
                assert server.process.poll() is None
                raw.send(content[start : start + 100_000])
            reply = raw.reply()
            assert (201, "close") == (reply.status, reply.headers["connection"])
        assert 0 == server.process.wait(timeout=SECONDS)

        server.start()
        assert content == httpx.get(f"{server.url}/v2/{repository}/blobs/{digest(content)}", follow_redirects=True).content


@pytest.mark.slow
def test_what_takes_too_long_is_cut_off(tmp_path: Path, repository: str) -> None:
    """drain_seconds is a promise to whoever waits for the end. What came of an upload is kept."""
    with serving(tmp_path / "data", "--processes", "1", env={"ROADSTEAD_DRAIN_SECONDS": "0.5"}) as server:
        place = httpx.post(f"{server.url}/v2/{repository}/blobs/uploads/").headers["Location"]
        with Raw(server.port) as raw:
            raw.send(request("PATCH", place, "Content-Length: 100000") + bytes(1000))
            time.sleep(0.3)
            assert server.process
            before = time.monotonic()
            server.process.terminate()

            assert 0 == server.process.wait(timeout=SECONDS)
            assert time.monotonic() - before < 8
            assert raw.is_closed()


@pytest.mark.slow
def test_during_the_delay_newcomers_are_served(tmp_path: Path) -> None:
    """A balancer that has not noticed yet must not hand on an error."""
    with serving(tmp_path / "data", "--processes", "1", env={"ROADSTEAD_DRAIN_DELAY_SECONDS": "1.5"}) as server:
        assert server.process
        server.process.terminate()
        time.sleep(0.5)

        assert 200 == httpx.get(f"{server.url}/v2/").status_code
        assert "close" == httpx.get(f"{server.url}/v2/").headers["Connection"]
        assert 0 == server.process.wait(timeout=SECONDS)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), timeout=5)


@pytest.mark.slow
def test_a_child_that_does_not_end_is_killed(tmp_path: Path) -> None:
    """A stopped process hears no SIGTERM; the operator's `systemctl stop` must end all the same."""
    with serving(tmp_path / "data", "--processes", "1", env={"ROADSTEAD_DRAIN_SECONDS": "0"}) as server:
        assert server.process
        for pid in children(server.process.pid):
            os.kill(pid, signal.SIGSTOP)
        server.process.terminate()

        assert 0 == server.process.wait(timeout=SECONDS)


# The start


@pytest.mark.slow
def test_a_signal_ends_a_server_whose_database_does_not_answer(tmp_path: Path) -> None:
    """It accepts and says nothing, as behind a firewall: nobody wants to wait for its timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"postgresql://user:secret@127.0.0.1:{silent.getsockname()[1]}/name"
        for number in (signal.SIGTERM, signal.SIGINT):
            with starting(tmp_path, ROADSTEAD_DATABASE=address) as process:
                silent.accept()
                before = time.monotonic()
                process.send_signal(number)

                assert 0 == process.wait(timeout=SECONDS)
                assert time.monotonic() - before < 5
                wait_for(lambda process=process: nothing_is_left(process))


def test_a_signal_ends_a_server_that_is_not_ready_yet(tmp_path: Path) -> None:
    """Its children are there, but never say that they answer."""
    waits = "import time, roadstead.server as s; s._tell = lambda ready: None"
    with starting(tmp_path, waits) as process:
        wait_for(lambda: len(children(process.pid)) == 3)
        before = time.monotonic()
        process.terminate()

        assert 0 == process.wait(timeout=SECONDS)
        assert time.monotonic() - before < 10
        assert not (tmp_path / "ready").exists()
        wait_for(lambda: nothing_is_left(process))


@pytest.mark.slow
def test_a_process_that_dies_before_it_is_ready_is_started_again(tmp_path: Path) -> None:
    with starting(tmp_path) as process:
        first = wait_for(lambda: len(found := children(process.pid)) == 3 and found)
        if not (tmp_path / "ready").exists():
            os.kill(first[0], signal.SIGKILL)

        wait_for((tmp_path / "ready").exists)
        address = (tmp_path / "ready").read_text().strip()
        assert 200 == httpx.get(f"{address}/v2/").status_code
        assert 3 == len(wait_for(lambda: len(found := children(process.pid)) == 3 and found))


@pytest.mark.slow
@pytest.mark.parametrize("which", ["_serve", "_work"])
def test_a_process_that_never_becomes_ready_ends_the_server_with_a_sentence(tmp_path: Path, which: str) -> None:
    """Then whoever started it (systemd, Kubernetes) sees that it is broken, instead of a server that is up and answers nobody."""
    breaks = f"import roadstead.server as s; s.{which} = lambda *_: 1 / 0"
    with starting(tmp_path, breaks) as process:
        said = process.communicate(timeout=SECONDS)[1]

        assert 1 == process.returncode
        assert "giving up" in said.splitlines()[-1]
        assert "ZeroDivisionError" in said
        assert ("serve-" in said) == (which == "_serve")
        assert ("process worker" in said) == (which == "_work")
        wait_for(lambda: nothing_is_left(process))


def test_wrong_settings_that_a_process_finds_end_the_server_at_once(tmp_path: Path) -> None:
    """To try again would not make them right."""
    with starting(tmp_path, ROADSTEAD_LOCATIONS='{"gcr": {"storage": "s3://bucket", "options": {"no_such_option": "1"}}}') as process:
        said = process.communicate(timeout=SECONDS)[1]

        assert 2 == process.returncode
        assert "s3://bucket cannot be opened" in said
        assert "Traceback" not in said


def test_what_is_made_can_be_read_by_its_user_alone(tmp_path: Path) -> None:
    """Whoever reads the database or a blob reads images."""
    os.umask(before := os.umask(0o022))
    assert before == 0o022 or before, "the tests' own umask does not matter"
    server = Server(tmp_path / "data", "--processes", "1", env={"ROADSTEAD_DATABASE": "", "ROADSTEAD_LOCATIONS": "{}"})
    with serving(server.data, "--processes", "1", env=server.env) as running:
        content = bytes(100_000)
        httpx.post(f"{running.url}/v2/p/a/blobs/uploads/", params={"digest": digest(content)}, content=content)

        made = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
        open_to_others = [str(path) for path in made if stat.S_IMODE(path.lstat().st_mode) & 0o077]

    assert len(made) > 10
    assert [] == open_to_others
