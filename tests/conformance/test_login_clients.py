"""Everybody else's programs with accounts: they log in their own way, push and pull, and are refused what they may not do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.kit.conformance import VERSIONS, run
from tests.kit.content import complete_image, is_absent
from tests.kit.images import Layout, image_layout
from tests.kit.places import PULLS, PUSHES, Place
from tests.kit.program import Program, find
from tests.kit.push import push_image
from tests.kit.site import PASSWORD

pytestmark = pytest.mark.slow

NO_TLS = "--tls-verify=false"
MOUNTS = {"blob-mount", "blob-mount-anonymous"}
REFUSED = re.compile(
    r"unauthorized|denied|401|403|authentication required|no basic auth credentials|invalid username/password", re.IGNORECASE
)


@pytest.fixture
def owned(place: Place) -> str:
    """A project where the registry is on."""
    return place.installation.project()


@pytest.fixture
def name(place: Place, owned: str) -> str:
    return f"{place.authority}/{owned}/image"


@pytest.fixture
def layout(tmp_path: Path, owned: str) -> Layout:
    return image_layout(tmp_path / "layout", owned)


def assert_refused(said: str) -> None:
    assert REFUSED.search(said), said


def assert_stored(place: Place, project: str, layout: Layout, repository: str = "image") -> None:
    assert layout.manifest == complete_image(place.installation.owner, f"{project}/{repository}", "v1").payload


def credential(place: Place, project: str, way: str, *roles: str) -> tuple[str, bytes]:
    if way == "_json_key":
        return way, place.key_of(project, *roles).encode()
    if way == "oauth2accesstoken":
        return way, place.token_of(project, *roles).encode()
    return place.person(), PASSWORD.encode()


WAYS = pytest.mark.parametrize("way", ["_json_key", "oauth2accesstoken", "password"])


# skopeo


def skopeo_login(skopeo: Program, place: Place, user: str, password: bytes) -> None:
    skopeo.run("login", *place.flags(NO_TLS), "--username", user, "--password-stdin", place.authority, stdin=password)


@WAYS
def test_skopeo_copies_while_it_is_logged_in(
    skopeo: Program, place: Place, owned: str, name: str, layout: Layout, tmp_path: Path, way: str
) -> None:
    place.lead(skopeo)
    there = ("copy", *place.flags("--dest-tls-verify=false"), f"oci:{layout.path}:v1", f"docker://{name}:v1")
    back = ("copy", *place.flags("--src-tls-verify=false"), f"docker://{name}:v1", f"oci:{tmp_path}/back:v1")
    assert_refused(skopeo.refused(*there))
    skopeo_login(skopeo, place, *credential(place, owned, way, PUSHES))

    skopeo.run(*there)
    skopeo.run(*back)

    assert_stored(place, owned, layout)
    assert layout.manifest == (tmp_path / "back/blobs/sha256" / layout.digest.removeprefix("sha256:")).read_bytes()
    skopeo.run("logout", place.authority)
    assert_refused(skopeo.refused(*back))


def test_skopeo_deletes_only_with_the_right_to(skopeo: Program, place: Place, owned: str, name: str) -> None:
    place.lead(skopeo)
    push_image(place.installation.owner, f"{owned}/image")
    flags = place.flags(NO_TLS)
    skopeo_login(skopeo, place, "_json_key", place.key_of(owned, PULLS).encode())
    inspected = skopeo.json("inspect", *flags, f"docker://{name}:v1")
    assert_refused(skopeo.refused("delete", *flags, f"docker://{name}@{inspected['Digest']}"))
    skopeo_login(skopeo, place, "_json_key", place.key_of(owned, PUSHES).encode())

    # By digest, and so refused while a tag names it; the tag goes first.
    place.installation.owner.delete(f"/v2/{owned}/image/manifests/v1")
    skopeo.run("delete", *flags, f"docker://{name}@{inspected['Digest']}")

    assert is_absent(place.installation.owner, f"{owned}/image", inspected["Digest"])


def test_skopeo_does_not_keep_a_wrong_password(skopeo: Program, place: Place) -> None:
    place.lead(skopeo)
    said = skopeo.refused(
        "login", *place.flags(NO_TLS), "--username", "_json_key", "--password-stdin", place.authority, stdin=b'{"client_email": "x"}'
    )

    assert_refused(said)


# podman and buildah


@WAYS
def test_podman_pushes_and_pulls_while_it_is_logged_in(
    podman: Program, place: Place, owned: str, name: str, context: Path, way: str
) -> None:
    place.lead(podman)
    flags = place.flags(NO_TLS)
    podman.run("build", "--quiet", "--tag", f"{name}:v1", context)
    assert_refused(podman.refused("push", *flags, f"{name}:v1"))
    user, password = credential(place, owned, way, PUSHES)
    podman.run("login", *flags, "--username", user, "--password-stdin", place.authority, stdin=password)

    podman.run("push", *flags, f"{name}:v1")
    podman.run("rmi", f"{name}:v1")
    podman.run("pull", "--quiet", *flags, f"{name}:v1")

    complete_image(place.installation.owner, f"{owned}/image", "v1")
    podman.run("logout", place.authority)
    assert_refused(podman.refused("pull", "--quiet", *flags, f"{name}:v1"))


@WAYS
def test_buildah_pushes_and_pulls_while_it_is_logged_in(
    buildah: Program, place: Place, owned: str, name: str, context: Path, way: str
) -> None:
    place.lead(buildah)
    flags = place.flags(NO_TLS)
    buildah.run("build", "--quiet", "--isolation=chroot", "--tag", f"{name}:v1", context)
    assert_refused(buildah.refused("push", *flags, f"{name}:v1"))
    user, password = credential(place, owned, way, PUSHES)
    buildah.run("login", *flags, "--username", user, "--password-stdin", place.authority, stdin=password)

    buildah.run("push", *flags, f"{name}:v1")
    buildah.run("rmi", f"{name}:v1")
    buildah.run("pull", "--quiet", *flags, f"{name}:v1")

    complete_image(place.installation.owner, f"{owned}/image", "v1")
    buildah.run("logout", place.authority)
    assert_refused(buildah.refused("pull", "--quiet", "--policy=always", *flags, f"{name}:v1"))


# crane and gcrane


def crane_login(crane: Program, place: Place, user: str, password: bytes) -> None:
    crane.run("auth", "login", place.authority, "--username", user, "--password-stdin", stdin=password)


@WAYS
def test_crane_and_gcrane_push_and_pull_while_they_are_logged_in(
    crane: Program, gcrane: Program, place: Place, owned: str, name: str, layout: Layout, tmp_path: Path, way: str
) -> None:
    """gcrane takes Google's own credentials for Google's names only; for ours it reads docker's, as crane does."""
    place.lead(crane), place.lead(gcrane)
    assert_refused(crane.refused("push", layout.path, f"{name}:v1"))
    crane_login(crane, place, *credential(place, owned, way, PUSHES))

    crane.run("push", layout.path, f"{name}:v1")
    gcrane.run("copy", f"{name}:v1", f"{name}-copy:v1")
    crane.run("pull", "--format=oci", f"{name}:v1", tmp_path / "back")

    assert_stored(place, owned, layout)
    assert_stored(place, owned, layout, "image-copy")
    assert ["v1"] == crane.lines("ls", name)
    crane.run("auth", "logout", place.authority)
    assert_refused(crane.refused("pull", f"{name}:v1", tmp_path / "back.tar"))
    assert_refused(gcrane.refused("copy", f"{name}:v1", f"{name}-copy:v2"))


def test_crane_mounts_from_what_it_may_read_and_from_nothing_else(crane: Program, place: Place, owned: str, layout: Layout) -> None:
    """The token for the copy is asked for both repositories; only the source that it covers is mounted from (contract.md, 1.1)."""
    place.lead(crane)
    target, secret = place.installation.project(), place.installation.project()
    account = place.account(owned, PULLS)
    place.installation.grant(target, PUSHES, f"serviceAccount:{account}")
    crane_login(crane, place, "oauth2accesstoken", place.installation.owner_token.encode())
    for project in (owned, secret):
        crane.run("push", layout.path, f"{place.authority}/{project}/image:v1")
    crane_login(crane, place, "_json_key", json.dumps(place.key(account)).encode())

    copied = crane.attempt("copy", f"{place.authority}/{owned}/image:v1", f"{place.authority}/{target}/image:v1")
    said = crane.refused("copy", f"{place.authority}/{secret}/image:v1", f"{place.authority}/{target}/stolen:v1")

    assert_stored(place, target, layout)
    for layer in json.loads(layout.manifest)["layers"]:
        assert f"mounted blob: {layer['digest']}" in copied.stderr.decode()
    assert_refused(said)
    assert is_absent(place.installation.owner, f"{target}/stolen", "v1")


def test_crane_deletes_only_with_the_right_to(crane: Program, place: Place, owned: str, name: str) -> None:
    place.lead(crane)
    push_image(place.installation.owner, f"{owned}/image")
    crane_login(crane, place, "_json_key", place.key_of(owned, PULLS).encode())
    digest = crane.text("digest", f"{name}:v1")
    assert_refused(crane.refused("delete", f"{name}:v1"))
    crane_login(crane, place, "_json_key", place.key_of(owned, "roles/storage.objectCreator", PULLS).encode())
    assert_refused(crane.refused("delete", f"{name}:v1"))
    crane_login(crane, place, "_json_key", place.key_of(owned, PUSHES).encode())

    crane.run("delete", f"{name}:v1")
    crane.run("delete", f"{name}@{digest}")

    assert is_absent(place.installation.owner, f"{owned}/image", digest)


def test_cranes_catalog_has_what_it_may_read(crane: Program, place: Place, owned: str) -> None:
    place.lead(crane)
    hidden = place.installation.project()
    for project in (owned, hidden):
        push_image(place.installation.owner, f"{project}/image")
    crane_login(crane, place, "_json_key", place.key_of(owned, "roles/viewer").encode())

    found = crane.lines("catalog", place.authority)

    assert f"{owned}/image" in found
    assert f"{hidden}/image" not in found


def test_crane_pulls_what_is_everybodys_without_a_login(crane: Program, place: Place, owned: str, name: str, layout: Layout) -> None:
    place.lead(crane)
    image = push_image(place.installation.owner, f"{owned}/image")
    assert_refused(crane.refused("manifest", f"{name}:v1"))

    place.installation.grant(owned, PULLS, "allUsers")

    assert image.payload == crane.run("manifest", f"{name}:v1")
    assert_refused(crane.refused("push", layout.path, f"{name}:v2"))


# oras and cosign


@WAYS
def test_oras_pushes_attaches_and_pulls_while_it_is_logged_in(oras: Program, place: Place, owned: str, name: str, way: str) -> None:
    place.lead(oras)
    flags = place.flags("--plain-http")
    (oras.home / "weights").write_bytes(owned.encode() * 1000)
    push = ("push", *flags, "--artifact-type=application/vnd.example.model", f"{name}:v1", "weights:application/octet-stream")
    assert_refused(oras.refused(*push))
    user, password = credential(place, owned, way, PUSHES)
    oras.run("login", *flags, "--username", user, "--password-stdin", place.authority, stdin=password)

    oras.run(*push)
    oras.run("attach", *flags, "--artifact-type=application/vnd.example.note", f"{name}:v1", "weights:text/plain")
    oras.run("pull", *flags, "--output", "back", f"{name}:v1")

    assert (oras.home / "weights").read_bytes() == (oras.home / "back/weights").read_bytes()
    assert 1 == len(oras.json("discover", *flags, "--format=json", f"{name}:v1")["referrers"])
    oras.run("logout", place.authority)
    assert_refused(oras.refused("pull", *flags, f"{name}:v1"))


def test_cosign_signs_with_the_right_to_push_and_verifies_with_the_right_to_pull(
    cosign: Program, place: Place, owned: str, name: str
) -> None:
    place.lead(cosign)
    image = push_image(place.installation.owner, f"{owned}/image")
    flags = place.flags("--allow-http-registry")
    cosign.run("generate-key-pair")
    sign = ("sign", "--tlog-upload=false", "--yes", *flags, "--key=cosign.key", f"{name}@{image.digest}")
    verify = ("verify", "--insecure-ignore-tlog=true", "--private-infrastructure", *flags, "--key=cosign.pub", f"{name}@{image.digest}")
    login = ("login", place.authority, "--username=_json_key", "--password-stdin")
    assert_refused(cosign.refused(*sign))
    cosign.run(*login, stdin=place.key_of(owned, PULLS).encode())
    assert_refused(cosign.refused(*sign))
    cosign.run(*login, stdin=place.key_of(owned, PUSHES).encode())
    cosign.run(*sign)
    cosign.run(*login, stdin=place.key_of(owned, PULLS).encode())

    assert image.digest in cosign.text(*verify)

    (cosign.home / ".config/config.json").write_text("{}")
    assert_refused(cosign.refused(*verify))


# Google's credential helper


def test_googles_credential_helper_gives_a_key_files_jwt(
    credential_helper: Program, crane: Program, place: Place, owned: str, name: str, layout: Layout
) -> None:
    """
    Its source `env`: the password is a JWT that the helper signs with the key itself, with no word to any token endpoint
    (contract.md, 1.1).
    """
    helper = place.lead(credential_helper)
    (helper.home / "key.json").write_text(place.key_of(owned, PUSHES))
    environment = {
        "GOOGLE_APPLICATION_CREDENTIALS": str(helper.home / "key.json"),
        "PATH": f"{helper.path.parent}:{helper.environment['PATH']}",
    }
    helper.run("config", "--token-source=env", environment=environment)
    given = json.loads(helper.run("get", stdin=b"https://gcr.io", environment=environment))
    assert re.fullmatch(r"_dcgcr_[0-9_]+_token", given["Username"])
    place.lead(crane)
    (crane.home / ".config/config.json").write_text(json.dumps({"credHelpers": {place.authority: "gcr"}}))

    crane.run("push", layout.path, f"{name}:v1", environment=environment)

    assert_stored(place, owned, layout)


# The suite of the Open Container Initiative


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", ["_json_key", "oauth2accesstoken"])
def test_every_category_of_the_suite_passes(place: Place, owned: str, tools: Path, tmp_path: Path, version: str, way: str) -> None:
    """
    As without accounts, but for mounts. The suite asks for a token of the one repository that it pushes to, which gives nothing of another
    (programs ask for both: see crane above); and bytes are not linked from nobody in particular where there are accounts (CVE-2024-39897).
    """
    user, password = credential(place, owned, way, PUSHES)
    settings = {"OCI_USERNAME": user, "OCI_PASSWORD": password.decode(), **place.environment}

    report = run(f"{'https' if place.ca else 'http'}://{place.authority}", version, tmp_path, find("conformance", tools), owned, settings)

    assert [] == report.failed, report.details()
    assert MOUNTS == {case.name.rsplit("/", 1)[1] for case in report.skipped}, report.details()
    assert len(report.passed) > 600


def test_the_suite_fails_without_the_right_to_push(place: Place, owned: str, tools: Path, tmp_path: Path) -> None:
    user, password = credential(place, owned, "oauth2accesstoken", PULLS)
    settings = {"OCI_USERNAME": user, "OCI_PASSWORD": password.decode(), **place.environment}

    report = run(f"{'https' if place.ca else 'http'}://{place.authority}", "1.1", tmp_path, find("conformance", tools), owned, settings)

    assert report.failed
