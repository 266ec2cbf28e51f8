"""
What Google's Python clients really send over REST, and what they must get back (contract.md, 4.4): integers for enums, `$alt`, bytes in
either base64, canonical etags, masks, pages and operations; with and without TLS.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import Conflict, Forbidden
from google.cloud.resourcemanager_v3 import Project, ProjectsClient
from google.cloud.service_usage_v1 import (
    BatchEnableServicesRequest,
    BatchGetServicesRequest,
    DisableServiceRequest,
    GetServiceRequest,
    ListServicesRequest,
    ServiceUsageClient,
    State,
)
from google.iam.v1 import iam_policy_pb2, options_pb2
from google.iam.v1.policy_pb2 import Binding, Policy
from google.oauth2.credentials import Credentials
from google.protobuf.field_mask_pb2 import FieldMask
from google.type.expr_pb2 import Expr
from grafeas.grafeas_v1 import GrafeasClient, Note, Occurrence
from grafeas.grafeas_v1.services.grafeas.transports.rest import GrafeasRestTransport

from tests.kit.places import Place

ANALYSIS = "containeranalysis.googleapis.com"
PUBSUB = "pubsub.googleapis.com"
DIGEST = "sha256:" + "d" * 64
EVERY_BYTE = bytes(range(256))


@dataclass(slots=True)
class Wire:
    """Each request of the clients as it was sent, and its answer."""

    sent: list[tuple[str, str, Any]] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)

    @property
    def last(self) -> tuple[str, str, Any]:
        """Method, path and body of the newest."""
        method, url, body = self.sent[-1]
        return method, urlsplit(url).path, body


@pytest.fixture(autouse=True)
def wire(place: Place, monkeypatch: pytest.MonkeyPatch) -> Wire:
    """These libraries speak through requests, which takes a private authority from the environment; certifi's list alone otherwise."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    if place.ca:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(place.ca))
    seen, send = Wire(), requests.Session.send

    def noted(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        response = send(session, request, **options)
        seen.sent.append((str(request.method), str(request.url), json.loads(request.body) if request.body else None))
        seen.answers.append(response.json())
        return response

    monkeypatch.setattr(requests.Session, "send", noted)
    return seen


def options(place: Place, token: str = "") -> dict[str, Any]:
    credentials = Credentials(token=token or place.installation.owner_token)  # type: ignore[no-untyped-call]
    return {"transport": "rest", "credentials": credentials, "client_options": ClientOptions(api_endpoint=place.url)}


@pytest.fixture
def projects(place: Place) -> ProjectsClient:
    return ProjectsClient(**options(place))


@pytest.fixture
def services(place: Place) -> ServiceUsageClient:
    return ServiceUsageClient(**options(place))


@pytest.fixture
def owned(place: Place) -> str:
    return place.installation.project(registry=False)


@pytest.fixture
def grafeas(place: Place, owned: str) -> GrafeasClient:
    place.installation.enable(owned, ANALYSIS)
    scheme, _, host = place.url.partition("://")
    credentials = Credentials(token=place.installation.owner_token)  # type: ignore[no-untyped-call]
    return GrafeasClient(transport=GrafeasRestTransport(host=host, url_scheme=scheme, credentials=credentials))


def canonical(text: str) -> bool:
    """gcloud sends an etag back decoded and encoded again: it must not be another by that."""
    return text == base64.b64encode(base64.b64decode(text, validate=True)).decode()


def test_enums_are_sent_as_numbers_and_answers_may_have_names(
    wire: Wire, services: ServiceUsageClient, grafeas: GrafeasClient, owned: str
) -> None:
    usage = DisableServiceRequest.CheckIfServiceHasUsage
    name = f"projects/{owned}/services/{PUBSUB}"
    services.batch_enable_services(BatchEnableServicesRequest(parent=f"projects/{owned}", service_ids=[PUBSUB])).result()

    off = services.disable_service(DisableServiceRequest(name=name, check_if_service_has_usage=usage.SKIP)).result()
    assert ("POST", f"/v1/{name}:disable", {"checkIfServiceHasUsage": 1}) == wire.last
    assert State.DISABLED == off.service.state == services.get_service(GetServiceRequest(name=name)).state
    note = grafeas.create_note(parent=f"projects/{owned}", note_id="hole", note=Note(vulnerability={"severity": "HIGH"}))

    assert {"severity": 4} == wire.last[2]["vulnerability"]
    assert ("HIGH", "VULNERABILITY") == (note.vulnerability.severity.name, note.kind.name)
    assert {("json;enum-encoding=int",)} == {tuple(parse_qs(urlsplit(url).query)["$alt"]) for _, url, _ in wire.sent}


def test_bytes_are_taken_in_either_base64_and_given_in_the_standard_one(
    wire: Wire, place: Place, grafeas: GrafeasClient, owned: str
) -> None:
    """gcloud writes `-` and `_` and may leave out the padding; Python's clients write `+` and `/`."""
    parent = f"projects/{owned}"
    note = grafeas.create_note(parent=parent, note_id="signed", note=Note(attestation={"hint": {"human_readable_name": "me"}}))
    attestation = {"serialized_payload": EVERY_BYTE, "signatures": [{"signature": EVERY_BYTE}]}
    uri = f"https://gcr.io/{owned}/app@{DIGEST}"

    grafeas.create_occurrence(parent=parent, occurrence=Occurrence(note_name=note.name, resource_uri=uri, attestation=attestation))

    sent = wire.last[2]["attestation"]["serializedPayload"]
    assert "+" in sent
    assert sent == wire.answers[-1]["attestation"]["serializedPayload"]
    safe = sent.replace("+", "-").replace("/", "_")
    with place.client() as client:
        for text in (safe, safe.rstrip("=")):
            body = {"noteName": note.name, "resourceUri": uri, "attestation": {"serializedPayload": text}}
            made = client.post(f"/v1/{parent}/occurrences", json=body)
            assert sent == made.json()["attestation"]["serializedPayload"], made.text
    assert {EVERY_BYTE} == {each.attestation.serialized_payload for each in grafeas.list_occurrences(parent=parent)}


def test_an_etag_comes_back_as_it_was_given(wire: Wire, projects: ProjectsClient, owned: str) -> None:
    """With a condition, which needs version 3 both ways; what is old is refused."""
    resource = f"projects/{owned}"
    asked = iam_policy_pb2.GetIamPolicyRequest(resource=resource, options=options_pb2.GetPolicyOptions(requested_policy_version=3))
    old = projects.get_iam_policy(asked)
    given = wire.answers[-1]["etag"]
    condition = Expr(title="until", expression='request.time < timestamp("2100-01-01T00:00:00Z")')
    binding = Binding(role="roles/browser", members=["user:v@example.com"], condition=condition)
    policy = Policy(version=3, etag=old.etag, bindings=[*old.bindings, binding])

    stored = projects.set_iam_policy(iam_policy_pb2.SetIamPolicyRequest(resource=resource, policy=policy))

    assert given == wire.last[2]["policy"]["etag"]
    assert [True, True] == [canonical(text) for text in (given, wire.answers[-1]["etag"])]
    assert stored == projects.get_iam_policy(asked)
    assert condition in [each.condition for each in stored.bindings]
    with pytest.raises(Conflict):
        projects.set_iam_policy(iam_policy_pb2.SetIamPolicyRequest(resource=resource, policy=policy))


def test_a_project_is_made_changed_by_a_mask_and_deleted_by_operations(wire: Wire, projects: ProjectsClient, owned: str) -> None:
    name = f"{owned}z"
    created = projects.create_project(project=Project(project_id=name, display_name="First", labels={"a": "b"}))
    made = created.result(timeout=10)
    again = projects.get_operation({"name": created.operation.name})

    changed = projects.update_project(
        project=Project(name=made.name, display_name="Second", labels={"lost": "yes"}), update_mask=FieldMask(paths=["display_name"])
    ).result(timeout=10)

    assert (created.operation.name, True) == (again.name, again.done)
    assert ("PATCH", f"/v3/{made.name}") == wire.last[:2]
    assert ["displayName"] == parse_qs(urlsplit(wire.sent[-1][1]).query)["updateMask"]
    assert ("Second", {"a": "b"}) == (changed.display_name, dict(changed.labels))
    assert Project.State.DELETE_REQUESTED == projects.delete_project(name=made.name).result(timeout=10).state
    assert Project.State.ACTIVE == projects.undelete_project(name=made.name).result(timeout=10).state


def test_lists_are_read_page_by_page(wire: Wire, projects: ProjectsClient, services: ServiceUsageClient, place: Place, owned: str) -> None:
    for _ in range(2):
        place.installation.project(registry=False)

    some = [each.project_id for page in projects.search_projects(request={"page_size": 2}).pages for each in page.projects]
    parent = f"projects/{owned}"
    enabled = services.list_services(ListServicesRequest(parent=parent, filter="state:ENABLED", page_size=1))

    assert owned in some
    assert len(some) == len(set(some)) >= 3
    assert {"cloudapis.googleapis.com", "servicemanagement.googleapis.com", "serviceusage.googleapis.com"} == {
        each.config.name for each in enabled
    }
    assert [1] * 3 == [len(answer["services"]) for answer in wire.answers if "services" in answer]
    names = [f"{parent}/services/{name}" for name in (PUBSUB, "serviceusage.googleapis.com")]
    states = services.batch_get_services(BatchGetServicesRequest(parent=parent, names=names)).services
    assert [State.DISABLED, State.ENABLED] == [each.state for each in states]


@pytest.mark.slow
def test_a_stranger_is_forbidden(place: Place, owned: str) -> None:
    theirs = ProjectsClient(**options(place, place.token_of(place.installation.project(registry=False), "roles/owner")))

    for attempt in (theirs.get_project, theirs.delete_project):
        with pytest.raises(Forbidden):
            attempt(name=f"projects/{owned}")
