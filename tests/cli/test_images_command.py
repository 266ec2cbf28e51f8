"""`roadstead container images` (also `roadstead images`): list, list-tags, describe, add-tag, untag, delete"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from roadstead.cli.image_names import InvalidName, parse, parse_image, parse_repository
from tests.kit.accounts import WITH_ACCOUNTS, Installation
from tests.kit.content import complete_image, is_absent
from tests.kit.images_place import ImagesPlace, images_place, logged_in
from tests.kit.push import Document, image, index, push, push_blob, push_image
from tests.kit.terminal import Terminal
from tests.kit.tunnel import serving_securely


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImagesPlace]:
    with images_place(tmp_path_factory.mktemp("images")) as found:
        yield found


@pytest.fixture
def owned(place: ImagesPlace) -> str:
    """A new project."""
    return place.installation.project()


def pushed(place: ImagesPlace, repository: str, reference: str = "v1", host: str = "gcr.io") -> Document:
    with place.client(host) as client:
        return push_image(client, repository, reference)


def tags(place: ImagesPlace, repository: str, host: str = "gcr.io") -> list[str]:
    with place.client(host) as client:
        return list(client.get(f"/v2/{repository}/tags/list").json().get("tags", []))


@pytest.mark.slow
def test_images_and_folders_are_listed(place: ImagesPlace, owned: str) -> None:
    pushed(place, f"{owned}/web")
    pushed(place, f"{owned}/team/api")

    assert [{"name": f"gcr.io/{owned}/team"}, {"name": f"gcr.io/{owned}/web"}] == place.owner.json(
        "container", "images", "list", f"--repository=gcr.io/{owned}"
    )
    assert f"NAME\ngcr.io/{owned}/team/api\n" == place.owner.said("images", "list", f"--repository=gcr.io/{owned}/team")
    by_project = place.owner.run("images", "list", "--project", owned)
    assert f"NAME\ngcr.io/{owned}/team\ngcr.io/{owned}/web\n" == by_project.stdout
    assert f"Only listing images in gcr.io/{owned}." in by_project.stderr
    assert "Listed 0 items." in place.owner.run("images", "list", f"--repository=eu.gcr.io/{owned}").stderr


@pytest.mark.slow
def test_a_host_is_a_location_and_the_server_s_own_is_the_default_one(place: ImagesPlace, owned: str) -> None:
    """contract.md, 1.2: nothing at gcr.io/P/x appears at us.gcr.io/P/x."""
    american, european = pushed(place, f"{owned}/web"), pushed(place, f"{owned}/web", "v1.0", "eu.gcr.io")
    own = place.installation.server.authority

    def digest(name: str) -> str:
        return place.owner.said("images", "describe", name, "--format=value(image_summary.digest)").strip()

    assert american.digest == digest(f"gcr.io/{owned}/web:v1") == digest(f"{own}/{owned}/web:v1")
    assert european.digest == digest(f"eu.gcr.io/{owned}/web:v1.0")
    assert "is not found" in place.owner.refused("images", "describe", f"eu.gcr.io/{owned}/web:v1")


def test_a_digest_is_found_by_its_beginning(place: ImagesPlace, owned: str) -> None:
    digest = pushed(place, f"{owned}/web").digest

    assert {
        "image_summary": {
            "digest": digest,
            "fully_qualified_digest": f"gcr.io/{owned}/web@{digest}",
            "registry": "gcr.io",
            "repository": f"{owned}/web",
        }
    } == place.owner.json("images", "describe", f"gcr.io/{owned}/web@{digest[:20]}")


@pytest.mark.slow
def test_a_beginning_of_two_digests_is_refused_with_both(place: ImagesPlace, owned: str) -> None:
    digests = {pushed(place, f"{owned}/web", f"v{number}").digest for number in range(17)}
    first = next(each for each in "0123456789abcdef" if sum(digest[7] == each for digest in digests) > 1)
    some = [digest for digest in digests if digest[7] == first]

    problem = place.owner.refused("images", "describe", f"gcr.io/{owned}/web@sha256:{first}")

    assert "is not a unique digest prefix" in problem
    assert all(digest in problem for digest in some)


@pytest.mark.slow
def test_a_tag_is_added_in_the_repository(place: ImagesPlace, owned: str) -> None:
    document = pushed(place, f"{owned}/web")

    done = place.owner.run("images", "add-tag", f"gcr.io/{owned}/web:v1", f"gcr.io/{owned}/web:one", f"gcr.io/{owned}/web:two", "--quiet")

    assert f"Created [gcr.io/{owned}/web:one].\nCreated [gcr.io/{owned}/web:two].\n" == done.stderr
    with place.client("gcr.io") as client:
        assert document.payload == complete_image(client, f"{owned}/web", "two").payload


@pytest.mark.slow
def test_a_tag_in_another_project_or_location_brings_the_image_there(place: ImagesPlace, owned: str) -> None:
    document, other = pushed(place, f"{owned}/web"), place.installation.project()

    place.owner.said("images", "add-tag", f"gcr.io/{owned}/web@{document.digest}", f"gcr.io/{other}/web:v1")
    assert [] == place.moved(owned, other), "within a location, bytes were moved"
    place.owner.said("images", "add-tag", f"gcr.io/{owned}/web:v1", f"eu.gcr.io/{other}/web:v1")

    for host in ("gcr.io", "eu.gcr.io"):
        with place.client(host) as client:
            assert document.payload == complete_image(client, f"{other}/web", "v1").payload


@pytest.mark.slow
def test_an_untagged_image_stays(place: ImagesPlace, owned: str) -> None:
    digest = pushed(place, f"{owned}/web").digest

    assert (
        f"Deleted [[gcr.io/{owned}/web:v1] (referencing [gcr.io/{owned}/web@{digest}])]."
        in place.owner.run("images", "untag", f"gcr.io/{owned}/web:v1", "--quiet").stderr
    )

    assert [] == tags(place, f"{owned}/web")
    assert [digest] == place.owner.said("images", "list-tags", f"gcr.io/{owned}/web", "--filter=-tags:*", "--format=get(digest)").split()


@pytest.mark.slow
def test_a_deletion_is_refused_while_other_tags_were_not_named(place: ImagesPlace, owned: str) -> None:
    document = pushed(place, f"{owned}/web")
    pushed(place, f"{owned}/web", "kept")
    with place.client("gcr.io") as client:
        push(client, f"{owned}/web", document, "other")

    problem = place.owner.refused("images", "delete", f"gcr.io/{owned}/web:v1", "--quiet")
    assert f"- gcr.io/{owned}/web:other" in problem
    assert "--force-delete-tags" in problem
    assert ["kept", "other", "v1"] == tags(place, f"{owned}/web")

    done = place.owner.run("images", "delete", f"gcr.io/{owned}/web:v1", "--quiet", "--force-delete-tags", "--format=json")
    assert 0 == done.returncode, done.stderr
    assert f'"name": "gcr.io/{owned}/web@{document.digest}"' in done.stdout
    assert ["kept"] == tags(place, f"{owned}/web")
    with place.client("gcr.io") as client:
        assert is_absent(client, f"{owned}/web", document.digest)


@pytest.mark.slow
@pytest.mark.parametrize("words", [("delete", "--force-delete-tags"), ("untag",)], ids=["delete", "untag"])
def test_nothing_is_destroyed_that_nobody_said_yes_to(place: ImagesPlace, owned: str, words: tuple[str, ...]) -> None:
    """Without a terminal there is nobody to ask."""
    pushed(place, f"{owned}/web")
    command = ("images", *words, f"gcr.io/{owned}/web:v1")

    problem = place.owner.refused(*command)
    assert f"gcr.io/{owned}/web:v1" in problem, "what would go was not listed"
    assert "--quiet" in problem
    place.owner.refused(*command, given="n\n")
    assert ["v1"] == tags(place, f"{owned}/web")

    assert 0 == place.owner.run(*command, given="y\n").returncode
    assert [] == tags(place, f"{owned}/web")


@pytest.mark.slow
def test_a_child_of_an_index_is_not_deleted(place: ImagesPlace, owned: str) -> None:
    """What the server refuses is told in its words (contract.md, 1.2)."""
    with place.client("gcr.io") as client:
        child = push_image(client, f"{owned}/web", "child")
        assert 201 == push(client, f"{owned}/web", index([child]), "all").status_code

    problem = place.owner.refused("images", "delete", f"gcr.io/{owned}/web:child", "--quiet")

    assert child.digest in problem
    with place.client("gcr.io") as client:
        assert not is_absent(client, f"{owned}/web", child.digest)


@pytest.mark.slow
def test_times_are_of_the_image_and_in_this_machine_s_zone(place: ImagesPlace, owned: str, tmp_path: Path) -> None:
    with place.client("gcr.io") as client:
        config = b'{"created": "2023-06-15T23:30:00Z"}'
        push_blob(client, f"{owned}/web", config)
        document = image(config)
        push(client, f"{owned}/web", document, "v1")
    away = logged_in(place.installation, tmp_path, TZ="Asia/Tokyo")

    said = away.said("images", "list-tags", f"gcr.io/{owned}/web")

    assert f"DIGEST        TAGS  TIMESTAMP\n{document.digest[7:19]}  v1    2023-06-16T08:30:00\n" == said


@pytest.mark.slow
def test_who_may_not_is_told_so_and_nothing_more(place: ImagesPlace, owned: str, tmp_path: Path) -> None:
    pushed(place, f"{owned}/web")
    other = place.installation.project()
    stranger = logged_in(place.installation, tmp_path, place.installation.robot(other, "roles/storage.admin"))

    for words in (("list-tags", f"gcr.io/{owned}/web"), ("describe", f"gcr.io/{owned}/web:v1"), ("describe", f"gcr.io/{owned}/none:v1")):
        assert f"roadstead: Access denied: {words[1]}" == stranger.refused("images", *words).strip()
    assert "Access denied" in stranger.refused("images", "delete", f"gcr.io/{owned}/web:v1", "--quiet")
    assert ["v1"] == tags(place, f"{owned}/web")


@pytest.mark.slow
def test_who_is_not_logged_in_is_told_how(place: ImagesPlace, owned: str, tmp_path: Path) -> None:
    nobody = Terminal(tmp_path)

    assert "roadstead auth login" in nobody.refused("images", "list-tags", f"gcr.io/{owned}/web")
    asked = nobody.refused("images", "list-tags", f"gcr.io/{owned}/web", "--server", place.installation.url)
    assert "Access denied" in asked


def test_a_server_that_is_not_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    problem = Terminal(tmp_path).refused("images", "list-tags", "127.0.0.1:1/project/web")

    assert "127.0.0.1:1 cannot be reached" in problem


BAD_NAMES = ["", "web", "web:v1", "project/web", "gcr.io/", "gcr.io/project/Web:v1", "gcr.io/project/web:", "gcr.io/project/web:a b",
             "gcr.io/project/web@", "gcr.io/project/web@v1", "gcr.io/project/web@sha256:", f"gcr.io/project/web@sha256:{'g' * 64}",
             "gcr.io/project/../other/web", "gcr.io/project/web/", "gcr.io:port/project/web", "gcr.io:0/p/web", "user@gcr.io/project/web",
             "https://gcr.io/project/web", "gcr.io/project/web?x=1", "gcr.io/" + "a/" * 200 + "b", "gcr.io/project/web:v1:v2"]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_what_is_no_name_is_refused_before_anything_is_sent(name: str) -> None:
    with pytest.raises(InvalidName):
        parse_image(name)


def test_names_have_a_host_a_path_and_a_tag_or_digest() -> None:
    digest = f"sha256:{'0a' * 32}"

    assert ("gcr.io", "p/web", "latest", "") == _parts(parse_image("gcr.io/p/web"))
    assert ("localhost:5000", "p/team/web", "v1", "") == _parts(parse("localhost:5000/p/team/web:v1"))
    assert ("gcr.io", "example.com/p/web", "", digest) == _parts(parse(f"GCR.io/example.com/p/web:v1@{digest}"))
    assert ("[::1]:5000", "p", "", "") == _parts(parse_repository("[::1]:5000/p"))
    for text in ("gcr.io/p/web:v1", f"gcr.io/p/web@{digest}", "gcr.io/p"):
        assert text == str(parse(text))


def _parts(name: object) -> tuple[str, ...]:
    return tuple(getattr(name, each) for each in ("host", "repository", "tag", "digest"))


def test_wrong_usage_is_told(place: ImagesPlace) -> None:
    place.owner.refused("images", "list-tags", "gcr.io/project/web", "--limit", "0", code=2)
    place.owner.refused("images", "add-tag", "gcr.io/project/web", code=2)
    assert "must say which tag" in place.owner.refused("images", "add-tag", "gcr.io/project/web", "gcr.io/project/web")


@pytest.mark.slow
def test_over_https_the_certificate_is_the_server_s_own_whatever_the_host_of_the_name(tmp_path: Path) -> None:
    """gcr.io is only said in the Host header: no certificate needs that name, and none of a stranger's is taken for the server's."""
    tls = tmp_path / "tls"
    made = Terminal(tmp_path / "home").run("tls", "self-signed", "--out", str(tls), "--host=localhost")
    assert 0 == made.returncode, made.stderr
    with serving_securely(tmp_path / "data", tls, env=WITH_ACCOUNTS) as server:
        installation = Installation(server)
        owned, url = installation.project(), f"https://localhost:{server.port}"
        with installation.client(installation.owner_token, Host="eu.gcr.io") as client:
            digest = push_image(client, f"{owned}/web").digest
        terminal = Terminal(tmp_path / "home")
        login = ("auth", "login", "--server", url, "--with-token", "--ca", str(tls / "ca.pem"))
        assert 0 == terminal.run(*login, given=f"{installation.owner_token}\n").returncode
        words = ("images", "describe", f"eu.gcr.io/{owned}/web:v1", "--format=value(image_summary.digest)")

        assert digest == terminal.said(*words).strip()
        assert "its authority with --ca FILE" in Terminal(tmp_path / "other").refused(*words, "--server", url)
