"""Unfinished multipart uploads in a real bucket: the old ones of ours are given up, and no others."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import botocore.session
import pytest

from roadstead.blobs.multipart import Multipart, client_arguments
from roadstead.errors import StorageBroken
from tests.kit.engines import ENGINES, free_port


def now_us() -> int:
    return time.time_ns() // 1000


@pytest.fixture
def bucket() -> str:
    return ENGINES.s3().new_bucket()


@pytest.fixture
def client() -> Any:
    return botocore.session.get_session().create_client("s3", **client_arguments(ENGINES.s3().options()))


def begin(client: Any, bucket: str, key: str) -> None:
    client.create_multipart_upload(Bucket=bucket, Key=key)


@pytest.mark.parametrize("prefix, key", [("/some/prefix", "some/prefix/blobs/ab/one"), ("", "blobs/ab/one"), ("/", "blobs/ab/one")])
def test_only_what_is_below_the_prefix_is_given_up(client: Any, bucket: str, prefix: str, key: str) -> None:
    """A bucket may be shared with other programs, and with other locations."""
    others = ["some/prefix/blobsandmore", "some/prefixes/blobs/ab/two", "other/blobs/ab/three", "blob"]
    for each in (key, *others):
        begin(client, bucket, each)

    assert 1 == Multipart(f"s3://{bucket}{prefix}", ENGINES.s3().options()).abort("blobs", now_us() + 2_000_000)
    assert sorted(others) == sorted(ENGINES.s3().unfinished(bucket))


def test_young_ones_go_on(client: Any, bucket: str) -> None:
    begin(client, bucket, "blobs/ab/young")

    assert 0 == Multipart(f"s3://{bucket}", ENGINES.s3().options()).abort("blobs", now_us() - 3_600_000_000)
    assert ["blobs/ab/young"] == ENGINES.s3().unfinished(bucket)


@pytest.mark.slow
def test_a_list_of_several_pages_is_gone_through(client: Any, bucket: str) -> None:
    for number in range(1005):
        begin(client, bucket, f"blobs/{number % 256:02x}/{number:032x}")

    assert 1005 == Multipart(f"s3://{bucket}", ENGINES.s3().options()).abort("blobs", now_us() + 2_000_000)
    assert [] == ENGINES.s3().unfinished(bucket)


@contextmanager
def refusing(code: str) -> Iterator[str]:
    """The address of a server that refuses everything with this code."""

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
            self.send_response(501 if code == "NotImplemented" else 403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody wants to know."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("code", ["AccessDenied", "NotImplemented"])
def test_an_account_or_server_that_cannot_list_them_is_no_error(code: str) -> None:
    """Collection goes on, and the bucket's own rules do it."""
    with refusing(code) as address:
        assert 0 == Multipart("s3://bucket", {**ENGINES.s3().options(), "endpoint": address}).abort("blobs", now_us())


def test_an_unknown_account_is_an_error(bucket: str) -> None:
    with pytest.raises(StorageBroken):
        Multipart(f"s3://{bucket}", {**ENGINES.s3().options(), "access_key_id": "stranger"}).abort("blobs", now_us())


def test_a_server_that_is_away_is(bucket: str) -> None:
    away = {**ENGINES.s3().options(), "endpoint": f"http://127.0.0.1:{free_port()}"}

    with pytest.raises(StorageBroken):
        Multipart(f"s3://{bucket}", away).abort("blobs", now_us())


def test_the_settings_are_those_of_the_other_library() -> None:
    """However obstore lets one write them."""
    first = client_arguments({"endpoint": "http://a", "ACCESS_KEY_ID": "k", "aws_secret_access_key": "s", "token": "t", "region": "r"})
    second = client_arguments({"aws_endpoint_url": "http://a", "virtual_hosted_style_request": "true", "unknown": "x"})

    expected = {
        "endpoint_url": "http://a",
        "aws_access_key_id": "k",
        "aws_secret_access_key": "s",
        "aws_session_token": "t",
        "region_name": "r",
    }
    assert expected == {name: value for name, value in first.items() if name != "config"}
    assert ("path", "virtual") == (first["config"].s3["addressing_style"], second["config"].s3["addressing_style"])
    assert {"config", "endpoint_url"} == set(second)
