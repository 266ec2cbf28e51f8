"""
gcrane, which reads what Container Registry told beside the tags: `ls`, `cp -r` and `gc`, under Google's names and a loopback address, with
each kind of credential that it finds by itself (contract.md, 1.3 and 5).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.kit.content import complete_image, complete_index, is_absent
from tests.kit.gcr import Gcr, GcrGCloud
from tests.kit.google import needs_gcloud
from tests.kit.places import PULLS, PUSHES
from tests.kit.program import Program
from tests.kit.push import Document, index, push, push_image

pytestmark = pytest.mark.slow

WAYS = [("https", "gcr.io"), ("http", "gcr.io.localhost"), ("http", "127.0.0.1")]
"""Google's name; a name of the operator's own; the server's address, which stands for gcr.io too."""

by_every_way = pytest.mark.parametrize(("gcr", "host"), WAYS, indirect=True, scope="session", ids=[name for _, name in WAYS])
# gcrane takes Google's credentials for gcr.io and *.gcr.io only.
by_google_s_names = pytest.mark.parametrize("gcr", ["https"], indirect=True, scope="session")


@dataclass(frozen=True, slots=True)
class Shelf:
    """
    Of one project: `app` with an image of two tags and one that lost its own; `team/api` with an index of two images; `team/api/deep`.

    host: what the names begin with, by which clients ask for gcr.io.
    """

    host: str
    project: str
    app: Document
    lost: Document
    children: tuple[Document, Document]
    api: Document
    deep: Document

    @property
    def name(self) -> str:
        return f"{self.host}/{self.project}"

    @property
    def lines(self) -> list[str]:
        """What `ls -r` must say, in order."""
        api = f"{self.name}/team/api"
        digests = [each.digest for each in (*self.children, self.api)]
        return sorted(
            [
                *(f"{self.name}/app@{each.digest}" for each in (self.app, self.lost)),
                *(f"{self.name}/app:{tag}" for tag in ("latest", "v1")),
                *(f"{api}@{digest}" for digest in digests),
                f"{api}:multi",
                f"{api}/deep@{self.deep.digest}",
                f"{api}/deep:v1",
            ]
        )


@pytest.fixture(scope="session")
def host(request: pytest.FixtureRequest, gcr: Gcr) -> str:
    return gcr.installation.server.authority if request.param == "127.0.0.1" else str(request.param)


@pytest.fixture
def owner(gcr: Gcr) -> Iterator[httpx.Client]:
    with gcr.installation.client(gcr.installation.owner_token, Host="gcr.io") as client:
        yield client


@pytest.fixture
def shelf(gcr: Gcr, host: str, owner: httpx.Client) -> Shelf:
    return stocked(gcr, owner, host)


def stocked(gcr: Gcr, owner: httpx.Client, host: str) -> Shelf:
    project = gcr.installation.project()
    lost = push_image(owner, f"{project}/app", "v1", unique="old")
    app = push_image(owner, f"{project}/app", "v1")
    assert 201 == push(owner, f"{project}/app", app, "latest").status_code
    one, other = (push_image(owner, f"{project}/team/api", name) for name in ("amd64", "arm64"))
    both = index([one, other])
    assert 201 == push(owner, f"{project}/team/api", both, "multi").status_code
    for name in ("amd64", "arm64"):
        assert 202 == owner.delete(f"/v2/{project}/team/api/manifests/{name}").status_code
    return Shelf(host, project, app, lost, (one, other), both, push_image(owner, f"{project}/team/api/deep"))


@pytest.fixture
def gcrane(gcrane: Program, gcr: Gcr, tools: Path) -> Program:
    """It finds and trusts the installation, and no gcloud: Google's credentials come before docker's, where there are any."""
    gcrane.environment |= {**gcr.environment, "PATH": str(tools), "NO_GCE_CHECK": "true"}
    return gcrane


def log_in(gcrane: Program, gcr: Gcr, host: str, token: str = "") -> None:
    given = (token or gcr.installation.owner_token).encode()
    gcrane.run("auth", "login", host, "--username=oauth2accesstoken", "--password-stdin", stdin=given)


def key_file(gcr: Gcr, project: str, folder: Path, *roles: str) -> Path:
    """Of a new account; made where Google makes them, so its token_uri is the installation's under one of Google's names."""
    email = gcr.installation.account(project, f"account-{len(list(folder.iterdir()))}")
    for role in roles:
        gcr.installation.grant(project, role, f"serviceAccount:{email}")
    file = folder / f"{email}.json"
    file.write_text(json.dumps(gcr.key(email)))
    return file


def everything_is_copied(owner: httpx.Client, shelf: Shelf, project: str) -> None:
    for reference in ("v1", "latest"):
        assert shelf.app.payload == complete_image(owner, f"{project}/app", reference).payload
    assert shelf.lost.payload == complete_image(owner, f"{project}/app", shelf.lost.digest).payload
    assert shelf.api.payload == complete_index(owner, f"{project}/team/api", "multi").payload
    assert shelf.deep.payload == complete_image(owner, f"{project}/team/api/deep", "v1").payload


@by_every_way
def test_ls_shows_a_project_a_folder_and_an_image(gcrane: Program, gcr: Gcr, shelf: Shelf) -> None:
    log_in(gcrane, gcr, shelf.host)

    assert [f"{shelf.name}/{child}" for child in ("app", "team")] == gcrane.lines("ls", shelf.name)
    assert [f"{shelf.name}/team/api"] == gcrane.lines("ls", f"{shelf.name}/team")
    assert [line for line in shelf.lines if "/app" in line] == sorted(gcrane.lines("ls", f"{shelf.name}/app"))
    assert f"{shelf.name}/team/api/deep" in gcrane.lines("ls", f"{shelf.name}/team/api")


@by_every_way
def test_ls_goes_down(gcrane: Program, gcr: Gcr, shelf: Shelf) -> None:
    log_in(gcrane, gcr, shelf.host)

    assert shelf.lines == sorted(gcrane.lines("ls", "--recursive", shelf.name))
    assert [line for line in shelf.lines if "/team/" in line] == sorted(gcrane.lines("ls", "-r", f"{shelf.name}/team"))


@by_every_way
def test_ls_tells_all_as_json(gcrane: Program, gcr: Gcr, shelf: Shelf) -> None:
    """Sizes and times are strings, as int64 are in Google's JSON; gcrane decodes nothing else."""
    log_in(gcrane, gcr, shelf.host)

    app = gcrane.json("ls", "--json", f"{shelf.name}/app")
    below = [json.loads(line) for line in gcrane.lines("ls", "-r", "--json", shelf.name)]

    assert (f"{shelf.project}/app", ["latest", "v1"]) == (app["name"], sorted(app["tags"]))
    told = app["manifest"][shelf.app.digest]
    layers = json.loads(shelf.app.payload)
    size = sum(each["size"] for each in (layers["config"], *layers["layers"]))
    assert (str(size), shelf.app.media_type, ["latest", "v1"]) == (told["imageSizeBytes"], told["mediaType"], told["tag"])
    assert not app["manifest"][shelf.lost.digest].get("tag")
    assert int(told["timeUploadedMs"]) > 1_600_000_000_000
    names = ("", "/app", "/team", "/team/api", "/team/api/deep")
    assert [f"{shelf.project}{name}" for name in names] == sorted(each["name"] for each in below)
    assert 6 == sum(len(each.get("manifest", {})) for each in below)


@by_every_way
def test_cp_copies_a_project_into_another(gcrane: Program, gcr: Gcr, owner: httpx.Client, shelf: Shelf) -> None:
    """Blobs are mounted; what has no tag goes along; what is there is not copied again."""
    other = gcr.installation.project()
    log_in(gcrane, gcr, shelf.host)

    copied = gcrane.attempt("cp", "-r", shelf.name, f"{shelf.host}/{other}")
    assert 0 == copied.returncode, copied.stderr
    everything_is_copied(owner, shelf, other)
    again = gcrane.attempt("cp", "-r", shelf.name, f"{shelf.host}/{other}")

    assert 0 == again.returncode
    layer = json.loads(shelf.deep.payload)["layers"][0]["digest"]
    assert f"mounted blob: {layer}" in copied.stderr.decode()
    assert "blob" not in again.stderr.decode()
    renamed = [line.replace(shelf.name, f"{shelf.host}/{other}") for line in shelf.lines]
    assert sorted(renamed) == sorted(gcrane.lines("ls", "-r", f"{shelf.host}/{other}"))


@by_every_way
def test_cp_copies_what_has_changed(gcrane: Program, gcr: Gcr, owner: httpx.Client, shelf: Shelf) -> None:
    other = gcr.installation.project()
    log_in(gcrane, gcr, shelf.host)
    gcrane.run("cp", "-r", f"{shelf.name}/app", f"{shelf.host}/{other}/app")
    new = push_image(owner, f"{shelf.project}/app", "latest", unique="new")

    gcrane.run("cp", "-r", f"{shelf.name}/app", f"{shelf.host}/{other}/app")

    assert new.payload == complete_image(owner, f"{other}/app", "latest").payload
    assert shelf.app.payload == complete_image(owner, f"{other}/app", "v1").payload


@by_every_way
def test_gc_names_what_has_no_tag_and_delete_takes_it(gcrane: Program, gcr: Gcr, owner: httpx.Client, shelf: Shelf) -> None:
    log_in(gcrane, gcr, shelf.host)
    lost = f"{shelf.name}/app@{shelf.lost.digest}"

    assert [lost] == gcrane.lines("gc", f"{shelf.name}/app")
    assert {lost, *(f"{shelf.name}/team/api@{each.digest}" for each in shelf.children)} == set(gcrane.lines("gc", "-r", shelf.name))
    gcrane.run("delete", lost)

    assert is_absent(owner, f"{shelf.project}/app", shelf.lost.digest)
    assert [] == gcrane.lines("gc", f"{shelf.name}/app")


# Under Google's names


@pytest.fixture
def named(gcr: Gcr, owner: httpx.Client) -> Shelf:
    return stocked(gcr, owner, gcr.host())


def test_cp_copies_from_one_host_to_another(gcrane: Program, gcr: Gcr, named: Shelf) -> None:
    """Each host has its own names and storage, so bytes move; nothing of the copy is seen at the first."""
    other, europe = gcr.installation.project(), gcr.host("eu.gcr.io")
    for each in (named.host, europe):
        log_in(gcrane, gcr, each)

    gcrane.run("cp", "-r", named.name, f"{europe}/{other}")

    with gcr.installation.client(gcr.installation.owner_token, Host="eu.gcr.io") as there:
        everything_is_copied(there, named, other)
    assert [] == gcrane.lines("ls", "-r", f"{named.host}/{other}")
    assert [line.replace(named.name, f"{europe}/{other}") for line in named.lines] == sorted(gcrane.lines("ls", "-r", f"{europe}/{other}"))


def test_what_gc_names_of_an_index_is_not_deleted_before_the_index(gcrane: Program, gcr: Gcr, named: Shelf) -> None:
    """The images of an index have no tag of their own: gc names them too, and only the refusal keeps the index whole."""
    log_in(gcrane, gcr, named.host)
    api = f"{named.name}/team/api"

    for name in gcrane.lines("gc", api):
        assert "GOOGLE_MANIFEST_DANGLING_PARENT_IMAGE" in gcrane.refused("delete", name)
    assert "GOOGLE_MANIFEST_DANGLING_TAG" in gcrane.refused("delete", f"{api}@{named.api.digest}")
    gcrane.run("delete", f"{api}:multi")
    gcrane.run("delete", f"{api}@{named.api.digest}")
    for name in gcrane.lines("gc", api):
        gcrane.run("delete", name)

    assert [f"{api}/deep"] == gcrane.lines("ls", api)


def test_nothing_is_listed_or_copied_without_the_right_to(gcrane: Program, gcr: Gcr, named: Shelf) -> None:
    other = gcr.installation.project()
    target = f"{named.host}/{other}"
    assert "UNAUTHORIZED" in gcrane.refused("ls", named.name)
    log_in(gcrane, gcr, named.host, gcr.installation.robot(named.project, PULLS))

    assert named.lines == sorted(gcrane.lines("ls", "-r", named.name))
    for refused in (("ls", target), ("cp", "-r", f"{named.name}/app", f"{target}/app"), ("delete", f"{named.name}/app:v1")):
        assert re.search("DENIED|UNAUTHORIZED", gcrane.refused(*refused))


@by_google_s_names
def test_application_default_credentials_are_used_for_google_s_names(
    gcrane: Program, gcr: Gcr, named: Shelf, owner: httpx.Client, tmp_path: Path
) -> None:
    """The key's token_uri gives the token; docker's settings have nothing."""
    keys = tmp_path / "keys"
    keys.mkdir()
    key = key_file(gcr, named.project, keys, PUSHES)
    environment = {"GOOGLE_APPLICATION_CREDENTIALS": str(key)}
    assert json.loads(key.read_text())["token_uri"].startswith("https://")

    gcrane.environment |= environment
    assert named.lines == sorted(gcrane.lines("ls", "-r", named.name))
    gcrane.run("cp", "-r", f"{named.name}/app", f"{named.name}/copy")

    assert named.app.payload == complete_image(owner, f"{named.project}/copy", "v1").payload
    gcrane.environment["GOOGLE_APPLICATION_CREDENTIALS"] = str(key_file(gcr, named.project, keys))
    assert "DENIED" in gcrane.refused("ls", named.name)


@needs_gcloud
@by_google_s_names
def test_a_login_of_gcloud_is_used_for_google_s_names(gcrane: Program, gcr: Gcr, named: Shelf, tmp_path: Path) -> None:
    """By `gcloud config config-helper`, which says when the token ends."""
    keys = tmp_path / "keys"
    keys.mkdir()
    gcloud: GcrGCloud = gcr.gcloud(tmp_path / "gcloud", named.project)
    gcloud.forget_token()
    gcloud("auth", "activate-service-account", "--key-file", str(key_file(gcr, named.project, keys, PULLS)))
    gcrane.environment |= {**gcloud.environment, "PATH": "/usr/local/bin:/usr/bin:/bin"}

    assert named.lines == sorted(gcrane.lines("ls", "-r", named.name))
    assert "DENIED" in gcrane.refused("cp", f"{named.name}/app:v1", f"{named.name}/copy:v1")
