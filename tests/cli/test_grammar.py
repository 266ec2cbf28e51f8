"""gcloud's own spellings, as scripts have them: `roadstead` in place of `gcloud`, and nothing else changed."""

from __future__ import annotations

import itertools
import json
import secrets
from pathlib import Path

import pytest

from tests.kit.site import Site
from tests.kit.terminal import Terminal

BOB = "user:bob@example.com"
VIEWER = "roles/artifactregistry.reader"
_numbers = itertools.count()


@pytest.fixture
def project(owner: Terminal, pages: Site) -> str:
    name = f"grammar-{next(_numbers)}-{secrets.token_hex(3)}"
    pages.run(pages.known.projects.create(name, name, creator="user:owner@example.com"))
    return name


@pytest.mark.slow
def test_a_project_has_labels_and_becomes_the_default(owner: Terminal) -> None:
    name = f"grammar-labels-{secrets.token_hex(3)}"
    owner.said("config", "configurations", "create", "defaults", "--no-activate")
    chosen = Terminal(owner.home, ROADSTEAD_CONFIGURATION="defaults")

    chosen.said("projects", "create", name, "--name=The shop", "--labels=team=web,stage=live", "--set-as-default")

    assert f"{name}\tThe shop\n" == owner.said(
        "projects", "list", "--filter=labels.team=web labels.stage=live", "--format=value(projectId,name)"
    )
    assert name == chosen.said("config", "get-value", "project").strip()
    assert f"{name}\n" == owner.said("projects", "describe", name, "--format=value(projectId)")
    assert "KEY=VALUE" in owner.refused("projects", "create", "x", "--labels=web", code=2)


@pytest.mark.slow
def test_listings_are_sorted_limited_and_shaped(owner: Terminal) -> None:
    prefix = f"sorted-{secrets.token_hex(3)}"
    for number in (2, 1, 3):
        owner.said("projects", "create", f"{prefix}-{number}", "--name", f"N{4 - number}")

    def listed(*flags: str) -> list[str]:
        return owner.said("projects", "list", f"--filter=projectId:{prefix}*", *flags).splitlines()

    assert [f"{prefix}-{number}" for number in (1, 2, 3)] == listed("--format=value(projectId)", "--sort-by=projectId")
    assert [f"{prefix}-{number}" for number in (1, 2)] == listed("--format=get(projectId)", "--sort-by=~NAME", "--limit=2")
    assert ["project_id,name", f"{prefix}-3,N1"] == listed("--format=csv(projectId,name)", "--limit=1", "--sort-by=name")
    assert ["PROJECT_ID", "NAME", "PROJECT_NUMBER"] == listed()[0].split()
    assert 3 == len([line for line in listed("--page-size=1") if line.startswith("PROJECT_ID")])


@pytest.mark.slow
def test_somebody_is_given_a_role_and_loses_it(owner: Terminal, project: str) -> None:
    owner.said("projects", "add-iam-policy-binding", project, f"--member={BOB}", f"--role={VIEWER}")
    condition = 'expression=request.time < timestamp("2099-01-01T00:00:00Z"),title=until 2099,description=for now'
    owner.said("projects", "add-iam-policy-binding", project, f"--member={BOB}", f"--role={VIEWER}", f"--condition={condition}")

    who = ["projects", "get-iam-policy", project, "--flatten=bindings[].members", f"--filter=bindings.members:{BOB}"]
    assert f"{VIEWER}\t\n{VIEWER}\tuntil 2099\n" == owner.said(*who, "--format=value(bindings.role,bindings.condition.title)")
    owner.said("projects", "remove-iam-policy-binding", project, f"--member={BOB}", f"--role={VIEWER}", "--condition=None")
    assert f"{VIEWER}\tfor now\n" == owner.said(*who, "--format=value(bindings.role,bindings.condition.description)")
    owner.said("projects", "remove-iam-policy-binding", project, f"--member={BOB}", f"--role={VIEWER}", "--all")
    assert "" == owner.said(*who, "--format=value(bindings.role)")
    assert "has no binding" in owner.refused("projects", "remove-iam-policy-binding", project, f"--member={BOB}", f"--role={VIEWER}")


@pytest.mark.slow
@pytest.mark.parametrize("format", ["json", "yaml"])
def test_a_policy_is_saved_edited_and_put_back(owner: Terminal, project: str, tmp_path: Path, format: str) -> None:
    """With the etag that is in it: a second time with the same file is refused."""
    file = tmp_path / "policy"
    text = owner.said("projects", "get-iam-policy", project, f"--format={format}")
    if format == "json":
        policy = json.loads(text)
        policy["bindings"].append({"role": VIEWER, "members": [BOB]})
        text = json.dumps(policy)
    else:
        text = text.replace("bindings:\n", f"bindings:\n- members:\n  - {BOB}\n  role: {VIEWER}\n")
    file.write_text(text)

    owner.said("projects", "set-iam-policy", project, str(file))

    assert BOB in owner.said("projects", "get-iam-policy", project)
    assert "roadstead: " in owner.refused("projects", "set-iam-policy", project, str(file))


@pytest.mark.slow
def test_a_service_account_with_a_key_and_a_policy(owner: Terminal, project: str, tmp_path: Path, terminal: Terminal) -> None:
    """The usual lines of a pipeline's setting-up."""
    email = f"pusher@{project}.iam.gserviceaccount.com"
    file = tmp_path / "key.json"
    accounts = ["iam", "service-accounts"]

    made = owner.said(*accounts, "create", "pusher", "--display-name=Pushes", f"--project={project}", "--format=value(email)")
    owner.said(*accounts, "keys", "create", str(file), f"--iam-account={email}")
    key = owner.said(*accounts, "keys", "list", f"--iam-account={email}", "--format=value(name.basename())").strip()
    owner.said(*accounts, "add-iam-policy-binding", email, f"--member={BOB}", "--role=roles/iam.serviceAccountUser")

    assert f"{email}\n" == made
    assert json.loads(file.read_text())["private_key_id"] == key
    assert "Pushes" in owner.said(*accounts, "describe", email)
    assert BOB in owner.said(*accounts, "get-iam-policy", email)
    terminal.said("auth", "activate-service-account", email, f"--key-file={file}")
    assert f"{email}\n" == terminal.said("auth", "list", "--filter=status:ACTIVE", "--format=value(account)")
    assert 1 == len(terminal.said("auth", "print-access-token").split())
    assert "is the key of" in terminal.refused("auth", "activate-service-account", "other@example.com", f"--key-file={file}")
    owner.said(*accounts, "keys", "disable", key, f"--iam-account={email}")
    owner.said(*accounts, "keys", "enable", key, f"--iam-account={email}")
    owner.said(*accounts, "keys", "delete", key, f"--iam-account={email}", "--quiet")
    assert "There are no keys." in owner.run(*accounts, "keys", "list", f"--iam-account={email}").stderr
    owner.said(*accounts, "remove-iam-policy-binding", email, f"--member={BOB}", "--role=roles/iam.serviceAccountUser")
    owner.said(*accounts, "disable", email)
    assert "True" in owner.said(*accounts, "list", f"--project={project}")
    owner.said(*accounts, "enable", email)
    owner.said(*accounts, "delete", email, "-q")


@pytest.mark.slow
def test_roles_are_listed_and_described(owner: Terminal, project: str) -> None:
    assert "roles/artifactregistry.reader\n" == owner.said(
        "iam", "roles", "list", "--filter=name=roles/artifactregistry.reader", "--format=value(name)"
    )
    assert "includedPermissions:" in owner.said("iam", "roles", "describe", "roles/artifactregistry.reader")
    assert "There are no roles." in owner.run("iam", "roles", "list", f"--project={project}").stderr
    assert "was not found" in owner.refused("iam", "roles", "describe", "roles/nosuch")
    assert "say which project" in owner.refused("iam", "roles", "describe", "own", code=2)


@pytest.mark.slow
def test_what_goes_is_named_and_asked_about(owner: Terminal, project: str) -> None:
    """Nobody there to answer is no yes; no and nothing are none either."""
    nobody = owner.run("projects", "delete", project)
    assert 1 == nobody.returncode
    assert f"- {project}" in nobody.stderr
    assert "say --quiet" in nobody.stderr
    assert "nothing was changed" in owner.refused("projects", "delete", project, given="n\n")
    assert "nothing was changed" in owner.refused("projects", "delete", project, given="\n")
    code, screen = owner.converse(["projects", "delete", project], [("(Y/n)? ", "n")])
    assert (1, "ACTIVE") == (code, owner.json("projects", "describe", project)["lifecycleState"]), screen

    code, screen = owner.converse(["projects", "delete", project], [("(Y/n)? ", "")])

    assert 0 == code, screen
    assert "DELETE_REQUESTED" == owner.json("projects", "describe", project)["lifecycleState"]
    owner.said("projects", "undelete", project)
    assert 0 == owner.run("projects", "delete", project, given="y\n").returncode


@pytest.mark.slow
def test_at_a_terminal_rows_are_a_table_and_nothing_steers_it(owner: Terminal, pages: Site, project: str) -> None:
    pages.run(pages.known.service_accounts.create(project, "painter", "[red]x\u202ey", ""))

    _, screen = owner.converse(["iam", "service-accounts", "list", "--project", project], [])
    _, as_json = owner.converse(["iam", "service-accounts", "list", "--project", project, "--format", "json"], [])

    assert "DISPLAY NAME" in screen
    assert "[red]x" in screen
    assert "─" in screen
    assert "\u202e" not in screen + as_json


WRONG_USAGE = [
    ["projects", "list", "--filter", "a AND"],
    ["projects", "list", "--format", "xml"],
    ["projects", "list", "--sort-by", "a b"],
    ["projects", "list", "--limit", "0"],
    ["projects", "list", "--flatten", "["],
    ["projects", "describe"],
    ["services", "enable", "containerregistry"],
    ["services", "list", "--enabled", "--available", "--project", "p"],
    ["projects", "add-iam-policy-binding", "p", "--member=user:a@b.c", "--role=roles/viewer", "--condition=title=x"],
    ["iam", "service-accounts", "keys", "create", "k.json", "--iam-account=a@b.c", "--key-file-type=p12"],
    ["auth", "activate-service-account"],
]


def test_wrong_usage_is_exit_code_2(owner: Terminal) -> None:
    for words, (code, said, problem) in zip(WRONG_USAGE, owner.several(WRONG_USAGE), strict=True):
        assert (2, "") == (code, said), words
        assert problem.strip(), words
        assert "Traceback" not in problem


@pytest.mark.parametrize(("name", "content"), [("nosuch", None), ("odd", "a: [b"), ("list", "- a"), ("bytes", "\x00")])
def test_a_file_that_has_no_policy_is_told_of(owner: Terminal, tmp_path: Path, name: str, content: str | None) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)

    assert str(tmp_path / name) in owner.refused("projects", "set-iam-policy", "p", str(tmp_path / name))


@pytest.mark.slow
def test_a_service_account_s_policy_is_replaced(owner: Terminal, pages: Site, project: str, tmp_path: Path) -> None:
    email = str(pages.run(pages.known.service_accounts.create(project, "replaced", "", "")).email)
    (tmp_path / "policy.json").write_text(json.dumps({"bindings": [{"role": "roles/iam.serviceAccountUser", "members": [BOB]}]}))

    owner.said("iam", "service-accounts", "set-iam-policy", email, str(tmp_path / "policy.json"))

    assert BOB in owner.said("iam", "service-accounts", "get-iam-policy", email, "--format=value(bindings[0].members)")


ROBOT = "nobody@nowhere-at-all.iam.gserviceaccount.com"
OF_ROBOT = f"--iam-account={ROBOT}"


NOT_THERE = [
    "auth list --server=https://h/path",
    "auth logout nobody@example.com",
    "auth revoke nobody@example.com",
    "auth print-access-token nobody@example.com",
    "auth docker-login --account=nobody@example.com",
    "projects undelete nowhere-at-all",
    "projects get-iam-policy nowhere-at-all",
    "services disable containerregistry --project=nowhere-at-all",
    f"iam policy remove-binding nowhere-at-all --member={BOB} --role={VIEWER}",
    "iam service-accounts list",
    f"iam service-accounts describe {ROBOT}",
    f"iam service-accounts disable {ROBOT}",
    f"iam service-accounts enable {ROBOT}",
    f"iam service-accounts delete {ROBOT} -q",
    f"iam service-accounts get-iam-policy {ROBOT}",
    f"iam service-accounts add-iam-policy-binding {ROBOT} --member={BOB} --role={VIEWER}",
    f"iam service-accounts remove-iam-policy-binding {ROBOT} --member={BOB} --role={VIEWER}",
    f"iam service-accounts keys list {OF_ROBOT}",
    f"iam service-accounts keys disable {'0' * 40} {OF_ROBOT}",
    f"iam service-accounts keys enable {'0' * 40} {OF_ROBOT}",
    f"iam service-accounts keys delete {'0' * 40} {OF_ROBOT} -q",
    f"keys disable {ROBOT} {'0' * 40}",
    f"keys enable {ROBOT} {'0' * 40}",
    f"keys delete {ROBOT} {'0' * 40} -q",
]


def test_what_is_not_there_is_told_in_a_sentence(owner: Terminal) -> None:
    done = owner.several([each.split() for each in NOT_THERE])

    for words, (code, said, problem) in zip(NOT_THERE, done, strict=True):
        assert code in (1, 2), words
        assert problem.startswith("roadstead: "), words
        assert "Traceback" not in problem
        assert "" == said, words


@pytest.mark.slow
@pytest.mark.parametrize("format", ["xml", "table", "value(a"])
def test_a_wrong_format_is_told_of_before_anything_is_done(owner: Terminal, format: str) -> None:
    name = f"grammar-undone-{secrets.token_hex(3)}"

    owner.refused("projects", "create", name, f"--format={format}", code=2)

    assert "" == owner.said("projects", "list", f"--filter=projectId={name}", "--format=value(projectId)")
