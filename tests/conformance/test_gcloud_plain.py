"""`gcloud container images` over plain HTTP, under gcr.io.localhost and eu.gcr.io.localhost (contract.md, 0, mode C), once around."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.content import is_absent, manifest_of
from tests.kit.gcr import installed_as_gcr
from tests.kit.google import needs_gcloud
from tests.kit.push import push_image

pytestmark = [pytest.mark.slow, needs_gcloud]


def test_images_are_seen_copied_and_deleted(tmp_path: Path) -> None:
    with installed_as_gcr("http", tmp_path) as gcr:
        project, other, owner = gcr.installation.project(), gcr.installation.project(), gcr.installation.owner
        gcloud = gcr.gcloud(tmp_path / "gcloud", project)
        digest = push_image(owner, f"{project}/nginx").digest
        name, copy = f"gcr.io.localhost/{project}/nginx", f"eu.gcr.io.localhost/{other}/nginx"

        assert ["NAME", name] == gcloud("container", "images", "list", f"--repository=gcr.io.localhost/{project}").split()
        assert f"{digest}\tv1" == gcloud("container", "images", "list-tags", name, "--format=get(digest,tags)")
        assert digest == gcloud("container", "images", "describe", f"{name}:v1", "--format=value(image_summary.digest)")
        gcloud("container", "images", "add-tag", f"{name}:v1", f"{name}:v2", f"{copy}:v1")
        gcloud("container", "images", "untag", f"{name}:v1")
        with gcr.installation.client(gcr.installation.owner_token, Host="eu.gcr.io") as europe:
            assert digest == manifest_of(europe, f"{other}/nginx", "v1").digest
            gcloud("container", "images", "delete", f"{copy}:v1")
            assert is_absent(europe, f"{other}/nginx", digest)

        assert is_absent(owner, f"{project}/nginx", "v1")
        assert digest == manifest_of(owner, f"{project}/nginx", "v2").digest
        assert is_absent(owner, f"{other}/nginx", "v1")
