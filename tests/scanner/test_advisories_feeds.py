"""Feeds come as files, folders and archives of any compression: what they are is told by their content."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roadstead.errors import FeedInvalid
from roadstead.scanner.advisories import feeds, vex
from roadstead.scanner.advisories.advisory import Form
from roadstead.scanner.advisories.documents import Limits, documents
from roadstead.scanner.advisories.tally import Tally
from roadstead.scanner.compression import zstd
from tests.kit.data import FOLDER, needs_data

OSV = json.dumps(
    {
        "id": "DEBIAN-CVE-2023-0001",
        "modified": "2026-01-01T00:00:00Z",
        "affected": [
            {"package": {"ecosystem": "Debian:12", "name": "curl"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}
        ],
    }
).encode()
TRACKER = json.dumps({"curl": {"CVE-2023-0001": {"releases": {"bookworm": {"status": "open"}}}}}).encode()
SECDB = json.dumps(
    {"distroversion": "v3.18", "reponame": "main", "packages": [{"pkg": {"name": "curl", "secfixes": {"8-r0": ["CVE-2023-0001"]}}}]}
).encode()
OPENVEX = json.dumps(
    {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.com/vex",
        "statements": [
            {
                "vulnerability": {"name": "CVE-2023-0001"},
                "status": "not_affected",
                "products": [{"@id": "pkg:deb/ubuntu/curl@8?arch=source&distro=jammy"}],
            }
        ],
    }
).encode()
CSAF = json.dumps({"document": {"category": "csaf_vex"}, "vulnerabilities": []}).encode()
FORMS = {Form.OSV: OSV, Form.DEBIAN: TRACKER, Form.ALPINE: SECDB, Form.OPENVEX: OPENVEX}


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def file(folder: Path, content: bytes) -> Path:
    path = folder / "feed"
    path.write_bytes(content)
    return path


def read(path: Path) -> tuple[list[str], Tally]:
    tally = Tally()
    return [advisory.id for advisory in feeds.read(path, "feed", tally)], tally


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda content: content,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "two-xz": lambda content: lzma.compress(content[:50]) + lzma.compress(content[50:]) + bytes(4),
    "zst": zstd.compress,
    "zip": lambda content: zipped(("README", b"no"), ("all/one.json", content)),
    "tar": lambda content: tarred(("README", b"no"), ("osv/cve/2023/one.json", content)),
    "tar.xz": lambda content: lzma.compress(tarred(("osv/cve/2023/one.json", content))),
    "tar.gz": lambda content: gzip.compress(tarred(("osv/cve/2023/one.json", content))),
    "tar.zst": lambda content: zstd.compress(tarred(("vex/one.json", content))),
}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.value)
@pytest.mark.parametrize("packing", PACKINGS)
def test_every_kind_of_feed_is_known_by_its_content(tmp_path: Path, form: Form, packing: str) -> None:
    """Whatever its name: an operator has a file, not a MIME type."""
    path = file(tmp_path, PACKINGS[packing](FORMS[form]))

    assert form is feeds.detect(path)
    assert (["CVE-2023-0001"], Tally(documents=1, records=1)) == read(path)


def test_a_folder_is_read_with_all_below_it(tmp_path: Path) -> None:
    for name in ("v3.18/main.json", "v3.19/community.json", "v3.19/index.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(SECDB)
    (tmp_path / "v3.18" / "link.json").symlink_to("/etc/hostname")
    (tmp_path / "v3.17.zip").write_bytes(zipped(("main.json", SECDB), ("community.json", SECDB)))
    (tmp_path / "v3.16.json.gz").write_bytes(gzip.compress(SECDB))

    found, tally = read(tmp_path)

    assert 5 == len(found) == tally.documents
    assert 0 == tally.skipped


def test_an_archive_is_of_one_kind_and_what_is_of_another_is_counted(tmp_path: Path) -> None:
    path = file(tmp_path, zipped(("a.json", SECDB), ("b.json", OSV), ("c.json", b"broken"), ("d.json", SECDB)))

    found, tally = read(path)

    assert 2 == len(found) == tally.documents
    assert 2 == tally.skipped


NO_FEEDS: dict[str, bytes] = {
    "empty": b"",
    "text": b"invalid",
    "page": b"<html>404</html>",
    "other JSON": b'{"a": 1}',
    "list": b"[1, 2]",
    "empty list": b"[]",
    "nothing": b"{}",
    "binary": bytes(range(256)) * 10,
    "empty zip": zipped(),
    "zip without JSON": zipped(("a.txt", b"{}")),
    "zip of nonsense": zipped(("a.json", b"{}"), ("b.json", b"x")),
    "half a zip": zipped(("a.json", OSV * 50))[:200],
    "half a gz": gzip.compress(OSV)[:60],
    "half an xz": lzma.compress(OSV)[:60],
    "half a zst": b"\x28\xb5\x2f\xfd\xff\xff\xff",
    "half a tar": gzip.compress(tarred(("a.json", OSV * 50))[:600]),
    "broken gz": gzip.compress(OSV)[:30] + b"xxxxxx" + gzip.compress(OSV)[36:],
    "all records broken": json.dumps({"curl": {"CVE-2023-0001": {"releases": {"bookworm": {"status": "?"}}}}}).encode(),
    "statements": CSAF,
}


@pytest.mark.parametrize("name", NO_FEEDS)
def test_what_is_no_feed_is_refused_with_a_sentence(tmp_path: Path, name: str) -> None:
    """Never an empty feed: it would take everything away that an older edition said."""
    with pytest.raises(FeedInvalid) as refused:
        read(file(tmp_path, NO_FEEDS[name]))
    assert len(refused.value.message.split()) > 4


def test_a_document_that_unpacks_to_more_than_allowed_is_refused(tmp_path: Path) -> None:
    """A gigabyte of blanks packs to a megabyte."""
    limits = Limits(document_bytes=10_000)
    for content in (gzip.compress(b" " * 50_000), zipped(("a.json", b" " * 50_000)), lzma.compress(tarred(("a.json", b" " * 50_000)))):
        with pytest.raises(FeedInvalid, match="unpacks to more"):
            list(documents(file(tmp_path, content), limits))


def test_a_feed_has_an_end(tmp_path: Path) -> None:
    path = file(tmp_path, zipped(*((f"{number}.json", OSV) for number in range(20))))

    assert 20 == len(list(documents(path, Limits(documents=20))))
    with pytest.raises(FeedInvalid, match="one document more"):
        list(documents(path, Limits(documents=19)))
    with pytest.raises(FeedInvalid, match="unpacks to more"):
        list(documents(path, Limits(total_bytes=len(OSV) * 19)))


def test_xz_takes_no_more_memory_than_allowed(tmp_path: Path) -> None:
    """The archive names the size of its dictionary, of up to 1.5 GiB."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 64 << 10}]
    content = bytearray(lzma.compress(OSV, filters=filters, check=lzma.CHECK_NONE))
    # The block header: size, flags, filter id, size of properties, the dictionary's size as an exponent, padding, CRC32.
    assert 0x21 == content[14]
    content[16] = 37
    content[20:24] = zlib.crc32(bytes(content[12:20])).to_bytes(4, "little")

    with pytest.raises(FeedInvalid, match=r"[Mm]emory"):
        read(file(tmp_path, bytes(content)))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
@pytest.mark.parametrize("wide", [False, True], ids=["zip", "zip64"])
def test_zips_of_every_usual_kind_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: int, wide: bool) -> None:
    """Written to a stream too, which puts the sizes behind the content; zip64 is for more than 4 GiB or 65,535 members."""
    if wide:
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    buffer = io.BytesIO()
    with zipfile.ZipFile(Unseekable(buffer), "w", method) as archive:
        for number in range(1000):
            archive.writestr(f"{number}.json", OSV)
        archive.comment = b"PK comment"
    content = bytearray(buffer.getvalue())
    if wide:
        end = content.rindex(b"PK\5\6")
        assert b"PK\6\7" == content[end - 20 : end - 16]
        content[end + 8 : end + 20] = b"\xff" * 12

    assert [OSV] * 1000 == [document for _, document in documents(file(tmp_path, bytes(content)))]


class Unseekable:
    def __init__(self, buffer: io.BytesIO) -> None:
        self.write = buffer.write
        self.flush = buffer.flush


def test_encrypted_and_foreign_members_are_refused(tmp_path: Path) -> None:
    encrypted = bytearray(zipped(("a.json", OSV)))
    encrypted[encrypted.index(b"PK\1\2") + 8] |= 1
    foreign = io.BytesIO()
    with zipfile.ZipFile(foreign, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.json", OSV)

    for content in (bytes(encrypted), foreign.getvalue()):
        with pytest.raises(FeedInvalid, match="not known here"):
            read(file(tmp_path, content))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_a_damaged_zip_is_refused_or_read_and_nothing_else(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(zipped(("a.json", OSV), ("b.json", OSV)))
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[at] = data.draw(st.integers(0, 255))
    path = file(tmp_path, bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content))
    with contextlib.suppress(FeedInvalid):
        assert {"CVE-2023-0001"} == set(read(path)[0])


def test_memory_does_not_grow_with_the_feed(tmp_path: Path) -> None:
    """Feeds have hundreds of thousands of records; 10 MB of them are read in less than 2."""
    record = json.loads(OSV)
    record["affected"][0]["versions"] = [f"1.{minor}-1" for minor in range(1_500)]
    text = json.dumps(record)
    path = file(tmp_path, zipped(*((f"{n}.json", text.replace("2023-0001", f"2023-{n + 10_000}").encode()) for n in range(600))))
    tracemalloc.start()
    try:
        assert 600 == sum(1 for _ in feeds.read(path, "feed", Tally()))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert 600 * len(text) > 10_000_000
    assert peak_bytes < 2 << 20


def test_one_document_is_in_memory_at_a_time(tmp_path: Path) -> None:
    """Members are read when they are asked for: what is broken behind comes after what is good before."""
    content = bytearray(zipped(("a.json", OSV), ("b.json", OSV)))
    second = content.index(b"b.json") + len("b.json")
    content[second : second + 8] = b"\xff" * 8
    advisories = feeds.read(file(tmp_path, bytes(content)), "feed", Tally())

    assert "CVE-2023-0001" == next(advisories).id
    with pytest.raises(FeedInvalid):
        next(advisories)


@needs_data()
@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("vunnel/debian/input/debian.json", Form.DEBIAN),
        ("osv.dev/debian_security_tracker_mock.json", Form.DEBIAN),
        ("vuls-data-update/debian-tracker/advisory.json", Form.DEBIAN),
        ("osv.dev/UBUNTU-CVE-2025-38094.json", Form.OSV),
        ("vuls-data-update/debian-osv/all.zip", Form.OSV),
        ("vuls-data-update/alpine-osv/all.zip", Form.OSV),
        ("vuls-data-update/ubuntu-osv/osv-all.tar.xz", Form.OSV),
        ("vunnel/ubuntu/osv", Form.OSV),
        ("vuls-data-update/ubuntu-vex/vex-all.tar.xz", Form.OPENVEX),
        ("vunnel/ubuntu/vex", Form.OPENVEX),
        ("claircore/alpine-v3.10-community.json", Form.ALPINE),
        ("vuls-data-update/alpine-secdb", Form.ALPINE),
        ("alpine-secdb-2020-06-08", Form.ALPINE),
    ],
)
def test_samples_of_real_feeds_are_known_and_read(name: str, form: Form) -> None:
    path = FOLDER / "advisories" / name
    found, tally = read(path)

    assert form is feeds.detect(path)
    assert len(found) == tally.records > 0


@needs_data()
@pytest.mark.parametrize("name", ["ubuntu-cve-api/20_20.json", "debian-tracker/invalid.json", "ubuntu-usndb/database-all.json.bz2"])
def test_other_people_s_formats_are_refused(name: str) -> None:
    with pytest.raises(FeedInvalid):
        read(FOLDER / "advisories" / "vuls-data-update" / name)


DEEP = 100_000
NESTED = {
    "array": b"[" * DEEP,
    "osv": OSV.replace(b'"modified"', b'"more": ' + b"[" * DEEP + b"]" * DEEP + b', "modified"'),
    "secdb": SECDB.replace(b'{"8-r0"', b'{"x": ' * DEEP + b'{"8-r0"').replace(b"]}}", b"]}" + b"}" * DEEP + b"}"),
    "tracker": TRACKER.replace(b'"open"', b"[" * DEEP + b"]" * DEEP),
    "vex": OPENVEX.replace(b'"not_affected"', b"[" * DEEP + b"]" * DEEP),
    "csaf": CSAF.replace(b'"csaf_vex"', b"[" * DEEP + b"]" * DEEP),
}


@pytest.mark.parametrize("name", NESTED)
def test_documents_without_a_floor_are_refused(tmp_path: Path, name: str) -> None:
    """Decoders go down with the document, and the stack has an end."""
    with pytest.raises(FeedInvalid):
        read(file(tmp_path, NESTED[name]))
    with pytest.raises(FeedInvalid):
        vex.read(NESTED[name], Tally())


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["0", "1.0-1", "CVE-2023-0001", "open", "Debian:12", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.sampled_from([OSV, TRACKER, SECDB, OPENVEX, CSAF]), st.data())
def test_nothing_else_comes_of_a_document_with_something_else_in_it(tmp_path: Path, document: bytes, data: st.DataObject) -> None:
    """Any value anywhere may be another one: a strange feed is refused or its strange records are skipped."""
    content = json.loads(document)
    replace_one(content, data)
    changed = json.dumps(content).encode()

    with contextlib.suppress(FeedInvalid):
        read(file(tmp_path, changed))
    with contextlib.suppress(FeedInvalid):
        vex.read(changed, Tally())


def replace_one(content: Any, data: st.DataObject) -> None:
    """Walk down to a value, somewhere, and put another one in its place."""
    key = data.draw(st.sampled_from(sorted(content) if isinstance(content, dict) else range(len(content))))
    inner = content[key]
    if isinstance(inner, dict | list) and inner and data.draw(st.integers(0, 4)):
        replace_one(inner, data)
    else:
        content[key] = data.draw(JSON)
