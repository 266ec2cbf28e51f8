"""Layers over each other: the outcome is that of unpacking them in order (image-spec, Applying Changesets)."""

from __future__ import annotations

import io
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from roadstead.scanner.layers import scan_layer
from roadstead.scanner.local import scan_path
from roadstead.scanner.merge import merge
from roadstead.scanner.packages import python
from tests.kit.answers import ANSWERS, cases
from tests.kit.layers import OS_RELEASE, HardLink, Link, found, index, layer, stanza, status, wheel

STATUS = "var/lib/dpkg/status"
UPPER = "usr/lib/x.dist-info/METADATA"


def distro(*trees: dict) -> str | None:
    told = merge([("", index(tree)) for tree in trees]).distro
    return told and f"{told.id} {told.release}"


def test_a_database_takes_the_place_of_the_one_below() -> None:
    assert {"a=1": "0", "c=1": "1"} == found({STATUS: status("a=1", "b=1")}, {STATUS: status("a=1", "c=1")})


def test_a_package_is_of_the_layer_since_which_it_is_there() -> None:
    """Upgraded, it is the upgrading layer's; deleted and installed again, the later one's; untouched, it stays the first one's."""
    layers = [
        {STATUS: status("stays=1", "upgraded=1", "again=1")},
        {STATUS: status("stays=1", "upgraded=2")},
        {"etc/motd": "nothing of ours"},
        {STATUS: status("stays=1", "upgraded=2", "again=1")},
    ]

    assert {"stays=1": "0", "upgraded=2": "1", "again=1": "3"} == found(*layers)


def test_one_name_for_two_architectures_is_two_packages() -> None:
    """dpkg, Multi-Arch: same."""
    inventory = merge([("", index({STATUS: stanza("libc6", "2.36", "amd64") + stanza("libc6", "2.36", "i386")}))])

    assert ["amd64", "i386"] == [package.architecture for package, _ in inventory.packages]


def test_a_deleted_database_has_no_packages() -> None:
    base = {STATUS: status("a=1"), "etc/os-release": OS_RELEASE}

    for deleted in ("var/lib/dpkg/.wh.status", "var/.wh.lib", ".wh.var", "var/lib/.wh..wh..opq", ".wh..wh..opq"):
        assert {} == found(base, {deleted: ""}), deleted
    assert None is distro(base, {".wh.etc": ""})


def test_an_emptied_database_has_no_packages() -> None:
    assert {} == found({STATUS: status("a=1")}, {STATUS: ""})


def test_deletions_are_of_the_layers_below_only() -> None:
    """image-spec, Whiteouts: files of the layer itself can only be hidden by later layers, whatever the order in the archive."""
    base = {STATUS: status("a=1")}

    assert {"b=1": "1"} == found(base, {STATUS: status("b=1"), "var/lib/dpkg/.wh.status": ""})
    assert {"b=1": "1"} == found(base, {STATUS: status("b=1"), "var/lib/dpkg/.wh..wh..opq": ""})
    assert {"b=1": "1"} == found(base, {"var/.wh..wh..opq": "", STATUS: status("b=1")})


def test_a_file_in_the_place_of_a_folder_hides_what_was_in_it() -> None:
    base = {"app/x.dist-info/METADATA": wheel("x"), STATUS: status("a=1")}

    assert {"a=1": "0"} == found(base, {"app": "a program"})
    assert {"x=1.0": "0"} == found(base, {"var/lib": Link("/nowhere")})


def test_a_program_that_is_replaced_takes_its_modules_with_it() -> None:
    """The file above is none of ours and is known by its path's key only."""
    base = {"x.dist-info/METADATA": wheel("x")}

    assert {} == found(base, {"x.dist-info/METADATA": None})
    assert {} == found(base, {"x.dist-info": "a file"})


def test_os_release_may_be_a_link() -> None:
    """os-release(5): /etc/os-release should be a relative symbolic link to /usr/lib/os-release."""
    for target in ("../usr/lib/os-release", "/usr/lib/os-release", "../../../usr/lib/os-release", "../usr/./lib//os-release"):
        assert "debian 12" == distro({"etc/os-release": Link(target)}, {"usr/lib/os-release": OS_RELEASE}), target


def test_a_link_out_of_the_image_leads_nowhere() -> None:
    """Links are followed within the image, as in a chroot; the machine's own files are not there."""
    assert None is distro({"etc/os-release": Link("/etc/../../../../proc/self/root/etc/os-release")})
    assert "debian 12" == distro({"etc/os-release": Link("../../../../usr/lib/os-release"), "usr/lib/os-release": OS_RELEASE})


def test_links_in_a_circle_end() -> None:
    circle = {"etc/os-release": Link("a"), "etc/a": Link("b"), "etc/b": Link("a"), "var/lib": Link("../var/lib"), "usr/lib": Link("lib")}

    assert None is distro(circle)
    assert {} == found(circle, {STATUS: status("a=1"), "var/lib/.wh.dpkg": "", "usr/lib/os-release": OS_RELEASE})


def test_a_chain_of_links_may_be_as_long_as_linux_follows() -> None:
    """path_resolution(7): 40."""

    def chain(links: int) -> dict:
        return {"etc/os-release": Link("/1/os-release"), **{f"{n}/os-release": Link(f"/{n + 1}/os-release") for n in range(1, links)}}

    assert "debian 12" == distro(chain(40) | {"40/os-release": OS_RELEASE})
    assert None is distro(chain(41) | {"41/os-release": OS_RELEASE})


def test_a_merged_usr_is_one_folder() -> None:
    """Since Alpine 3.22 and Debian 12: /lib is a link to usr/lib. A database that is reached both ways is counted once."""
    apk = "P:musl\nV:1.2.5-r0\nA:x86_64\n\n"
    merged = {"lib": Link("usr/lib"), "usr/lib/apk/db/installed": apk}

    assert {"musl=1.2.5-r0": "0"} == found(merged)
    assert {"musl=1.2.5-r1": "1"} == found(merged, {"lib/apk/db/installed": apk.replace("r0", "r1")})
    assert {} == found(merged, {"lib/apk/db/.wh.installed": ""})
    assert {} == found(
        {"bin": Link("usr/bin"), "usr/bin/x.dist-info/METADATA": wheel("x")}, {"bin/x.dist-info": "a file, by way of the link"}
    )


def test_a_folder_in_the_place_of_a_link_starts_empty() -> None:
    merged = {"lib": Link("usr/lib"), "usr/lib/x.dist-info/METADATA": wheel("x")}

    both = found(merged, {"lib": None, "lib/x.dist-info/METADATA": wheel("y")})

    assert {"x=1.0": "0", "y=1.0": "1"} == both


def test_hard_links_are_the_same_file() -> None:
    assert "debian 12" == distro({"usr/lib/os-release": OS_RELEASE, "etc/os-release": HardLink("usr/lib/os-release")})
    assert "debian 12" == distro({"usr/lib/os-release": OS_RELEASE}, {"etc/os-release": HardLink("usr/lib/os-release")}, {".wh.usr": ""})
    assert {} == found({STATUS: HardLink("nowhere")})


def test_another_image_within_the_image_is_not_the_image() -> None:
    """A root file system that is kept in a folder: its OS packages are not installed."""
    assert {"a=1": "0"} == found({STATUS: status("a=1"), f"srv/root/{STATUS}": status("b=1"), "srv/lib/apk/db/installed": "P:c\nV:1\n\n"})


def test_language_packages_are_counted_where_they_lie() -> None:
    trees = {"a/x.dist-info/METADATA": wheel("x")}, {"b/x.dist-info/METADATA": wheel("x")}

    inventory = merge([(str(number), index(tree)) for number, tree in enumerate(trees)])

    assert [("a/x.dist-info/METADATA", "0"), ("b/x.dist-info/METADATA", "1")] == [(package.path, at) for package, at in inventory.packages]


def test_os_packages_come_first() -> None:
    inventory = merge([("", index({"a/x.dist-info/METADATA": wheel("a"), STATUS: status("z=1", "b=1")}))])

    assert ["b", "z", "a"] == [package.name for package, _ in inventory.packages]


@pytest.mark.slow
def test_time_grows_with_the_entries_only() -> None:
    """Thousands of folders, each with a file, and a layer with a link in the place of each."""
    below = index({f"d{number}/x.dist-info/METADATA": wheel("x") for number in range(10_000)})
    above = index({f"d{number}": Link("nowhere") for number in range(10_000)})
    started = time.process_time()

    assert () == merge([("0", below), ("1", above)]).packages
    assert time.process_time() - started < 5


# Few, so that layers meet: files that count, the folders above them, and folders between.
FOLDERS = ["a", "b", "a/b", "x.dist-info", "a/x.dist-info", "b/x.dist-info", "a/b/x.dist-info"]
FILES = ["x.dist-info/METADATA", "a/x.dist-info/METADATA", "b/x.dist-info/METADATA", "a/b/x.dist-info/METADATA"]
PATHS = st.sampled_from([*FOLDERS, *FILES, *FILES])
# Links that stay within the root when a real tar follows them.
TARGETS = st.sampled_from(["a", "b", "a/b", "x.dist-info", "METADATA"])


def content(number: int) -> str:
    return wheel(f"p{number}")


@st.composite
def layers(draw: st.DrawFn) -> list[tuple[list[str], list[str], dict]]:
    """A few layers, each with the paths it deletes, the folders it empties, and what it writes."""
    below = draw(st.lists(st.sampled_from(FILES), min_size=1, max_size=3, unique=True))
    made: list[tuple[list[str], list[str], dict]] = [([], [], {path: content(at) for at, path in enumerate(below)})]
    for number in range(1, draw(st.integers(2, 4))):
        tree: dict = {}
        for path in draw(st.lists(PATHS, max_size=5, unique=True)):
            kind = draw(st.sampled_from(["file", "file", "file", "link", "folder", "hard"]))
            if kind == "hard":
                files = [known for known, what in tree.items() if known in FILES and type(what) is str]
                if not files:
                    continue
                tree[path] = HardLink(draw(st.sampled_from(files)))
            else:
                tree[path] = {"file": content(number * 10 + len(tree)), "link": Link(draw(TARGETS)), "folder": None}[kind]
        deleted = draw(st.lists(PATHS, max_size=2))
        emptied = draw(st.lists(PATHS, max_size=1))
        made.append((deleted, emptied, tree))
    return made


def unpack(root: Path, deleted: list[str], emptied: list[str], tree: dict) -> bool:
    """A layer by the system's own tools: rm and tar. False if tar cannot unpack it, as it names a path under a file."""
    for path in deleted:
        target = root / path
        if target.is_symlink() or target.is_file():
            target.unlink()
        elif target.exists():
            shutil.rmtree(target)
    for path in emptied:
        target = root / path
        if target.is_dir() and not target.is_symlink():
            for child in target.iterdir():
                child.unlink() if child.is_symlink() or child.is_file() else shutil.rmtree(child)
    for path, what in tree.items():
        target = root / path
        # What a container runtime removes before it writes an entry: all but a folder that gets a folder.
        if target.is_symlink() or target.is_file():
            target.unlink()
        elif target.is_dir() and what is not None:
            shutil.rmtree(target)
    command = ["tar", "-x", "--keep-directory-symlink", "-C", str(root)]
    return subprocess.run(command, input=layer(tree), capture_output=True, check=False).returncode == 0


def visible(root: Path) -> dict[str, str]:
    """The packages of the files that are there."""
    files = (str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return {path: python.parse(path, (root / path).read_bytes())[0].name for path in files if python.required(path)}


@pytest.mark.slow
@given(layers())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_the_outcome_is_that_of_unpacking_in_order(tmp_path_factory, stack: list[tuple[list[str], list[str], dict]]) -> None:
    """Real tar unpacks the layers one after another; what lies there then, and since when, is what the indexes tell."""
    root = tmp_path_factory.mktemp("root")
    indexes, since = [], {}
    for number, (deleted, emptied, tree) in enumerate(stack):
        # Within a layer no path is written twice, nor under a file or by way of a link of the same layer.
        others = [path for path, what in tree.items() if what is not None]
        assume(not any(path.startswith(f"{other}/") for path in tree for other in others))
        assume(not any(child.startswith(f"{folder}/") for folder in emptied for child in deleted) and not set(emptied) & set(deleted))
        assume(unpack(root, deleted, emptied, tree))
        marks = {f"{path.rpartition('/')[0]}/.wh.{path.rpartition('/')[2]}".lstrip("/"): "" for path in deleted}
        marks |= {f"{path}/.wh..wh..opq": "" for path in emptied}
        indexes.append((str(number), scan_layer(io.BytesIO(layer(marks | tree)))))
        seen = visible(root)
        since = {entry: since.get(entry, str(number)) for entry in seen.items()}
    shutil.rmtree(root)

    told = {(package.path, package.name): layer for package, layer in merge(indexes).packages}

    assert since == told


LINKED = {
    "a folder by way of a link": ({"lib": Link("usr/lib"), "usr/lib": None}, {"lib/x.dist-info/METADATA": wheel("x")}),
    "a link in the place of a folder": ({UPPER: wheel("x")}, {"usr/lib": Link("../var")}, {"usr/lib/x.dist-info/METADATA": wheel("y")}),
    "a link to a link": ({"a": Link("b"), "b": Link("c"), "c": None}, {"a/x.dist-info/METADATA": wheel("x")}),
    "a link up": ({"a/b": Link(".."), "c": None}, {"a/b/c/x.dist-info/METADATA": wheel("x")}),
}


@pytest.mark.parametrize("trees", LINKED.values(), ids=LINKED)
def test_links_lead_where_a_real_tar_is_led(tmp_path: Path, trees: tuple[dict, ...]) -> None:
    for tree in trees:
        for path, what in tree.items():
            if isinstance(what, Link) and (tmp_path / path).is_dir():
                shutil.rmtree(tmp_path / path)
        (tmp_path / "var").mkdir(exist_ok=True)
        subprocess.run(["tar", "-x", "--keep-directory-symlink", "-C", str(tmp_path)], input=layer(tree), check=True)

    inventory = merge([("", index(tree)) for tree in trees])

    assert visible(tmp_path) == {package.path: package.name for package, _ in inventory.packages}


@pytest.mark.parametrize("path", cases(sorted((ANSWERS / "layers").glob("*.tar")), lambda path: path.stem))
def test_real_archives_of_layers_are_read(path: Path) -> None:
    """Files overwritten, links in circles, links out of the image: none has packages, and none hangs or fails."""
    assert () == scan_path(path).packages
