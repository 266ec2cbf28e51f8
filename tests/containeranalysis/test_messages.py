"""
The tables of messages against the public definitions: Google's own Python classes of Grafeas v1 are the measure.

What a client sends is what its library makes of a message; what we give back must be the same message to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict, MessageToJson, ParseDict
from grafeas import grafeas_v1

from roadstead.analysis import fields
from roadstead.analysis.fields import BOOL, BYTES, INT32, INT64, NUMBER, STRING, TIME, Enum, Field, Map, Message, Repeated, snake
from roadstead.analysis.kinds import NOTE, OCCURRENCE, Kind
from roadstead.errors import FieldInvalid
from roadstead.scanner.severity import Severity

ROOTS = {"occurrence": (OCCURRENCE, grafeas_v1.Occurrence), "note": (NOTE, grafeas_v1.Note)}
SCALARS = {
    FieldDescriptor.TYPE_STRING: STRING,
    FieldDescriptor.TYPE_BYTES: BYTES,
    FieldDescriptor.TYPE_BOOL: BOOL,
    FieldDescriptor.TYPE_INT32: INT32,
    FieldDescriptor.TYPE_INT64: INT64,
    FieldDescriptor.TYPE_FLOAT: NUMBER,
    FieldDescriptor.TYPE_DOUBLE: NUMBER,
}
WELL_KNOWN = {
    "google.protobuf.Timestamp": TIME,
    "google.protobuf.Struct": fields.STRUCT,
    "google.protobuf.Value": fields.VALUE,
    "google.protobuf.Any": fields.ANY,
}


def public(kind: Any) -> Descriptor:
    return kind.pb(kind()).DESCRIPTOR


def differences(ours: Message, theirs: Descriptor, path: str) -> Iterator[str]:
    """The Python classes call `type` and the like `type_`; in-toto's `_type` has its underscore in JSON only."""
    by_name = {snake(name.lstrip("_")): field for name, field in ours.fields.items()}
    names = {field.name.rstrip("_"): field for field in theirs.fields}
    for name in by_name.keys() ^ names.keys():
        yield f"{path}.{name} is only {'ours' if name in by_name else 'theirs'}"
    for name in by_name.keys() & names.keys():
        yield from _field_differences(by_name[name], names[name], f"{path}.{name}")
    groups = {frozenset(snake(name) for name in group) for group in ours.one_of}
    expected = {frozenset(field.name for field in group.fields) for group in theirs.oneofs}
    if groups != expected:
        yield f"{path}: one of {groups} is {expected}"


def _field_differences(ours: Field, theirs: FieldDescriptor, path: str) -> Iterator[str]:
    if theirs.message_type is not None and theirs.message_type.GetOptions().map_entry:
        if not isinstance(ours, Map):
            yield f"{path} is a map"
            return
        yield from _type_differences(ours.of, theirs.message_type.fields_by_name["value"], path)
    elif theirs.is_repeated:
        if not isinstance(ours, Repeated):
            yield f"{path} is repeated"
            return
        yield from _type_differences(ours.of, theirs, path)
    else:
        yield from _type_differences(ours, theirs, path)


def _type_differences(ours: Field, theirs: FieldDescriptor, path: str) -> Iterator[str]:
    if theirs.enum_type is not None:
        numbers = {value.name: value.number for value in theirs.enum_type.values}
        if not isinstance(ours, Enum) or ours.numbers != numbers:
            yield f"{path} is {numbers}"
    elif theirs.message_type is None or theirs.message_type.full_name in WELL_KNOWN:
        wanted = SCALARS[theirs.type] if theirs.message_type is None else WELL_KNOWN[theirs.message_type.full_name]
        if ours is not wanted:
            yield f"{path} is {wanted}"
    elif not isinstance(ours, Message):
        yield f"{path} is a message"
    else:
        yield from differences(ours, theirs.message_type, path)


@pytest.mark.parametrize("root", ROOTS)
def test_every_field_is_there_with_its_type_and_nothing_else(root: str) -> None:
    ours, kind = ROOTS[root]

    assert [] == list(differences(ours, public(kind), root))


def test_kinds_and_severities_have_their_numbers() -> None:
    """They are kept in the database."""
    assert {kind.name: kind.value for kind in Kind} == {kind.name: kind.value for kind in grafeas_v1.NoteKind if kind}
    assert {each.name: each.value for each in Severity} == {each.name: each.value for each in grafeas_v1.Severity}


# What a library writes

VULNERABILITY = grafeas_v1.VulnerabilityOccurrence(
    type_="OS",
    effective_severity="HIGH",
    cvss_score=7.5,
    cvssv3=grafeas_v1.CVSS(base_score=9.8, attack_vector="ATTACK_VECTOR_NETWORK", exploit_maturity="EXPLOIT_MATURITY_POC"),
    package_issue=[
        grafeas_v1.VulnerabilityOccurrence.PackageIssue(
            affected_cpe_uri="cpe:/o:debian:debian_linux:12",
            affected_package="zlib",
            affected_version=grafeas_v1.Version(epoch=1, name="1.2.13", revision="1", kind="NORMAL", full_name="1:1.2.13-1"),
            fixed_version=grafeas_v1.Version(kind="MAXIMUM"),
            file_location=[grafeas_v1.FileLocation(file_path="/usr/lib/x", line_number=3)],
        ),
        grafeas_v1.VulnerabilityOccurrence.PackageIssue(fixed_version=grafeas_v1.Version()),
    ],
    related_urls=[grafeas_v1.RelatedUrl(url="https://example.com", label="more")],
)
BUILD = grafeas_v1.BuildOccurrence(
    provenance=grafeas_v1.BuildProvenance(
        id="b",
        create_time={"seconds": 1_700_000_000, "nanos": 123_456_789},
        build_options={"a": "b", "empty": ""},
        commands=[grafeas_v1.Command(name="docker", args=["build", ""], dir_="/x")],
        source_provenance=grafeas_v1.Source(
            file_hashes={"f": grafeas_v1.FileHashes(file_hash=[grafeas_v1.Hash(type_="SHA256", value=b"\xfb\xff\x00")])},
            context=grafeas_v1.SourceContext(
                cloud_repo=grafeas_v1.CloudRepoSourceContext(alias_context={"kind": "OTHER", "name": "main"}), labels={"x": "y"}
            ),
        ),
    ),
    intoto_provenance=grafeas_v1.InTotoProvenance(
        recipe=grafeas_v1.Recipe(defined_in_material=-(2**60)), metadata=grafeas_v1.Metadata(reproducible=True)
    ),
    intoto_statement=grafeas_v1.InTotoStatement(
        predicate_type="https://slsa.dev/provenance/v0.2",
        slsa_provenance_zero_two=grafeas_v1.SlsaProvenanceZeroTwo(build_config={"steps": [1, None, {"a": True}]}),
    ),
)
WRITTEN = {
    "vulnerability": grafeas_v1.Occurrence(resource_uri="https://x", note_name="projects/p/notes/n", vulnerability=VULNERABILITY),
    "build": grafeas_v1.Occurrence(kind="BUILD", build=BUILD, remediation="none"),
    "image": grafeas_v1.Occurrence(image={"fingerprint": {"v1_name": "a", "v2_blob": ["b"]}, "distance": 3}),
    "package": grafeas_v1.Occurrence(package={"name": "zlib", "architecture": "X64", "license_": {"expression": "MIT"}}),
    "deployment": grafeas_v1.Occurrence(deployment={"resource_uri": ["a"], "platform": "GKE", "deploy_time": {"seconds": 5}}),
    "discovery": grafeas_v1.Occurrence(
        discovery={
            "analysis_status": "FINISHED_FAILED",
            "analysis_status_error": {"code": 3, "message": "broken"},
            "sbom_status": {"sbom_state": "COMPLETE"},
        }
    ),
    "attestation": grafeas_v1.Occurrence(
        attestation={"serialized_payload": b"\xff\xfe{}", "signatures": [{"signature": b"\x00\xff\xfe", "public_key_id": "k"}]}
    ),
    "dsse": grafeas_v1.Occurrence(dsse_attestation={"envelope": {"payload": b"{}", "signatures": [{"sig": b"\xfb", "keyid": "k"}]}}),
    "sbom": grafeas_v1.Occurrence(sbom_reference={"payload_type": "application/vnd.in-toto+json"}),
    "secret": grafeas_v1.Occurrence(secret={"kind": "SECRET_KIND_GCP_API_KEY", "digest": {"algo": "sha256", "digest_bytes": b"\xfb"}}),
    "compliance": grafeas_v1.Occurrence(compliance={"non_compliant_files": [{"path": "/x"}], "version": {"version": "1"}}),
    "upgrade": grafeas_v1.Occurrence(upgrade={"package": "x", "windows_update": {"identity": {"revision": 3}}}),
}
NOTES = {
    "vulnerability": grafeas_v1.Note(
        related_url=[{"url": "u"}],
        expiration_time={"seconds": 253_402_300_799},
        vulnerability={"severity": "CRITICAL", "cvss_v3": {"base_score": 9.8, "scope": "SCOPE_CHANGED"}, "details": [{"vendor": "x"}]},
    ),
    "assessment": grafeas_v1.Note(
        vulnerability_assessment={"product": {"generic_uri": "u"}, "assessment": {"state": "NOT_AFFECTED", "impacts": ["x"]}}
    ),
    "compliance": grafeas_v1.Note(compliance={"cis_benchmark": {"profile_level": 1}, "impact": "", "scan_instructions": b"\xff"}),
    "secret": grafeas_v1.Note(secret={}),
    "sbom": grafeas_v1.Note(sbom_reference={"format_": "spdx", "version": "2.3"}),
}
ALL = [(OCCURRENCE, name, message) for name, message in WRITTEN.items()] + [(NOTE, name, message) for name, message in NOTES.items()]
FORMS = {
    "as the libraries send": {"use_integers_for_enums": True},
    "as curl sends": {},
    "in snake_case": {"preserving_proto_field_name": True},
    "with all defaults": {"always_print_fields_with_no_presence": True},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("table", "name", "message"), ALL, ids=[f"{'note' if t is NOTE else 'occurrence'}-{n}" for t, n, _ in ALL])
def test_what_a_library_writes_is_given_back_as_it_is(table: Message, name: str, message: Any, form: str) -> None:
    kind = type(message)
    sent = json.loads(MessageToJson(kind.pb(message), **FORMS[form]))

    given = table.read(_named_as_on_the_wire(sent), "it")

    assert kind.pb(message) == ParseDict(given, kind.pb(kind())), given
    canonical = MessageToDict(kind.pb(message))
    # The library writes 4-byte floats; we keep what was sent.
    assert canonical == json.loads(json.dumps(given)), "proto3 JSON has one form"
    assert given == table.read(given, "it")


def _named_as_on_the_wire(value: Any) -> Any:
    """The Python classes' own `type_` is `type` everywhere else."""
    if isinstance(value, dict):
        return {name.rstrip("_") or name: _named_as_on_the_wire(each) for name, each in value.items()}
    return [_named_as_on_the_wire(each) for each in value] if isinstance(value, list) else value


def test_in_toto_s_type_is_taken_with_and_without_its_underscore() -> None:
    """The JSON name is `_type` (gcloud), Python's classes say `type`."""
    for spelling in ("_type", "type"):
        read = OCCURRENCE.read({"sbomReference": {"payload": {spelling: "https://in-toto.io/Statement/v1"}}}, "occurrence")

        assert {"sbomReference": {"payload": {"_type": "https://in-toto.io/Statement/v1"}}} == read


REFUSED: dict[str, tuple[Any, str]] = {
    "no object": ([], "'occurrence' (an object)"),
    "an unknown field": ({"nonsense": 1}, "Unknown name 'nonsense' at 'occurrence'"),
    "an unknown field inside": ({"build": {"provenance": {"nope": 1}}}, "Unknown name 'nope' at 'occurrence.build.provenance'"),
    "both spellings": ({"noteName": "a", "note_name": "a"}, "twice"),
    "text for a number": ({"image": {"distance": "far"}}, "'occurrence.image.distance' (TYPE_INT32)"),
    "too large a number": ({"image": {"distance": 2**31}}, "TYPE_INT32"),
    "a fraction for a whole number": ({"image": {"distance": 1.5}}, "TYPE_INT32"),
    "true for a number": ({"image": {"distance": True}}, "TYPE_INT32"),
    "a number for text": ({"remediation": 1}, "TYPE_STRING"),
    "text for a flag": ({"vulnerability": {"fixAvailable": "true"}}, "TYPE_BOOL"),
    "no number": ({"vulnerability": {"cvssScore": "NaN"}}, "TYPE_DOUBLE"),
    "infinity": ({"vulnerability": {"cvssScore": "Infinity"}}, "TYPE_DOUBLE"),
    "an unknown name of an enum": ({"vulnerability": {"effectiveSeverity": "HUGE"}}, "'occurrence.vulnerability.effectiveSeverity'"),
    "an unknown number of an enum": ({"vulnerability": {"effectiveSeverity": 6}}, "one of SEVERITY_UNSPECIFIED"),
    "a number that an enum leaves out": (
        {"build": {"provenance": {"sourceProvenance": {"context": {"cloudRepo": {"aliasContext": {"kind": 3}}}}}}},
        "OTHER",
    ),
    "no base64": ({"attestation": {"serializedPayload": "***"}}, "TYPE_BYTES"),
    "no time": ({"deployment": {"deployTime": "yesterday"}}, "Timestamp"),
    "a day that there is not": ({"deployment": {"deployTime": "2026-02-30T00:00:00Z"}}, "Timestamp"),
    "a time without zone": ({"deployment": {"deployTime": "2026-02-03T00:00:00"}}, "Timestamp"),
    "two details": ({"build": {}, "image": {}}, "only one of build and image"),
    "two of a oneof inside": ({"build": {"intotoStatement": {"provenance": {}, "slsaProvenance": {}}}}, "only one of"),
    "an object for a list": ({"vulnerability": {"packageIssue": {}}}, "a list"),
    "a list for a map": ({"build": {"provenance": {"buildOptions": []}}}, "an object"),
    "an Any without type": ({"secret": {"data": {}}}, "@type"),
    "a list for a struct": (
        {"build": {"intotoStatement": {"slsaProvenanceZeroTwo": {"buildConfig": []}}}},
        "Struct",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_refused_with_its_place(case: str) -> None:
    body, said = REFUSED[case]

    with pytest.raises(FieldInvalid) as refused:
        OCCURRENCE.read(body, "occurrence")
    assert said in refused.value.message


TIMES = {
    "2026-11-29T10:00:00Z": "2026-11-29T10:00:00Z",
    "2026-11-29t10:00:00z": "2026-11-29T10:00:00Z",
    "2026-11-29T10:00:00.5Z": "2026-11-29T10:00:00.500Z",
    "2026-11-29T10:00:00.123456Z": "2026-11-29T10:00:00.123456Z",
    "2026-11-29T10:00:00.1234567Z": "2026-11-29T10:00:00.123456700Z",
    "2026-11-29T10:00:00.000Z": "2026-11-29T10:00:00Z",
    "2026-11-29T10:00:00+02:00": "2026-11-29T08:00:00Z",
    "2026-01-01T00:30:00+01:00": "2025-12-31T23:30:00Z",
    "0001-01-01T00:00:00Z": "0001-01-01T00:00:00Z",
}


@pytest.mark.parametrize("given", TIMES)
def test_a_time_has_one_form(given: str) -> None:
    assert TIMES[given] == TIME.read(given, "it")


def test_null_is_nothing() -> None:
    """proto3 JSON: null is accepted for every field, and means its default."""
    assert {} == OCCURRENCE.read({"build": None, "remediation": None, "kind": None}, "occurrence")
