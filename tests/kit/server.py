"""A real Roadstead in its own processes, on a free port of 127.0.0.1 and a data folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.kit.engines import ENGINES

STARTUP_SECONDS = 30


class Server:
    """
    `roadstead serve` as a child process group.

    data is its folder (kept over restart), url its base address, authority the host:port that image names begin with.
    command is put before the program, e.g. ["strace", "-f", …].
    """

    def __init__(self, data: Path, *options: str, command: Sequence[str] = (), env: dict[str, str] | None = None) -> None:
        self.data = data
        self.options = options
        self.command = list(command)
        self.env = {**os.environ, **ENGINES.environment(data), **(env or {})}
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.log = data.parent / f"{data.name}.log"

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.authority}"

    def start(self) -> Server:
        """Returns once requests are answered; the port stays the same over restarts."""
        ready = self.data.parent / f"{self.data.name}.ready"
        ready.unlink(missing_ok=True)
        arguments = [*self.role(), "--data", str(self.data), "--ready-file", str(ready)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, sys.executable, "-m", "roadstead", *arguments, *self.options],
                stdout=log,
                stderr=log,
                env=self.env,
                start_new_session=True,
            )
        deadline = time.monotonic() + STARTUP_SECONDS
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.01)
        addresses = ready.read_text().split()
        self.port = int(addresses[0].rsplit(":", 1)[1]) if addresses else 0
        return self

    def role(self) -> list[str]:
        return ["serve", "--listen", f"127.0.0.1:{self.port}"]

    def kill(self) -> None:
        """SIGKILL to every process of the server at once."""
        assert self.process
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM, as an operator does; the server drains and ends by itself."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another `roadstead` command on the same data folder, e.g. run("check")."""
        return subprocess.run(
            [sys.executable, "-m", "roadstead", *arguments, "--data", str(self.data)],
            capture_output=True,
            text=True,
            env=self.env,
            check=False,
        )


class Worker(Server):
    """`roadstead worker`: jobs and collection, no requests."""

    def role(self) -> list[str]:
        return ["worker"]


@contextmanager
def serving(data: Path, *options: str, command: Sequence[str] = (), env: dict[str, str] | None = None) -> Iterator[Server]:
    server = Server(data, *options, command=command, env=env).start()
    try:
        yield server
    finally:
        server.stop()
