"""`roadstead serve`"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx
import pytest

from tests.kit.engines import only_with
from tests.kit.push import connect, digest, push_blob, push_image
from tests.kit.raw import Raw, request
from tests.kit.server import Server, serving

SECONDS = 30


@contextmanager
def started(folder: Path, *options: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """With exactly these options, in a process group of its own; without accounts, unless env says otherwise."""
    process = subprocess.Popen(
        [sys.executable, "-m", "roadstead", "serve", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "ROADSTEAD_ACCOUNTS": "false", **(env or {})},
        cwd=cwd or folder,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def ready(process: subprocess.Popen[str], file: Path) -> list[str]:
    """The addresses of the ready file, once it is there."""
    deadline = time.monotonic() + SECONDS
    while not file.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return file.read_text().splitlines()


def refused(folder: Path, *options: str, env: dict[str, str] | None = None) -> str:
    """What it says when it does not start: a sentence, exit code 2, no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "roadstead", "serve", *options],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, **(env or {})},
        cwd=folder,
        check=False,
    )
    assert 2 == done.returncode, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "" == done.stdout
    return done.stderr


def test_the_ready_file_has_the_address_once_requests_are_answered(tmp_path: Path) -> None:
    """Scripts need no sleep; port 0 takes a free one."""
    file = tmp_path / "ready"
    with started(tmp_path, "--listen", "127.0.0.1:0", "--ready-file", str(file), "--processes", "2") as process:
        (address,) = ready(process, file)

        assert 200 == httpx.get(f"{address}/v2/").status_code
        assert (tmp_path / "data/registry.sqlite").exists()


def test_it_says_what_to_paste(tmp_path: Path) -> None:
    file = tmp_path / "ready"
    with started(tmp_path, "--listen", "127.0.0.1:0", "--ready-file", str(file), "--processes", "1", "--data", "here") as process:
        authority = ready(process, file)[0].removeprefix("http://")
        process.terminate()
        said = process.communicate(timeout=SECONDS)[0]

    for line in (
        f"docker login {authority}",
        f"docker push {authority}/",
        f"docker pull {authority}/",
        "on this machine only",
        "no accounts",
    ):
        assert line in said
    assert str(tmp_path / "here") in said


@pytest.mark.slow
def test_a_first_start_shows_its_owner_in_and_is_closed_to_everybody_else(tmp_path: Path) -> None:
    """No default password: a link that is good once, and a line for scripts on this machine."""
    file = tmp_path / "ready"
    options = ("--listen", "127.0.0.1:0", "--ready-file", str(file), "--processes", "2", "--data", "here")
    with started(tmp_path, *options, env={"ROADSTEAD_ACCOUNTS": "true"}) as process:
        (address,) = ready(process, file)
        statuses = [httpx.get(f"{address}{path}").status_code for path in ("/v2/", "/v1/projects", "/v2/my-project/x/tags/list")]
        process.terminate()
        said = process.communicate(timeout=SECONDS)[0]

    assert [401, 401, 401] == statuses
    (link,) = [line.strip() for line in said.splitlines() if "/signin/link?token=" in line]
    assert link.startswith(address)
    assert f"admin token --data here | docker login -u oauth2accesstoken --password-stdin {address.removeprefix('http://')}" in said


def test_several_addresses_are_all_served(tmp_path: Path) -> None:
    file = tmp_path / "ready"
    options = ("--listen", "127.0.0.1:0", "--listen", "127.0.0.2:0", "--ready-file", str(file), "--processes", "1")
    with started(tmp_path, *options) as process:
        addresses = ready(process, file)

        assert ["http://127.0.0.1", "http://127.0.0.2"] == [address.rsplit(":", 1)[0] for address in addresses]
        assert [200, 200] == [httpx.get(f"{address}/v2/").status_code for address in addresses]


@pytest.mark.slow
def test_ipv6_s_loopback_is_served(tmp_path: Path) -> None:
    if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists() or not Path("/proc/net/if_inet6").read_text():
        pytest.skip("this machine has no IPv6")
    file = tmp_path / "ready"
    with started(tmp_path, "--listen", "[::1]:0", "--ready-file", str(file), "--processes", "1") as process:
        (address,) = ready(process, file)

        assert address.startswith("http://[::1]:")
        assert 200 == httpx.get(f"{address}/v2/").status_code


def test_a_file_and_variables_set_what_the_command_line_does_not(tmp_path: Path) -> None:
    config, file = tmp_path / "roadstead.toml", tmp_path / "ready"
    config.write_text('listen = ["127.0.0.1:1"]\ndata = "of-the-file"\nprocesses = 1\n[locations.here]\nhosts = ["here.example"]\n')
    env = {"ROADSTEAD_LISTEN": "127.0.0.1:0", "ROADSTEAD_DATA": "of-the-variable"}
    with started(tmp_path, "--config", str(config), "--ready-file", str(file), "--data", "of-the-line", env=env) as process:
        (address,) = ready(process, file)
        with connect(address) as client:
            push_image(client, "project/image")
            there = client.get("/v2/project/image/manifests/v1", headers={"Host": "here.example"})

    assert 404 == there.status_code
    assert (tmp_path / "of-the-line/blobs/here").is_dir()
    assert not (tmp_path / "of-the-file").exists()
    assert not (tmp_path / "of-the-variable").exists()


# What it refuses


@pytest.mark.parametrize(
    "address", ["nonsense", "5000", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:\xb2", "example.com:5000"]
)
def test_a_wrong_address_is_refused(tmp_path: Path, address: str) -> None:
    said = refused(tmp_path, "--listen", address)

    assert "listen" in said
    assert address in said


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:5000"])
def test_an_address_for_other_machines_is_refused(tmp_path: Path, address: str) -> None:
    """Where everybody may do everything; nothing was made or opened by then."""
    said = refused(tmp_path, "--no-accounts", "--listen", "127.0.0.1:0", "--listen", address)

    assert "no accounts" in said
    assert "127.0.0.1" in said, "and it says what to do"
    assert not (tmp_path / "data").exists()


def test_a_busy_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(tmp_path, "--listen", f"127.0.0.1:{port}")

    assert f"127.0.0.1:{port}" in said
    assert "in use" in said


WRONG: dict[str, tuple[list[str], dict[str, str]]] = {
    "a file that is not there": (["--config", "absent.toml"], {}),
    "a folder as file": (["--config", "."], {}),
    "a negative number of processes": (["--processes", "-1"], {}),
    "a number that is none": (["--processes", "many"], {}),
    "an unknown option": (["--colour"], {}),
    "an argument too many": (["now"], {}),
    "a variable that is no number": ([], {"ROADSTEAD_GC_INTERVAL_SECONDS": "often"}),
    "a variable with locations": ([], {"ROADSTEAD_LOCATIONS": "eu"}),
    "an unknown log level": ([], {"ROADSTEAD_LOG_LEVEL": "loud"}),
}


@pytest.mark.parametrize(("options", "env"), WRONG.values(), ids=WRONG.keys())
def test_wrong_options_and_variables_are_refused(tmp_path: Path, options: list[str], env: dict[str, str]) -> None:
    assert refused(tmp_path, *options, env=env).strip()
    assert not (tmp_path / "data").exists()


def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")

    said = refused(tmp_path, "--listen", "127.0.0.1:0", "--data", "file")

    assert "file" in said


@pytest.mark.slow
@only_with("the database is not in the data folder", database="sqlite")
def test_a_data_folder_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    """Better than to destroy it."""
    import sqlite3

    with serving(tmp_path / "data", "--processes", "1"):
        pass
    with sqlite3.connect(tmp_path / "data/registry.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    said = refused(tmp_path, "--listen", "127.0.0.1:0")

    assert "9999" in said
    assert "newer" in said


# How it ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_exit_code_0_and_no_process_is_left(tmp_path: Path, number: signal.Signals) -> None:
    file = tmp_path / "ready"
    with started(tmp_path, "--listen", "127.0.0.1:0", "--ready-file", str(file), "--processes", "2") as process:
        (address,) = ready(process, file)
        with connect(address) as idle:
            idle.get("/v2/")  # a keep-alive connection must not hold it up
            before = time.monotonic()
            process.send_signal(number)
            said = process.communicate(timeout=SECONDS)

        assert 0 == process.returncode, said
        assert "Traceback" not in said[1]
        assert time.monotonic() - before < 10
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)


@pytest.mark.slow
def test_requests_under_way_are_finished(tmp_path: Path, repository: str) -> None:
    """An upload that has begun is answered after SIGTERM, and what was answered is there after the next start."""
    content = Random("drained").randbytes(100_000)
    with serving(tmp_path / "data", "--processes", "1") as server:
        with Raw(server.port) as raw, Raw(server.port) as idle:
            assert 200 == idle.send(request("GET", "/v2/")).reply().status
            path = f"/v2/{repository}/blobs/uploads/?digest={digest(content)}"
            raw.send(request("POST", path, f"Content-Length: {len(content)}") + content[:50_000])
            assert server.process
            server.process.terminate()
            assert idle.is_closed(), "draining has begun"
            reply = raw.send(content[50_000:]).reply()
            assert 201 == reply.status
            assert "close" == reply.headers["connection"]
        assert 0 == server.process.wait(timeout=SECONDS)

        server.start()
        assert content == httpx.get(f"{server.url}/v2/{repository}/blobs/{digest(content)}", follow_redirects=True).content


def test_nobody_new_is_let_in_while_it_drains(tmp_path: Path, repository: str) -> None:
    """Refused at once, so that a balancer or a client turns to another; not left waiting for an answer that never comes."""
    with serving(tmp_path / "data", "--processes", "1") as server, Raw(server.port) as raw, Raw(server.port) as idle:
        assert 200 == idle.send(request("GET", "/v2/")).reply().status
        raw.send(request("POST", f"/v2/{repository}/blobs/uploads/?digest={digest(b'12')}", "Content-Length: 2") + b"1")
        assert server.process
        server.process.terminate()
        assert idle.is_closed(), "draining has begun"

        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), timeout=5)
        assert 201 == raw.send(b"2").reply().status


def test_a_signal_before_it_is_ready_ends_it_too(tmp_path: Path) -> None:
    """An operator's Ctrl-C in the first second; a supervisor that gives up on it."""
    with started(tmp_path, "--listen", "127.0.0.1:0", "--processes", "2") as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        deadline = time.monotonic() + SECONDS
        while len(children.read_text().split()) < 3 and time.monotonic() < deadline:
            time.sleep(0.001)
        process.terminate()

        process.wait(timeout=10)


@pytest.mark.slow
def test_a_serving_process_that_dies_is_replaced(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--processes", "1") as server:
        assert server.process
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        for child in children.read_text().split():
            os.kill(int(child), signal.SIGKILL)

        with connect(server.url) as client:
            assert 200 == client.get("/v2/").status_code
            push_blob(client, "project/image", b"{}")


@pytest.mark.slow
def test_children_do_not_outlive_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--processes", "2") as server:
        assert server.process
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()

        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                os.killpg(server.process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.02)
        raise AssertionError("a child is still there")


@pytest.mark.slow
def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", "--processes", "1").start()
    with connect(server.url) as client:
        manifest = push_image(client, "project/image")
        upload = client.post("/v2/project/image/blobs/uploads/").headers["Location"]
        client.patch(upload, content=b"half")
    server.stop()

    with serving(tmp_path / "data", "--processes", "1") as again, connect(again.url) as client:
        assert manifest.payload == client.get("/v2/project/image/manifests/v1").content
        assert "0-3" == client.get(upload).headers["Range"], "an upload goes on as well"
