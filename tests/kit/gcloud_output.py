"""
What gcloud 528 prints, letter by letter, about three images that have the same digests wherever they are pushed; tests/conformance/
test_gcloud_images.py compares it with the gcloud that is installed. Our own command line says the same.
"""

from __future__ import annotations

import json

import httpx

from tests.kit.push import image, push, push_blob

PROJECT = "golden-project"

# `container images list --repository=gcr.io/golden-project`
LIST = """\
NAME
gcr.io/golden-project/nginx
gcr.io/golden-project/team
"""

# `container images list-tags gcr.io/golden-project/nginx`
LIST_TAGS = """\
DIGEST        TAGS       TIMESTAMP
f49bdc914973  latest,v2  2024-03-04T05:06:07
9cfaa39555b0  v1         2024-02-03T04:05:07
"""

# `container images describe gcr.io/golden-project/nginx:v1`
DESCRIBE = """\
image_summary:
  digest: sha256:9cfaa39555b0f6982d72e605d1dd251da1b1cd960a5187c8e46f34e7d00ce326
  fully_qualified_digest: gcr.io/golden-project/nginx@sha256:9cfaa39555b0f6982d72e605d1dd251da1b1cd960a5187c8e46f34e7d00ce326
  registry: gcr.io
  repository: golden-project/nginx
"""

_IMAGES = (
    ("nginx", "2024-02-03T04:05:06.789Z", ("v1",)),
    ("nginx", "2024-03-04T05:06:07Z", ("v2", "latest")),
    ("team/app", "2024-01-01T00:00:00Z", ("v1",)),
)


def push_known(client: httpx.Client) -> None:
    """Into PROJECT, which is there and has the registry enabled."""
    for path, created, tags in _IMAGES:
        config, layer = json.dumps({"architecture": "amd64", "created": created, "os": "linux"}).encode(), f"a layer of {created}".encode()
        for blob in (config, layer):
            push_blob(client, f"{PROJECT}/{path}", blob)
        for tag in tags:
            response = push(client, f"{PROJECT}/{path}", image(config, [layer]), tag)
            assert response.status_code == 201, response.text
