"""Many nodes on one machine: nginx, serving nodes and workers, one PostgreSQL and one S3 server, each behind a proxy that can fail."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from tests.kit.engines import S3, Postgres, free_port
from tests.kit.faults import FaultProxy
from tests.kit.load import Broken, Refused
from tests.kit.program import find
from tests.kit.server import Server, Worker

STARTUP_SECONDS = 60
_NGINX = """
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log error;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {folder}/temp; proxy_temp_path {folder}/temp; fastcgi_temp_path {folder}/temp;
    uwsgi_temp_path {folder}/temp; scgi_temp_path {folder}/temp;
    upstream nodes {{
        {servers}
        keepalive 32;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://nodes;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_request_buffering off;
            proxy_buffering off;
            proxy_read_timeout 90s;
            # A request goes to one node only, so that each answer is that of one request.
            proxy_next_upstream off;
        }}
    }}
}}
"""


class Nginx:
    """In front of nodes, in turns, without stickiness. Debian's nginx-light is enough."""

    def __init__(self, ports: Sequence[int]) -> None:
        program = find("nginx", Path("/usr/sbin"))
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="rs-nginx-"))
        self.folder.chmod(0o755)
        servers = "\n        ".join(f"server 127.0.0.1:{port} max_fails=1 fail_timeout=1s;" for port in ports)
        user = "user root;" if Path.home() == Path("/root") else ""
        file = self.folder / "nginx.conf"
        file.write_text(_NGINX.format(user=user, folder=self.folder, servers=servers, port=self.port))
        self._process = subprocess.Popen([program, "-c", str(file), "-e", str(self.folder / "error.log")], stderr=subprocess.DEVNULL)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def remove(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)
        shutil.rmtree(self.folder, ignore_errors=True)


class Fleet:
    """Nodes have empty data folders of their own and share nothing but the engines, which they reach through the proxies."""

    def __init__(
        self, folder: Path, nodes: int = 3, workers: int = 2, redirect: bool = False, settings: dict[str, str] | None = None
    ) -> None:
        self.postgres = Postgres().start()
        self.s3 = S3().start()
        self.bucket = self.s3.new_bucket()
        self.to_database = FaultProxy(self.postgres.port).start()
        self.to_blobs = FaultProxy(self.s3.port).start()
        self.database = self.postgres.new_database().rsplit("/", 1)[1]
        self._folder = folder
        self._settings = settings or {}
        self.nodes = [Server(folder / f"node-{each}", "--no-worker", "--processes", "1", env=self.env(redirect)) for each in range(nodes)]
        self.workers = [Worker(folder / f"worker-{each}", env=self.env(redirect)) for each in range(workers)]
        self.nginx: Nginx | None = None

    def env(self, redirect: bool) -> dict[str, str]:
        return {
            "ROADSTEAD_DATABASE": self.postgres.url(self.database, self.to_database.port),
            "ROADSTEAD_LOCATIONS": self.s3.locations(self.bucket, redirect, self.to_blobs.port),
            **self._settings,
        }

    def start(self) -> Fleet:
        for each in (*self.nodes, *self.workers):
            each.start()
        self.nginx = Nginx([node.port for node in self.nodes])
        deadline = time.monotonic() + STARTUP_SECONDS
        while not _answers(self.url):
            if time.monotonic() > deadline:
                raise RuntimeError((self.nginx.folder / "error.log").read_text()[-2000:])
            time.sleep(0.05)
        return self

    @property
    def url(self) -> str:
        assert self.nginx
        return self.nginx.url

    def more_nodes(self, number: int, redirect: bool) -> list[Server]:
        """On the same engines; stopped at the end with the others."""
        options = ("--no-worker", "--processes", "1")
        more = [Server(self._folder / f"more-{redirect}-{each}", *options, env=self.env(redirect)).start() for each in range(number)]
        self.nodes += more
        return more

    def sql(self, statement: str) -> str:
        return self.postgres.sql(self.database, statement)

    def jobs(self) -> int:
        return int(self.sql("SELECT count(*) FROM jobs"))

    def jobs_done(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.jobs() and time.monotonic() < deadline:
            time.sleep(0.2)
        return self.jobs() == 0

    def logs(self) -> str:
        """What nodes and workers have written."""
        return "\n".join(each.log.read_text() for each in (*self.nodes, *self.workers) if each.log.exists())

    def remove(self) -> None:
        if self.nginx is not None:
            self.nginx.remove()
        for each in (*self.nodes, *self.workers):
            if each.process is not None and each.process.poll() is None:
                each.kill()
        for proxy in (self.to_database, self.to_blobs):
            proxy.stop()
        self.postgres.remove()
        self.s3.remove()


def outage(error: Exception) -> str | None:
    """
    The answers that an outage excuses: our 503, which must say when to come again, and nginx's own 502 and 504 for a node that
    is gone. nginx's are pages, ours are JSON.
    """
    if isinstance(error, Broken):
        return "connection broken"
    if not isinstance(error, Refused):
        return None
    ours = error.headers.get_content_type() == "application/json"
    if (
        ours
        and error.status == 503
        and error.headers.get("Retry-After", "").isdigit()
        and (not error.body or error.codes == ["UNAVAILABLE"])
    ):
        return "our 503"
    if not ours and error.status in (502, 504):
        return f"nginx's {error.status}"
    return None


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v2/", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
