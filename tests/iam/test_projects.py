"""Projects: made, named, listed to whom they concern, deleted with a grace, and never handed on."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from google.api_core.exceptions import Conflict as GoogleConflict
from google.api_core.exceptions import Forbidden
from google.cloud.resourcemanager_v3 import Project as GoogleProject
from google.protobuf.field_mask_pb2 import FieldMask

from roadstead.db.database import Database
from roadstead.errors import AlreadyExists, Conflict, FieldInvalid, ResourceUnknown, StateForbids
from roadstead.iam.generation import Generation, SharedNumber
from roadstead.iam.keys import Keys
from roadstead.iam.policies import Policies
from roadstead.iam.project_filter import parse
from roadstead.iam.projects import GRACE_SECONDS, Projects
from roadstead.iam.service_accounts import ServiceAccounts
from roadstead.jobs import queue
from roadstead.jobs.kinds import REMOVE_ANALYSIS, REMOVE_IMAGES
from tests.kit.accounts import Installation
from tests.kit.clock import Clock
from tests.kit.google import GCloud, needs_gcloud, resource_manager

REGISTRY = "containerregistry.googleapis.com"
OWNER = "user:a@example.com"


@pytest.fixture
def projects(database: Database, generation: Generation, clock: Clock) -> Projects:
    return Projects(database, generation, clock)


# The room itself


@pytest.mark.anyio
async def test_whoever_makes_a_project_owns_it(projects: Projects, database: Database, generation: Generation, clock: Clock) -> None:
    made = await projects.create("my-project", "My project", {"env": "dev"}, OWNER)

    policy = await Policies(database, generation, clock).get("projects/my-project")
    assert [("roles/owner", (OWNER,))] == [(binding.role, binding.members) for binding in policy.bindings]
    assert ("my-project", "My project", "ACTIVE", {"env": "dev"}) == (made.id, made.name, made.state, made.labels)
    assert 12 == len(str(made.number))
    assert "my-project" == await projects.id_of_number(made.number)


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["short", "Upper-case", "ends-with-hyphen-", "1begins", "a" * 31, "with_underscore", "a/b-slash", ""])
async def test_ids_that_google_refuses_are_refused(projects: Projects, name: str) -> None:
    with pytest.raises(FieldInvalid):
        await projects.create(name)


@pytest.mark.anyio
async def test_an_id_is_taken_once_for_ever(projects: Projects, clock: Clock) -> None:
    """Whoever still pushes to what was removed must not push to somebody else."""
    await projects.create("my-project")
    with pytest.raises(AlreadyExists):
        await projects.create("my-project")

    await projects.delete("my-project")
    with pytest.raises(AlreadyExists):
        await projects.create("my-project")

    clock.go(GRACE_SECONDS + 1)
    assert 1 == await projects.purge()
    with pytest.raises(AlreadyExists):
        await projects.create("my-project")


@pytest.mark.anyio
async def test_a_suggested_id_is_the_name_and_a_number(projects: Projects) -> None:
    suggested = await projects.suggest("Tutorial Project!")

    assert suggested.startswith("tutorial-project-")
    assert suggested.rpartition("-")[2].isdigit()
    for name in ("日本", "9 lives", "x" * 100, ""):
        await projects.create(await projects.suggest(name))


@pytest.mark.anyio
async def test_a_deleted_project_can_be_had_back_within_the_grace(projects: Projects, clock: Clock) -> None:
    await projects.create("my-project")
    await projects.enable("my-project", [REGISTRY])
    await projects.delete("my-project")
    assert not await projects.is_active("my-project")
    assert not await projects.is_enabled("my-project", REGISTRY)
    for change in (projects.delete("my-project"), projects.update("my-project", name="Other"), projects.enable("my-project", [REGISTRY])):
        with pytest.raises(StateForbids):
            await change

    clock.go(GRACE_SECONDS - 1)
    assert 0 == await projects.purge()
    await projects.undelete("my-project")

    assert await projects.is_enabled("my-project", REGISTRY)
    with pytest.raises(StateForbids):
        await projects.undelete("my-project")


@pytest.mark.anyio
async def test_what_is_gone_takes_everything_along_but_its_neighbours(
    projects: Projects, database: Database, generation: Generation, clock: Clock
) -> None:
    """projects/my-project0 begins with the same letters, and sorts right behind what is below projects/my-project."""
    accounts, keys, policies = (
        ServiceAccounts(database, generation, clock),
        Keys(database, generation, clock),
        Policies(database, generation, clock),
    )
    for name in ("my-project", "my-project0", "my-project-2"):
        await projects.create(name, creator=OWNER)
        await policies.grant(f"projects/{name}/locations/gcr/repositories/a", "roles/storage.objectViewer", OWNER)
    await accounts.create("my-project", "pusher")
    await keys.create("pusher@my-project.iam.gserviceaccount.com")
    await projects.delete("my-project")

    clock.go(GRACE_SECONDS + 1)
    assert 1 == await projects.purge()

    assert ["my-project-2", "my-project0"] == [project.id for project in await projects.list()]
    assert () == (await policies.get("projects/my-project")).bindings
    assert () == (await policies.get("projects/my-project/locations/gcr/repositories/a")).bindings
    for name in ("my-project0", "my-project-2"):
        assert (await policies.get(f"projects/{name}")).bindings
        assert (await policies.get(f"projects/{name}/locations/gcr/repositories/a")).bindings
    assert [] == await accounts.list("my-project")
    with pytest.raises(ResourceUnknown):
        await projects.get("my-project")
    async with database.transaction() as tx:
        jobs = await queue.claim(tx, frozenset({REMOVE_IMAGES, REMOVE_ANALYSIS}), clock(), 10)
    wanted = {(REMOVE_IMAGES, b"my-project"), (REMOVE_ANALYSIS, b"my-project")}
    assert wanted == {(job.kind, job.arguments) for job in jobs}


@pytest.mark.anyio
async def test_a_push_asks_without_a_query_and_hears_of_changes_elsewhere(
    projects: Projects, database: Database, other_node: Database, clock: Clock
) -> None:
    shared = SharedNumber()
    here, there = Projects(database, Generation(database, shared), clock), Projects(other_node, Generation(other_node, shared), clock)
    await here.create("my-project")
    assert not await there.is_enabled("my-project", REGISTRY)

    await here.enable("my-project", [REGISTRY])
    assert await there.is_enabled("my-project", REGISTRY)

    await here.disable("my-project", REGISTRY)
    assert not await there.is_enabled("my-project", REGISTRY)
    assert not await there.is_enabled("no-such-project", REGISTRY)


@pytest.mark.anyio
async def test_an_old_etag_writes_nothing(projects: Projects) -> None:
    read = await projects.create("my-project")
    await projects.update("my-project", name="One")

    with pytest.raises(Conflict):
        await projects.update("my-project", name="Two", etag=read.etag)
    assert "One" == (await projects.get("my-project")).name


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ("lifecycleState:ACTIVE", True),
        ("lifecycleState:DELETE_REQUESTED", False),
        ("lifecycleState:ACTIVE AND (id=my-project)", True),
        ("lifecycleState:ACTIVE AND (id=other)", False),
        ("lifecycleState:ACTIVE AND (id=other OR labels.env=DEV)", True),
        ("labels.env:*", True),
        ("labels.tier:*", False),
        ("-labels.tier:*", True),
        ("NOT name:my*", False),
        ('name:"my project"', True),
        ("id:my-*ect", True),
        ("id:*y*oj*t", True),
        ("id:*y*oj*x", False),
        ("id!=other", True),
        ("parent.type:organization parent.id:0", True),
        ("state:active", True),
        ("proj", True),
    ],
)
async def test_filters_say_what_resource_manager_documents(projects: Projects, text: str, holds: bool) -> None:
    project = await projects.create("my-project", "My project", {"env": "dev"})

    assert holds == parse(text)(project)


@pytest.mark.parametrize("text", ["(", "id:", "AND", ")", "id:a)", "color:red", "(" * 1000, "-" * 1000, "a" * 10_000, '"', "id:a " * 500])
def test_filters_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(FieldInvalid):
        parse(text)


# Over HTTP


def error(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["status"]


def test_v1_makes_reads_changes_deletes_and_has_back(installation: Installation) -> None:
    """contract.md, 2.1: what gcloud sends."""
    owner, name = installation.owner, installation.project(registry=False) + "x"

    operation = owner.post("/v1/projects", json={"projectId": name, "name": "A name", "labels": {"a": "b"}}).json()
    assert operation["done"]
    assert operation == owner.get(f"/v1/{operation['name']}").json()
    assert name == operation["response"]["projectId"]

    read = owner.get(f"/v1/projects/{name}").json()
    assert {"a": "b"} == read["labels"]
    assert {"type": "organization", "id": "0"} == read["parent"]
    assert read == owner.get(f"/v1/projects/{read['projectNumber']}").json()

    changed = owner.put(f"/v1/projects/{name}", json={**read, "name": "Another", "labels": {}}).json()
    assert ("Another", None) == (changed["name"], changed.get("labels"))

    assert {} == owner.delete(f"/v1/projects/{name}").json()
    assert "DELETE_REQUESTED" == owner.get(f"/v1/projects/{name}").json()["lifecycleState"]
    assert (400, "FAILED_PRECONDITION") == error(owner.delete(f"/v1/projects/{name}"))
    assert {} == owner.post(f"/v1/projects/{name}:undelete", json={}).json()
    assert "ACTIVE" == owner.get(f"/v1/projects/{name}").json()["lifecycleState"]

    ancestry = owner.post(f"/v1/projects/{name}:getAncestry", json={}).json()["ancestor"]
    assert {"type": "project", "id": name} == ancestry[0]["resourceId"]


def test_what_is_missing_and_what_is_forbidden_are_answered_alike(installation: Installation) -> None:
    """By id, by number, by operation: nobody learns which projects there are."""
    own, other = installation.project(registry=False), installation.project(registry=False)
    number = installation.owner.get(f"/v1/projects/{other}").json()["projectNumber"]
    with installation.client(installation.robot(own, "roles/owner")) as robot:
        for there, missing in ((other, "no-such-project"), (number, "123456789012")):
            for method, path, body in (
                ("GET", "/v1/projects/{}", None),
                ("DELETE", "/v1/projects/{}", None),
                ("GET", "/v3/projects/{}", None),
                ("POST", "/v1/projects/{}:getIamPolicy", {}),
                ("GET", "/v1/projects/{}/services", None),
                ("GET", "/v1/projects/{}/serviceAccounts", None),
                ("GET", "/v1/projects/{}/roles", None),
            ):
                answers = [robot.request(method, path.format(name), json=body) for name in (there, missing)]
                assert [403, 403] == [answer.status_code for answer in answers], path
                told = [answer.text.replace(name, "X") for answer, name in zip(answers, (there, missing), strict=True)]
                assert told[0].replace(other, "X") == told[1], path
        held = [robot.post(f"/v1/projects/{name}:testIamPermissions", json={"permissions": ["resourcemanager.projects.get"]})
                for name in (other, "no-such-project")]  # fmt: skip
        assert [(200, {}), (200, {})] == [(answer.status_code, answer.json()) for answer in held]
        made = installation.owner.post("/v1/projects", json={"projectId": f"{own}y"}).json()["name"]
        operations = [robot.get(f"/v1/{name}") for name in (made, "operations/cp.1")]
        assert [404, 404] == [answer.status_code for answer in operations]
        assert 404 == installation.owner.get("/v1/projects/no-such-project").status_code


@pytest.mark.slow
def test_a_list_holds_only_what_the_caller_may_see(installation: Installation) -> None:
    mine, also, _ = (installation.project(registry=False) for _ in range(3))
    token = installation.robot(mine, "roles/viewer")
    with installation.client(token) as robot:
        assert [mine] == [project["projectId"] for project in robot.get("/v1/projects").json()["projects"]]
        assert {} == robot.get("/v1/projects", params={"filter": "lifecycleState:DELETE_REQUESTED"}).json()

        email = installation.account(mine, "second-robot")
        installation.grant(also, "roles/browser", f"serviceAccount:{email}")
        with installation.client(installation.token(f"serviceAccount:{email}")) as second:
            assert [also] == [project["projectId"] for project in second.get("/v3/projects:search").json()["projects"]]
    assert 401 == httpx.get(f"{installation.url}/v1/projects").status_code


def test_pages_follow_each_other(installation: Installation) -> None:
    projects = {installation.project(registry=False) for _ in range(3)}

    seen: list[str] = []
    token = ""
    while True:
        page = installation.owner.get("/v1/projects", params={"pageSize": 2, "pageToken": token}).json()
        assert len(page.get("projects", [])) <= 2
        seen += [project["projectId"] for project in page.get("projects", [])]
        token = page.get("nextPageToken", "")
        if not token:
            break

    assert projects <= set(seen)
    assert len(set(seen)) == len(seen)


def test_only_who_may_make_projects_makes_one(installation: Installation) -> None:
    """At Google too, owning one project gives no other."""
    own = installation.project(registry=False)
    with installation.client(installation.robot(own, "roles/owner")) as robot:
        assert (403, "PERMISSION_DENIED") == error(robot.post("/v1/projects", json={"projectId": f"{own}x"}))
    assert (409, "ALREADY_EXISTS") == error(installation.owner.post("/v1/projects", json={"projectId": own}))
    assert (400, "INVALID_ARGUMENT") == error(installation.owner.post("/v1/projects", json={"projectId": f"{own}x", "colour": "red"}))


def test_the_last_owner_of_the_organization_stays(installation: Installation) -> None:
    """Nobody could undo it. A project may lose its owners: the organization's have it still."""
    owner, project = installation.owner, installation.project(registry=False)
    policy = owner.post("/v1/organizations/0:getIamPolicy", json={}).json()
    without = [binding for binding in policy["bindings"] if binding["role"] != "roles/owner"]

    refused = owner.post("/v1/organizations/0:setIamPolicy", json={"policy": {**policy, "bindings": without}})
    assert (400, "FAILED_PRECONDITION") == error(refused)

    assert 200 == owner.post(f"/v1/projects/{project}:setIamPolicy", json={"policy": {"bindings": []}}).status_code
    assert 200 == owner.get(f"/v1/projects/{project}").status_code
    assert 404 == owner.post("/v1/organizations/5:setIamPolicy", json={"policy": {"bindings": []}}).status_code


def test_google_cloud_resource_manager(installation: Installation) -> None:
    """The library speaks v3."""
    client, name = resource_manager(installation), installation.project(registry=False) + "z"

    made = client.create_project(project=GoogleProject(project_id=name, display_name="By v3", labels={"a": "b"})).result(timeout=10)
    assert (name, "By v3", "ACTIVE") == (made.project_id, made.display_name, made.state.name)
    assert made == client.get_project(name=f"projects/{name}") == client.get_project(name=made.name)
    with pytest.raises(GoogleConflict):
        client.create_project(project=GoogleProject(project_id=name))

    changed = client.update_project(
        project=GoogleProject(name=made.name, display_name="New"), update_mask=FieldMask(paths=["display_name"])
    )
    assert ("New", {"a": "b"}) == ((found := changed.result(timeout=10)).display_name, dict(found.labels))
    assert [name] == [project.project_id for project in client.search_projects(query=f"projectId:{name}")]
    assert name in [project.project_id for project in client.list_projects(parent="organizations/0")]

    policy = client.get_iam_policy(resource=f"projects/{name}")
    policy.bindings.add(role="roles/viewer", members=["user:v@example.com"])
    stored = client.set_iam_policy(request={"resource": f"projects/{name}", "policy": policy})
    assert {"roles/owner", "roles/viewer"} == {binding.role for binding in stored.bindings}
    asked = ["resourcemanager.projects.get", "storage.objects.create"]
    assert asked == list(client.test_iam_permissions(resource=f"projects/{name}", permissions=asked).permissions)

    assert "DELETE_REQUESTED" == client.delete_project(name=f"projects/{name}").result(timeout=10).state.name
    assert "ACTIVE" == client.undelete_project(name=f"projects/{name}").result(timeout=10).state.name
    with pytest.raises(Forbidden):
        resource_manager(installation, installation.robot(installation.project(registry=False), "roles/owner")).get_project(
            name=f"projects/{name}"
        )


@pytest.mark.slow
@needs_gcloud
def test_gcloud_projects(installation: Installation, tmp_path: Path) -> None:
    gcloud, name = GCloud(installation, tmp_path), installation.project(registry=False) + "g"

    gcloud("projects", "create", name, "--name", "By gcloud", "--labels", "env=dev")
    assert name in gcloud("projects", "list", "--format", "value(projectId)").split()
    assert name == gcloud("projects", "list", "--filter", f"id={name} AND labels.env=dev", "--format", "value(projectId)")
    assert "By gcloud" == gcloud("projects", "describe", name, "--format", "value(name)")
    gcloud("projects", "update", name, "--name", "Renamed")
    assert "Renamed" == gcloud("projects", "describe", name, "--format", "value(name)")

    gcloud("projects", "add-iam-policy-binding", name, "--member", "user:v@example.com", "--role", "roles/viewer", "--condition", "None")
    condition = "expression=request.time < timestamp('2030-01-01T00:00:00Z'),title=soon over"
    gcloud(
        "projects", "add-iam-policy-binding", name, "--member", "user:w@example.com", "--role", "roles/browser", "--condition", condition
    )
    policy = gcloud("projects", "get-iam-policy", name, "--format", "yaml")
    assert "user:v@example.com" in policy
    assert "title: soon over" in policy
    gcloud("projects", "remove-iam-policy-binding", name, "--member", "user:v@example.com", "--role", "roles/viewer", "--condition", "None")
    assert "user:v@example.com" not in gcloud("projects", "get-iam-policy", name, "--format", "yaml")

    gcloud("projects", "delete", name)
    assert name not in gcloud("projects", "list", "--format", "value(projectId)").split()
    gcloud("projects", "undelete", name)
    assert "ACTIVE" == gcloud("projects", "describe", name, "--format", "value(lifecycleState)")
