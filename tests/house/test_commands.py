"""Every command has a test that runs it as a user would, and one that gives it what it refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from roadstead.cli.main import COMMANDS, app
from tests.kit.terminal import Terminal

TESTS = Path(__file__).parents[1]

# The same commands under a shorter name.
ALIASES = ("service-accounts ", "images ")

AUTH, GRAMMAR, KEYS = "cli/test_auth.py", "cli/test_grammar.py", "cli/test_keys_command.py"
POLICIES, CONFIG, PROJECTS = "cli/test_policies.py", "cli/test_config_command.py", "cli/test_projects_command.py"
IMAGES, ADMIN, REST = "cli/test_images_command.py", "iam/test_admin.py", "iam/test_admin_commands.py"
BACKUP, MOVING = "flows/test_backup.py", "flows/test_moving.py"

PIPELINE = f"{GRAMMAR}::test_a_service_account_with_a_key_and_a_policy"
ROLE = f"{GRAMMAR}::test_somebody_is_given_a_role_and_loses_it"
PUT_BACK = f"{GRAMMAR}::test_a_policy_is_saved_edited_and_put_back"
NO_POLICY = f"{GRAMMAR}::test_a_file_that_has_no_policy_is_told_of"
USAGE = f"{GRAMMAR}::test_wrong_usage_is_exit_code_2"
NOT_THERE = f"{GRAMMAR}::test_what_is_not_there_is_told_in_a_sentence"
PROPERTIES = f"{CONFIG}::test_properties_are_set_shown_and_forgotten"
CONFIGURATIONS = f"{CONFIG}::test_configurations_are_made_chosen_and_deleted"
NO_PROPERTY = f"{CONFIG}::test_what_there_is_not_is_wrong_usage"
NO_CONFIGURATION = f"{CONFIG}::test_a_configuration_that_there_is_not_is_told_in_a_sentence"
NO_LOGIN = f"{AUTH}::test_without_a_login_it_says_how_to_get_one"
CANNOT = f"{REST}::test_what_cannot_be_is_told_in_a_sentence"
MISSING = f"{REST}::test_a_file_or_folder_that_is_not_there_is_named"
FEEDS = "cli/test_advisories_command.py::test_feeds_are_loaded_fetched_and_shown"
NO_FEED = "cli/test_advisories_command.py::test_what_is_no_feed_is_told_in_a_sentence"
IMAGES_USAGE = f"{IMAGES}::test_wrong_usage_is_told"
SCANNING = "scanning/test_scanning_commands.py"
EXCEPTIONS = (f"{SCANNING}::test_exceptions_are_added_listed_and_removed", f"{SCANNING}::test_wrong_usage_of_exceptions_is_told")
VULNERABILITIES = (
    f"{SCANNING}::test_what_a_scan_found_is_listed_described_and_exported",
    f"{SCANNING}::test_wrong_usage_of_images_about_scans_is_told",
)

TESTED = {
    "init": (
        "cli/test_init.py::test_it_asks_its_way_to_a_login_a_project_and_docker",
        "cli/test_init.py::test_where_nobody_answers_nothing_is_set_up",
    ),
    "auth login": (f"{AUTH}::test_a_code_is_pasted", f"{AUTH}::test_a_wrong_server_is_told_in_a_sentence"),
    "auth activate-service-account": (PIPELINE, USAGE),
    "auth list": (f"{AUTH}::test_several_accounts_and_servers_are_remembered", NOT_THERE),
    "auth logout": (f"{AUTH}::test_a_logout_ends_the_login_at_the_server", NOT_THERE),
    "auth revoke": (f"{CONFIG}::test_a_configuration_says_who_commands_act_as", NOT_THERE),
    "auth token": (f"{AUTH}::test_a_token_is_a_new_one_each_time", NO_LOGIN),
    "auth print-access-token": (PIPELINE, NOT_THERE),
    "auth docker-login": (f"{AUTH}::test_docker_login_says_what_to_run", NOT_THERE),
    "auth configure-docker": (
        f"{AUTH}::test_docker_s_settings_keep_what_else_is_in_them",
        f"{AUTH}::test_docker_s_settings_that_are_damaged_stay_as_they_are",
    ),
    "config set": (PROPERTIES, NO_PROPERTY),
    "config unset": (PROPERTIES, NO_PROPERTY),
    "config get": (PROPERTIES, NO_PROPERTY),
    "config get-value": (PROPERTIES, NO_PROPERTY),
    "config list": (PROPERTIES, NO_CONFIGURATION),
    "config configurations list": (CONFIGURATIONS, NO_CONFIGURATION),
    "config configurations describe": (CONFIGURATIONS, NO_CONFIGURATION),
    "config configurations create": (CONFIGURATIONS, NO_PROPERTY),
    "config configurations activate": (CONFIGURATIONS, NO_CONFIGURATION),
    "config configurations delete": (CONFIGURATIONS, CONFIGURATIONS),
    "projects list": (f"{GRAMMAR}::test_listings_are_sorted_limited_and_shaped", USAGE),
    "projects create": (
        f"{GRAMMAR}::test_a_project_has_labels_and_becomes_the_default",
        f"{PROJECTS}::test_what_is_no_label_is_wrong_usage",
    ),
    "projects describe": (f"{PROJECTS}::test_a_project_is_made_and_shown", USAGE),
    "projects delete": (
        f"{PROJECTS}::test_a_project_is_deleted_and_comes_back",
        f"{GRAMMAR}::test_what_goes_is_named_and_asked_about",
    ),
    "projects undelete": (f"{PROJECTS}::test_a_project_is_deleted_and_comes_back", NOT_THERE),
    "projects get-iam-policy": (PUT_BACK, NOT_THERE),
    "projects set-iam-policy": (PUT_BACK, NO_POLICY),
    "projects add-iam-policy-binding": (ROLE, USAGE),
    "projects remove-iam-policy-binding": (ROLE, ROLE),
    "services list": (f"{PROJECTS}::test_services_are_enabled_and_disabled", USAGE),
    "services enable": (f"{PROJECTS}::test_services_are_enabled_and_disabled", USAGE),
    "services disable": (f"{PROJECTS}::test_services_are_enabled_and_disabled", NOT_THERE),
    "iam policy show": (f"{POLICIES}::test_a_condition_is_kept_with_its_binding", f"{POLICIES}::test_a_place_that_is_none_is_wrong_usage"),
    "iam policy add-binding": (
        f"{POLICIES}::test_of_several_at_once_none_is_lost",
        f"{POLICIES}::test_a_role_that_there_is_not_is_told_in_a_sentence",
    ),
    "iam policy remove-binding": (f"{POLICIES}::test_a_condition_is_kept_with_its_binding", NOT_THERE),
    "iam service-accounts list": (PIPELINE, NOT_THERE),
    "iam service-accounts create": (PIPELINE, f"{KEYS}::test_a_service_account_is_made"),
    "iam service-accounts describe": (PIPELINE, NOT_THERE),
    "iam service-accounts disable": (PIPELINE, NOT_THERE),
    "iam service-accounts enable": (PIPELINE, NOT_THERE),
    "iam service-accounts delete": (PIPELINE, NOT_THERE),
    "iam service-accounts get-iam-policy": (PIPELINE, NOT_THERE),
    "iam service-accounts set-iam-policy": (f"{GRAMMAR}::test_a_service_account_s_policy_is_replaced", NO_POLICY),
    "iam service-accounts add-iam-policy-binding": (PIPELINE, NOT_THERE),
    "iam service-accounts remove-iam-policy-binding": (PIPELINE, NOT_THERE),
    "iam service-accounts keys list": (PIPELINE, NOT_THERE),
    "iam service-accounts keys create": (PIPELINE, USAGE),
    "iam service-accounts keys disable": (PIPELINE, NOT_THERE),
    "iam service-accounts keys enable": (PIPELINE, NOT_THERE),
    "iam service-accounts keys delete": (PIPELINE, NOT_THERE),
    "iam roles list": (f"{GRAMMAR}::test_roles_are_listed_and_described", USAGE),
    "iam roles describe": (f"{GRAMMAR}::test_roles_are_listed_and_described", f"{GRAMMAR}::test_roles_are_listed_and_described"),
    "keys list": (f"{KEYS}::test_a_project_s_keys_are_listed_together", f"{KEYS}::test_a_project_s_keys_are_listed_together"),
    "keys create": (
        f"{KEYS}::test_a_key_is_made_into_a_file_that_nobody_else_can_read",
        f"{KEYS}::test_a_lifetime_that_is_none_is_wrong_usage_and_leaves_no_file",
    ),
    "keys disable": (f"{KEYS}::test_a_key_is_disabled_enabled_and_deleted", NOT_THERE),
    "keys enable": (f"{KEYS}::test_a_key_is_disabled_enabled_and_deleted", NOT_THERE),
    "keys delete": (f"{KEYS}::test_a_key_is_disabled_enabled_and_deleted", NOT_THERE),
    "container images list": (f"{IMAGES}::test_images_and_folders_are_listed", IMAGES_USAGE),
    "container images list-tags": (
        f"{IMAGES}::test_times_are_of_the_image_and_in_this_machine_s_zone",
        f"{IMAGES}::test_who_may_not_is_told_so_and_nothing_more",
    ),
    "container images describe": (
        f"{IMAGES}::test_a_digest_is_found_by_its_beginning",
        f"{IMAGES}::test_a_beginning_of_two_digests_is_refused_with_both",
    ),
    "container images add-tag": (f"{IMAGES}::test_a_tag_is_added_in_the_repository", IMAGES_USAGE),
    "container images untag": (f"{IMAGES}::test_an_untagged_image_stays", f"{IMAGES}::test_nothing_is_destroyed_that_nobody_said_yes_to"),
    "container images delete": (
        f"{IMAGES}::test_a_deletion_is_refused_while_other_tags_were_not_named",
        f"{IMAGES}::test_a_child_of_an_index_is_not_deleted",
    ),
    **dict.fromkeys(["container images list-vulnerabilities", "container images sbom"], VULNERABILITIES),
    "scan": (
        "cli/test_scan_command.py::test_a_saved_image_and_a_folder_have_the_same_findings",
        "cli/test_scan_command.py::test_wrong_usage_of_scan_is_told",
    ),
    **dict.fromkeys(["exceptions list", "exceptions add", "exceptions remove"], EXCEPTIONS),
    "exceptions import": (f"{SCANNING}::test_vex_is_imported_and_imported_again", EXCEPTIONS[1]),
    "container images copy": ("flows/test_copying.py::test_all_tags_of_one_image", "flows/test_copying.py::test_wrong_usage"),
    "audit": (
        "iam/test_audit.py::test_the_command_shows_the_log_from_the_data_folder_and_from_the_server",
        "iam/test_audit.py::test_a_command_that_cannot_work_says_why",
    ),
    "proxy": (
        "operations/test_proxy.py::test_google_s_names_lead_to_the_server_and_its_certificate_is_checked",
        "operations/test_proxy.py::test_wrong_options_are_refused",
    ),
    "clients configure": (
        "cli/test_clients_command.py::test_apply_writes_once_and_keeps_what_is_there",
        "cli/test_clients_command.py::test_wrong_options_are_refused",
    ),
    "serve": ("cli/test_serve.py::test_it_says_what_to_paste", "cli/test_serve.py::test_wrong_options_and_variables_are_refused"),
    "worker": ("operations/test_health.py::test_a_worker_answers_where_it_is_told_to", MISSING),
    "admin token": (f"{ADMIN}::test_a_token_is_the_owner_s_and_for_every_api", f"{ADMIN}::test_what_no_token_can_be_made_of"),
    "admin link": (f"{ADMIN}::test_a_new_link_ends_what_was_open", CANNOT),
    "admin add": (f"{ADMIN}::test_a_new_person_gets_in_by_a_link_once_and_has_no_rights", CANNOT),
    "admin owner": (f"{ADMIN}::test_an_owner_has_every_right", CANNOT),
    "admin disable": (f"{REST}::test_an_account_is_shut_and_opened", CANNOT),
    "admin group": (f"{REST}::test_people_are_put_into_a_group_and_taken_out", CANNOT),
    "admin people": (f"{REST}::test_an_account_is_shut_and_opened", CANNOT),
    **dict.fromkeys(["advisories import", "advisories update", "advisories status"], (FEEDS, NO_FEED)),
    "migrate": (f"{REST}::test_a_schema_is_made_and_a_second_time_is_there_already", MISSING),
    "check": (
        "flows/test_check.py::test_damage_is_found_and_named",
        "cli/test_gc.py::test_a_folder_that_is_no_registry_s_is_refused_and_left_alone",
    ),
    "gc": ("cli/test_gc.py::test_what_no_manifest_needs_is_freed_and_the_rest_stays", "cli/test_gc.py::test_wrong_options_are_refused"),
    "backup": (
        f"{BACKUP}::test_a_backup_made_beside_pushes_restores_to_a_server_with_every_image",
        f"{BACKUP}::test_a_folder_with_other_things_is_not_used",
    ),
    "restore": (
        f"{BACKUP}::test_a_backup_made_beside_pushes_restores_to_a_server_with_every_image",
        f"{BACKUP}::test_nothing_is_restored_over_images",
    ),
    "copy-to": (
        f"{MOVING}::test_a_running_server_is_copied_and_nothing_acknowledged_stays_behind",
        f"{MOVING}::test_a_server_is_not_copied_onto_itself",
    ),
    "thaw": (f"{MOVING}::test_a_thawed_server_takes_writes_again", MISSING),
    "tls self-signed": (
        "operations/test_tls.py::test_the_command_makes_files_that_only_we_can_read_the_keys_of",
        "operations/test_tls.py::test_what_is_no_name_is_refused",
    ),
}
"""By the command's words: the test that runs it, and the one that gives it what it refuses."""


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "list_commands"):
        yield " ".join(words), command
        return
    for name in command.list_commands(None):
        yield from leaves(command.get_command(None, name), (*words, name))


def commands() -> dict[str, Any]:
    return {words: each for words, each in leaves(typer.main.get_command(app)) if not words.startswith(ALIASES)}


def test_every_command_stands_in_the_table() -> None:
    found = set(commands())

    assert (set(), set()) == (found - set(TESTED), set(TESTED) - found)


@pytest.mark.parametrize("words", TESTED)
def test_a_command_s_tests_are_there_and_are_about_it(words: str) -> None:
    for named in TESTED[words]:
        file, _, name = named.partition("::")
        text = (TESTS / file).read_text()
        assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), f"there is no {named}"
        assert words.rpartition(" ")[2] in text


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_the_command_s_own_help_begins_with(name: str) -> None:
    command = typer.main.get_command(app).get_command(None, name)  # type: ignore[attr-defined]

    assert (command.help or "").strip().replace("\n", " ").startswith(COMMANDS[name][1])
    assert COMMANDS[name][1].endswith(".")


def test_a_flag_that_there_is_not_is_wrong_usage_of_every_command(tmp_path: Path) -> None:
    asked = [[*words.split(), "--no-such-flag"] for words in commands()]

    for words, (code, said, problem) in zip(asked, Terminal(tmp_path).several(asked), strict=True):
        assert (2, "") == (code, said), words
        assert "--no-such-flag" in problem, words
