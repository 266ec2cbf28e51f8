"""
One, two and three nodes on PostgreSQL and S3, beside the same on SQLite and a folder; and what each request costs there.

    python bench/nodes.py [--nodes 1,2,3] [--seconds N] [--out FILE]

Run it with the project's Python (make nodes); it needs wrk, nginx, gcc, PostgreSQL 15 and versitygw. All of it runs on this one
machine, so more nodes share its cores: what counts is the processor time of each part per request.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import _build_regload, _scratch_folder
from client import Server
from content import BASE, BigBlob, RealImage, prepare
from growth import roadstead
from machine import cpu_seconds
from steps import Steps, Tools
from tests.kit.engines import S3, Postgres, free_port

STEPS = ("manifest_get_tag", "blob_get_1k", "image_push_small_c8")
_NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log error; worker_processes 1; {user}
events {{ worker_connections 4096; }}
http {{
    access_log off; client_max_body_size 0; proxy_request_buffering off; proxy_buffering off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    upstream nodes {{ {servers} keepalive 64; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://nodes; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host; }}
    }}
}}
"""


@contextmanager
def balanced(nodes: list[Server], folder: Path) -> Iterator[Server]:
    """nginx in front of the nodes, without stickiness."""
    port = free_port()
    servers = " ".join(f"server {node.address};" for node in nodes)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, servers=servers, port=port, user=user))
    environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"}
    process = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], env=environment)
    server = Server("nginx", f"http://127.0.0.1:{port}", process.pid)
    try:
        for _ in range(200):
            try:
                server.call("GET", "/v2/", BASE)
                break
            except OSError:
                time.sleep(0.02)
        yield server
    finally:
        process.terminate()
        process.wait(20)


def environment(postgres: Postgres | None, s3: S3 | None) -> dict[str, str]:
    found = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    if postgres and s3:
        found |= {"ROADSTEAD_DATABASE": postgres.new_database(), "ROADSTEAD_LOCATIONS": s3.locations(s3.new_bucket())}
    return found


class Fleet:
    """The nodes of one measurement, and the processes whose time is counted."""

    def __init__(self, front: Server, nodes: list[Server], engines: dict[str, int]) -> None:
        self.front = front
        self.parts = {"nodes": [node.pid for node in nodes], **{name: [pid] for name, pid in engines.items()}}
        if front not in nodes:
            self.parts["nginx"] = [front.pid]

    def cpu(self) -> dict[str, float]:
        return {name: sum(cpu_seconds(pid) for pid in pids) for name, pids in self.parts.items()}


@contextmanager
def fleet(number: int, postgres: Postgres | None, s3: S3 | None, scratch: Path) -> Iterator[Fleet]:
    """Without engines: one machine's installation of that many serving processes."""
    settings = environment(postgres, s3)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nodes-", dir=scratch)))
        if not postgres or not s3:
            only = stack.enter_context(roadstead(folder, settings, "--processes", str(number)))
            yield Fleet(only, [only], {})
            return
        nodes = []
        for each in range(number):
            (folder / str(each)).mkdir()
            options = ("--processes", "1", *(() if each == 0 else ("--no-worker",)))
            nodes.append(stack.enter_context(roadstead(folder / str(each), settings, *options)))
        front = stack.enter_context(balanced(nodes, folder))
        assert postgres.process and s3.process
        yield Fleet(front, nodes, {"PostgreSQL": postgres.process.pid, "S3": s3.process.pid})


def measured(running: Fleet, steps: Steps, big: BigBlob) -> dict[str, dict[str, float]]:
    steps.put_big(running.front)
    prepare(running.front, big, [])
    found = {}
    for step in steps.all():
        if step.name not in STEPS:
            continue
        step.measure(running.front)
        before = running.cpu()
        result = step.measure(running.front)
        if "error" in result:
            raise RuntimeError(f"{step.name}: {result['error']}")
        after = running.cpu()
        count = result.get("images") or result.get("requests")
        costs = {f"{name} µs": round((after[name] - before[name]) * 1e6 / count) for name in after}
        found[step.name] = {step.unit: result[step.unit], **costs}
    return found


def statements(postgres: Postgres, s3: S3, scratch: Path) -> dict[str, float]:
    """SQL statements of single requests, as PostgreSQL counts them (BEGIN and COMMIT among them)."""
    calls: dict[str, Callable[[Server], object]] = {}
    small = os.urandom(100)

    def count(database: str) -> int:
        return int(postgres.sql(database, "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE query NOT LIKE '%pg_stat%'"))

    settings = environment(postgres, s3)
    database = settings["ROADSTEAD_DATABASE"].rsplit("/", 1)[1]
    postgres.sql(database, "CREATE EXTENSION pg_stat_statements")
    with tempfile.TemporaryDirectory(prefix="nodes-", dir=scratch) as folder:
        with roadstead(Path(folder), settings, "--processes", "1", "--no-worker") as server:
            described = server.put_blob(BASE, small)
            payload = json.dumps({"schemaVersion": 2, "config": {"mediaType": "a/b", **described}, "layers": []}).encode()
            server.put_manifest(BASE, "v1", payload)
            calls["manifest GET by tag"] = lambda s: s.call("GET", f"/v2/{BASE}/manifests/v1", BASE)
            calls["blob GET"] = lambda s: s.call("GET", f"/v2/{BASE}/blobs/{described['digest']}", BASE)
            calls["blob HEAD"] = lambda s: s.call("HEAD", f"/v2/{BASE}/blobs/{described['digest']}", BASE)
            calls["tag list"] = lambda s: s.call("GET", f"/v2/{BASE}/tags/list", BASE)
            calls["blob POST + PUT"] = lambda s: s.put_blob(BASE, os.urandom(100))
            calls["manifest PUT, new tag of a known one"] = lambda s: s.put_manifest(BASE, f"n{time.time_ns()}", payload)
            calls["manifest PUT, new, one blob"] = lambda s: s.put_manifest(BASE, "new", payload + b" " * (time.time_ns() % 4000))
            found = {}
            for name, call in calls.items():
                call(server)
                before = count(database)
                for _ in range(10):
                    call(server)
                found[name] = (count(database) - before) / 10
    return found


def show(results: dict[str, dict[str, dict[str, float]]], counted: dict[str, float]) -> None:
    for step in STEPS:
        rows = {name: found[step] for name, found in results.items()}
        columns = sorted({column for row in rows.values() for column in row}, key=lambda name: ("µs" in name, name))
        print(f"\n{step}\n\n| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
        for name, row in rows.items():
            print(f"| {name} | " + " | ".join(f"{row[column]:,.0f}" if column in row else "" for column in columns) + " |")
    print("\nSQL statements\n\n| request | statements |\n|---|---|")
    for name, number in counted.items():
        print(f"| {name} | {number:g} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", default="1,2,3")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    content, scratch = _scratch_folder(), ROOT / ".cache"
    tools = Tools(_build_regload(), "", content)
    big = BigBlob(content, 1)
    results = {}
    counting = "pg_stat_statements"
    postgres, s3 = Postgres(None, f"shared_preload_libraries={counting}").start(), S3().start()
    try:
        for number in map(int, options.nodes.split(",")):
            for name, engines in (("SQLite + folder, processes", (None, None)), ("PostgreSQL + S3, nodes", (postgres, s3))):
                steps = Steps(tools, big, big, lambda: RealImage(content), options.seconds, float(options.seconds))
                with fleet(number, *engines, scratch) as running:
                    results[f"{name}: {number}"] = found = measured(running, steps, big)
                print(name, number, found, file=sys.stderr, flush=True)
        counted = statements(postgres, s3, scratch)
    finally:
        postgres.remove()
        s3.remove()
    show(dict(sorted(results.items())), counted)
    if options.out:
        options.out.write_text(json.dumps({"nodes": results, "statements": counted}, indent=1))


if __name__ == "__main__":
    main()
