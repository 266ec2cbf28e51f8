"""`roadstead projects`"""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from roadstead.cli import policies
from roadstead.cli.client import part
from roadstead.cli.completion import project_names
from roadstead.cli.configurations import Configurations
from roadstead.cli.options import Options, asking, listing
from roadstead.cli.output import confirm, note, show_done, show_list, show_one
from roadstead.cli.policies import AnyCondition, Condition, Member, Place, PolicyFile, Role
from roadstead.cli.services import full_name
from roadstead.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Projects: what images, rights and services belong to.")

ProjectArgument = Annotated[str, typer.Argument(metavar="PROJECT_ID", help="The project's id.", autocompletion=project_names)]

COLUMNS = "table(projectId:sort=1, name, projectNumber)"


@app.command("list")
@listing
def list_projects(
    options: Options,
    deleted: Annotated[bool, typer.Option("--deleted", help="Those that are deleted and can still be undeleted.")] = False,
) -> None:
    """
    List the projects that you may see.

    \b
    Example: roadstead projects list --filter labels.team=web --format 'value(projectId)'
    """
    state = "DELETE_REQUESTED" if deleted else "ACTIVE"
    with options.connect() as api:
        found = api.every("/v1/projects", "projects", {"filter": f"lifecycleState:{state}"}, page_size=options.page_size)
    show_list(found, COLUMNS, options, "There are no projects that you may see.")


@app.command("create")
@asking
def create(
    options: Options,
    project_id: ProjectArgument,
    name: Annotated[str, typer.Option(help="A name for people.", show_default=False)] = "",
    labels: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--labels", "--label", metavar="KEY=VALUE,…", help="May be given several times.", show_default=False),
    ] = None,
    enable: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="A service to enable, such as containerregistry; may be given several times.", show_default=False),
    ] = None,
    set_as_default: Annotated[bool, typer.Option("--set-as-default", help="Make it the configuration's core/project.")] = False,
) -> None:
    """
    Make a project.

    \b
    Example: roadstead projects create shop-images --name="The shop" --labels=team=web,stage=live --enable containerregistry
    """
    wanted = pairs(",".join(labels or ()))
    with options.connect() as api:
        api.post("/v1/projects", {"projectId": project_id, "name": name or project_id, "labels": wanted})
        if enable:
            api.post(f"{path(project_id)}/services:batchEnable", {"serviceIds": [full_name(each) for each in enable]})
        made = api.get(path(project_id))
    if set_as_default:
        Configurations().change(options.configuration, {"core/project": project_id})
    show_done(made, f"Made the project {project_id}.", options)


@app.command("describe")
@asking
def describe(options: Options, project_id: ProjectArgument) -> None:
    """
    Show a project.

    \b
    Example: roadstead projects describe shop-images --format 'value(projectNumber)'
    """
    with options.connect() as api:
        found = api.get(path(project_id))
    show_one(found, options)


@app.command("delete")
@asking
def delete(options: Options, project_id: ProjectArgument) -> None:
    """
    Delete a project: nobody gets at its images any more, and after the server's grace period (30 days) they are gone.

    \b
    Example: roadstead projects delete shop-images
    """
    confirm("This project and all its images will be deleted.", options, [project_id])
    with options.connect() as api:
        done = api.delete(path(project_id))
    show_done(done, f"Deleted the project {project_id}.", options)
    note(f"Until its images are removed, it can be had back: roadstead projects undelete {project_id}")


@app.command("undelete")
@asking
def undelete(options: Options, project_id: ProjectArgument) -> None:
    """
    Take back a deletion.

    \b
    Example: roadstead projects undelete shop-images
    """
    with options.connect() as api:
        done = api.post(f"{path(project_id)}:undelete")
    show_done(done, f"The project {project_id} is back.", options)


@app.command("get-iam-policy")
@listing
def get_policy(options: Options, project_id: ProjectArgument) -> None:
    """
    Show who has which role in a project, not counting what is given further up.

    \b
    Example: roadstead projects get-iam-policy shop-images --flatten='bindings[].members' --format='table(bindings.role,bindings.members)'
    """
    with options.connect() as api:
        found = Place.project(api, project_id).get()
    policies.show(found, options)


@app.command("set-iam-policy")
@asking
def set_policy(options: Options, project_id: ProjectArgument, file: PolicyFile) -> None:
    """
    Replace the whole policy of a project with the one in a file.

    \b
    Example: roadstead projects set-iam-policy shop-images policy.json
    """
    policy = policies.read(file)
    with options.connect() as api:
        done = Place.project(api, project_id).put(policy)
    policies.changed(done, project_id, options)


@app.command("add-iam-policy-binding")
@asking
def add_binding(options: Options, project_id: ProjectArgument, member: Member, role: Role, condition: Condition = "") -> None:
    """
    Give somebody a role in a project.

    \b
    Example: roadstead projects add-iam-policy-binding shop-images --member=user:bob@example.com --role=roles/viewer
    """
    edit = policies.adding(member, role, policies.condition_of(condition))
    with options.connect() as api:
        done = Place.project(api, project_id).change(edit)
    policies.changed(done, project_id, options)


@app.command("remove-iam-policy-binding")
@asking
def remove_binding(
    options: Options,
    project_id: ProjectArgument,
    member: Member,
    role: Role,
    condition: Condition = "",
    any_condition: AnyCondition = False,
) -> None:
    """
    Take a role in a project away from somebody.

    \b
    Example: roadstead projects remove-iam-policy-binding shop-images --member=user:bob@example.com --role=roles/viewer
    """
    edit = policies.removing(member, role, policies.condition_of(condition), any_condition)
    with options.connect() as api:
        done = Place.project(api, project_id).change(edit)
    policies.changed(done, project_id, options)


def path(project: str) -> str:
    return f"/v1/projects/{part(project)}"


def pairs(text: str) -> dict[str, str]:
    """k=v,k2=v2. Raises ConfigurationError."""
    found = {}
    for each in text.split(",") if text else ():
        key, given, value = each.partition("=")
        if not given or not key:
            raise ConfigurationError("labels are written KEY=VALUE,KEY=VALUE")
        found[key] = value
    return found
