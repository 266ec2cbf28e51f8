"""Packages of programming languages: which files tell of them, and what."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadstead.scanner.inventory import Package
from roadstead.scanner.layers import parser_of, scan_layer
from roadstead.scanner.packages import golang, java, npm, python, ruby
from tests.kit.layers import found, layer, wheel

PLACES = {
    "usr/lib/python3/dist-packages/x-1.dist-info/METADATA": python,
    "x.egg-info/PKG-INFO": python,
    "usr/lib/python3/dist-packages/x-1.egg-info": python,
    "app/node_modules/left-pad/package.json": npm,
    "node_modules/@angular/core/package.json": npm,
    "a/node_modules/.pnpm/b@1/node_modules/b/package.json": npm,
    "usr/share/gems/specifications/rack-3.0.gemspec": ruby,
    "usr/lib/ruby/gems/3.1.0/specifications/default/json-2.6.1.gemspec": ruby,
    "app/lib/guava-31.jar": java,
    "opt/app.war": java,
}
NO_PLACES = [
    "METADATA",
    "app/package.json",
    "app/node_modules/a/dist/package.json",
    "node_modules/package.json",
    "src/rack.gemspec",
    "x/PKG-INFO",
    "a.jar/file",
]


@pytest.mark.parametrize("path", PLACES)
def test_files_of_installed_packages_are_read(path: str) -> None:
    assert PLACES[path].parse == parser_of(path)


@pytest.mark.parametrize("path", NO_PLACES)
def test_other_files_are_not(path: str) -> None:
    assert None is parser_of(path)


def rows(packages: list[Package]) -> list[tuple[str, str]]:
    return sorted((package.name, package.version) for package in packages)


def test_python_metadata_ends_at_the_first_blank_line() -> None:
    """Core metadata: headers, then the description."""
    content = b"Metadata-Version: 2.1\r\nNAME: Foo\r\nVersion: 1.0\r\n\r\nName: other\r\nVersion: 2\r\n"

    assert [("Foo", "1.0")] == rows(python.parse("x", content))
    assert [] == python.parse("x", b"\nName: a\nVersion: 1\n")
    assert [] == python.parse("x", b"Name: a\n")


def test_node_packages_have_a_name_and_a_version() -> None:
    assert [("left-pad", "1.3.0")] == rows(npm.parse("x", b'\xef\xbb\xbf{"name": "left-pad", "version": "1.3.0", "main": {"a": [1]}}'))
    for content in (b"{}", b'{"name": "a"}', b'{"name": 1, "version": 2}', b"[]", b"", b"{", b"[" * 100_000):
        assert [] == npm.parse("x", content)


def test_gems_are_read_from_the_text_that_rubygems_writes() -> None:
    content = b"""# -*- encoding: utf-8 -*-
# stub: nokogiri 1.15.4 x86_64-linux lib

Gem::Specification.new do |s|
  s.name = "nokogiri".freeze
  s.version = "1.15.4"
  s.platform = "x86_64-linux".freeze
  s.required_ruby_version = Gem::Requirement.new(">= 2.7".freeze)
  s.add_runtime_dependency(%q<racc>.freeze, ["~> 1.4"])
end
"""
    (package,) = ruby.parse("specifications/nokogiri-1.15.4-x86_64-linux.gemspec", content)

    assert ("nokogiri", "1.15.4", "x86_64-linux") == (package.name, package.version, package.architecture)
    assert [] == ruby.parse("x", b"Gem::Specification.new do |s|\n s.name = NAME\nend")
    assert [("a", "1")] == rows(ruby.parse("x", b"  s.name = 'a'\n  s.version = Gem::Version.new('1')\n"))


def archive(files: Mapping[str, bytes | str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in files.items():
            written.writestr(name, content)
    return buffer.getvalue()


def properties(group: str, artifact: str, version: str) -> dict[str, str]:
    text = f"#Created by Apache Maven 3.8.5\nversion={version}\ngroupId={group}\nartifactId={artifact}\n"
    return {f"META-INF/maven/{group}/{artifact}/pom.properties": text}


def test_a_jar_names_its_library() -> None:
    jar = archive(
        properties("org.apache.logging.log4j", "log4j-core", "2.14.1") | {"META-INF/MANIFEST.MF": "Implementation-Version: 9\r\n"}
    )

    assert [("org.apache.logging.log4j:log4j-core", "2.14.1")] == rows(java.parse("app/log4j-core-2.14.1.jar", jar))


def test_a_jar_names_those_that_were_put_into_it() -> None:
    jar = archive(properties("a", "app", "1") | properties("b", "lib", "2"))

    assert [("a:app", "1"), ("b:lib", "2")] == rows(java.parse("app.jar", jar))


def test_archives_within_archives_are_read() -> None:
    """Spring Boot: libraries under BOOT-INF/lib; war: WEB-INF/lib; as deep as three."""
    jar = archive(properties("g", "deep", "1"))
    for depth in range(3):
        jar = archive({f"BOOT-INF/lib/level{depth}-{depth + 1}.0.jar": jar, "META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n"})

    assert ("g:deep", "1") in rows(java.parse("app-1.0.jar", jar))
    assert ("level1", "2.0") in rows(java.parse("app-1.0.jar", jar))
    assert ("g:deep", "1") not in rows(java.parse("app-1.0.jar", archive({"a-1.jar": jar})))


def test_an_archive_without_properties_is_told_by_its_name_and_manifest() -> None:
    manifest = "Manifest-Version: 1.0\r\nImplementation-Vendor-Id: com.example\r\nImplementation-Version: 3.2\r\n.1\r\n\r\nName: x\r\n"

    assert [("com.example:guava", "31.1-jre")] == rows(java.parse("lib/guava-31.1-jre.jar", archive({"META-INF/MANIFEST.MF": manifest})))
    assert [("com.example:tool", "3.2")] == rows(java.parse("lib/tool.jar", archive({"META-INF/MANIFEST.MF": manifest})))
    assert [] == java.parse("lib/tool.jar", archive({"A.class": "x"}))


def test_what_is_no_archive_has_no_packages() -> None:
    for content in (b"", b"PK\3\4", bytes(500), b"PK\5\6" + bytes(18), b"PK\5\6" + b"\xff" * 18):
        assert [] == java.parse("a.jar", content)


def test_an_archive_may_not_claim_too_much() -> None:
    """A nested archive of zeros, and a directory of more entries than are read."""
    bomb = archive({"lib/a-1.jar": bytes(140 * 1024 * 1024)} | properties("g", "kept", "1"))
    many = archive(properties("g", "kept", "1")) + b"PK\x01\x02" * 100_001

    assert [("g:kept", "1")] == rows(java.parse("kept-1.jar", bomb))
    assert [] == java.parse("kept-1.jar", many)


def string(text: bytes) -> bytes:
    size, length = b"", len(text)
    while length >= 0x80:
        size, length = size + bytes([length & 0x7F | 0x80]), length >> 7
    return size + bytes([length]) + text


MODULES = """path\texample.com/app
mod\texample.com/app\t(devel)\t
dep\tgithub.com/gorilla/mux\tv1.8.0\th1:i40aqfkR1h2SlN9hojwV5ZA91wcXFOvkdNIeFDP5koI=
dep\tgolang.org/x/net\tv0.7.0\th1:x
dep\tgithub.com/old/fork\tv1.0.0
=>\tgithub.com/new/fork\tv1.0.1\th1:y
dep\tgithub.com/local/one\tv1.0.0
=>\t../one\t(devel)\t
build\t-compiler=gc
"""


def build_info(version: bytes = b"go1.21.4", modules: str = MODULES) -> bytes:
    """What the linker writes since Go 1.18 (package debug/buildinfo)."""
    mark = b"0w\xaf\x0c\x92t\x08\x02A\xe1\xc1\x07\xe6\xd6\x18\xe6"
    listing = mark + modules.encode() + b"\xf92C1\x86\x18 r\x00\x82B\x10A\x16\xd8\xf2"
    return b"\xff Go buildinf:" + bytes([8, 2]) + bytes(16) + string(version) + string(listing)


def program(info: bytes, before: int = 100_000) -> bytes:
    return b"\x7fELF" + struct.pack("<B", 2) + bytes(before - 5) + info + bytes(100_000)


EXPECTED = [("github.com/gorilla/mux", "v1.8.0"), ("github.com/new/fork", "v1.0.1"), ("golang.org/x/net", "v0.7.0"), ("stdlib", "1.21.4")]


@pytest.mark.parametrize("size", [1000, 4096, 99_990, 100_007, 1_000_000])
def test_a_program_of_go_names_its_modules(size: int) -> None:
    """A replaced module is not in it, its replacement is; wherever the pieces end."""
    content = program(build_info())

    assert EXPECTED == rows(golang.parse("app", (content[at : at + size] for at in range(0, len(content), size))))


@pytest.mark.parametrize("size", [1, 3, 4, 100])
def test_a_program_is_known_where_its_first_piece_is_short(size: int) -> None:
    """Pieces end where a packed one did, also between the bytes that tell a program."""
    content = program(build_info())

    assert EXPECTED == rows(golang.parse("app", [content[:size], memoryview(content)[size:]]))
    assert [] == golang.parse("app", [b"#!/bin/sh"[:size], b"#!/bin/sh"[size:] + content])


def test_a_program_that_looks_for_the_mark_contains_it_too() -> None:
    content = program(b"\xff Go buildinf:" + bytes(50) + build_info())

    assert EXPECTED == rows(golang.parse("app", [content]))


def test_a_program_that_repeats_the_mark_takes_no_longer() -> None:
    content = program(b"\xff Go buildinf:\x08\x02" * 200_000)

    assert [] == golang.parse("app", [content])


@pytest.mark.parametrize("content", [b"#!/bin/sh\n" + build_info(), b"", b"\x7fELF", program(b""), program(build_info()[:36])[:100_036]])
def test_other_programs_have_no_modules(content: bytes) -> None:
    assert [] == golang.parse("app", [content])


def test_programs_are_found_by_their_mode() -> None:
    tree = {"usr/local/bin/app": program(build_info())}

    index = scan_layer(io.BytesIO(layer(tree, mode=0o755)))

    assert ["usr/local/bin/app"] == [entry.path for entry in index.entries]
    assert () == scan_layer(io.BytesIO(layer(tree))).entries


def test_languages_are_found_in_an_image() -> None:
    image = found(
        {
            "usr/lib/python3/dist-packages/x-1.dist-info/METADATA": wheel("x", "1"),
            "app/node_modules/a/package.json": '{"name": "a", "version": "2"}',
            "app/lib/b-3.jar": archive(properties("g", "b", "3")),
            "usr/share/gems/specifications/c-4.gemspec": '  s.name = "c"\n  s.version = "4"\n',
        }
    )

    assert {"x=1", "a=2", "g:b=3", "c=4"} == set(image)


PARSERS: dict[str, Callable[[bytes], object]] = {
    "python": lambda content: python.parse("x", content),
    "npm": lambda content: npm.parse("x", content),
    "ruby": lambda content: ruby.parse("x", content),
    "java": lambda content: java.parse("x.jar", content),
    "go": lambda content: golang.parse("x", [content]),
}
SEEDS = {
    "python": wheel("x").encode(),
    "npm": b'{"name": "left-pad", "version": "1.3.0"}',
    "ruby": b'  s.name = "c".freeze\n  s.version = "4"\n',
    "java": archive(properties("g", "a", "1") | {"lib/b-1.jar": archive(properties("g", "b", "1"))}),
    "go": program(build_info(), 100)[:1000],
}


@pytest.mark.parametrize("language", PARSERS)
def test_no_bytes_make_a_parser_fail(language: str) -> None:
    seed, parse = SEEDS[language], PARSERS[language]

    @given(st.binary(max_size=60), st.integers(0, len(seed)), st.integers(0, 20))
    @settings(max_examples=150, deadline=None)
    def damaged(noise: bytes, at: int, gone: int) -> None:
        parse(seed[:at] + noise + seed[at + gone :])
        parse(noise)

    damaged()
