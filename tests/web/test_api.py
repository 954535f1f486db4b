"""What programs get from the REST interface."""

import csv
import io
import time
from pathlib import Path

import pytest
from conftest import Demo
from helpers_web import API, Browser, browser_of, copy_demo, upload
from PIL import Image

from tagkin.library import Library
from tagkin.variants.in_library import find_in_library
from tagkin.variants.stored import save_proposals
from tagkin.vocabulary import TagRules


@pytest.fixture(scope="module")
def reader(demo_library: Demo, tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """Of a library that nobody changes, and in which nothing was proposed."""
    return browser_of(without_proposals(demo_library, tmp_path_factory.mktemp("reader")))


def without_proposals(demo: Demo, to: Path) -> Demo:
    """Copies the demo's library without what another test may have proposed in it."""
    copied = copy_demo(demo, to)
    (copied.path / "proposals.json").unlink(missing_ok=True)
    return copied


@pytest.fixture(scope="module")
def proposed(demo_library: Demo, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    demo = copy_demo(demo_library, tmp_path_factory.mktemp("proposed"))
    found = find_in_library(demo.library, demo.config.fingerprint, demo.settings)
    save_proposals(demo.library, found)
    return demo


@pytest.fixture
def writer(proposed: Demo, tmp_path: Path) -> Browser:
    """Of a library with proposals, which the test may change."""
    return browser_of(copy_demo(proposed, tmp_path))


def first_image(browser: Browser, q: str = "") -> str:
    return str(browser.get("/images", q=q, limit=1)["images"][0]["id"])


def test_pages_of_images_hold_each_image_once(reader: Browser, demo_library: Demo) -> None:
    for sort in ("newest", "id"):
        seen: list[str] = []
        cursor = None
        while True:
            page = reader.get("/images", sort=sort, limit=200, cursor=cursor or "")
            seen += [image["id"] for image in page["images"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert len(seen) == len(set(seen)) == page["total"] == len(demo_library.library.images())
        if sort == "id":
            assert seen == sorted(seen)


def test_a_query_chooses_what_the_rules_see(reader: Browser, demo_library: Demo) -> None:
    rules = TagRules.from_settings(demo_library.settings)
    carried = {row.id: rules.wanted(row.tags) for row in demo_library.library.images()}
    page = reader.get("/images", q="Animal -bird", limit=200)
    expected = {image for image, tags in carried.items() if "animal" in tags and "bird" not in tags}
    assert {image["id"] for image in page["images"]} == expected
    assert page["total"] == len(expected)
    for image in page["images"]:
        assert sorted(image["tags"]) == sorted(carried[image["id"]])


def test_an_image_comes_with_tags_files_and_predictions(
    reader: Browser, demo_library: Demo
) -> None:
    image = first_image(reader, "bird")
    found = reader.get(f"/images/{image}")
    row = next(row for row in demo_library.library.images() if row.id == image)
    assert [file["name"] for file in found["files"]] == [path.name for path in row.paths]
    assert "bird" in [tag["tag"] for tag in found["tags"]]
    bird = next(tag for tag in found["tags"] if tag["tag"] == "bird")
    assert 0 <= bird["score"] <= 1 and 0 < bird["threshold"] < 1 and bird["count"] > 1
    above = [tag["score"] >= tag["threshold"] for tag in found["predicted"]]
    assert above == sorted(above, reverse=True)  # those at their threshold first
    for tag in found["predicted"]:
        assert tag["present"] == (tag["tag"] in found["image"]["tags"])


def test_similar_by_image_tag_and_several_images(reader: Browser) -> None:
    image, other = (one["id"] for one in reader.get("/images", q="bird", limit=2)["images"])
    near = reader.get("/similar", id=image, limit=5)
    scores = [one["score"] for one in near["images"]]
    assert image not in [one["id"] for one in near["images"]] and len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    following = reader.get("/similar", id=image, limit=5, cursor=near["next"])
    assert not {one["id"] for one in near["images"]} & {one["id"] for one in following["images"]}
    assert following["images"][0]["score"] <= scores[-1]
    assert len(reader.get("/similar", id=[image, other], limit=3)["images"]) == 3
    assert near["query"] == reader.get("/similar", id=[image, image], limit=1)["query"]
    assert near["query"] == reader.get(f"/images/{image}")["image"]["name"]
    by_tag = reader.get("/similar", tag="Bird", limit=5)
    assert by_tag["query"] == "bird" and by_tag["nearest_tags"]
    learned = reader.get("/similar", tag="bird", use="learned", limit=5)
    assert learned["images"] != by_tag["images"]
    only = reader.get("/similar", tag="bird", q="animal", limit=20)["images"]
    assert only and all("animal" in one["tags"] for one in only)


def test_search_by_upload_can_be_paged_and_filtered(
    reader: Browser, demo_images: list[Path]
) -> None:
    data = demo_images[0].read_bytes()
    answer = reader.post("/similar", files={"file": ("a/b.webp", data)}, data={"limit": "3"})
    assert answer["query"] == "b.webp" and len(answer["images"]) == 3
    assert answer["images"][0]["score"] == pytest.approx(1, abs=1e-3)
    key = answer["upload"]
    following = reader.get("/similar", upload=key, limit=3, cursor=answer["next"])
    assert following["images"][0]["score"] <= answer["images"][-1]["score"]
    filtered = reader.get("/similar", upload=key, q="bird", limit=5)["images"]
    assert filtered and all("bird" in one["tags"] for one in filtered)
    small = reader.client.get(f"{API}/uploads/{key}/thumbnail")
    assert Image.open(io.BytesIO(small.content)).format == "WEBP"
    reader.refused(404, "not_found", "GET", "/similar?upload=unknown")


def test_predict_names_the_tags_that_the_command_names(
    reader: Browser, demo_library: Demo, demo_images: list[Path]
) -> None:
    from tagkin.tagger import Tagger

    file = demo_images[3]
    answer = reader.post("/predict", files={"file": (file.name, file.read_bytes())})
    [expected] = Tagger.load(demo_library.tagger).predict([file], demo_library.settings)
    assert [tag["tag"] for tag in answer["tags"]] == [tag.tag for tag in expected.tags]
    top = reader.post("/predict", files={"file": (file.name, file.read_bytes())}, data={"top": "7"})
    assert len(top["tags"]) == 7


def test_the_vocabulary_can_be_sorted_searched_and_looked_up(reader: Browser) -> None:
    page = reader.get("/tags", limit=200)
    counts = [tag["count"] for tag in page["tags"]]
    assert counts == sorted(counts, reverse=True)
    names = [tag["tag"] for tag in reader.get("/tags", sort="name", limit=200)["tags"]]
    assert names == sorted(names)
    scores = [tag["scores"] for tag in reader.get("/tags", sort="score", limit=50)["tags"]]
    f1 = [one["f1"] for one in scores if one and one["f1"] is not None]
    assert f1 == sorted(f1) and f1
    assert all(tag["tag"].startswith("bi") for tag in reader.get("/tags", prefix="bi")["tags"])
    assert all("ir" in tag["tag"] for tag in reader.get("/tags", contains="ir")["tags"])
    assert [tag["tag"] for tag in reader.get("/tags", name="bird")["tags"]] == ["bird"]
    detail = reader.get("/tags/BIRD", samples=3)
    assert detail["entry"]["tag"] == "bird" and len(detail["images"]) == 3
    assert "bird" in [tag["tag"] for tag in reader.get("/complete", prefix="bi")]
    reader.refused(404, "unknown_tag", "GET", "/tags/brid")


def test_status_tells_what_there_is(reader: Browser, demo_library: Demo) -> None:
    found = reader.get("/status")
    library = demo_library.library
    assert found["images"] == len(library.images())
    [backbone] = found["backbones"]
    assert backbone["name"] == "efficientnet-lite0" and backbone["active"]
    assert backbone["vectors"] == found["images"]
    [tagger] = found["taggers"]
    assert tagger["active"] and {one["split"] for one in tagger["scores"]} >= {"validation"}
    assert found["problem_count"] == len(library.problems())
    assert "run 'tagkin variants'" in " ".join(found["notes"])


def test_near_duplicates_are_listed_by_group(reader: Browser, demo_library: Demo) -> None:
    page = reader.get("/duplicates", limit=200)
    groups: dict[str | None, int] = {}
    for row in demo_library.library.images():
        groups[row.group] = groups.get(row.group, 0) + 1
    sizes = sorted((size for size in groups.values() if size > 1), reverse=True)
    assert [group["size"] for group in page["groups"]] == sizes[:200]
    assert page["total"] == len(sizes)
    first = page["groups"][0]["images"]
    detail = reader.get(f"/images/{first[0]['id']}")
    assert {one["id"] for one in detail["duplicates"]} == {one["id"] for one in first[1:]}


def test_a_tag_added_is_found_at_once_and_gone_after_undo(writer: Browser) -> None:
    image = first_image(writer, "bird")
    made = writer.post(f"/images/{image}/tags", json={"add": ["  Quite  New "], "remove": ["BIRD"]})
    assert {(edit["kind"], edit["tag"]) for edit in made["edits"]} >= {("add", "Quite New")}
    assert "quite new" in made["tags"] and "bird" not in made["tags"]
    detail = writer.get(f"/images/{image}")
    new = next(tag for tag in detail["tags"] if tag["tag"] == "quite new")
    assert new["added"] and [edit["tag"] for edit in detail["removed"]]
    assert writer.get("/images", q='"quite new"')["total"] == 1
    near = writer.get("/similar", tag="quite new", limit=1)["images"][0]
    assert near["id"] == image and sorted(near["tags"]) == sorted(made["tags"])
    for edit in made["edits"]:
        writer.post(f"/edits/{edit['number']}/undo")
    assert "bird" in writer.get(f"/images/{image}")["image"]["tags"]
    writer.refused(404, "unknown_tag", "GET", "/images?q=quite_new")
    first = made["edits"][0]["number"]
    assert "was undone by" in writer.refused(409, "conflict", "POST", f"/edits/{first}/undo")
    writer.refused(404, "not_found", "POST", "/edits/999/undo")


def test_edits_that_change_nothing_or_make_no_sense(writer: Browser) -> None:
    image = first_image(writer, "bird")
    path = f"/images/{image}/tags"
    again = writer.post(path, json={"add": ["Bird"], "remove": ["never there"]})
    assert not again["edits"] and len(again["skipped"]) == 2
    writer.refused(400, "bad_request", "POST", path, json={})
    writer.refused(400, "bad_request", "POST", path, json={"add": ["  "]})
    writer.refused(400, "bad_request", "POST", path, json={"add": ["x" * 11_000]})
    writer.refused(422, "invalid", "POST", path, json={"add": "bird"})
    writer.refused(422, "invalid", "POST", path, json={"add": ["a"], "what": 1})
    writer.refused(404, "not_found", "POST", f"/images/{'0' * 32}/tags", json={"add": ["a"]})


def test_a_tag_that_only_follows_from_another_cannot_be_taken_off(writer: Browser) -> None:
    writer.post("/decisions", json={"kind": "imply", "tags": ["bird", "creature"]})
    image = first_image(writer, "bird")
    [implied] = [t for t in writer.get(f"/images/{image}")["tags"] if t["tag"] == "creature"]
    assert implied["implied_by"] == ["bird"] and not implied["raw"]
    told = writer.refused(
        409, "conflict", "POST", f"/images/{image}/tags", json={"remove": ["creature"]}
    )
    assert "'bird'" in told


def test_a_merge_is_reviewed_taken_and_taken_back(writer: Browser) -> None:
    queue = writer.get("/variants", limit=200)
    chances = [one["probability"] for one in queue["proposals"]]
    assert chances == sorted(chances, reverse=True) and queue["open"] == len(chances)
    chosen = next(
        one
        for one in queue["proposals"]
        if {"vegetable", "vegitable"} == {t["tag"] for t in one["tags"]}
    )
    sides = {side["tag"]: side for side in chosen["tags"]}
    for tag, side in sides.items():
        assert side["images"] and all(tag in image["tags"] for image in side["images"])
        assert side["count"] == writer.get("/tags", name=tag)["tags"][0]["count"]
    assert chosen["evidence"][0]["text"].startswith("spelled alike")
    assert "'vegitable'" in chosen["change"]
    before = writer.get("/images", q="vegetable")["total"]
    made = writer.post("/decisions", json={"kind": "merge", "tags": ["vegetable", "vegitable"]})
    [decision] = made["decisions"]
    assert decision["canonical"] == "vegetable" and decision["in_force"]
    assert writer.get("/images", q="vegitable")["total"] == before + chosen["images"]
    decided = writer.get("/variants", state="decided")
    assert [one["id"] for one in decided["proposals"]] == [chosen["id"]]
    assert decided["proposals"][0]["decisions"][0]["number"] == decision["number"]
    assert writer.get("/variants")["open"] == queue["open"] - 1
    told = writer.refused(
        409,
        "conflict",
        "POST",
        "/decisions",
        json={"kind": "reject", "tags": ["vegetable", "vegitable"]},
    )
    assert "merged into one tag" in told
    writer.post("/decisions/undo")
    assert writer.get("/variants")["open"] == queue["open"]
    assert writer.get("/images", q="vegetable")["total"] == before
    listed = writer.get("/decisions")
    assert [one["kind"] for one in listed["decisions"]] == ["undo", "merge"]
    assert not listed["decisions"][1]["in_force"]


def test_every_kind_of_decision_settles_a_proposal(writer: Browser) -> None:
    queue = writer.get("/variants", limit=10, samples=0)["proposals"]
    pairs = [one for one in queue if len(one["tags"]) == 2]
    for kind, proposal in zip(("reject", "imply", "related"), pairs, strict=False):
        tags = [side["tag"] for side in proposal["tags"]]
        writer.post("/decisions", json={"kind": kind, "tags": tags})
        assert writer.get(f"/variants/{proposal['id']}")["state"] == "decided"
        again = writer.post("/decisions", json={"kind": kind, "tags": tags})
        assert again["skipped"] and not again["decisions"]
    swapped = pairs[3]
    other = next(s["tag"] for s in swapped["tags"] if s["tag"] != swapped["canonical"])
    tags = [side["tag"] for side in swapped["tags"]]
    made = writer.post("/decisions", json={"kind": "merge", "tags": tags, "canonical": other})
    assert made["decisions"][0]["canonical"] == other
    writer.refused(404, "not_found", "GET", "/variants/0000000000")


def test_decisions_that_make_no_sense(writer: Browser) -> None:
    for tags in (["bird"], ["bird", "animal", "car"]):
        writer.refused(
            400, "bad_request", "POST", "/decisions", json={"kind": "imply", "tags": tags}
        )
    writer.refused(
        404, "unknown_tag", "POST", "/decisions", json={"kind": "merge", "tags": ["bird", "brid"]}
    )
    writer.refused(409, "conflict", "POST", "/decisions", json={"kind": "reject", "tags": ["bird"]})
    writer.refused(409, "conflict", "POST", "/decisions/undo")
    writer.refused(404, "not_found", "POST", "/decisions/7/undo")
    writer.refused(422, "invalid", "POST", "/decisions", json={"kind": "undo", "tags": ["bird"]})


def test_suspects_are_worked_out_and_go_when_edited(writer: Browser) -> None:
    deadline = time.monotonic() + 30
    while (page := writer.get("/suspects", limit=200))["state"] == "working":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    margins = [one["margin"] for one in page["suspects"]]
    assert margins == sorted(margins, reverse=True) and margins[-1] > 0
    for one in page["suspects"]:
        assert one["tag"] not in one["image"]["tags"] and one["score"] >= one["threshold"]
    wrong = writer.get("/suspects", kind="wrong", limit=200)["suspects"]
    assert wrong and all(one["tag"] in one["image"]["tags"] and one["margin"] < 0 for one in wrong)
    first = page["suspects"][0]
    writer.post(f"/images/{first['image']['id']}/tags", json={"add": [first["tag"]]})
    after = writer.get("/suspects", limit=200)
    assert after["total"] == page["total"] - 1
    assert after["suspects"][0] != first
    tag = page["tags"][0]
    assert {one["tag"] for one in writer.get("/suspects", tag=tag)["suspects"]} == {tag}


def test_decisions_edits_and_tags_can_be_taken_elsewhere(writer: Browser) -> None:
    image = first_image(writer, "bird")
    writer.post(f"/images/{image}/tags", json={"add": ["new, with comma"]})
    writer.post("/decisions", json={"kind": "merge", "tags": ["vegetable", "vegitable"]})

    def exported(path: str) -> str:
        answer = writer.client.get(f"{API}/export/{path}")
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].startswith("attachment")
        return answer.text

    assert "alias vegitable -> vegetable" in exported("decisions?format=danbooru")
    rows = list(csv.DictReader(io.StringIO(exported("edits"))))
    assert [(row["image"], row["tag"]) for row in rows] == [(image, "new, with comma")]
    tags = {row["tag"] for row in csv.DictReader(io.StringIO(exported("tags")))}
    assert tags >= {"bird", "new, with comma"}
    [entry] = writer.get("/export/tags", format="json")
    assert set(entry["tags"]) == tags
    writer.refused(400, "bad_request", "GET", "/export/edits?format=danbooru")


def test_what_another_process_does_is_seen(writer: Browser, tmp_path: Path) -> None:
    library = Library.open(tmp_path / "library")
    library.decide("merge", ["bird", "animal"], canonical="animal")
    time.sleep(0.3)
    assert writer.get("/decisions")["total"] == 1
    deadline = time.monotonic() + 20
    while writer.get("/tags", name="bird")["total"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_library_that_is_only_prepared_can_be_looked_at(
    demo_library: Demo, tmp_path: Path
) -> None:
    demo = without_proposals(demo_library, tmp_path)
    for path in demo.path.iterdir():
        if path.name.startswith("vectors-"):
            path.rename(tmp_path / "elsewhere")
    (demo.path / "taggers").rename(tmp_path / "taggers")
    Library.open(demo.path).update_state(active_backbone=None)
    browser = browser_of(demo)
    image = first_image(browser)
    assert "tagkin embed" in browser.refused(503, "not_ready", "GET", f"/similar?id={image}")
    assert "tagkin train" in browser.refused(503, "not_ready", "POST", "/predict", files=upload())
    assert browser.get("/suspects")["state"] == "unavailable"
    assert browser.get(f"/images/{image}")["predicted_note"]
    assert browser.get("/variants")["note"]
    assert any("tagkin embed" in note for note in browser.get("/status")["notes"])
