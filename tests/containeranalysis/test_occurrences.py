"""projects.occurrences of Container Analysis v1, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.containeranalysis.conftest import API
from tests.kit.accounts import Installation
from tests.kit.replies import ok

DIGEST = "sha256:" + "d" * 64
OTHER = "sha256:" + "e" * 64


def note(owner: httpx.Client, project: str, name: str = "signed", **body: Any) -> str:
    made = ok(owner.post(f"/v1/projects/{project}/notes", params={"noteId": name}, json=body or {"attestation": {}}))
    return str(made["name"])


def attestation(project: str, digest: str = DIGEST, note_project: str = "") -> dict[str, Any]:
    """As gcloud container binauthz attestations create sends it (contract.md, 2.3): no scheme."""
    return {
        "kind": "ATTESTATION",
        "resourceUri": f"gcr.io/{project}/app@{digest}",
        "noteName": f"projects/{note_project or project}/notes/signed",
        "attestation": {"serializedPayload": "e30", "signatures": [{"publicKeyId": "k", "signature": "-_8"}]},
    }


def say(owner: httpx.Client, project: str, body: dict[str, Any]) -> Any:
    return ok(owner.post(f"/v1/projects/{project}/occurrences", json=body))


def names(answer: Any) -> set[str]:
    return {each["name"] for each in answer.get("occurrences", [])}


def test_an_attestation_is_made_read_and_found(owner: httpx.Client, project: str) -> None:
    name = note(owner, project)

    made = say(owner, project, attestation(project))

    assert ("ATTESTATION", f"gcr.io/{project}/app@{DIGEST}", name) == (made["kind"], made["resourceUri"], made["noteName"])
    assert {"serializedPayload": "e30=", "signatures": [{"signature": "+/8=", "publicKeyId": "k"}]} == made["attestation"]
    assert made == ok(owner.get(f"/v1/{made['name']}"))
    assert name == ok(owner.get(f"/v1/{made['name']}/notes"))["name"]
    # gcloud container binauthz attestations list
    of_note = ok(owner.get(f"/v1/{name}/occurrences", params={"filter": f'has_suffix(resourceUrl, "{DIGEST}")', "pageSize": 100}))
    assert [made] == of_note["occurrences"]
    for address in (f"https://gcr.io/{project}/app@{DIGEST}", f"gcr.io/{project}/app@{DIGEST}"):
        assert {made["name"]} == names(
            ok(owner.get(f"/v1/projects/{project}/occurrences", params={"filter": f'resourceUrl = "{address}"'}))
        )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"resourceUri": ""}, "'occurrence.resourceUri' is required"),
        ({"resourceUri": "https://"}, "'occurrence.resourceUri' is required"),
        ({"resourceUri": "a\0b"}, "cannot be seen"),
        ({"resourceUri": "x" * 2049}, "2048 characters"),
        ({"noteName": ""}, "'occurrence.noteName'"),
        ({"noteName": "notes/signed"}, "'occurrence.noteName'"),
        ({"kind": "BUILD"}, "'occurrence.kind' is BUILD"),
        ({"kind": None, "attestation": None, "build": {}}, "of the kind ATTESTATION"),
        ({"kind": None, "attestation": None}, "'occurrence' needs"),
        ({"attestation": {"signatures": [{"nope": 1}]}}, "Unknown name 'nope' at 'occurrence.attestation.signatures[0]'"),
    ],
)
def test_an_occurrence_that_makes_no_sense_is_refused(owner: httpx.Client, project: str, change: dict[str, Any], said: str) -> None:
    note(owner, project)

    response = owner.post(f"/v1/projects/{project}/occurrences", json={**attestation(project), **change})

    error = response.json()["error"]
    assert (400, "INVALID_ARGUMENT", True) == (response.status_code, error["status"], said in error["message"]), error


@pytest.mark.slow
def test_to_attach_an_occurrence_is_a_right_on_the_note(installation: Installation, owner: httpx.Client, project: str) -> None:
    """Binary Authorization, multi-project: attester, deployer and attestations in projects of their own."""
    authority = installation.project()
    installation.enable(authority, API)
    name = note(owner, authority)
    body = attestation(project, note_project=authority)
    email = installation.account(project, "attester")
    member = f"serviceAccount:{email}"
    with installation.client(installation.token(member)) as attester:
        url = f"/v1/projects/{project}/occurrences"
        assert 403 == attester.post(url, json=body).status_code

        installation.grant(project, "roles/containeranalysis.occurrences.editor", member)
        refused, missing = (
            attester.post(url, json=body),
            attester.post(url, json={**body, "noteName": f"projects/{authority}/notes/nothing"}),
        )
        assert (403, 403) == (refused.status_code, missing.status_code)
        assert refused.json()["error"]["message"].replace("/signed'", "/N'") == missing.json()["error"]["message"].replace(
            "/nothing'", "/N'"
        )
        assert "containeranalysis.notes.attachOccurrence" in refused.text

        binding = {"role": "roles/containeranalysis.notes.attacher", "members": [member]}
        ok(owner.post(f"/v1/{name}:setIamPolicy", json={"policy": {"bindings": [binding]}}))
        made = ok(attester.post(url, json=body))
        assert name == ok(attester.get(f"/v1/{made['name']}/notes"))["name"], "whoever may read an occurrence may read its note"
        assert 403 == attester.get(f"/v1/{name}/occurrences").status_code

        binding["role"] = "roles/containeranalysis.notes.occurrences.viewer"
        ok(owner.post(f"/v1/{name}:setIamPolicy", json={"policy": {"bindings": [binding]}}))
        assert {made["name"]} == names(ok(attester.get(f"/v1/{name}/occurrences")))


def test_a_note_s_project_may_be_written_by_its_number(owner: httpx.Client, project: str) -> None:
    note(owner, project)
    number = ok(owner.get(f"/v1/projects/{project}"))["projectNumber"]

    made = say(owner, project, {**attestation(project), "noteName": f"projects/{number}/notes/signed"})

    assert f"projects/{project}/notes/signed" == made["noteName"]


def test_a_batch_is_made_as_a_whole_or_not_at_all(owner: httpx.Client, project: str) -> None:
    note(owner, project)
    url = f"/v1/projects/{project}/occurrences:batchCreate"
    good, bad = attestation(project), {**attestation(project), "noteName": f"projects/{project}/notes/none"}

    made = ok(owner.post(url, json={"parent": f"projects/{project}", "occurrences": [good, attestation(project, OTHER)]}))

    assert [DIGEST, OTHER] == [each["resourceUri"].rpartition("@")[2] for each in made["occurrences"]]
    assert 404 == owner.post(url, json={"occurrences": [good, bad]}).status_code
    assert 2 == len(ok(owner.get(f"/v1/projects/{project}/occurrences"))["occurrences"])
    wrong = owner.post(url, json={"occurrences": [good, {**good, "kind": "NOPE"}]})
    assert (400, True) == (wrong.status_code, "occurrences[1].kind" in wrong.text)
    for body in ({"occurrences": []}, {"occurrences": {}}, {"occurrences": [good] * 1001}):
        assert 400 == owner.post(url, json=body).status_code


def test_an_occurrence_is_changed_but_not_what_it_is_about(owner: httpx.Client, project: str) -> None:
    note(owner, project)
    made = say(owner, project, attestation(project))
    url = f"/v1/{made['name']}"

    masked = ok(owner.patch(f"{url}?updateMask=remediation", json={"remediation": "sign it", "attestation": {}}))
    whole = ok(owner.patch(url, json={**attestation(project), "resourceUri": "https://" + made["resourceUri"]}))

    assert ("sign it", made["attestation"]) == (masked["remediation"], masked["attestation"])
    assert ("remediation" not in whole, made["resourceUri"]) == (True, whole["resourceUri"])
    assert made["createTime"] == whole["createTime"] < masked["updateTime"] < whole["updateTime"]
    for body, mask in (
        ({"resourceUri": "https://gcr.io/other", "attestation": {}}, ""),
        ({"noteName": f"projects/{project}/notes/other", "attestation": {}}, ""),
        ({}, "resourceUri"),
        ({"build": {}}, ""),
        ({}, "attestation"),
    ):
        assert 400 == owner.patch(url, params={"updateMask": mask}, json=body).status_code, body


def test_it_is_gone_after_it_was_deleted(owner: httpx.Client, project: str) -> None:
    note(owner, project)
    name = say(owner, project, attestation(project))["name"]

    assert {} == ok(owner.delete(f"/v1/{name}"))

    for response in (
        owner.get(f"/v1/{name}"),
        owner.delete(f"/v1/{name}"),
        owner.get(f"/v1/{name}/notes"),
        owner.post(f"/v1/{name}:getIamPolicy"),
    ):
        assert (404, "NOT_FOUND") == (response.status_code, response.json()["error"]["status"])


@pytest.mark.slow
def test_rights_on_an_occurrence(installation: Installation, owner: httpx.Client, project: str) -> None:
    note(owner, project)
    name, other = (say(owner, project, attestation(project))["name"] for _ in range(2))
    email = installation.account(project, "reader")
    binding = {"role": "roles/containeranalysis.occurrences.viewer", "members": [f"serviceAccount:{email}"]}
    ok(owner.post(f"/v1/{name}:setIamPolicy", json={"policy": {"bindings": [binding]}}))

    with installation.client(installation.token(f"serviceAccount:{email}")) as reader:
        assert [200, 403, 403] == [reader.get(f"/v1/{path}").status_code for path in (name, other, f"projects/{project}/occurrences")]
        tested = ok(reader.post(f"/v1/{name}:testIamPermissions", json={"permissions": ["containeranalysis.occurrences.get"]}))
    assert ["containeranalysis.occurrences.get"] == tested["permissions"]
    assert [binding] == ok(owner.post(f"/v1/{name}:getIamPolicy", json={}))["bindings"]


def test_an_occurrence_is_found_in_its_own_project_only(installation: Installation, owner: httpx.Client, project: str) -> None:
    """Its id alone does not lead to it (Harbor, CVE-2022-31667)."""
    note(owner, project)
    name = say(owner, project, attestation(project))["name"]
    other = installation.project()
    installation.enable(other, API)

    assert 404 == owner.get(f"/v1/{name.replace(project, other)}").status_code
    assert 404 == owner.delete(f"/v1/{name.replace(project, other)}").status_code


def test_a_vulnerability_s_fixes_and_severity_are_worked_out(owner: httpx.Client, project: str) -> None:
    """Grafeas: fixAvailable is output only; effectiveSeverity is the distribution's if it has one, else the note's."""
    name = note(owner, project, "hole", shortDescription="CVE-1", vulnerability={"severity": 4, "cvssScore": 8.1})
    issues = [
        {"affectedPackage": "a", "fixedVersion": {"kind": "NORMAL", "fullName": "1.2"}},
        {"affectedPackage": "b", "fixedVersion": {"kind": "MAXIMUM"}, "fixAvailable": True},
    ]
    about = {"resourceUri": f"https://gcr.io/{project}/app@{DIGEST}", "noteName": name}

    fixed = say(owner, project, {**about, "vulnerability": {"packageIssue": issues}})
    open_ = say(owner, project, {**about, "vulnerability": {"packageIssue": issues[1:], "effectiveSeverity": "LOW", "fixAvailable": True}})

    assert [True, None] == [each.get("fixAvailable") for each in fixed["vulnerability"]["packageIssue"]]
    assert (True, None) == (fixed["vulnerability"]["fixAvailable"], open_["vulnerability"].get("fixAvailable"))
    assert ("HIGH", "CVE-1", 8.1) == tuple(fixed["vulnerability"][name] for name in ("effectiveSeverity", "shortDescription", "cvssScore"))
    assert ("HIGH", "LOW") == (open_["vulnerability"]["severity"], open_["vulnerability"]["effectiveSeverity"])
    params = {"filter": 'kind = "VULNERABILITY" AND severity >= MEDIUM'}
    assert {fixed["name"]} == names(ok(owner.get(f"/v1/projects/{project}/occurrences", params=params)))


def test_the_summary_counts_by_resource_and_severity(owner: httpx.Client, project: str) -> None:
    """contract.md, 2.3: what gcloud container images list-tags shows for each image."""
    name = note(owner, project, "hole", vulnerability={})
    fixed = [{"fixedVersion": {"kind": "NORMAL", "fullName": "1"}}]
    bodies = [
        {"noteName": name, "resourceUri": f"https://gcr.io/{project}/app@{digest}", "vulnerability": detail}
        for digest, detail in (
            (DIGEST, {"effectiveSeverity": "HIGH", "packageIssue": fixed}),
            (DIGEST, {"effectiveSeverity": "HIGH"}),
            (DIGEST, {"effectiveSeverity": "CRITICAL"}),
            (DIGEST, {}),
            (OTHER, {"effectiveSeverity": "LOW", "packageIssue": fixed}),
        )
    ]
    ok(owner.post(f"/v1/projects/{project}/occurrences:batchCreate", json={"occurrences": bodies}))
    url = f"/v1/projects/{project}/occurrences:vulnerabilitySummary"
    uri = f"https://gcr.io/{project}/app@{DIGEST}"

    one = ok(owner.get(url, params={"filter": f'resource_url = "{uri}"'}))

    assert [
        {"resourceUri": uri, "severity": "CRITICAL", "totalCount": "1"},
        {"resourceUri": uri, "severity": "HIGH", "fixableCount": "1", "totalCount": "2"},
        {"resourceUri": uri, "totalCount": "1"},
    ] == one["counts"]
    assert 4 == len(ok(owner.get(url))["counts"])
    assert 4 == len(ok(owner.get(url, params={"filter": f'has_prefix(resourceUrl, "gcr.io/{project}/")'}))["counts"])
    for nothing in ('kind = "BUILD"', 'noteName = "projects/p/notes/none"', 'resourceUrl = "none"'):
        assert {} == ok(owner.get(url, params={"filter": nothing}))
    assert 400 == owner.get(url, params={"filter": "kind="}).status_code


def test_pages_have_twenty_and_go_on_while_others_write(owner: httpx.Client, project: str) -> None:
    """Keys, not offsets: what is added meanwhile neither repeats nor hides what was there."""
    note(owner, project)
    url = f"/v1/projects/{project}/occurrences"
    ok(owner.post(f"{url}:batchCreate", json={"occurrences": [attestation(project)] * 45}))
    before = names(ok(owner.get(url, params={"pageSize": 1000})))

    seen: list[str] = []
    token, sizes = "", []
    while True:
        page = ok(owner.get(url, params={"pageToken": token}))
        seen += [each["name"] for each in page["occurrences"]]
        sizes.append(len(page["occurrences"]))
        say(owner, project, attestation(project, OTHER))
        token = page.get("nextPageToken", "")
        if not token:
            break

    assert [20, 20] == sizes[:2]
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


def test_a_page_ends_early_where_what_is_on_it_is_large(owner: httpx.Client, project: str) -> None:
    note(owner, project)
    body = {**attestation(project), "remediation": "x" * 900_000}
    for _ in range(8):
        say(owner, project, body)
    url = f"/v1/projects/{project}/occurrences"

    found, token, pages = set[str](), "", 0
    while pages == 0 or token:
        page = ok(owner.get(url, params={"pageToken": token, "pageSize": 2 if not pages else 1000}))
        found |= names(page)
        token = page.get("nextPageToken", "")
        pages += 1

    assert 8 == len(found)


@pytest.mark.parametrize("text", ["kind=", 'color = "red"', "(", "x" * 9000])
def test_a_wrong_filter_is_refused(owner: httpx.Client, project: str, text: str) -> None:
    response = owner.get(f"/v1/projects/{project}/occurrences", params={"filter": text})

    assert (400, "INVALID_ARGUMENT") == (response.status_code, response.json()["error"]["status"])


def test_names_have_the_form_that_was_asked_for(owner: httpx.Client, project: str) -> None:
    note(owner, project)
    where = f"projects/{project}/locations/us"
    body = {**attestation(project), "noteName": f"{where}/notes/signed"}

    made = ok(owner.post(f"/v1/{where}/occurrences", json=body))

    assert made["name"].startswith(f"{where}/occurrences/")
    assert {made["name"]} == names(ok(owner.get(f"/v1/{where}/occurrences")))
    assert {made["name"].replace("/locations/us", "")} == names(ok(owner.get(f"/v1/projects/{project}/occurrences")))
    assert f"{where}/notes/signed" == ok(owner.get(f"/v1/{made['name']}/notes"))["name"]
    assert {} == ok(owner.get(f"/v1/{where}/occurrences:vulnerabilitySummary"))


KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "build": ({"builderVersion": "1"}, {"provenance": {"id": "b", "sourceProvenance": {"context": {"cloudRepo": {"revisionId": "r"}}}}}),
    "image": ({"resourceUrl": "https://gcr.io/base"}, {"baseResourceUrl": "https://gcr.io/base", "distance": 2}),
    "package": ({"name": "zlib"}, {"name": "zlib", "location": [{"path": "/lib"}]}),
    "deployment": ({"resourceUri": ["a"]}, {"resourceUri": ["a"], "deployTime": "2026-11-29T10:00:00Z"}),
    "discovery": ({"analysisKind": "VULNERABILITY"}, {"analysisStatus": "FINISHED_SUCCESS", "continuousAnalysis": "ACTIVE"}),
    "upgrade": ({"package": "x"}, {"package": "x"}),
    "compliance": ({"title": "t", "cisBenchmark": {"severity": "LOW"}}, {"nonComplianceReason": "no"}),
    "dsseAttestation": ({"hint": {"humanReadableName": "x"}}, {"envelope": {"payload": "e30=", "payloadType": "application/json"}}),
    "sbomReference": ({"format": "spdx"}, {"payload": {"_type": "t", "predicate": {"location": "gs://x"}}, "payloadType": "p"}),
    "secret": ({}, {"kind": "SECRET_KIND_GCP_API_KEY", "locations": [{"fileLocation": {"filePath": "/x"}}]}),
    "vulnerability": ({"severity": "LOW"}, {"type": "OS", "longDescription": "own words"}),
}


@pytest.mark.parametrize("field", KINDS)
def test_every_kind_is_kept(owner: httpx.Client, project: str, field: str) -> None:
    of_note, detail = KINDS[field]
    name = note(owner, project, "n", **{field: of_note})

    made = say(owner, project, {"resourceUri": "https://gcr.io/x", "noteName": name, field: detail})

    assert detail.items() <= made[field].items()
    params = {"filter": f'kind = "{made["kind"]}"'}
    assert {made["name"]} == names(ok(owner.get(f"/v1/projects/{project}/occurrences", params=params)))
    assert of_note == ok(owner.get(f"/v1/{name}"))[field]


def test_an_assessment_is_a_note_without_occurrences(owner: httpx.Client, project: str) -> None:
    """VEX, as gcloud artifacts vulnerabilities load-vex writes it."""
    vex = {"title": "t", "product": {"genericUri": "https://gcr.io/x"}, "assessment": {"vulnerabilityId": "CVE-1", "state": "NOT_AFFECTED"}}
    name = note(owner, project, "vex", vulnerabilityAssessment=vex)

    response = owner.post(f"/v1/projects/{project}/occurrences", json={"resourceUri": "x", "noteName": name, "vulnerabilityAssessment": {}})

    assert (400, vex) == (response.status_code, ok(owner.get(f"/v1/{name}"))["vulnerabilityAssessment"])


def test_what_was_written_is_in_the_audit_log(installation: Installation, owner: httpx.Client, project: str) -> None:
    note(owner, project)
    made = say(owner, project, attestation(project))

    query = {"resourceNames": [f"projects/{project}"], "pageSize": 50}
    entries = ok(owner.post("/v2/entries:list", json=query))["entries"]

    assert any(made["name"].rpartition("/")[2] in str(entry) and "occurrences" in str(entry) for entry in entries), entries
