"""
The engines a Roadstead can stand on: SQLite and a folder, or a real PostgreSQL and a real S3 server, started here on free ports.

ROADSTEAD_TEST_DB=postgres and ROADSTEAD_TEST_BLOBS=s3 (or pytest's --db and --blobs) choose them for all tests. Blobs are then
streamed through the server, so that the tests of its answers hold; with ROADSTEAD_TEST_REDIRECT=1 clients are sent to the bucket.
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import botocore.session
import httpx
import pytest

from tests.kit.program import find

TOOLS = Path(__file__).parents[2] / ".cache/bin"
STARTUP_SECONDS = 60
STOP_SECONDS = 20
LOCATIONS = ("gcr", "us", "eu", "asia", "mirror")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Postgres:
    """
    A PostgreSQL server with its data in a folder. It does not run as root, so its folder belongs to another user then.

    fsync stays on, as in production: what is measured and killed here is what users run.
    """

    def __init__(self, port: int | None = None, *settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rs-pg-"))
        self.port = port or free_port()
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None
        self._programs = _postgres_programs()
        self._made = False

    def url(self, database: str, port: int | None = None) -> str:
        return f"postgresql://roadstead:secret@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> Postgres:
        if not self._made:
            self._make()
        log = (self.folder / "log").open("ab")
        options = ["-c", "listen_addresses=127.0.0.1", "-c", f"port={self.port}", "-c", f"unix_socket_directories={self.folder}"]
        limits = ["-c", "max_connections=300", "-c", "shared_buffers=256MB", *(word for each in self.settings for word in ("-c", each))]
        command = [str(self._programs / "postgres"), "-D", str(self.folder / "data"), *options, *limits]
        self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **self._user())
        deadline = time.monotonic() + STARTUP_SECONDS
        ready = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text()[-3000:])
            time.sleep(0.05)
        return self

    def new_database(self, template: str = "template1") -> str:
        """Its address. Each test server has one of its own. template: the name of one that it begins as a copy of."""
        name = f"r{secrets.token_hex(6)}"
        self.sql("postgres", f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def psql(self, address: str) -> list[str]:
        """The command that runs what it reads in the database at address."""
        return [str(self._programs / "psql"), "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", address]

    def sql(self, database: str, statement: str) -> str:
        command = [*self.psql(self.url(database)), "-c", statement]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT is PostgreSQL's fast shutdown, SIGQUIT a crash."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(timeout=STOP_SECONDS)

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make(self) -> None:
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        password = self.folder / "password"
        password.write_text("secret")
        password.chmod(0o644)
        command = [str(self._programs / "initdb"), "-D", str(self.folder / "data"), "-U", "roadstead", "-A", "scram-sha-256"]
        # A language's order of texts, as most installations have it: ours must not depend on it.
        command += [f"--pwfile={password}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
        subprocess.run(command, check=True, capture_output=True, **self._user())
        self._made = True

    def _user(self) -> dict[str, object]:
        return {"user": "postgres", "group": "postgres", "cwd": self.folder} if os.geteuid() == 0 else {}


class S3:
    """versitygw: a real S3 server over a folder."""

    ACCESS, SECRET = "roadstead", "roadstead-secret"

    def __init__(self, port: int | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rs-s3-"))
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._program = find("versitygw", TOOLS)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> S3:
        (self.folder / "objects").mkdir(exist_ok=True)
        environment = {**os.environ, "ROOT_ACCESS_KEY": self.ACCESS, "ROOT_SECRET_KEY": self.SECRET}
        command = [str(self._program), "--port", f"127.0.0.1:{self.port}", "--quiet", "--keep-alive", "posix", str(self.folder / "objects")]
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        deadline = time.monotonic() + STARTUP_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text()[-3000:])
            time.sleep(0.05)
        return self

    def new_bucket(self) -> str:
        name = f"b{secrets.token_hex(6)}"
        (self.folder / "objects" / name).mkdir()
        return name

    def options(self, port: int | None = None) -> dict[str, str]:
        """What obstore needs to reach it."""
        return {
            "endpoint": f"http://127.0.0.1:{port or self.port}",
            "region": "us-east-1",
            "access_key_id": self.ACCESS,
            "secret_access_key": self.SECRET,
        }

    def locations(self, bucket: str, redirect: bool = True, port: int | None = None) -> str:
        """The setting ROADSTEAD_LOCATIONS for a bucket with all locations, each under a prefix of its own."""
        one = {"options": self.options(port), "redirect": redirect, "public_endpoint": self.url}
        return json.dumps({name: {"storage": f"s3://{bucket}/{name}", **one} for name in LOCATIONS})

    def unfinished(self, bucket: str) -> list[str]:
        """The keys of multipart uploads that have neither ended nor been given up."""
        options = {"aws_access_key_id": self.ACCESS, "aws_secret_access_key": self.SECRET}
        client = botocore.session.get_session().create_client("s3", region_name="us-east-1", endpoint_url=self.url, **options)
        return [each["Key"] for each in client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(timeout=STOP_SECONDS)

    def remove(self) -> None:
        """At once: asked kindly, it first waits for the connections that its clients keep open."""
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            return httpx.get(self.url, timeout=2).status_code in (200, 403)
        except httpx.HTTPError:
            return False


@dataclass
class Engines:
    """What the servers of this test run stand on; started when a server first needs it, removed at the end."""

    database: str = field(default_factory=lambda: os.environ.get("ROADSTEAD_TEST_DB", "sqlite"))
    blobs: str = field(default_factory=lambda: os.environ.get("ROADSTEAD_TEST_BLOBS", "folder"))
    redirect: bool = field(default_factory=lambda: os.environ.get("ROADSTEAD_TEST_REDIRECT", "") not in ("", "0"))
    _postgres: Postgres | None = None
    _s3: S3 | None = None
    _installations: dict[Path, dict[str, str]] = field(default_factory=dict)

    @property
    def embedded(self) -> bool:
        return (self.database, self.blobs) == ("sqlite", "folder")

    def postgres(self) -> Postgres:
        if self._postgres is None:
            self._postgres = Postgres().start()
        return self._postgres

    def s3(self) -> S3:
        if self._s3 is None:
            self._s3 = S3().start()
        return self._s3

    def environment(self, data: Path) -> dict[str, str]:
        """Settings of an installation: a new, empty one for a data folder that was not seen before."""
        if data not in self._installations:
            self._installations[data] = self._new()
        return self._installations[data]

    def _new(self) -> dict[str, str]:
        # Most tests are about what is done, not by whom; tests/iam switches accounts on.
        # By its own address a server here deletes as the OCI specification has it; tests/gcr asks it by Container Registry's names.
        found = {"ROADSTEAD_ACCOUNTS": "false", "ROADSTEAD_OCI_HOSTS": "127.0.0.1", "ROADSTEAD_ADVISORIES_UPDATE_SECONDS": "0"}
        if self.database == "postgres":
            found["ROADSTEAD_DATABASE"] = self.postgres().new_database()
        if self.blobs == "s3":
            found["ROADSTEAD_LOCATIONS"] = self.s3().locations(self.s3().new_bucket(), self.redirect)
        return found

    def remove(self) -> None:
        """All end before the first folder is removed, because pytest-xdist does not wait for long."""
        if self._postgres is not None:
            self._postgres.stop(signal.SIGQUIT)
        if self._s3 is not None:
            self._s3.stop(signal.SIGKILL)
        for engine in (self._postgres, self._s3):
            if engine is not None:
                engine.remove()


ENGINES = Engines()


def only_with(reason: str, database: str | None = None, blobs: str | None = None) -> pytest.MarkDecorator:
    """For tests that reach into one engine; under another they skip and say why."""
    matches = database in (None, ENGINES.database) and blobs in (None, ENGINES.blobs)
    return pytest.mark.skipif(not matches, reason=reason)


@contextmanager
def removed_at_the_end(engines: Sequence[Postgres | S3]) -> Iterator[None]:
    try:
        yield
    finally:
        for engine in engines:
            engine.remove()


def _postgres_programs() -> Path:
    """Debian keeps the server's programs away from PATH."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "postgres").exists() and int(folder.parent.name) >= 15:
            return folder
    pytest.skip("PostgreSQL 15 or newer is not installed: run tests/install-tools")
