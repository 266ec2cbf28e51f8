"""Starts the measured servers on free ports of 127.0.0.1, with their data in one folder, and stops them."""

import os
import signal
import socket
import string
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from client import Server
from content import SMALL, BigBlob, usual_manifest, write_layouts_of_many_tags
from machine import process_tree

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PROGRAMS = ROOT / ".cache/bin"
START_SECONDS = 30
STOP_SECONDS = 20
DISTRIBUTION_PASSWORD = "four-quiet-herons-wade"
# Cost 5, the default of `htpasswd -B`: the cheapest for the peer that anyone gets without asking for it.
_BCRYPT_OF_IT = "$2b$05$roadsteadbenchsalt....1ZeEW7Y3fJPr0Nxgz6hL6WCe0iCKzX2"
# Name → ROADSTEAD_ACCOUNTS.
_ROADSTEAD = {"roadstead": "false", "roadstead-accounts": "true"}


@contextmanager
def running(names: list[str], folder: Path, python: str, big: BigBlob, processes: int = 0) -> Iterator[list[Server]]:
    """
    Start each of names and wait until it answers; all are stopped at the end, however it comes. Raises RuntimeError.

    processes: of Roadstead, 0 for its default.
    """
    started: list[subprocess.Popen] = []
    try:
        servers = []
        for name in names:
            data = folder / name
            data.mkdir(parents=True)
            starting = _start_roadstead(name, data, python, processes) if name in _ROADSTEAD else _START[name](data, big)
            started.append(starting.process)
            servers.append(starting.when_ready())
        yield servers
    finally:
        for process in started:
            _stop(process)


class _Starting:
    """A process that was started and will answer at url; without one, the ready file will tell."""

    def __init__(
        self, name: str, note: str, command: list[str], data: Path, environment: dict[str, str] | None = None, url: str = ""
    ) -> None:
        self._server = Server(name, url, note=note, static=name == "nginx")
        self._log = data.parent / f"{name}.log"
        self._ready_file = data.parent / f"{name}.ready"
        command = [word.replace("READY_FILE", str(self._ready_file)) for word in command]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=data,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        self._server.pid = self.process.pid

    def when_ready(self) -> Server:
        end = time.time() + START_SECONDS
        while time.time() < end and self.process.poll() is None:
            if not self._server.url and self._ready_file.exists():
                self._server.url = self._ready_file.read_text().split()[0].rstrip("/")
            if self._server.url and self._answers():
                return self._server
            time.sleep(0.05)
        raise RuntimeError(f"{self._server.name} does not answer: {self._log.read_text()[-1000:]}")

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self._server.url}/{'small' if self._server.static else 'v2/'}", timeout=5).close()
        except urllib.error.HTTPError as error:
            return error.code == 401
        except OSError:
            return False
        return True


def _start_roadstead(name: str, data: Path, python: str, processes: int) -> _Starting:
    command = [python, "-m", "roadstead", "serve", "--data", str(data), "--listen", "127.0.0.1:0", "--ready-file", "READY_FILE"]
    command += ["--processes", str(processes)] if processes else []
    environment = {"PYTHONPATH": str(ROOT / "src"), "ROADSTEAD_ACCOUNTS": _ROADSTEAD[name]}
    return _Starting(name, "content and the folders that name it, before the 201", command, data, environment)


def _start_distribution(data: Path, _: BigBlob, more: dict[str, str] | None = None) -> _Starting:
    address = f"127.0.0.1:{_free_port()}"
    environment = {
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(data),
        "REGISTRY_HTTP_ADDR": address,
        "OTEL_TRACES_EXPORTER": "none",  # as in its official image
        **(more or {}),
    }
    command = [str(PROGRAMS / "registry"), "serve", str(HERE / "distribution-v3.yml")]
    note = "manifests, links and blobs, but not the folder that receives a blob"
    return _Starting("distribution", note, command, data, environment, f"http://{address}")


def _start_distribution_with_accounts(data: Path, big: BigBlob) -> _Starting:
    file = data.parent / "htpasswd"
    file.write_text(f"bench:{_BCRYPT_OF_IT}\n")
    settings = {"REGISTRY_AUTH": "htpasswd", "REGISTRY_AUTH_HTPASSWD_REALM": "bench", "REGISTRY_AUTH_HTPASSWD_PATH": str(file)}
    return _start_distribution(data, big, settings)


def _start_olareg(data: Path, _: BigBlob) -> _Starting:
    write_layouts_of_many_tags(data)
    port = _free_port()
    command = [str(PROGRAMS / "olareg"), "serve", "--addr", "127.0.0.1", "--port", str(port), "--dir", str(data)]
    return _Starting("olareg", "nothing, ever", [*command, "--api-delete", "--api-blob-delete"], data, url=f"http://127.0.0.1:{port}")


def _start_nginx(data: Path, big: BigBlob) -> _Starting:
    files, port = data / "files", _free_port()
    files.mkdir()
    big.write(files / "big")
    (files / "small").write_bytes(SMALL)
    (files / "manifest.json").write_bytes(usual_manifest())
    user = "user root;" if os.geteuid() == 0 else ""  # its usual user may not be allowed to enter the folder
    template = string.Template((HERE / "nginx.conf").read_text())
    (data / "nginx.conf").write_text(template.safe_substitute(port=port, user=user))
    environment = {"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    note = "not a registry: the same bytes as static files"
    return _Starting("nginx", note, ["nginx", "-p", str(data), "-c", "nginx.conf"], data, environment, f"http://127.0.0.1:{port}")


_START = {
    "distribution": _start_distribution,
    "olareg": _start_olareg,
    "nginx": _start_nginx,
    "distribution-accounts": _start_distribution_with_accounts,
}
# What is compared without accounts: a peer's default is to have none.
NAMES = ["roadstead", "distribution", "olareg", "nginx"]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _stop(process: subprocess.Popen) -> None:
    """By its id; what is left of its children afterwards by theirs."""
    tree = process_tree(process.pid)
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"did not stop in {STOP_SECONDS} s, killed: {process.args}", file=sys.stderr)
        for pid in tree:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
