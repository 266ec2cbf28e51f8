"""google-cloud-containeranalysis and grafeas, Google's own Python clients of Container Analysis, over REST, with and without TLS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import BadRequest, Conflict, Forbidden, NotFound
from google.cloud.devtools.containeranalysis_v1 import ContainerAnalysisClient, GetVulnerabilityOccurrencesSummaryRequest
from google.iam.v1 import iam_policy_pb2
from google.iam.v1.policy_pb2 import Binding, Policy
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials
from google.protobuf.field_mask_pb2 import FieldMask
from grafeas.grafeas_v1 import GrafeasClient, Note, NoteKind, Occurrence, Severity, Version, VulnerabilityNote, VulnerabilityOccurrence
from grafeas.grafeas_v1.services.grafeas.transports.rest import GrafeasRestTransport

from tests.kit.places import Place

pytestmark = pytest.mark.usefixtures("trusting")

API = "containeranalysis.googleapis.com"
DIGEST = "sha256:" + "d" * 64


@pytest.fixture
def owned(place: Place) -> str:
    made = place.installation.project()
    place.installation.enable(made, API)
    return made


def grafeas(place: Place, credentials: Any) -> GrafeasClient:
    """It takes no client_options (contract.md, 4.2)."""
    scheme, _, host = place.url.partition("://")
    return GrafeasClient(transport=GrafeasRestTransport(host=host, url_scheme=scheme, credentials=credentials))


def analysis(place: Place, credentials: Any) -> ContainerAnalysisClient:
    return ContainerAnalysisClient(transport="rest", credentials=credentials, client_options=ClientOptions(api_endpoint=place.url))


def bearer(token: str) -> Credentials:
    return Credentials(token=token)  # type: ignore[no-untyped-call]


def hole(severity: Severity = Severity.HIGH) -> Note:
    return Note(short_description="CVE-2026-1", vulnerability=VulnerabilityNote(severity=severity, cvss_score=8.0))


def found(note: str, image: str, fixed: str = "") -> Occurrence:
    version = Version(kind=Version.VersionKind.NORMAL, full_name=fixed) if fixed else Version(kind=Version.VersionKind.MAXIMUM)
    issue = VulnerabilityOccurrence.PackageIssue(
        affected_package="zlib",
        affected_version=Version(kind=Version.VersionKind.NORMAL, name="1.2", full_name="1.2"),
        fixed_version=version,
    )
    return Occurrence(note_name=note, resource_uri=image, vulnerability=VulnerabilityOccurrence(package_issue=[issue]))


@pytest.fixture
def client(place: Place) -> GrafeasClient:
    return grafeas(place, bearer(place.installation.owner_token))


def test_a_note_and_an_occurrence_as_google_s_samples_make_them(client: GrafeasClient, owned: str) -> None:
    """Container Analysis, samples for Python: create, get, list of an image, list of a note, discovery, delete."""
    parent, image = f"projects/{owned}", f"https://gcr.io/{owned}/app@{DIGEST}"

    note = client.create_note(parent=parent, note_id="my-note", note=hole())
    occurrence = client.create_occurrence(parent=parent, occurrence=found(note.name, image, "1.3"))

    assert (f"{parent}/notes/my-note", NoteKind.VULNERABILITY, Severity.HIGH) == (note.name, note.kind, note.vulnerability.severity)
    assert note == client.get_note(name=note.name)
    assert occurrence == client.get_occurrence(name=occurrence.name)
    assert (Severity.HIGH, True) == (occurrence.vulnerability.effective_severity, occurrence.vulnerability.package_issue[0].fix_available)
    assert note == client.get_occurrence_note(name=occurrence.name)
    assert [occurrence] == list(client.list_occurrences(parent=parent, filter=f'resourceUrl="{image}"'))
    assert [occurrence] == list(client.list_occurrences(parent=parent, filter=f'kind="VULNERABILITY" AND resourceUrl="{image}"'))
    assert [] == list(client.list_occurrences(parent=parent, filter=f'kind="DISCOVERY" AND resourceUrl="{image}"'))
    assert [occurrence] == list(client.list_note_occurrences(name=note.name))
    client.delete_occurrence(name=occurrence.name)
    client.delete_note(name=note.name)
    for read, name in ((client.get_note, note.name), (client.get_occurrence, occurrence.name)):
        with pytest.raises(NotFound):
            read(name=name)


def test_an_attestation_s_bytes_come_back_as_they_were_sent(client: GrafeasClient, owned: str) -> None:
    parent, payload = f"projects/{owned}", bytes(range(256))
    note = client.create_note(parent=parent, note_id="signed", note=Note(attestation={"hint": {"human_readable_name": "me"}}))
    signed = Occurrence(
        note_name=note.name,
        resource_uri=f"https://gcr.io/{owned}/app@{DIGEST}",
        attestation={"serialized_payload": payload, "signatures": [{"public_key_id": "k", "signature": payload[::-1]}]},
    )

    made = client.create_occurrence(parent=parent, occurrence=signed)

    assert (payload, payload[::-1]) == (made.attestation.serialized_payload, made.attestation.signatures[0].signature)
    assert [made] == list(client.list_note_occurrences(name=note.name, filter=f'has_suffix(resourceUrl, "{DIGEST}")'))


def test_batches_and_pages(client: GrafeasClient, owned: str) -> None:
    parent = f"projects/{owned}"
    notes = client.batch_create_notes(parent=parent, notes={f"n{number}": hole() for number in range(7)}).notes
    wanted = [found(note.name, f"https://gcr.io/{owned}/{number}@{DIGEST}") for number, note in enumerate(notes)]

    made = client.batch_create_occurrences(parent=parent, occurrences=wanted).occurrences

    assert 7 == len(made)
    pages = client.list_occurrences(request={"parent": parent, "page_size": 3}).pages
    assert [3, 3, 1] == [len(page.occurrences) for page in pages]
    assert {note.name for note in notes} == {note.name for note in client.list_notes(request={"parent": parent, "page_size": 2})}


def test_updates_by_mask(client: GrafeasClient, owned: str) -> None:
    parent = f"projects/{owned}"
    note = client.create_note(parent=parent, note_id="hole", note=hole())
    occurrence = client.create_occurrence(parent=parent, occurrence=found(note.name, "https://gcr.io/x"))

    changed = client.update_note(
        name=note.name,
        note=Note(short_description="another", long_description="ignored", vulnerability=VulnerabilityNote(severity=Severity.LOW)),
        update_mask=FieldMask(paths=["short_description", "vulnerability.severity"]),
    )
    remedied = client.update_occurrence(
        name=occurrence.name, occurrence=Occurrence(remediation="upgrade"), update_mask=FieldMask(paths=["remediation"])
    )

    assert ("another", "", Severity.LOW, 8.0) == (
        changed.short_description,
        changed.long_description,
        changed.vulnerability.severity,
        changed.vulnerability.cvss_score,
    )
    assert ("upgrade", occurrence.vulnerability.package_issue) == (remedied.remediation, remedied.vulnerability.package_issue)
    assert remedied.update_time > occurrence.update_time


def test_the_summary_of_an_image(place: Place, client: GrafeasClient, owned: str) -> None:
    parent, image = f"projects/{owned}", f"https://gcr.io/{owned}/app@{DIGEST}"
    note = client.create_note(parent=parent, note_id="hole", note=hole(Severity.CRITICAL))
    for fixed in ("1.3", "", ""):
        client.create_occurrence(parent=parent, occurrence=found(note.name, image, fixed))

    request = GetVulnerabilityOccurrencesSummaryRequest(parent=parent, filter=f'resourceUrl = "{image}"')
    summary = analysis(place, bearer(place.installation.owner_token)).get_vulnerability_occurrences_summary(request)

    (count,) = summary.counts
    assert (image, Severity.CRITICAL, 1, 3) == (count.resource_uri, count.severity, count.fixable_count, count.total_count)


@pytest.mark.slow
def test_rights_on_a_note_and_an_occurrence(place: Place, client: GrafeasClient, owned: str) -> None:
    """Binary Authorization's guides give an attestor's account the right to attach to one note."""
    parent = f"projects/{owned}"
    note = client.create_note(parent=parent, note_id="signed", note=Note(attestation={}))
    email = place.account(owned)
    rights = analysis(place, bearer(place.installation.owner_token))
    occurrence = client.create_occurrence(
        parent=parent, occurrence=Occurrence(note_name=note.name, resource_uri="https://gcr.io/x", attestation={})
    )
    for name, role, permission in (
        (note.name, "roles/containeranalysis.notes.attacher", "containeranalysis.notes.attachOccurrence"),
        (occurrence.name, "roles/containeranalysis.occurrences.viewer", "containeranalysis.occurrences.get"),
    ):
        policy = rights.get_iam_policy(request=iam_policy_pb2.GetIamPolicyRequest(resource=name))
        assert not policy.bindings
        policy = Policy(etag=policy.etag, bindings=[Binding(role=role, members=[f"serviceAccount:{email}"])])
        assert policy.bindings == rights.set_iam_policy(request=iam_policy_pb2.SetIamPolicyRequest(resource=name, policy=policy)).bindings
        theirs = analysis(place, bearer(place.installation.token(f"serviceAccount:{email}")))
        asked = iam_policy_pb2.TestIamPermissionsRequest(resource=name, permissions=[permission, "containeranalysis.notes.delete"])
        assert [permission] == list(theirs.test_iam_permissions(request=asked).permissions)


@pytest.mark.slow
def test_refusals_are_the_libraries_own_exceptions(place: Place, client: GrafeasClient, owned: str) -> None:
    parent = f"projects/{owned}"
    client.create_note(parent=parent, note_id="one", note=Note(attestation={}))
    stranger = grafeas(place, bearer(place.token_of(owned)))
    attempts: list[tuple[type[Exception], Callable[[], Any]]] = [
        (Conflict, lambda: client.create_note(parent=parent, note_id="one", note=Note(attestation={}))),
        (BadRequest, lambda: client.create_note(parent=parent, note_id="two", note=Note())),
        (BadRequest, lambda: list(client.list_occurrences(parent=parent, filter="color = red"))),
        (NotFound, lambda: client.get_note(name=f"{parent}/notes/none")),
        (Forbidden, lambda: stranger.get_note(name=f"{parent}/notes/one")),
        (Forbidden, lambda: client.create_note(parent="projects/goog-vulnz", note_id="CVE-1", note=hole())),
    ]
    for error, attempt in attempts:
        with pytest.raises(error):
            attempt()


def test_a_key_s_own_jwt_is_a_credential(place: Place, client: GrafeasClient, owned: str) -> None:
    """contract.md, 4.3: with a key file the library signs a JWT for its default host and asks no token endpoint."""
    parent = f"projects/{owned}"
    note = client.create_note(parent=parent, note_id="hole", note=hole(Severity.LOW))
    client.create_occurrence(parent=parent, occurrence=found(note.name, "https://gcr.io/x"))
    email = place.account(owned, "roles/containeranalysis.occurrences.viewer")
    key = {**place.key(email), "token_uri": "http://127.0.0.1:9/token"}
    credentials = service_account.Credentials.from_service_account_info(key)  # type: ignore[no-untyped-call]

    summary = analysis(place, credentials).get_vulnerability_occurrences_summary(parent=parent)

    assert [Severity.LOW] == [count.severity for count in summary.counts]


def test_locations_are_in_the_names_that_they_were_asked_by(client: GrafeasClient, owned: str) -> None:
    parent = f"projects/{owned}/locations/us"

    note = client.create_note(parent=parent, note_id="here", note=hole())
    occurrence = client.create_occurrence(parent=parent, occurrence=found(note.name, "https://gcr.io/x"))

    assert [True, True] == [each.name.startswith(parent + "/") for each in (note, occurrence)]
    assert note == client.get_occurrence_note(name=occurrence.name)
    assert [occurrence] == list(client.list_occurrences(parent=parent))
