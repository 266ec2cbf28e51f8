"""projects.notes of Container Analysis v1, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.kit.accounts import Installation
from tests.kit.replies import ok


def make(owner: httpx.Client, project: str, note: str = "signed", **body: Any) -> Any:
    return ok(owner.post(f"/v1/projects/{project}/notes", params={"noteId": note}, json=body or {"attestation": {}}))


def test_a_note_is_made_as_the_guides_make_it(owner: httpx.Client, project: str) -> None:
    """Binary Authorization's guides: curl with a name, snake_case, and the id in the address."""
    body = {
        "name": f"projects/{project}/notes/built-by-us",
        "attestation": {"hint": {"human_readable_name": "This note represents an attestation authority"}},
    }

    made = ok(owner.post(f"/v1/projects/{project}/notes/?note_id=built-by-us".replace("/?", "?"), json=body))

    assert (f"projects/{project}/notes/built-by-us", "ATTESTATION") == (made["name"], made["kind"])
    assert {"hint": {"humanReadableName": "This note represents an attestation authority"}} == made["attestation"]
    assert made["createTime"] == made["updateTime"]
    assert made == ok(owner.get(f"/v1/{made['name']}"))


def test_what_the_server_says_by_itself_is_not_taken_from_the_client(owner: httpx.Client, project: str) -> None:
    """AIP-203: output only fields that a client sends are ignored."""
    made = make(owner, project, createTime="2001-01-01T00:00:00Z", name="projects/other/notes/other", build={})

    assert f"projects/{project}/notes/signed" == made["name"]
    assert not made["createTime"].startswith("2001")


@pytest.mark.parametrize(
    ("params", "body", "said"),
    [
        ({}, {"attestation": {}}, "noteId"),
        ({"noteId": "a/b"}, {"attestation": {}}, "noteId"),
        ({"noteId": "x" * 256}, {"attestation": {}}, "noteId"),
        ({"noteId": "n"}, {}, "'note' needs"),
        ({"noteId": "n"}, {"kind": "ATTESTATION"}, "`attestation`, as its kind says"),
        ({"noteId": "n"}, {"kind": "BUILD", "attestation": {}}, "'note.kind' is BUILD"),
        ({"noteId": "n"}, {"kind": "NONSENSE", "attestation": {}}, "'note.kind'"),
        ({"noteId": "n"}, {"attestation": {}, "build": {}}, "only one of"),
        ({"noteId": "n"}, {"attestation": {"nonsense": 1}}, "Unknown name 'nonsense' at 'note.attestation'"),
        ({"noteId": "n"}, [], "an object"),
    ],
)  # fmt: skip
def test_a_note_that_makes_no_sense_is_refused(owner: httpx.Client, project: str, params: Any, body: Any, said: str) -> None:
    response = owner.post(f"/v1/projects/{project}/notes", params=params, json=body)

    error = response.json()["error"]
    assert (400, "INVALID_ARGUMENT", True) == (response.status_code, error["status"], said in error["message"]), error


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 5000, b'{"a": 1} x'], ids=["broken", "bytes", "deep", "more"])
def test_what_is_no_json_is_refused(owner: httpx.Client, project: str, content: bytes) -> None:
    response = owner.post(f"/v1/projects/{project}/notes?noteId=n", content=content)

    assert (400, "INVALID_ARGUMENT") == (response.status_code, response.json()["error"]["status"])


def test_a_note_has_a_limit(owner: httpx.Client, project: str) -> None:
    large = owner.post(f"/v1/projects/{project}/notes?noteId=n", json={"longDescription": "x" * 1024 * 1024, "build": {}})
    larger = owner.post(f"/v1/projects/{project}/notes?noteId=n", json={"longDescription": "x" * 5 * 1024 * 1024, "build": {}})

    assert (400, 413) == (large.status_code, larger.status_code)


def test_there_is_one_note_of_a_name(owner: httpx.Client, project: str) -> None:
    make(owner, project)

    response = owner.post(f"/v1/projects/{project}/notes?noteId=signed", json={"build": {}})

    assert (409, "ALREADY_EXISTS") == (response.status_code, response.json()["error"]["status"])


def test_a_batch_is_made_as_a_whole_or_not_at_all(owner: httpx.Client, project: str) -> None:
    url = f"/v1/projects/{project}/notes:batchCreate"
    parent = f"projects/{project}"
    made = ok(owner.post(url, json={"parent": parent, "notes": {"one": {"build": {}}, "two": {"attestation": {}}}}))
    refused = owner.post(url, json={"notes": {"three": {"build": {}}, "two": {"build": {}}}})
    many = owner.post(url, json={"notes": {f"n{number}": {"build": {}} for number in range(1001)}})

    assert ["one", "two"] == [note["name"].rpartition("/")[2] for note in made["notes"]]
    assert (409, 400) == (refused.status_code, many.status_code)
    assert 404 == owner.get(f"/v1/projects/{project}/notes/three").status_code
    for body in ({}, {"notes": []}, {"notes": {}}, {"notes": {"a": {"build": {}}}, "parent": "projects/other"}, {"nonsense": 1}, []):
        assert 400 == owner.post(url, json=body).status_code, body


def test_notes_are_listed_by_their_names_page_by_page(owner: httpx.Client, project: str) -> None:
    wanted = sorted(f"n{number:02}" for number in range(25))
    ok(owner.post(f"/v1/projects/{project}/notes:batchCreate", json={"notes": {name: {"build": {}} for name in wanted}}))
    make(owner, project, "other")

    first = ok(owner.get(f"/v1/projects/{project}/notes", params={"filter": 'kind = "BUILD"'}))
    second = ok(owner.get(f"/v1/projects/{project}/notes", params={"filter": 'kind = "BUILD"', "pageToken": first["nextPageToken"]}))

    found = [note["name"].rpartition("/")[2] for note in first["notes"] + second["notes"]]
    assert (20, wanted, False) == (len(first["notes"]), found, "nextPageToken" in second)
    assert 26 == len(ok(owner.get(f"/v1/projects/{project}/notes", params={"pageSize": 1000}))["notes"])


def test_a_page_of_large_notes_ends_early(owner: httpx.Client, project: str) -> None:
    for half in ("a", "b"):
        notes = {f"{half}{number}": {"build": {}, "longDescription": "x" * 45_000} for number in range(60)}
        ok(owner.post(f"/v1/projects/{project}/notes:batchCreate", json={"notes": notes}))
    url = f"/v1/projects/{project}/notes"

    first = ok(owner.get(url, params={"pageSize": 1000}))
    second = ok(owner.get(url, params={"pageSize": 1000, "pageToken": first["nextPageToken"]}))

    assert (120, False) == (len({each["name"] for each in first["notes"] + second["notes"]}), "nextPageToken" in second)


def test_a_poller_sees_what_was_changed_since(owner: httpx.Client, project: str) -> None:
    for name in ("one", "two", "three"):
        make(owner, project, name)
    since = ok(owner.get(f"/v1/projects/{project}/notes/two"))["updateTime"]
    ok(owner.patch(f"/v1/projects/{project}/notes/one?updateMask=shortDescription", json={"shortDescription": "new"}))

    seen, token = [], ""
    while True:
        params = {"filter": f'updateTime > "{since}"', "pageSize": 1, "pageToken": token}
        page = ok(owner.get(f"/v1/projects/{project}/notes", params=params))
        seen += [note["name"].rpartition("/")[2] for note in page.get("notes", [])]
        token = page.get("nextPageToken", "")
        if not token:
            break

    assert ["three", "one"] == seen


def test_a_filter_of_notes_knows_no_resources(owner: httpx.Client, project: str) -> None:
    response = owner.get(f"/v1/projects/{project}/notes", params={"filter": 'NOT (resourceUrl = "x" OR kind = "BUILD")'})

    assert (400, "INVALID_ARGUMENT") == (response.status_code, response.json()["error"]["status"])


@pytest.mark.parametrize("token", ["!", "YQ==YQ", "/w=="])
def test_a_page_token_that_is_none_is_refused(owner: httpx.Client, project: str, token: str) -> None:
    params = {"filter": 'updateTime > "2001-01-01T00:00:00Z"', "pageToken": token}

    assert 400 == owner.get(f"/v1/projects/{project}/notes", params=params).status_code


def test_a_mask_says_what_is_changed(owner: httpx.Client, project: str) -> None:
    """AIP-134: only the fields of the mask; without a mask all of them; `*` is all."""
    url = f"/v1/projects/{project}/notes/hole"
    make(owner, project, "hole", shortDescription="a", longDescription="b", vulnerability={"severity": "LOW", "cvssScore": 3})

    masked = ok(owner.patch(f"{url}?updateMask=shortDescription", json={"shortDescription": "c", "longDescription": "d"}))
    inside = ok(owner.patch(f"{url}?updateMask=vulnerability.severity,long_description", json={"vulnerability": {"severity": 4}}))
    whole = ok(owner.patch(url, json={"shortDescription": "e", "vulnerability": {}}))

    assert ("c", "b") == (masked["shortDescription"], masked["longDescription"])
    assert ({"severity": "HIGH", "cvssScore": 3.0}, False) == (inside["vulnerability"], "longDescription" in inside)
    assert ("e", {}) == (whole["shortDescription"], whole["vulnerability"])
    assert masked["updateTime"] < inside["updateTime"] < whole["updateTime"]
    assert masked["createTime"] == whole["createTime"]


@pytest.mark.parametrize(
    ("mask", "body", "said"),
    [
        ("nonsense", {}, "no field 'nonsense'"),
        ("vulnerability.details.vendor", {}, "as a whole"),
        ("", {"build": {}}, "of the kind VULNERABILITY"),
        ("vulnerability", {}, "'note' needs"),
        ("build", {"build": {}}, "only one of"),
        (",".join(["shortDescription"] * 101), {}, "100 paths"),
    ],
)
def test_an_update_that_makes_no_sense_is_refused(owner: httpx.Client, project: str, mask: str, body: Any, said: str) -> None:
    make(owner, project, "hole", vulnerability={})

    response = owner.patch(f"/v1/projects/{project}/notes/hole", params={"updateMask": mask}, json=body)

    assert (400, True) == (response.status_code, said in response.json()["error"]["message"]), response.text


def test_names_have_the_form_that_was_asked_for(owner: httpx.Client, project: str) -> None:
    """All locations are one; a client finds in the answer what it asked for."""
    make(owner, project)
    where = f"projects/{project}/locations/us-central1"

    assert f"{where}/notes/signed" == ok(owner.get(f"/v1/{where}/notes/signed"))["name"]
    assert [f"{where}/notes/signed"] == [note["name"] for note in ok(owner.get(f"/v1/{where}/notes"))["notes"]]
    assert f"{where}/notes/two" == ok(owner.post(f"/v1/{where}/notes?noteId=two", json={"build": {}}))["name"]
    assert f"projects/{project}/notes/two" == ok(owner.get(f"/v1/projects/{project}/notes/two"))["name"]
    assert 404 == owner.get(f"/v1/projects/{project}/locations/US!/notes").status_code


def test_what_is_not_there_is_not_found(owner: httpx.Client, project: str) -> None:
    url = f"/v1/projects/{project}/notes/none"
    for response in (owner.get(url), owner.patch(url, json={"build": {}}), owner.delete(url), owner.get(f"{url}/occurrences")):
        assert (404, "NOT_FOUND") == (response.status_code, response.json()["error"]["status"])
    for verb in ("getIamPolicy", "setIamPolicy"):
        assert 404 == owner.post(f"{url}:{verb}", json={"policy": {}} if verb == "setIamPolicy" else {}).status_code


@pytest.mark.slow
def test_rights_on_a_note_do_not_outlive_it(installation: Installation, owner: httpx.Client, project: str) -> None:
    """Else whoever makes one of the same name later would have given rights that they never knew of."""
    url = f"/v1/projects/{project}/notes/signed"
    make(owner, project)
    token = installation.robot(project)
    member = _member(installation, token)
    ok(
        owner.post(
            f"{url}:setIamPolicy", json={"policy": {"bindings": [{"role": "roles/containeranalysis.notes.viewer", "members": [member]}]}}
        )
    )

    with installation.client(token) as robot:
        assert 200 == robot.get(url).status_code
        tested = ok(
            robot.post(f"{url}:testIamPermissions", json={"permissions": ["containeranalysis.notes.get", "containeranalysis.notes.delete"]})
        )
        assert ["containeranalysis.notes.get"] == tested["permissions"]
        assert 403 == robot.get(f"/v1/projects/{project}/notes").status_code
        ok(owner.delete(url))
        make(owner, project)
        assert 403 == robot.get(url).status_code


def _member(installation: Installation, token: str) -> str:
    with installation.client(token) as client:
        return f"serviceAccount:{ok(client.get('/oauth2/v3/userinfo'))['email']}"


def test_a_deleted_note_leaves_its_occurrences(owner: httpx.Client, project: str) -> None:
    """They are the consumers' own; made again, the note is theirs again."""
    make(owner, project)
    about = {"resourceUri": "https://gcr.io/x", "noteName": f"projects/{project}/notes/signed", "attestation": {}}
    name = ok(owner.post(f"/v1/projects/{project}/occurrences", json=about))["name"]

    assert {} == ok(owner.delete(f"/v1/projects/{project}/notes/signed"))

    assert about["noteName"] == ok(owner.get(f"/v1/{name}"))["noteName"]
    assert 404 == owner.get(f"/v1/{name}/notes").status_code
    assert 404 == owner.post(f"/v1/projects/{project}/occurrences", json=about).status_code
    assert "notes" not in ok(owner.get(f"/v1/projects/{project}/notes"))
    again = make(owner, project)
    assert again == ok(owner.get(f"/v1/{name}/notes"))


def test_a_project_that_has_not_enabled_the_api_is_told_how(installation: Installation, owner: httpx.Client) -> None:
    """gcloud reads these words and offers to enable it."""
    project = installation.project()

    response = owner.get(f"/v1/projects/{project}/notes")

    error = response.json()["error"]
    assert (403, "SERVICE_DISABLED") == (response.status_code, error["details"][0]["reason"])
    assert error["message"].startswith(f"Container Analysis API has not been used in project {project} before or it is disabled.")
    installation.enable(project, "containerscanning.googleapis.com")
    assert 200 == owner.get(f"/v1/projects/{project}/notes").status_code


@pytest.mark.slow
def test_the_server_s_own_notes_are_for_everybody_to_read_and_for_nobody_to_write(installation: Installation, owner: httpx.Client) -> None:
    robot = installation.client(installation.robot(installation.project()))

    for client in (owner, robot):
        assert 200 == client.get("/v1/projects/goog-vulnz/notes").status_code
        assert 404 == client.get("/v1/projects/goog-vulnz/notes/CVE-0000-0000").status_code
        for response in (
            client.post("/v1/projects/goog-vulnz/notes?noteId=CVE-1", json={"vulnerability": {}}),
            client.post("/v1/projects/goog-vulnz/notes:batchCreate", json={"notes": {"CVE-1": {"vulnerability": {}}}}),
            client.patch("/v1/projects/goog-analysis/notes/PACKAGE_VULNERABILITY", json={"discovery": {}}),
        ):
            assert 403 == response.status_code, response.text
    with installation.client() as nobody:
        assert 401 == nobody.get("/v1/projects/goog-vulnz/notes").status_code
    robot.close()


@pytest.mark.parametrize("project_id", ["goog-vulnz", "goog-analysis", "goog-anything"])
def test_nobody_gets_a_project_of_the_server_s(owner: httpx.Client, project_id: str) -> None:
    response = owner.post("/v1/projects", json={"projectId": project_id, "name": "Mine"})

    assert (400, "INVALID_ARGUMENT") == (response.status_code, response.json()["error"]["status"])
