"""Archives as container runtimes read them (image-spec, Image Layer Filesystem Changeset; pax; GNU tar), and what is refused."""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import io
import lzma
import os
import pickle
import tarfile
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from roadstead.errors import ScanFailed
from roadstead.oci.digest import Digest
from roadstead.scanner.compression import zstd
from roadstead.scanner.inventory import File, Hardlink, LayerIndex, Symlink
from roadstead.scanner.layers import clean, path_key, scan_layer
from roadstead.scanner.limits import DEFAULT, MIB
from tests.kit.layers import OS_RELEASE, HardLink, Link, layer, status, wheel

STATUS = "var/lib/dpkg/status"
PLAIN = layer({"usr/bin/true": b"\x7fELF" + bytes(3000), STATUS: status("a=1", "b=2"), "etc/os-release": OS_RELEASE})


def names(index: LayerIndex) -> set[str]:
    return {package.name for entry in index.entries if isinstance(entry, File) for package in entry.packages}


def zstd_frames(data: bytes) -> bytes:
    """Frames as chunked layers have them: several, and one to skip at the end."""
    middle = len(data) // 2
    frames = [zstd.compress(part) for part in (data[:middle], data[middle:])]
    return b"".join(frames) + b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"index"


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "not packed": bytes,
    "gzip": gzip.compress,
    "gzip in two parts": lambda data: gzip.compress(data[:700]) + gzip.compress(data[700:]),
    "gzip padded with zeros": lambda data: gzip.compress(data) + bytes(512),
    "zstd": zstd.compress,
    "zstd in frames": zstd_frames,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("pack", PACKINGS.values(), ids=PACKINGS)
def test_how_a_layer_is_packed_is_told_by_its_bytes(pack: Callable[[bytes], bytes]) -> None:
    index = scan_layer(io.BytesIO(pack(PLAIN)))

    assert {"a", "b"} == names(index)
    assert len(PLAIN) == index.size_bytes


@pytest.mark.parametrize(
    "pack", [pack for name, pack in PACKINGS.items() if name != "not packed"], ids=[n for n in PACKINGS if n != "not packed"]
)
def test_a_layer_that_ends_early_is_refused(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(PLAIN).rstrip(b"\0")
    ends = (len(packed) // 3, len(packed) // 2, len(packed) - 15)

    for end in ends:
        with pytest.raises(ScanFailed):
            scan_layer(io.BytesIO(packed[:end]))


def test_an_archive_that_ends_early_is_refused() -> None:
    with pytest.raises(ScanFailed, match="ends in the middle"):
        scan_layer(io.BytesIO(PLAIN[:2000]))


def test_the_mark_of_the_end_may_be_missing() -> None:
    """Go's archive/tar takes the end of the file for it."""
    end = len(PLAIN.rstrip(b"\0"))
    content = PLAIN[: end + -end % 512]

    assert {"a", "b"} == names(scan_layer(io.BytesIO(content)))


@pytest.mark.parametrize(
    "content", [b"<html>" * 200, bytes(range(256)) * 4, b"x", b"PK\3\4" + bytes(600)], ids=["html", "bytes", "a letter", "zip"]
)
def test_what_is_no_archive_is_refused(content: bytes) -> None:
    with pytest.raises(ScanFailed):
        scan_layer(io.BytesIO(content))


def test_an_empty_layer_has_nothing() -> None:
    assert LayerIndex() == scan_layer(io.BytesIO(b""))
    assert () == scan_layer(io.BytesIO(bytes(1024))).entries


def test_a_header_that_was_damaged_is_refused() -> None:
    damaged = bytearray(PLAIN)
    damaged[3] ^= 1

    with pytest.raises(ScanFailed, match="checksum"):
        scan_layer(io.BytesIO(bytes(damaged)))


@pytest.mark.parametrize("size", [b"-1001\0", b" -1000 ", b"1x\0"], ids=["back to itself", "spaces", "letters"])
def test_a_size_that_is_none_is_refused(size: bytes) -> None:
    """A negative one would lead back to headers that were read, again and again."""
    header = bytearray(PLAIN[:512])
    header[124:136], header[148:156] = size.ljust(12, b"\0"), b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)

    with pytest.raises(ScanFailed, match=r"size is negative|number that is none"):
        scan_layer(io.BytesIO(bytes(header) + PLAIN[512:]))


LONG = "/".join(["a-folder-with-a-name"] * 12) + "/x.dist-info/METADATA"
UNICODE = "données/ü.dist-info/METADATA"


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
@pytest.mark.parametrize("path", [LONG, UNICODE, f"{'n' * 120}/x.dist-info/METADATA"], ids=["long", "unicode", "long part"])
def test_long_and_foreign_names_are_read(path: str, format: int) -> None:
    """pax: an extended header's path. GNU: an entry of type L before it."""
    index = scan_layer(io.BytesIO(layer({path: wheel("x"), f"{path}.link/METADATA": Link(path)}, format)))

    assert [path, f"{path}.link/METADATA"] == [entry.path for entry in index.entries]
    assert isinstance(index.entries[1], Symlink)
    assert path == index.entries[1].target


def test_a_name_may_have_a_prefix() -> None:
    """POSIX ustar: up to 155 bytes of folders in a field of their own."""
    path = "/".join(["f" * 30] * 4) + "/x.dist-info/METADATA"

    (entry,) = scan_layer(io.BytesIO(layer({path: wheel("x")}, tarfile.USTAR_FORMAT))).entries

    assert path == entry.path


def test_sizes_may_be_binary_or_in_an_extended_header() -> None:
    content = bytearray(layer({STATUS: status("a")}))
    size = int(content[124:135], 8)
    content[124:136] = b"\x80" + size.to_bytes(11, "big")
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])

    assert {"a"} == names(scan_layer(io.BytesIO(bytes(content))))

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(STATUS)
        data = status("b").encode()
        info.size, info.pax_headers = len(data), {"size": str(len(data))}
        tar.addfile(info, io.BytesIO(data))
    assert {"b"} == names(scan_layer(io.BytesIO(buffer.getvalue())))


def test_the_content_of_other_entries_is_not_taken_for_headers() -> None:
    """A file that is an archive itself."""
    inner = layer({STATUS: status("inner")})

    assert {"outer"} == names(scan_layer(io.BytesIO(layer({"a.tar": inner, STATUS: status("outer"), "b.tar": inner}))))


@pytest.mark.parametrize("path", ["./var/lib/dpkg/status", "/var/lib/dpkg/status", "var//lib/./dpkg/status", "../../var/lib/dpkg/status"])
def test_paths_are_those_within_the_image(path: str) -> None:
    (entry,) = scan_layer(io.BytesIO(layer({path: status("a")}))).entries

    assert STATUS == entry.path


def test_only_what_tells_of_packages_is_kept() -> None:
    index = scan_layer(io.BytesIO(layer({STATUS: status("a"), "etc/passwd": "root", "lib/libc.so": Link("libc.so.6"), "usr": None})))

    assert [STATUS] == [entry.path for entry in index.entries]
    assert b"".join(sorted(map(path_key, ["etc/passwd", "lib/libc.so"]))) == index.replaced
    assert path_key("usr") == index.folders


def test_whiteouts_are_told_from_files() -> None:
    """image-spec, Whiteouts: `.wh.NAME` hides NAME, `.wh..wh..opq` all of its folder. Others of that prefix are the storage driver's."""
    index = scan_layer(
        io.BytesIO(layer({"etc/.wh.os-release": "", "app/.wh..wh..opq": "", ".wh..wh.plnk": None, ".wh.top": "", "a/.wh..": ""}))
    )

    assert ("etc/os-release", "top") == index.whiteouts
    assert ("app",) == index.opaques
    assert () == index.entries


def test_later_entries_of_a_path_take_the_place_of_earlier_ones() -> None:
    buffer = io.BytesIO(layer({STATUS: status("a")}).rstrip(b"\0"))
    first = buffer.getvalue() + bytes(-len(buffer.getvalue()) % 512)
    index = scan_layer(io.BytesIO(first + layer({STATUS: status("b"), "x/node_modules": "a file"})))

    assert {"b"} == names(index)


def test_hard_links_are_kept_where_they_matter() -> None:
    tree = {
        STATUS: status("a"),
        "copy": HardLink(STATUS),
        "etc/os-release": HardLink("usr/lib/os-release"),
        "other": HardLink("etc/passwd"),
    }

    links = [entry for entry in scan_layer(io.BytesIO(layer(tree))).entries if isinstance(entry, Hardlink)]

    assert [Hardlink("copy", STATUS), Hardlink("etc/os-release", "usr/lib/os-release")] == links


def test_the_digest_is_checked_to_the_last_byte() -> None:
    packed = gzip.compress(PLAIN)

    assert {"a", "b"} == names(scan_layer(io.BytesIO(packed), Digest.of(packed)))
    with pytest.raises(ScanFailed, match="not those of sha256"):
        scan_layer(io.BytesIO(packed), Digest.of(b"other"))
    with pytest.raises(ScanFailed, match="not those of sha256"):
        scan_layer(io.BytesIO(PLAIN + bytes(10_000)), Digest.of(PLAIN))


def test_bytes_may_come_in_any_pieces() -> None:
    packed = gzip.compress(PLAIN)
    expected = scan_layer(io.BytesIO(packed))

    for size in (1, 7, 511, 100_000):
        assert expected == scan_layer(packed[at : at + size] for at in range(0, len(packed), size))


def test_a_scan_can_be_sent_to_another_process(tmp_path) -> None:
    (tmp_path / "layer").write_bytes(PLAIN)
    scan = pickle.loads(pickle.dumps(partial(scan_layer, str(tmp_path / "layer"), Digest.of(PLAIN), DEFAULT)))

    index = scan()

    assert index == pickle.loads(pickle.dumps(index))
    assert index == LayerIndex.decode(index.encode())


def bomb(size: int) -> bytes:
    return layer({"zeros": bytes(size)})


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress, lzma.compress], ids=["gzip", "zstd", "xz"])
def test_a_bomb_is_refused_before_it_is_unpacked(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(bomb(24 * MIB))

    with pytest.raises(ScanFailed, match="bomb"):
        scan_layer(io.BytesIO(packed))


def test_a_large_file_of_zeros_is_no_bomb_where_the_rest_is_there_to_see() -> None:
    """A database's file, made in advance, often comes first."""
    content = gzip.compress(layer({"data/zero.img": bytes(48 * MIB), "data/more": os.urandom(2 * MIB)}))

    assert 50 * MIB < scan_layer(io.BytesIO(content)).size_bytes
    assert 50 * MIB < scan_layer(content[at : at + 4096] for at in range(0, len(content), 4096)).size_bytes


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_disk_that_cannot_be_read_is_not_the_layer_s_fault(packing: str) -> None:
    content = PACKINGS[packing](layer({"a": os.urandom(2 * MIB)}))

    def pieces() -> Iterator[bytes]:
        yield content[:MIB]
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        scan_layer(pieces())


def test_no_archive_says_how_much_memory_its_unpacking_takes() -> None:
    """A frame of zstd that asks for 256 MiB, in which its one block is empty."""
    frame = b"\x28\xb5\x2f\xfd" + bytes([0, (28 - 10) << 3]) + b"\x01\0\0"

    with pytest.raises(ScanFailed, match="memory"):
        scan_layer(io.BytesIO(frame))


PAST = {
    "unpacked_bytes": (1000, {"a": bytes(2000)}),
    "entries": (2, {"a": "", "b": "", "c": ""}),
    "path_bytes": (20, {"a/" * 5 + "b" * 30: ""}),
    "path_depth": (3, {"a/b/c/d/e": ""}),
    "extension_bytes": (50, {"é" * 120: ""}),
    "packages": (2, {STATUS: status("a", "b", "c")}),
    "index_entries": (1, {STATUS: status("a"), "x/x.dist-info/METADATA": wheel("x")}),
}


@pytest.mark.parametrize("limit", PAST)
def test_a_layer_past_a_limit_is_refused(limit: str) -> None:
    most, tree = PAST[limit]

    scan_layer(io.BytesIO(layer(tree)))
    with pytest.raises(ScanFailed):
        scan_layer(io.BytesIO(layer(tree)), limits=dataclasses.replace(DEFAULT, **{limit: most}))


def test_a_file_past_the_limit_is_left_out_and_noted() -> None:
    index = scan_layer(io.BytesIO(layer({STATUS: status("a")})), limits=dataclasses.replace(DEFAULT, listing_bytes=10))

    assert (File(STATUS),) == index.entries
    assert (f"{STATUS} was not read: it is too large",) == index.notes


def test_links_past_the_limit_are_left_out_and_noted() -> None:
    index = scan_layer(io.BytesIO(layer({"a": Link("x"), "b": Link("y")})), limits=dataclasses.replace(DEFAULT, index_entries=1))

    assert [Symlink("a", "x")] == list(index.entries)
    assert ("the layer has more links than are kept track of",) == index.notes


def test_a_size_of_terabytes_reads_no_more_than_there_is() -> None:
    """The header alone claims it."""
    info = tarfile.TarInfo(STATUS)
    info.size = 1 << 50
    content = info.tobuf(tarfile.GNU_FORMAT)

    with pytest.raises(ScanFailed):
        scan_layer(io.BytesIO(content), limits=dataclasses.replace(DEFAULT, listing_bytes=1 << 60))


@pytest.mark.slow
def test_time_grows_with_the_entries_only() -> None:
    """Folders and files in each other's place, again and again, beside many others that stay."""
    others = {f"others/{number}": Link("x") for number in range(20_000)}
    tree = others | {f"a{number % 2}/{number}": Link("x") for number in range(4000)}
    parts = [layer({f"a{number % 2}/x": Link("x"), f"a{number % 2}": Link("y")}).rstrip(b"\0") for number in range(2)]
    turns = b"".join(part + bytes(-len(part) % 512) for part in parts) * 3000
    start = layer(tree).rstrip(b"\0")
    started = time.process_time()

    index = scan_layer(io.BytesIO(start + bytes(-len(start) % 512) + turns))

    assert len(others) + 2 == len(index.entries)
    assert time.process_time() - started < 5


def test_sparse_files_are_not_taken_for_what_they_hold() -> None:
    """GNU: their bytes are kept without the holes, in three formats; no image builder writes them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        data = status("a").encode()
        info = tarfile.TarInfo("GNUSparseFile.0/status")
        info.size, info.pax_headers = len(data), {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": STATUS}
        tar.addfile(info, io.BytesIO(data))

    index = scan_layer(io.BytesIO(buffer.getvalue()))

    assert (File(STATUS),) == index.entries
    assert (f"{STATUS} was not read: it is sparse",) == index.notes


@given(st.binary(max_size=4000))
@example(b"\x1f\x8b" + bytes(20))
@example(b"\x28\xb5\x2f\xfd" + bytes(20))
@example(b"BZh9" + bytes(20))
@example(b"\xfd7zXZ\x00" + bytes(20))
@settings(max_examples=200, deadline=None)
def test_no_bytes_do_anything_but_fail(content: bytes) -> None:
    try:
        scan_layer(io.BytesIO(content))
    except ScanFailed as error:
        assert error.message


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_no_damage_does_anything_but_fail(data: st.DataObject) -> None:
    """Real layers, packed or not, with some bytes changed."""
    pack = data.draw(st.sampled_from(list(PACKINGS.values())))
    content = bytearray(pack(PLAIN))
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[at] = data.draw(st.integers(0, 255))

    started = time.monotonic()
    try:
        scan_layer(io.BytesIO(bytes(content)))
    except ScanFailed as error:
        assert error.message
    assert time.monotonic() - started < 5


@given(st.text(max_size=60))
def test_a_clean_path_stays_within_the_image(path: str) -> None:
    parts = clean(path).split("/")

    assert ".." not in parts
    assert [""] == parts or ("" not in parts and "." not in parts)
