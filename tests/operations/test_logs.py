"""Logs and traces: what is written down of a request, and what never is."""

from __future__ import annotations

import http.server
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.kit.observed import log_lines, wait_for
from tests.kit.push import connect, push_blob, push_image
from tests.kit.raw import Raw, request
from tests.kit.server import Server, serving

EMBEDDED = {"ROADSTEAD_DATABASE": "", "ROADSTEAD_LOCATIONS": "{}"}


# Request ids


def test_an_error_names_its_request(client: httpx.Client, repository: str) -> None:
    """So that a user can tell the operator which of all the requests it was."""
    ids = [client.get(f"/v2/{repository}/manifests/v1").headers["X-Request-Id"] for _ in range(3)]

    assert 3 == len(set(ids))
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]+)+", each) for each in ids)


@pytest.mark.parametrize("given", ["abc", "4bf92f3577b34da6a3ce929d0e0e4736", "Root=1-67891233-abcdef", "a" * 128])
def test_a_proxy_s_id_is_kept(client: httpx.Client, repository: str, given: str) -> None:
    response = client.get(f"/v2/{repository}/manifests/v1", headers={"X-Request-Id": given})

    assert given == response.headers["X-Request-Id"]


@pytest.mark.parametrize("given", ["", "a b", '"', "a" * 129, "a,b", "<x>", "ä"])
def test_an_id_that_is_none_is_replaced(client: httpx.Client, repository: str, given: str) -> None:
    response = client.get(f"/v2/{repository}/manifests/v1", headers={"X-Request-Id": given.encode()})

    assert given != response.headers["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f-]+", response.headers["X-Request-Id"])


def test_what_is_no_request_gets_an_id_too(server: Server) -> None:
    with Raw(server.port) as raw:
        reply = raw.send(b"NONSENSE\r\n\r\n").reply()

    assert 400 == reply.status
    assert reply.headers["x-request-id"]


# The log


def test_a_failure_is_logged_with_the_id_that_the_client_was_told(tmp_path: Path, repository: str) -> None:
    with serving(tmp_path / "data", "--processes", "1", env=EMBEDDED) as server, connect(server.url) as client:
        name = push_blob(client, repository, Random("lost").randbytes(100_000))
        shutil.rmtree(tmp_path / "data/blobs/gcr/sha256")

        response = client.get(f"/v2/{repository}/blobs/{name}", headers={"Authorization": "Bearer hunter2"}, params={"sig": "hunter3"})

        assert 503 == response.status_code
        # Work beside requests may find the folder gone as well, and says so in lines of its own.
        (line,) = wait_for(lambda: [each for each in log_lines(server) if "request_id" in each])
        assert ("storage failed", "error") == (line["event"], line["level"])
        assert response.headers["X-Request-Id"] == line["request_id"]
        assert f"/v2/{repository}/blobs/{name}" == line["path"]
        assert "hunter" not in server.log.read_text()


@pytest.mark.slow
def test_the_server_s_own_complaints_are_json_too(tmp_path: Path) -> None:
    """A line that the log's reader cannot parse is a line that nobody reads."""
    with serving(tmp_path / "data", "--processes", "1") as server:
        with Raw(server.port) as raw:
            raw.send(b"NONSENSE\r\n\r\n").reply()

        (line,) = wait_for(lambda: log_lines(server))

        assert ("Invalid HTTP request received.", "warning", "uvicorn.error") == (line["event"], line["level"], line["logger"])
        assert {"timestamp"} <= line.keys()
        assert 1 == sum("Invalid HTTP" in each for each in server.log.read_text().splitlines())


@pytest.mark.slow
def test_requests_are_not_logged_unless_somebody_asks(tmp_path: Path) -> None:
    """At ten thousands of them a second, lines cost more than answers."""
    with serving(tmp_path / "data", "--processes", "1") as server:
        for path in ("/v2/", "/v2/p/a/manifests/v1", "/nothing", "/healthz"):
            httpx.get(f"{server.url}{path}")

        assert [] == log_lines(server)


@pytest.mark.slow
def test_the_access_log_has_a_line_for_each_request(tmp_path: Path, repository: str) -> None:
    with serving(tmp_path / "data", "--processes", "1", env={"ROADSTEAD_ACCESS_LOG": "true"}) as server, connect(server.url) as client:
        manifest = push_image(client, repository)
        headers = {"X-Request-Id": "mine-1", "X-Forwarded-For": "192.0.2.7", "Authorization": "Basic aHVudGVyMg=="}
        client.get(f"/v2/{repository}/manifests/v1", headers=headers, params={"X-Amz-Signature": "hunter2"})
        client.head("/v2/p/a/blobs/sha256:" + "0" * 64)

        # Lines are written a moment after the answers, in the order of the requests.
        lines = wait_for(lambda: (found := log_lines(server))[-1:] and found[-1]["path"].startswith("/v2/p/a/blobs/") and found)

        first, second = lines[-2:]
        assert {
            "event": "request",
            "level": "info",
            "request_id": "mine-1",
            "scheme": "http",
            "method": "GET",
            "route": "/v2/<name>/manifests/<reference>",
            "path": f"/v2/{repository}/manifests/v1",
            "status": 200,
            "bytes": len(manifest.payload),
            "client": "127.0.0.1",
            "forwarded_for": "192.0.2.7",
        } == {key: value for key, value in first.items() if key not in ("timestamp", "duration_us")}
        assert 0 < first["duration_us"] < 10_000_000
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first["timestamp"])
        assert ("HEAD", 404, 0) == (second["method"], second["status"], second["bytes"])
        text = server.log.read_text()
        assert "hunter" not in text
        assert "aHVudGVyMg" not in text


def test_a_path_cannot_forge_a_line(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--processes", "1", env={"ROADSTEAD_ACCESS_LOG": "true"}) as server:
        with Raw(server.port) as raw:
            raw.send(request("GET", "/v2/%0a%7b%22event%22:%22forged%22%7d%ff%ed%a0%80" + "x" * 5000)).reply()

        (line,) = wait_for(lambda: log_lines(server))

        assert "request" == line["event"]
        assert line["path"].startswith('/v2/\n{"event":"forged"}')
        assert 1000 == len(line["path"])


# Traces


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes OTLP as a collector does."""

    bodies: list[bytes]

    def do_POST(self) -> None:
        assert "/v1/traces" == self.path
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing on standard error."""


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    bodies: list[bytes] = []
    kind = type("Kept", (Collector,), {"bodies": bodies})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", bodies
        running.shutdown()


def spans_of(bodies: list[bytes]) -> list[Any]:
    import gzip

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    exported = [ExportTraceServiceRequest.FromString(gzip.decompress(b) if b[:2] == b"\x1f\x8b" else b) for b in bodies]
    return [span for each in exported for resource in each.resource_spans for scope in resource.scope_spans for span in scope.spans]


@pytest.mark.slow
def test_a_request_is_a_span_of_its_caller_s_trace(tmp_path: Path, repository: str, collector: tuple[str, list[bytes]]) -> None:
    """W3C Trace Context: traceparent is version, trace, parent, flags."""
    pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")
    endpoint, bodies = collector
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    with serving(tmp_path / "data", "--processes", "1", env={"ROADSTEAD_OTLP_ENDPOINT": endpoint}) as server:
        headers = {"traceparent": f"00-{trace}-{parent}-01", "Authorization": "Bearer hunter2"}
        httpx.get(f"{server.url}/v2/{repository}/manifests/v1", headers=headers, params={"sig": "hunter3"})

    # What was not sent yet is sent when the server ends.
    (span,) = spans_of(bodies)
    attributes = {each.key: each.value.string_value or each.value.int_value for each in span.attributes}
    assert "GET /v2/<name>/manifests/<reference>" == span.name
    assert (trace, parent) == (span.trace_id.hex(), span.parent_span_id.hex())
    assert ("/v2/<name>/manifests/<reference>", 404) == (attributes["http.route"], attributes["http.response.status_code"])
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 10**10
    assert b"hunter" not in b"".join(bodies)


def test_without_the_extra_the_start_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "hides/opentelemetry").mkdir(parents=True)
    (tmp_path / "hides/opentelemetry/__init__.py").write_text("raise ImportError('hidden by a test')")
    program = f"import sys; sys.path.insert(0, {str(tmp_path / 'hides')!r}); from roadstead.cli.main import main; main()"
    command = [sys.executable, "-c", program, "serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0"]
    env = {**Server(tmp_path / "data").env, "ROADSTEAD_OTLP_ENDPOINT": "http://127.0.0.1:4318"}

    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=30, check=False)

    assert 2 == done.returncode
    assert "pip install 'roadstead[otel]'" in done.stderr
    assert "Traceback" not in done.stderr
