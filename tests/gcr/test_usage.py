"""`gcloud container images list-gcr-usage` (contract.md, 1.2): is Container Registry used here?"""

from __future__ import annotations

import httpx

from tests.kit.push import push_blob, push_image

QUERY = "?check_usage_only=true"


def usage(client: httpx.Client, name: str) -> str:
    response = client.get(f"/v2/{name}/tags/list{QUERY}")
    assert 200 == response.status_code, response.text
    assert {"usage"} == set(response.json())
    return str(response.json()["usage"])


def test_a_project_with_an_image_is_active(gcr: httpx.Client, project: str) -> None:
    assert "INACTIVE" == usage(gcr, project)
    push_blob(gcr, f"{project}/team/image", b"an upload alone is none")
    assert "INACTIVE" == usage(gcr, project)

    push_image(gcr, f"{project}/team/image")

    for name in (project, f"{project}/team", f"{project}/team/image"):
        assert "ACTIVE" == usage(gcr, name)
    for name in (f"{project}/tea", f"{project}/team/image/below", f"{project}x", f"example.com/{project}"):
        assert "INACTIVE" == usage(gcr, name)


def test_each_location_is_used_by_itself(gcr: httpx.Client, project: str) -> None:
    push_image(gcr, f"{project}/image")
    gcr.headers["Host"] = "asia.gcr.io"

    assert "INACTIVE" == usage(gcr, project)


def test_without_the_question_there_is_a_list(gcr: httpx.Client, project: str) -> None:
    push_image(gcr, f"{project}/image")

    for query in ("", "?check_usage_only=false", "?check_usage_only="):
        assert ["image"] == gcr.get(f"/v2/{project}/tags/list{query}").json()["child"]
