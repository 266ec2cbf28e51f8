"""cosign: signatures and attestations beside the image, in tags (as it began) and as referrers (OCI 1.1)."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import httpx
import pytest

from tests.kit.content import complete_image, digest_of, manifest_of
from tests.kit.images import Layout, image_layout
from tests.kit.program import Program
from tests.kit.server import Server

HTTP = "--allow-http-registry"
# No transparency log and no prompts: a test talks to nobody but the registry.
OFFLINE = ("--tlog-upload=false", "--yes", HTTP)
VERIFY = ("--insecure-ignore-tlog=true", "--private-infrastructure", HTTP, "--key=cosign.pub")
REFERRERS = {"COSIGN_EXPERIMENTAL": "1"}
SIGNATURE_TYPE = "application/vnd.dev.cosign.artifact.sig.v1+json"


@pytest.fixture
def image(cosign: Program, crane: Program, server: Server, repository: str, tmp_path: Path, project: str) -> Layout:
    """An image in the repository as v1, and a new key pair in the program's home."""
    layout = image_layout(tmp_path / "layout", project)
    crane.run("push", layout.path, f"{server.authority}/{repository}:v1")
    cosign.run("generate-key-pair")
    return layout


@pytest.fixture
def name(server: Server, repository: str, image: Layout) -> str:
    return f"{server.authority}/{repository}@{image.digest}"


def tag_of(image: Layout, suffix: str) -> str:
    """Where cosign puts what belongs to an image: a tag made of its digest."""
    return f"{image.digest.replace(':', '-')}.{suffix}"


def referrers_of(client: httpx.Client, repository: str, image: Layout) -> list[str]:
    response = client.get(f"/v2/{repository}/referrers/{image.digest}")
    assert response.status_code == 200, response.text
    return [referrer["digest"] for referrer in response.json()["manifests"]]


def signed_digest(output: bytes) -> str:
    """The image that the verified payload speaks of."""
    (payload,) = json.loads(output)
    return str(payload["critical"]["image"]["docker-manifest-digest"])


def test_a_signature_in_a_tag_is_verified(cosign: Program, client: httpx.Client, repository: str, image: Layout, name: str) -> None:
    cosign.run("sign", *OFFLINE, "--key=cosign.key", name)

    assert image.digest == signed_digest(cosign.run("verify", *VERIFY, "--output=json", name))
    signature = complete_image(client, repository, tag_of(image, "sig")).document["layers"][0]
    assert "application/vnd.dev.cosign.simplesigning.v1+json" == signature["mediaType"]
    assert [] == referrers_of(client, repository, image)


def test_a_second_signature_joins_the_first(cosign: Program, client: httpx.Client, repository: str, image: Layout, name: str) -> None:
    for annotation in ("stage=built", "stage=tested"):
        cosign.run("sign", *OFFLINE, "--key=cosign.key", f"--annotations={annotation}", name)

    layers = complete_image(client, repository, tag_of(image, "sig")).document["layers"]

    assert 2 == len(layers)
    verified = cosign.json("verify", *VERIFY, "--output=json", "--annotations=stage=tested", name)
    assert ["tested"] == [payload["optional"]["stage"] for payload in verified]


def test_a_signature_as_referrer_is_verified(cosign: Program, client: httpx.Client, repository: str, image: Layout, name: str) -> None:
    cosign.run("sign", *OFFLINE, "--key=cosign.key", "--registry-referrers-mode=oci-1-1", name, environment=REFERRERS)

    verified = cosign.run("verify", *VERIFY, "--experimental-oci11", "--output=json", name, environment=REFERRERS)

    (digest,) = referrers_of(client, repository, image)
    signature = complete_image(client, repository, digest)
    assert image.digest == signed_digest(verified) == signature.document["subject"]["digest"]
    assert SIGNATURE_TYPE == signature.document.get("artifactType", signature.document["config"]["mediaType"])


def test_a_bundle_is_verified(cosign: Program, client: httpx.Client, repository: str, image: Layout, name: str) -> None:
    """The newer format of signatures, always kept as a referrer. An empty trusted root keeps it from fetching the public one."""
    cosign.run("trusted-root", "create", "--out=root.json")
    cosign.run("sign", *OFFLINE, "--new-bundle-format", "--key=cosign.key", name)

    cosign.run("verify", *VERIFY, "--new-bundle-format", "--trusted-root=root.json", name)

    (digest,) = referrers_of(client, repository, image)
    bundle = complete_image(client, repository, digest)
    assert bundle.document["layers"][0]["mediaType"].startswith("application/vnd.dev.sigstore.bundle")


def test_what_was_not_signed_is_refused(cosign: Program, crane: Program, server: Server, repository: str, image: Layout, name: str) -> None:
    tag = f"{server.authority}/{repository}:v1"
    cosign.run("sign", *OFFLINE, "--key=cosign.key", name)
    cosign.run("verify", *VERIFY, tag)

    crane.run("mutate", "--label", "tampered=yes", "--tag", tag, tag)

    assert "no signatures found" in cosign.refused("verify", *VERIFY, tag)


def test_a_signature_by_another_key_is_refused(cosign: Program, image: Layout, name: str) -> None:
    cosign.run("generate-key-pair", "--output-key-prefix=other")
    cosign.run("sign", *OFFLINE, "--key=other.key", name)

    assert "no matching signatures" in cosign.refused("verify", *VERIFY, name)


def test_a_tampered_signature_is_refused(cosign: Program, client: httpx.Client, repository: str, image: Layout, name: str) -> None:
    """Somebody with the right to push puts another payload under the old signature."""
    cosign.run("sign", *OFFLINE, "--key=cosign.key", name)
    tag = tag_of(image, "sig")
    manifest = manifest_of(client, repository, tag)
    document = manifest.document
    forged = client.get(f"/v2/{repository}/blobs/{document['layers'][0]['digest']}").content.replace(b"cosign", b"forged")
    pushed = client.post(f"/v2/{repository}/blobs/uploads/", params={"digest": digest_of(forged)}, content=forged)
    document["layers"][0].update(digest=digest_of(forged), size=len(forged))
    body = json.dumps(document).encode()
    put = client.put(f"/v2/{repository}/manifests/{tag}", content=body, headers={"Content-Type": manifest.media_type})
    assert (201, 201) == (pushed.status_code, put.status_code), put.text

    assert "invalid signature" in cosign.refused("verify", *VERIFY, name)


def test_an_attestation_is_verified_and_read_back(cosign: Program, client: httpx.Client, repository: str, image: Layout, name: str) -> None:
    (cosign.home / "predicate.json").write_text('{"answer": 42}')

    cosign.run("attest", *OFFLINE, "--key=cosign.key", "--type=custom", "--predicate=predicate.json", name)
    envelope = cosign.json("verify-attestation", *VERIFY, "--type=custom", name)

    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert image.digest == f"sha256:{statement['subject'][0]['digest']['sha256']}"
    assert {"answer": 42} == json.loads(statement["predicate"]["Data"])
    assert 1 == len(complete_image(client, repository, tag_of(image, "att")).document["layers"])
    assert "none of the attestations matched" in cosign.refused("verify-attestation", *VERIFY, "--type=spdx", name)


@pytest.mark.parametrize("mode", ["legacy", "oci-1-1"])
def test_an_sbom_is_attached(cosign: Program, client: httpx.Client, repository: str, image: Layout, name: str, mode: str) -> None:
    sbom = b"SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\n"
    (cosign.home / "sbom.spdx").write_bytes(sbom)

    cosign.run("attach", "sbom", HTTP, f"--registry-referrers-mode={mode}", "--sbom=sbom.spdx", name, environment=REFERRERS)

    reference = tag_of(image, "sbom") if mode == "legacy" else referrers_of(client, repository, image)[0]
    layer = complete_image(client, repository, reference).document["layers"][0]
    assert digest_of(sbom) == layer["digest"]


def test_a_copy_brings_the_signatures(cosign: Program, client: httpx.Client, repository: str, image: Layout, name: str) -> None:
    cosign.run("sign", *OFFLINE, "--key=cosign.key", name)
    target = f"{name.partition('@')[0]}/copy"

    cosign.run("copy", HTTP, name, f"{target}:v1")

    assert image.manifest == complete_image(client, f"{repository}/copy", "v1").payload
    assert image.digest == signed_digest(cosign.run("verify", *VERIFY, "--output=json", f"{target}:v1"))
