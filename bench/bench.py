"""
Compares Roadstead with distribution 3, olareg and nginx (as a ceiling) in one run. `bench/run` installs what it needs and calls it.

    bench/run [--quick] [--rounds N] [--only REGEX,…] [--servers NAME,…] [--server NAME=URL,PID[,USER:PASSWORD]] [--out FILE]
    bench/run --accounts [--processes N]   what accounts cost, and distribution 3 with a password at every request
    bench/run --limits          what hashing and disk of this machine can do
    bench/run --table FILE      the table of a run that --out wrote
"""

import argparse
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import accounts
import machine
import report
from client import Server
from content import MANY_TAGS, BigBlob, RealImage, prepare, prepare_images
from measure import Comparison, Patience, summary
from servers import HERE, NAMES, PROGRAMS, ROOT, running
from steps import Step, Steps, Tools, log

_QUICK = Patience(rounds=1, retries=1, retry_seconds=75, wait_seconds=20)
_MEMORY_NEEDED_GIB = 3
GCR_LIST = "gcr_list_10k"


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.table:
        print(report.show(json.loads(options.table.read_text())))
        return
    scratch = _scratch_folder()
    if options.limits:
        print(json.dumps(machine.limits(scratch, BigBlob(scratch, 256).file), indent=1))
        return
    with _folder_for_data() as folder:
        run = _compare_accounts(options, scratch, folder) if options.accounts else _compare(options, scratch, folder)
    print(report.show(run))
    if options.out:
        options.out.write_text(json.dumps(run, indent=1) + "\n")
        log("wrote", options.out)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run", description="Compare registries. Takes about ten minutes, with --quick about three.")
    parser.add_argument("--quick", action="store_true", help="one short round: tells orders of magnitude")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="comma-separated regular expressions of step names")
    parser.add_argument("--servers", default=",".join(NAMES), help="which to start (default: %(default)s)")
    parser.add_argument("--server", action="append", default=[], help="one that runs already: NAME=URL,PID[,USER:PASSWORD]")
    parser.add_argument(
        "--accounts",
        action="store_true",
        help="instead: what accounts cost. Roadstead without them (open; open with a header nobody reads), then with them: a registry token, "
        "an access token, a service account's self-signed JWT, a password at every request, nobody; and distribution 3 with a password",
    )
    parser.add_argument("--processes", type=int, default=0, help="of Roadstead (default: its own)")
    parser.add_argument("--python", default=_default_python(), help="runs Roadstead (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="write everything measured to this file, as JSON")
    parser.add_argument("--limits", action="store_true", help="only measure what this machine can do")
    parser.add_argument("--table", type=Path, help="only show the table of this file")
    options = parser.parse_args()
    unknown = set(_names(options)) - set(NAMES)
    if unknown:
        parser.error(f"--servers: {', '.join(sorted(unknown))}: must be of {', '.join(NAMES)}")
    return options


def _names(options: argparse.Namespace) -> list[str]:
    return [name for name in options.servers.split(",") if name]


def _default_python() -> str:
    own = ROOT / ".venv/bin/python"
    return str(own) if own.exists() else sys.executable


def _scratch_folder() -> Path:
    """Content that clients send: in memory, so that reading it costs the disk nothing."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= _MEMORY_NEEDED_GIB << 30
    folder = memory / f"roadstead-bench-{os.getuid()}" if roomy else ROOT / ".cache/bench/content"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _folder_for_data() -> Iterator[Path]:
    folder = ROOT / f".cache/bench/data-{os.getpid()}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _build_regload() -> str:
    """The load client, so that the client is not the bottleneck."""
    source, program = HERE / "regload.c", PROGRAMS / "regload"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["gcc", "-O2", "-pthread", "-w", "-o", program, source], check=True)
    return str(program)


def _compare(options: argparse.Namespace, scratch: Path, folder: Path) -> dict:
    tools = Tools(_build_regload(), str(PROGRAMS / "crane"), scratch)
    big = BigBlob(scratch, 256)
    image = functools.cache(lambda: RealImage(scratch))
    seconds = (1, 1.5) if options.quick else (2, 2.0)
    steps = Steps(tools, big, BigBlob(scratch, 128), image, *seconds)
    chosen = [step for step in steps.all() if not options.only or any(re.search(x, step.name) for x in options.only.split(","))]
    patience = _QUICK if options.quick else Patience(options.rounds, retries=2, retry_seconds=100.0 * options.rounds, wait_seconds=60)
    with running(_names(options), folder, options.python, big, options.processes) as started:
        servers = started + [Server.parse(specification) for specification in options.server]
        for server in servers:
            if server.name != report.OURS:
                server.leaves_out |= {GCR_LIST}  # a list that Container Registry alone had
            _prepare(server, steps, big, chosen)
        if any(step.unit == "s" for step in chosen):
            image()
        about = Comparison(servers, patience, folder).run(chosen)
        return _described(options, about, servers, chosen)


def _compare_accounts(options: argparse.Namespace, scratch: Path, folder: Path) -> dict:
    big = BigBlob(scratch, 1)
    steps = Steps(
        Tools(_build_regload(), str(PROGRAMS / "crane"), scratch),
        big,
        big,
        lambda: RealImage(scratch),
        *((1, 1.0) if options.quick else (2, 2.0)),
    )
    chosen = [step for step in steps.with_accounts() if not options.only or any(re.search(x, step.name) for x in options.only.split(","))]
    # CPU time for each request tells on a busy machine too, so that little time goes into repeats.
    patience = _QUICK if options.quick else Patience(options.rounds, retries=1, retry_seconds=60.0 * options.rounds, wait_seconds=30)
    names = ["roadstead", "roadstead-accounts", "distribution-accounts"]
    with running(names, folder, options.python, big, options.processes) as started:
        servers = accounts.ways(*started, folder / "roadstead-accounts", options.python)
        for server in accounts.contents(servers):
            _prepare(server, steps, big, chosen)
        accounts.warm_up(servers)
        about = Comparison(servers, patience, folder).run(chosen)
        return {**_described(options, about, servers, chosen), "accounts": True, "processes": options.processes}


def _described(options: argparse.Namespace, about: dict, servers: list[Server], chosen: list[Step]) -> dict:
    return {
        "when": time.strftime("%FT%TZ", time.gmtime()),
        "cpus": os.cpu_count(),
        "quick": options.quick,
        **about,
        "units": {step.name: step.unit for step in chosen},
        "servers": {server.name: _result(server, chosen) for server in servers},
    }


def _prepare(server: Server, steps: Steps, big: BigBlob, chosen: list[Step]) -> None:
    if server.static:
        return
    log("prepare", server.name)
    steps.put_big(server)
    if GCR_LIST not in server.leaves_out and any(step.name == GCR_LIST for step in chosen):
        prepare_images(server)
    prepare(server, big, [repository for repository in MANY_TAGS if any(step.repository == repository for step in chosen)])


def _result(server: Server, chosen: list[Step]) -> dict:
    return {
        "note": server.note,
        "tags_per_s": server.tags_per_s,
        "memory": {key: round(value, 1) for key, value in server.memory.items()},
        "steps": summary(server, chosen),
    }


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
