"""The measured steps: each takes a server and returns one measurement, a dict with the step's unit as a key."""

import base64
import contextlib
import json
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import machine
from client import ACCEPT, Server, next_page, sha256
from content import (
    BASE,
    MANY_IMAGES,
    MANY_IMAGES_COUNT,
    MANY_TAGS,
    PROJECT,
    SMALL,
    BigBlob,
    RealImage,
    descriptor,
    image_config,
    manifest,
    usual_manifest,
)
from machine import MIB, cpu_seconds

Measure = Callable[[Server], dict]
TAGS_1K, TAGS_10K = MANY_TAGS
_CONNECTIONS = 32


@dataclass(frozen=True)
class Step:
    """unit: req/s, MiB/s, images/s (more is better), ms, s (less is better)."""

    name: str
    unit: str
    measure: Measure
    repository: str = ""  # what of MANY_TAGS it needs
    disk: bool = False  # ends with the disk: the disk's own speed is watched too
    ceiling: Measure | None = None  # the same bytes from nginx

    @property
    def more_is_better(self) -> bool:
        return self.unit.endswith("/s")


@dataclass(frozen=True)
class Tools:
    regload: str
    crane: str
    scratch: Path  # in memory


def log(*words: object) -> None:
    print(*words, file=sys.stderr, flush=True)


class Steps:
    def __init__(
        self, tools: Tools, big: BigBlob, half: BigBlob, image: Callable[[], RealImage], request_seconds: int, push_seconds: float
    ):
        self._tools = tools
        self._big = big
        self._half = half
        self._image = image
        self._request_seconds = request_seconds
        self._push_seconds = push_seconds
        self._run = f"{int(time.time()):x}"
        self._count = 0

    def all(self) -> list[Step]:
        digest = f"sha256:{sha256(usual_manifest())}"
        by_tag, by_digest = f"/v2/{BASE}/manifests/v5", f"/v2/{BASE}/manifests/{digest}"
        small, big = f"/v2/{BASE}/blobs/sha256:{sha256(SMALL)}", f"/v2/{BASE}/blobs/sha256:{self._big.digest}"
        in_1k = f"/v2/{TAGS_1K}/manifests/v1.5.50"
        return [
            Step("manifest_get_tag", "req/s", self._get(by_tag, BASE, ACCEPT), ceiling=self._get("/manifest.json")),
            Step("manifest_get_digest", "req/s", self._get(by_digest, BASE, ACCEPT)),
            Step("manifest_head_tag", "req/s", self._head(by_tag, BASE, f"Accept: {ACCEPT}")),
            Step("manifest_get_tag_1k", "req/s", self._get(in_1k, TAGS_1K, ACCEPT), TAGS_1K),
            Step("blob_get_1k", "req/s", self._get(small, BASE), ceiling=self._get("/small")),
            Step("blob_head_1k", "req/s", self._head(small, BASE)),
            Step("blob_get_256m_c1", "MiB/s", self._download(big, BASE, 1), ceiling=self._download("/big", None, 1)),
            Step("blob_get_256m_c8", "MiB/s", self._download(big, BASE, 8), ceiling=self._download("/big", None, 8)),
            Step("blob_put_mono_c1", "MiB/s", self._upload("mono", 1), disk=True),
            Step("blob_put_mono_c4", "MiB/s", self._upload("mono", 4), disk=True),
            Step("blob_put_stream_c1", "MiB/s", self._upload("stream", 1), disk=True),
            Step("blob_put_stream_c4", "MiB/s", self._upload("stream", 4), disk=True),
            Step("blob_put_ranges16m_c1", "MiB/s", self._upload("ranges", 1), disk=True),
            Step("image_push_small_c8", "images/s", self._push_small, disk=True),
            Step("tags_list_1k", "ms", self._list_tags(TAGS_1K, ""), TAGS_1K),
            Step("tags_list_10k", "ms", self._list_tags(TAGS_10K, ""), TAGS_10K),
            Step("tags_list_10k_n100", "ms", self._list_tags(TAGS_10K, "?n=100", follow=False), TAGS_10K),
            Step("gcr_list_10k", "ms", self._list_images),
            Step("skopeo_push", "s", self._copy_real("skopeo", "push")),
            Step("skopeo_pull", "s", self._copy_real("skopeo", "pull")),
            Step("crane_push", "s", self._copy_real("crane", "push")),
            Step("crane_pull", "s", self._copy_real("crane", "pull")),
        ]

    def with_accounts(self) -> list[Step]:
        """What accounts.py compares."""
        path, small = f"/v2/{BASE}/manifests/v5", f"/v2/{BASE}/blobs/sha256:{sha256(SMALL)}"
        scope = urllib.parse.urlencode({"service": "bench", "scope": f"repository:{BASE}:pull"})
        return [
            Step("manifest_get_tag", "req/s", self._get(path, BASE, ACCEPT)),
            Step("blob_head_1k", "req/s", self._head(small, BASE)),
            Step("tags_page", "req/s", self._get(f"/v2/{BASE}/tags/list?n=100", BASE)),
            Step("image_push_small_c8", "images/s", self._push_small, disk=True),
            Step("ping", "req/s", self._get("/v2/", BASE)),
            Step("token", "req/s", self._get(f"/v2/token?{scope}", BASE)),
        ]

    def _regload(
        self, server: Server, repository: str | tuple[str, ...] | None, mode: str, *words: object, headers: tuple[str, ...] = ()
    ) -> dict:
        host, port = server.address.rsplit(":", 1)
        repositories = (repository,) if isinstance(repository, str) else repository or ()
        authorization = server.authorization(*repositories) if repositories else ""
        lines = [f"Authorization: {authorization}"] if authorization else []
        command = [self._tools.regload, mode, host, port, *map(str, words), *lines, *headers]
        found = machine.run_json(command, 300, lambda text: log("   !", server.name, mode, text))
        if found.get("errors"):
            found["error"] = f"{found['errors']} failed requests"
        return found

    # ---- requests

    def _get(self, path: str, repository: str | None = None, accept: str = "") -> Measure:
        def measure(server: Server) -> dict:
            headers = server.header_lines(repository, *([f"Accept: {accept}"] if accept else []))
            command = ["wrk", "-t2", f"-c{_CONNECTIONS}", f"-d{self._request_seconds}s", "--latency"]
            command += [word for line in headers for word in ("-H", line)]
            return _parse_wrk(subprocess.run([*command, server.url + path], capture_output=True, text=True, timeout=120, check=True).stdout)

        return measure

    def _head(self, path: str, repository: str, *headers: str) -> Measure:
        def measure(server: Server) -> dict:
            words = ("HEAD", path, _CONNECTIONS, 2, self._request_seconds)
            found = self._regload(server, repository, "rps", *words, headers=headers)
            return {**found, "req/s": found.pop("rps"), "requests": found.pop("n")}

        return measure

    def _download(self, path: str, repository: str | None, clients: int) -> Measure:
        def measure(server: Server) -> dict:
            found = self._regload(server, repository, "get", path, clients, 1.2)
            return {**found, "MiB/s": found.pop("mib_s")}

        return measure

    # ---- uploads

    def _upload(self, mode: str, clients: int) -> Measure:
        """mode: mono (one PUT), stream (as docker: one chunked PATCH), ranges (PATCH per 16 MiB)."""
        big = self._big if clients == 1 else self._half
        repository = f"{PROJECT}/up{self._run}"

        def measure(server: Server) -> dict:
            tails = [big.tail_for(f"{self._run}/{self._next()}") for _ in range(clients)]
            plan = self._tools.scratch / "plan.put"
            plan.write_text("".join(big.plan_line(repository, tail) for tail in tails))
            server.authorization(repository)
            os.sync()
            before = cpu_seconds(server.pid)
            found = self._regload(server, repository, "put", plan, mode)
            found["server_cpu_s"] = cpu_seconds(server.pid) - before
            started = time.time()
            os.sync()
            seconds = found["secs"] + time.time() - started
            found["mib_s_with_sync"] = round(found["bytes"] / MIB / seconds, 1)  # what is left of the speed of one that did not sync
            for tail in tails:  # gives the disk space back, where the registry can
                with contextlib.suppress(OSError):
                    server.call("DELETE", f"/v2/{repository}/blobs/sha256:{big.digest_with(tail)}", repository)
            return {**found, "MiB/s": found.pop("mib_s")}

        return measure

    def put_big(self, server: Server) -> None:
        """The blob that the downloads read. Raises RuntimeError."""
        plan = self._tools.scratch / "plan.put"
        plan.write_text(self._big.plan_line(BASE, self._big.tail))
        found = self._regload(server, BASE, "put", plan, "mono")
        if "error" in found:
            raise RuntimeError(f"{server.name}: the big blob: {found['error']}")

    def _push_small(self, server: Server, clients: int = 8) -> dict:
        """Whole images: config, one layer of 10 KiB, manifest; blobs are asked for by HEAD first, as clients do."""
        enough = int((server.images_per_s or 1e9) * self._push_seconds * 2.5 / clients)
        images = min(600, max(40, enough))
        repositories = tuple(f"{PROJECT}/push{self._run}-{self._next()}" for _ in range(clients))
        plan = self._tools.scratch / "plan.push"
        with plan.open("wb") as file:
            file.write(struct.pack("<I", clients))
            for repository in repositories:
                pushes = b"".join(_plan_small(repository, number) for number in range(images))
                file.write(struct.pack("<II", images, len(pushes)) + pushes)
        server.authorization(*repositories)
        os.sync()
        before = cpu_seconds(server.pid)
        found = self._regload(server, repositories, "push", plan, self._push_seconds, 1)
        found["server_cpu_s"] = cpu_seconds(server.pid) - before
        server.images_per_s = max(server.images_per_s, found["images_s"])
        return {**found, "images/s": found.pop("images_s")}

    def _next(self) -> int:
        self._count += 1
        return self._count

    # ---- lists

    def _list_tags(self, repository: str, query: str, follow: bool = True) -> Measure:
        """The median time of the whole list, all pages, on one connection."""

        def measure(server: Server) -> dict:
            connection, times, end = server.connect(), [], time.time() + 1.2
            value = server.authorization(repository)
            headers = {"Authorization": value} if value else {}
            while len(times) < 3 or (time.time() < end and len(times) < 60):
                pages, path, started = [], f"/v2/{repository}/tags/list{query}", time.perf_counter()
                while path:
                    connection.request("GET", path, headers=headers)
                    response = connection.getresponse()
                    pages.append(response.read())
                    if response.status != 200:
                        raise RuntimeError(f"tags/list answered {response.status}")
                    path = next_page(response.headers) if follow else ""
                times.append((time.perf_counter() - started) * 1e3)
            count = sum(len(json.loads(page)["tags"]) for page in pages)
            expected = MANY_TAGS[repository] if follow else 100
            found = {"ms": round(statistics.median(times), 3), "max_ms": round(max(times), 2), "tags": count, "pages": len(pages)}
            return found if count == expected else {**found, "error": f"{count} tags instead of {expected}"}

        return measure

    def _list_images(self, server: Server) -> dict:
        """The median time of gcloud's list of 10,000 manifests, each with a tag: whole, in one answer."""
        connection, times, end = server.connect(), [], time.time() + 1.2
        while len(times) < 3 or (time.time() < end and len(times) < 60):
            started = time.perf_counter()
            connection.request(
                "GET", f"/v2/{MANY_IMAGES}/tags/list", headers=dict(line.split(": ") for line in server.header_lines(MANY_IMAGES))
            )
            answer = connection.getresponse().read()
            times.append((time.perf_counter() - started) * 1e3)
        manifests = json.loads(answer).get("manifest", {})
        found = {"ms": round(statistics.median(times), 3), "max_ms": round(max(times), 2), "tags": len(manifests), "pages": 1}
        return found if len(manifests) == MANY_IMAGES_COUNT else {**found, "error": f"{len(manifests)} manifests"}

    # ---- real clients

    def _copy_real(self, tool: str, direction: str) -> Measure:
        def measure(server: Server) -> dict:
            layout, target = self._tools.scratch / "layout", self._tools.scratch / "pulled"
            shutil.rmtree(target, ignore_errors=True)
            image = self._image()
            if direction == "push":
                image.variant(layout)
                server.last_image = f"{server.address}/{PROJECT}/{tool}{self._run}:r{self._next()}"
            command = self._command(tool, direction, server, layout, target)
            os.sync()
            before, started = cpu_seconds(server.pid), time.time()
            done = subprocess.run(command, capture_output=True, text=True, env=self._environment(server), check=False)
            seconds = time.time() - started
            if done.returncode:
                raise RuntimeError(f"{tool} {direction}: {done.stderr[-300:]}")
            used = cpu_seconds(server.pid) - before
            shutil.rmtree(target if direction == "pull" else layout)
            return {"s": round(seconds, 3), "mib": round(image.size / MIB, 1), "server_cpu_s": used}

        return measure

    def _command(self, tool: str, direction: str, server: Server, layout: Path, target: Path) -> list[str]:
        reference = server.last_image
        if tool == "crane" and direction == "push":
            return [self._tools.crane, "push", "--insecure", "--index=false", str(layout), reference]
        if tool == "crane":
            return [self._tools.crane, "pull", "--insecure", "--format", "oci", reference, str(target)]
        if direction == "push":
            return ["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}:latest", f"docker://{reference}"]
        return ["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{reference}", f"dir:{target}"]

    def _environment(self, server: Server) -> dict[str, str]:
        folder = self._tools.scratch / "docker-config"
        folder.mkdir(exist_ok=True)
        login = {server.address: {"auth": _base64(server.credentials)}} if server.credentials else {}
        (folder / "config.json").write_text(json.dumps({"auths": login}))
        return {**os.environ, "DOCKER_CONFIG": str(folder), "REGISTRY_AUTH_FILE": str(folder / "config.json")}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _parse_wrk(printed: str) -> dict:
    def milliseconds(percentile: int) -> float | None:
        found = re.search(rf"^\s+{percentile}%\s+([\d.]+)(us|ms|s)", printed, re.M)
        return round(float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]], 3) if found else None

    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    count = re.search(r"^\s+(\d+) requests in ", printed, re.M)
    found = {"req/s": float(rate[1]) if rate else None, "requests": int(count[1]) if count else None}
    found |= {"p50_ms": milliseconds(50), "p99_ms": milliseconds(99)}
    refused, broken = re.search(r"Non-2xx or 3xx responses: (\d+)", printed), re.search(r"Socket errors: (.*)", printed)
    if refused:
        found["error"] = f"{refused[1]} responses were not 2xx or 3xx"
    elif broken:
        found["socket_errors"] = broken[1]
    return found


def _plan_small(repository: str, number: int) -> bytes:
    """One image for `regload push`: repository, tag, layer and config (each behind its digest), manifest."""
    layer = os.urandom(10240)
    config = image_config([sha256(layer)], f"{repository}/{number}")
    parts = (
        repository.encode(),
        b"t%d" % number,
        sha256(layer).encode() + layer,
        sha256(config).encode() + config,
        manifest(descriptor(config), [descriptor(layer)]),
    )
    return b"".join(struct.pack("<I", len(part)) + part for part in parts)
