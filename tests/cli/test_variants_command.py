"""Decisions from the command line, as an owner takes them."""

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import Demo, RunTagkin
from typer.testing import CliRunner

from tagkin.cli.main import app
from tagkin.variants import Proposals
from tagkin.variants.in_library import find_in_library
from tagkin.variants.stored import load_proposals, save_proposals
from tagkin.vocabulary import TagRules


class Owner:
    """Calls the commands on one library."""

    def __init__(self, demo: Demo, found: Proposals) -> None:
        self.demo = demo
        save_proposals(demo.library, found)
        self.group = {member: group for group in found.groups for member in group.members}
        self.safe = [group for group in found.groups if group.tier == "safe"]

    def run(self, *args: str | Path, code: int = 0) -> str:
        where = ["--library", str(self.demo.path)]
        done = CliRunner().invoke(app, ["variants", *where, *map(str, args)])
        assert done.exit_code == code, done.output
        assert "Traceback" not in done.output
        return done.output

    def json(self, *args: str | Path) -> Any:
        return json.loads(self.run("--json", *args))

    def names(self) -> set[str]:
        library = self.demo.library
        rules = TagRules.from_settings(self.demo.settings, library.decisions())
        return {tag for row in library.images() for tag in rules.resolve_all(row.tags)}


@pytest.fixture(scope="module")
def proposals(demo_library: Demo) -> Proposals:
    library, fingerprint = demo_library.library, demo_library.config.fingerprint
    return find_in_library(library, fingerprint, demo_library.settings)


@pytest.fixture
def owner(demo_copy: Demo, proposals: Proposals, monkeypatch: pytest.MonkeyPatch) -> Owner:
    monkeypatch.setenv("COLUMNS", "200")
    return Owner(demo_copy, proposals)


def test_the_search_keeps_its_proposals_and_says_how_to_go_on(
    demo_copy: Demo, run_tagkin: RunTagkin
) -> None:
    # Others may have searched the library that this is a copy of.
    (demo_copy.path / "proposals.json").unlink(missing_ok=True)
    before = {path.name for path in demo_copy.path.iterdir()}
    done = run_tagkin("variants", "--library", demo_copy.path, "--relations", "--json")
    assert done.returncode == 0, done.stderr
    kept = load_proposals(demo_copy.library)
    assert kept is not None
    printed = json.loads(done.stdout)
    assert printed.pop("content_check")["roc_auc"] > 0.8
    assert {**kept.to_dict(), "content_check": None} == {**printed, "content_check": None}
    assert {path.name for path in demo_copy.path.iterdir()} - before == {"proposals.json"}
    done = run_tagkin(
        *("variants", "--library", demo_copy.path, "--relations"), env={"COLUMNS": "200"}
    )
    for group in kept.groups:
        assert group.id in done.stdout
    assert "implies" in done.stdout
    (accept,) = [line for line in done.stdout.splitlines() if "accept --safe" in line]
    words = shlex.split(accept.split("  merges")[0])
    done = run_tagkin(*words[1:])
    assert "'flags' merged into 'flag'" in done.stdout
    assert not done.stderr


def test_what_is_accepted_is_seen_at_once_and_can_be_undone(owner: Owner) -> None:
    before = owner.names()
    told = owner.run("accept", "--safe")
    assert len(owner.safe) > 2
    assert owner.names() < before
    undo = shlex.split(next(line for line in told.splitlines() if line.startswith("to undo: ")))
    owner.run(*undo[undo.index("undo", 2) : undo.index("--library")])
    assert owner.names() == before


def test_every_kind_of_decision_is_listed(owner: Owner) -> None:
    owner.run("accept", "flags", "--canonical", "flags")
    owner.run("reject", owner.group["logo"].id)
    owner.run("reject", "bird", "tux")
    owner.run("imply", "tux", "linux")
    owner.run("related", "chess", "game")
    owner.run("merge", "penguin", "bird", "--canonical", "a, new\nname")
    owner.run("undo")
    listed = owner.json("list")["decisions"]
    kinds = ["merge", "reject", "reject", "imply", "related", "merge", "undo"]
    assert [one["kind"] for one in listed] == kinds
    assert [one["undone_by"] for one in listed] == [None] * 5 + [7, None]
    assert listed[0]["canonical"] == "flags"
    assert "plural" in listed[0]["evidence"]
    assert listed[1]["probability"] > 0.5
    text = owner.run("list")
    for words in ("'flag' merged into 'flags'", "'tux' implies 'linux'", "by 7", "a, new name"):
        assert words in text
    assert owner.run("undo", "1", "3-5").count("took back") == 4


def test_rejected_groups_are_gone_from_the_next_search(owner: Owner) -> None:
    owner.run("reject", "flags")
    owner.run("accept", owner.group["tools"].id)
    groups = owner.json()["groups"]
    members = {member for group in groups for member in group["members"]}
    assert members
    assert not members & {"flag", "flags", "tool", "tools"}


def test_a_library_may_be_named_before_or_behind_the_subcommand(
    owner: Owner, demo_copy: Demo
) -> None:
    words = ["variants", "imply", "tux", "linux", "--library", str(demo_copy.path), "--json"]
    done = CliRunner().invoke(app, words)
    assert json.loads(done.output)["decided"][0]["number"] == 1
    assert len(owner.json("list")["decisions"]) == 1


def test_tags_with_a_dash_in_front_go_behind_two_dashes(owner: Owner) -> None:
    done = owner.json("imply", "--", "tux", "--bird -> x")
    assert done["decided"][0]["tags"] == ["tux", "--bird -> x"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("accept", "name either groups or --safe"),
        ("accept flag --safe", "name either groups or --safe"),
        ("accept --safe --canonical flag", "not with --safe"),
        ("accept nothing", "no proposed group has the id or the tag 'nothing'"),
        ("accept flag --canonical bird", "choose a member"),
        ("reject nothing", "no proposed group"),
        ("reject brid tux", "did you mean 'bird'"),
        ("merge bird", "two different tags"),
        ("imply bird Bird", "one tag"),
        ("undo", "no decision to undo"),
        ("undo 3", "no decision number 3"),
        ("undo x", "no number of a decision"),
        ("undo 3-1", "the smaller number first"),
        ("undo 1-999999999", "names no decisions"),
        ("export out.csv --format xml", "choose from: csv"),
        ("export nowhere/out.csv", "can't write nowhere"),
        ("import absent.csv", "can't read absent.csv"),
        ("--method dbscan list", "belongs to the search"),
    ],
)
def test_a_mistake_is_one_clear_sentence(
    owner: Owner, words: str, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    told = owner.run(*words.split(), code=2)
    assert told.startswith("error: ")
    assert expected in told
    assert told.count("\n") == 1
    assert owner.demo.library.decisions() == []


def test_without_a_search_there_is_nothing_to_accept(owner: Owner) -> None:
    (owner.demo.path / "proposals.json").unlink()
    assert "run 'tagkin variants' first" in owner.run("accept", "flag", code=2)
    (owner.demo.path / "proposals.json").write_text("{}")
    assert "damaged" in owner.run("accept", "flag", code=2)


@pytest.mark.parametrize("form", ["csv", "danbooru", "hydrus", "hydrus-parents"])
def test_decisions_go_to_another_library_and_back(
    owner: Owner, form: str, tmp_path: Path, demo_library: Demo
) -> None:
    owner.run("accept", "--safe")
    owner.run("reject", "bird", "tux")
    owner.run("imply", "tux", "linux")
    file = tmp_path / "out.txt"
    written = owner.json("export", file, "--format", form)
    assert written["written"] + sum(written["left_out"].values()) == len(owner.safe) + 2
    assert "nothing new" in owner.run("import", file, "--format", form)
    other = tmp_path / "other"
    shutil.copytree(demo_library.path, other)
    there = ["variants", "import", str(file), "--format", form, "--library", str(other), "--json"]
    done = CliRunner().invoke(app, there)
    assert len(json.loads(done.output)["decided"]) == written["written"]
    assert "exists" in owner.run("export", file, code=2)
    owner.run("export", file, "--force")


def test_an_import_with_a_wrong_line_stores_nothing(owner: Owner, tmp_path: Path) -> None:
    file = tmp_path / "in.csv"
    file.write_text("kind,tag,canonical\nmerge,flags,flag\nmarry,a,b\n")
    told = owner.run("import", file, code=2)
    assert "in.csv: line 3: there is no kind 'marry'" in told
    file.write_bytes(b"alias,canonical\n\xff,b\n")
    assert "UTF-8" in owner.run("import", file, code=2)
    assert owner.demo.library.decisions() == []


def test_predictions_are_seen_through_the_decisions(owner: Owner, demo_images: list[Path]) -> None:
    def tags() -> list[str]:
        words = ["predict", str(demo_images[0]), "--library", str(owner.demo.path), "--json"]
        done = CliRunner().invoke(app, [*words, "--top", "200"])
        assert done.exit_code == 0, done.output
        return [tag["tag"] for tag in json.loads(done.output.splitlines()[-1])["tags"]]

    before = tags()
    assert {"icon", "icons", "bird"} <= set(before)
    owner.run("merge", "icon", "icons", "--canonical", "icon")
    owner.run("imply", "bird", "alive")
    after = tags()
    assert set(after) == set(before) - {"icons"} | {"alive"}
    assert len(set(after)) == len(after)
    assert after.index("alive") == after.index("bird") + 1
