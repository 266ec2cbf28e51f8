"""
How the figures grow: the same requests on installations of 1,000 to 1,000,000 tags in one repository and up to 100,000 others.

    python bench/growth.py [--engines sqlite,postgres] [--tags 1000,…] [--out FILE]

Run it with the project's Python (make growth); it needs wrk, and PostgreSQL 15 for that engine.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import grown
from client import OCI_MANIFEST, Server, sha256
from content import manifest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

SIZES = (1_000, 10_000, 100_000, 1_000_000)
CONNECTIONS = 16
SECONDS = 3
CALLS = 200
WHOLE_CALLS = 10


@contextmanager
def roadstead(data: Path, environment: dict[str, str], *options: str):
    """A server on a free port, with its processes."""
    ready = data / "ready"
    command = [sys.executable, "-m", "roadstead", "serve", "--data", str(data), "--listen", "127.0.0.1:0", "--ready-file", str(ready)]
    environment = {**environment, "ROADSTEAD_ACCOUNTS": "false"}
    with (data / "log").open("ab") as log:
        process = subprocess.Popen([*command, *options], env=environment, stdout=log, stderr=log)
    try:
        while not ready.exists():
            if process.poll() is not None:
                raise RuntimeError((data / "log").read_text()[-2000:])
            time.sleep(0.02)
        yield Server("roadstead", ready.read_text().split()[0], process.pid)
    finally:
        process.terminate()
        process.wait(30)


def requests_per_second(server: Server, tags: int) -> float:
    """Manifests by tag, tags in no order."""
    script = ["-s", str(ROOT / "bench/random-tags.lua"), server.url, "--", grown.REPOSITORY, str(tags)]
    command = ["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{SECONDS}s", *script]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in printed:
        raise RuntimeError(printed)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", printed)[1])


def milliseconds(server: Server, call: Callable[[int], tuple[str, str, bytes | None]], expected: int, calls: int = CALLS) -> float:
    """The median of single calls on one connection."""
    connection, times = server.connect(), []
    for number in range(calls):
        method, path, body = call(number)
        started = time.perf_counter()
        connection.request(method, path, body, {"Content-Type": OCI_MANIFEST} if body else {})
        response = connection.getresponse()
        response.read()
        times.append((time.perf_counter() - started) * 1e3)
        if response.status != expected:
            raise RuntimeError(f"{method} {path}: {response.status}")
    return round(statistics.median(times), 3)


def measure(server: Server, tags: int, repositories: int) -> dict[str, float]:
    name, run = grown.REPOSITORY, f"{time.time_ns():x}"
    spread = [grown.tag(number * tags // CALLS) for number in range(CALLS)]
    blob = f"sha256:{sha256(b'{}')}"

    def new_manifest(number: int) -> tuple[str, str, bytes]:
        payload = manifest({"digest": blob, "size": 2}, [])[:-1] + f',"annotations":{{"run":"{run}-{number}"}}}}'.encode()
        return "PUT", f"/v2/{name}/manifests/{run}-{number}", payload

    return {
        "manifest GET by tag, req/s": round(requests_per_second(server, tags)),
        "manifest GET by tag, ms": milliseconds(server, lambda i: ("GET", f"/v2/{name}/manifests/{spread[i]}", None), 200),
        "blob HEAD, ms": milliseconds(server, lambda i: ("HEAD", f"/v2/{name}/blobs/{blob}", None), 200),
        "page of 100 tags, ms": milliseconds(server, lambda i: ("GET", f"/v2/{name}/tags/list?n=100&last={spread[i]}", None), 200),
        # gcloud's list: ten tags to a manifest, in one answer; past 100,000 a plain page.
        "all manifests and tags, ms": milliseconds(server, lambda _: ("GET", f"/v2/{name}/tags/list", None), 200, WHOLE_CALLS),
        "page of 100 repositories, ms": milliseconds(
            server, lambda i: ("GET", f"/v2/_catalog?n=100&last={grown.other(i * repositories // CALLS)}", None), 200
        ),
        "referrers, ms": milliseconds(server, lambda i: ("GET", f"/v2/{name}/referrers/{blob}", None), 200),
        "manifest PUT with a new tag, ms": milliseconds(server, new_manifest, 201),
        "manifest PUT with a tag to move, ms": milliseconds(server, lambda i: ("PUT", f"/v2/{name}/manifests/{spread[i]}", moved(i)), 201),
        "tag DELETE, ms": milliseconds(server, lambda i: ("DELETE", f"/v2/{name}/manifests/{run}-{i}", None), 202),
    }


def moved(_: int) -> bytes:
    return manifest({"digest": f"sha256:{sha256(b'{}')}", "size": 2}, [])


def one(engine: str, postgres, tags: int) -> dict[str, float]:
    repositories = max(1_000, tags // 10)
    folder = Path(tempfile.mkdtemp(prefix="grown-", dir=ROOT / ".cache"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    try:
        if engine == "postgres":
            environment["ROADSTEAD_DATABASE"] = postgres.new_database()
        subprocess.run(
            [sys.executable, "-m", "roadstead", "migrate", "--data", str(folder)], env=environment, check=True, capture_output=True
        )
        if engine == "postgres":
            grown.fill_postgres(postgres.psql(environment["ROADSTEAD_DATABASE"]), tags, repositories)
        else:
            grown.fill_sqlite(folder / "registry.sqlite", tags, repositories)
        with roadstead(folder, environment) as server:
            return measure(server, tags, repositories)
    finally:
        shutil.rmtree(folder)


def show(engine: str, results: dict[int, dict[str, float]]) -> None:
    sizes = list(results)
    print(f"\n{engine}: {', '.join(f'{size:,} tags and {max(1_000, size // 10):,} repositories' for size in sizes)}\n")
    print("| | " + " | ".join(f"{size:,}" for size in sizes) + " | last / first |\n|---|" + "---|" * (len(sizes) + 1))
    for step in results[sizes[0]]:
        values = [results[size][step] for size in sizes]
        print(f"| {step} | " + " | ".join(f"{value:,}" for value in values) + f" | {values[-1] / values[0]:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", default="sqlite,postgres")
    parser.add_argument("--tags", default=",".join(map(str, SIZES)))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found: dict[str, dict[int, dict[str, float]]] = {}
    for engine in options.engines.split(","):
        postgres = None
        if engine == "postgres":
            from tests.kit.engines import Postgres

            postgres = Postgres().start()
        try:
            for tags in map(int, options.tags.split(",")):
                found.setdefault(engine, {})[tags] = one(engine, postgres, tags)
                print(engine, tags, found[engine][tags], file=sys.stderr, flush=True)
        finally:
            if postgres:
                postgres.remove()
    for engine, results in found.items():
        show(engine, results)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
