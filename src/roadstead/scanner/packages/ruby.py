"""Ruby's packages: `specifications/NAME-VERSION.gemspec`, which RubyGems writes when it installs a gem."""

from __future__ import annotations

import re

from roadstead.scanner.inventory import Package

_FIELD = re.compile(r"""[ \t]{0,40}\w{1,20}\.(name|version|platform) {0,20}= {0,20}(?:Gem::Version\.new\()?["']([^"']{1,200})["']""")


def required(path: str) -> bool:
    if not path.endswith(".gemspec"):
        return False
    folder = path.rpartition("/")[0]
    return folder.endswith(("/specifications", "/specifications/default")) or folder == "specifications"


def parse(path: str, content: bytes) -> list[Package]:
    """The one package, or none if it has no plain name and version: what computes them is a source tree's, not an installed gem's."""
    fields: dict[str, str] = {}
    for line in content.decode("utf-8", "replace").splitlines():
        if found := _FIELD.match(line):
            fields.setdefault(found[1], found[2])
    name, version = fields.get("name", ""), fields.get("version", "")
    return [Package("gem", name, version, name, version, fields.get("platform", ""), path)] if name and version else []
