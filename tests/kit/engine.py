"""A Docker engine of the tests' own, beside any that the machine runs: real `docker` commands need a real daemon."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.kit.program import Program, find

STARTUP_SECONDS = 40
STOP_SECONDS = 20


class EngineDidNotStart(RuntimeError):
    """Its text is the end of the daemon's log."""


class Engine:
    """
    `dockerd` without a network bridge or firewall rules: containers and builds run with --network=none or host.

    folder is short because the path of a Unix socket may have no more than 107 bytes.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rs-"))
        self.host = f"unix://{self.folder}/docker.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Engine:
        """Returns once the engine answers. Where its own choice of storage fails, as in some sandboxes, it gets the plainest."""
        try:
            self._start()
        except EngineDidNotStart:
            self._end()
            self._start("--storage-driver=vfs")
        return self

    def stop(self) -> None:
        """The daemon ends its containerd itself; what it leaves mounted is unmounted, then the folder is removed."""
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, *options: str) -> None:
        command = [
            *["dockerd", "--iptables=false", "--bridge=none", "-H", self.host],
            *["--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec"), "--pidfile", str(self.folder / "pid")],
            *options,
        ]
        log = self.folder / "log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        deadline = time.monotonic() + STARTUP_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise EngineDidNotStart(log.read_text(errors="replace")[-3000:])
            time.sleep(0.1)

    def _answers(self) -> bool:
        transport = httpx.HTTPTransport(uds=self.host.removeprefix("unix://"))
        try:
            with httpx.Client(transport=transport, timeout=5) as http:
                return http.get("http://docker/_ping").status_code == 200
        except httpx.HTTPError:
            return False

    def _end(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                # The process group is the daemon and its containerd: this engine started both.
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        for mountpoint in self._mountpoints():
            subprocess.run(["umount", "--lazy", mountpoint], check=False)

    def _mountpoints(self) -> list[str]:
        """What is still mounted below the folder, innermost first."""
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        return sorted((mount for mount in mounts if mount.startswith(f"{self.folder}/")), key=len, reverse=True)


@contextmanager
def running_engine(environment: Mapping[str, str] | None = None) -> Iterator[Engine]:
    """Skips the test where no engine can run. The engine is what asks registries and checks certificates, so it gets the environment."""
    if os.geteuid() != 0:
        pytest.skip("a Docker engine needs root")
    find("dockerd")
    engine = Engine()
    try:
        with pytest.MonkeyPatch.context() as patched:
            for key, value in (environment or {}).items():
                patched.setenv(key, value)
            try:
                engine.start()
            except EngineDidNotStart as error:
                pytest.skip(f"the Docker engine does not start here: {error}")
        yield engine
    finally:
        engine.stop()


def docker_of(engine: Engine, folder: Path, environment: Mapping[str, str] | None = None) -> Program:
    """The classic builder: BuildKit needs a plugin that Debian's packages do not bring."""
    return Program(find("docker"), folder, environment={"DOCKER_HOST": engine.host, "DOCKER_BUILDKIT": "0", **(environment or {})})
