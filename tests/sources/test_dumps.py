"""Dumps of boorus and of pr0gramm, and DeepDanbooru's database."""

import json
from pathlib import Path

import pytest
from helpers_sources import MD5, OTHER, deepdanbooru, item, lines, read, tag, touch, write

from tagkin.errors import SourceError
from tagkin.sources import ImageRecord, open_source

DANBOORU = {
    "id": 1,
    "created_at": "2024-05-01T10:00:00.000-04:00",
    "md5": MD5,
    "rating": "s",
    "image_width": 800,
    "image_height": 600,
    "file_ext": "jpg",
    "tag_string": "1girl hatsune_miku some_artist :3 vocaloid commentary",
    "tag_count": 6,
    "tag_string_general": "1girl :3",
    "tag_string_character": "hatsune_miku",
    "tag_string_copyright": "vocaloid",
    "tag_string_artist": "some_artist",
    "tag_string_meta": "commentary",
}
DANBOORU_TAGS = (
    "1girl",
    ":3",
    "character:hatsune_miku",
    "copyright:vocaloid",
    "artist:some_artist",
    "meta:commentary",
    "rating:s",
)


def test_danbooru_lines(tmp_path: Path) -> None:
    touch(tmp_path, f"{MD5}.jpg", f"{OTHER[:2]}/{OTHER}.png", f"b/{OTHER}.gif")
    dump = lines(
        tmp_path / "posts.jsonl",
        DANBOORU,
        {"id": 2, "md5": OTHER, "file_ext": "png", "tag_string": "a b", "rating": None},
        {**DANBOORU, "file_ext": "mp4"},
        {**DANBOORU, "file_ext": "zip"},
        {**DANBOORU, "md5": "f" * 32},
        {"id": 5, "file_ext": "jpg", "tag_string": "hidden", "rating": "e"},
    )
    source = open_source(dump)
    assert (source.name, len(list(source.count()))) == ("booru", 6)
    tags, problems, skipped = read(dump)
    assert tags == {f"{MD5}.jpg": DANBOORU_TAGS, f"{OTHER}.png": ("a", "b")}
    assert problems == []
    assert skipped == {
        "video or Flash": 2,
        "image not in the folder": 1,
        "post without MD5": 1,
    }


def test_danbooru_as_dumped_until_2021(tmp_path: Path) -> None:
    touch(tmp_path / "original", "0263/1263.jpg")
    post = {
        "id": "1263",
        "md5": MD5,
        "file_ext": "jpg",
        "rating": "q",
        "tags": [
            {"id": "1", "name": "solo", "category": "0"},
            {"id": "2", "name": "miku", "category": "4"},
        ],
    }
    tags, _, _ = read(lines(tmp_path / "2020000000000.json", post, post))
    assert tags == {"1263.jpg": ("solo", "character:miku", "rating:q")}


def test_e621_answers_in_one_document(tmp_path: Path) -> None:
    post = {
        "id": 3,
        "file": {"width": 8, "height": 8, "ext": "png", "size": 9, "md5": MD5, "url": None},
        "tags": {"general": ["solo"], "species": ["canine"], "lore": [], "invalid": ["x_y"]},
        "rating": "e",
        "flags": {"pending": False},
    }
    touch(tmp_path / "pictures", f"{MD5[:2]}/{MD5}.png")
    dump = write(tmp_path / "answer.json", json.dumps({"posts": [post]}, indent=1))
    tags, problems, _ = read(dump, images=tmp_path / "pictures")
    assert (tags, problems) == (
        {f"{MD5}.png": ("solo", "species:canine", "invalid:x_y", "rating:e")},
        [],
    )


@pytest.mark.parametrize("indent", [None, 2])
def test_gelbooru_answers(tmp_path: Path, indent: int | None) -> None:
    post = {
        "id": 5,
        "md5": MD5,
        "directory": "d3/4e",
        "image": f"{MD5}.jpeg",
        "rating": "general",
        "tags": "1girl long_hair",
        "file_url": f"https://img3.gelbooru.com/images/d3/4e/{MD5}.jpeg",
    }
    touch(tmp_path, f"d3/4e/{MD5}.jpeg")
    answer = {"@attributes": {"limit": 100, "offset": 0, "count": 1}, "post": [post]}
    for document in (answer, [post]):
        dump = write(tmp_path / "a.json", json.dumps(document, indent=indent))
        tags, problems, _ = read(dump)
        assert (tags, problems) == ({f"{MD5}.jpeg": ("1girl", "long_hair", "rating:general")}, [])


def test_a_folder_of_dumps(tmp_path: Path) -> None:
    touch(tmp_path / "images", f"{MD5}.jpg", f"{OTHER}.jpg")
    for name, md5 in (("a.json", MD5), ("b.jsonl", OTHER)):
        lines(tmp_path / name, {**DANBOORU, "md5": md5})
    assert len(read(tmp_path)[0]) == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"md5": "../../etc/passwd"}, "not an MD5"),
        ({"file_ext": "../x"}, "not the extension"),
        ({"tag_string_general": 5}, "its tags are no text"),
        ({"tags": [1]}, "something else than text"),
    ],
)
def test_bad_posts_are_told(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    touch(tmp_path, f"{MD5}.jpg")
    tags, problems, _ = read(lines(tmp_path / "a.jsonl", {**DANBOORU, **change}, DANBOORU))
    assert tags == {f"{MD5}.jpg": DANBOORU_TAGS}
    assert len(problems) == 1
    assert reason in problems[0]
    assert problems[0].startswith("line 1")


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret", "x")
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump" / f"{MD5}.jpg").symlink_to(secret)
    dump = lines(tmp_path / "dump" / "a.jsonl", DANBOORU)
    assert "--allow-outside" in read(dump)[1][0]
    assert len(read(dump, allow_outside=True)[0]) == 1


def test_damage_in_a_dump_is_told_where_it_is(tmp_path: Path) -> None:
    touch(tmp_path, f"{MD5}.jpg")
    good = json.dumps(DANBOORU).encode()
    bad = [b"{", b"[]", b'{"a": "\xff"}', b"[" * 100_000]
    dump = write(tmp_path / "a.jsonl", b"\n".join([good, *bad, good]))
    tags, problems, _ = read(dump)
    assert len(tags) == 1
    assert [problem.split(":")[0] for problem in problems] == [f"line {n}" for n in (2, 3, 4, 5)]
    dump = write(tmp_path / "b.json", b"[\n" + good + b",\n" + good[:50])
    tags, problems, _ = read(dump)
    assert len(tags) == 1
    assert problems[0].startswith("after item 1: the rest can't be read")


def test_deepdanbooru(tmp_path: Path) -> None:
    touch(tmp_path, f"images/{MD5[:2]}/{MD5}.jpg")
    path = deepdanbooru(
        tmp_path / "my set.sqlite",
        (1, MD5, "jpg", '1girl it\'s_"quoted" 1girl', 2),
        (2, OTHER, "jpg", "gone", 1),
        (3, OTHER, "webm", "film", 1),
        (4, None, "jpg", "x", 1),
        (5, "short", "jpg", "x", 1),
    )
    before = path.read_bytes()
    tags, problems, skipped = read(path)
    assert tags == {f"{MD5}.jpg": ("1girl", 'it\'s_"quoted"')}
    assert skipped == {"image not in the folder": 1, "video or Flash": 1}
    assert [problem.split(":")[0] for problem in problems] == ["row 4", "row 5"]
    assert len(list(open_source(path).count())) == 5
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images", "my set.sqlite"]


def test_a_database_of_something_else(tmp_path: Path) -> None:
    import sqlite3

    for name, statement, words in (
        ("a.db", "CREATE TABLE tags (id)", "no table 'posts'; its tables are: tags"),
        ("b.db", "CREATE TABLE posts (id, md5)", "lacks the column 'file_ext'"),
    ):
        with sqlite3.connect(tmp_path / name) as database:
            database.execute(statement)
        database.close()
        with pytest.raises(SourceError, match=words):
            open_source(tmp_path / name)
    write(tmp_path / "c.db", b"SQLite format 3\0" + b"\xff" * 500)
    with pytest.raises(SourceError, match="can't be read as an SQLite database"):
        open_source(tmp_path / "c.db")


# pr0gramm


def test_pr0gramm_items_with_their_tags_inside(tmp_path: Path) -> None:
    touch(tmp_path, "2017/07/14/abc.jpg", "def.png", "9.gif")
    answer = {
        "atEnd": True,
        "items": [
            item(1, "2017/07/14/abc.jpg", 1, tags=[tag("kadse", 0.5), tag("süß", 1.0)]),
            item(2, "2017/07/14/def.png", 2 | 16, tags=[tag("repost", 0.25), tag("nie", 0)]),
            item(3, "2017/07/14/film.mp4", 1, tags=[]),
            item(9, "2017/07/14/ghi.gif", 9, tags=[]),
            item(5, "2017/07/14/gone.jpg", 1, tags=[]),
        ],
        "ts": 1,
    }
    tags, problems, skipped = read(write(tmp_path / "export.json", answer))
    assert tags == {
        "abc.jpg": {"kadse": 0.5, "süß": 1.0, "flag:sfw": 1.0},
        "def.png": {"repost": 0.25, "nie": 0.0, "flag:nsfw": 1.0, "flag:16": 1.0},
        "9.gif": ("flag:sfw", "flag:nsfp"),
    }
    assert (problems, skipped) == ([], {"video or Flash": 1, "image not in the folder": 1})


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        ("sfw", ["a.jpg", "c.jpg"]),
        ("nsfp", ["c.jpg"]),
        ("NSFW, 16", ["b.jpg", "d.jpg"]),
        ("4", []),
    ],
)
def test_flags_choose_the_items(tmp_path: Path, flags: str, names: list[str]) -> None:
    numbers = {"a.jpg": 1, "b.jpg": 2, "c.jpg": 9, "d.jpg": 16}
    touch(tmp_path, *numbers)
    items = [item(n, name, flag, tags=[]) for n, (name, flag) in enumerate(numbers.items())]
    tags, _, skipped = read(lines(tmp_path / "a.jsonl", *items), flags=flags)
    assert sorted(tags) == names
    assert skipped.get("other flags", 0) == 4 - len(names)


def test_pr0gramm_answers_apart_from_each_other(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    items = [item(11, "a.jpg"), item(22, "b.jpg"), item(33, "c.jpg")]
    write(tmp_path / "items_1.json", {"items": items, "error": None})
    write(tmp_path / "info_11.json", {"tags": [tag("x", 0.5)], "comments": [], "ts": 1})
    lines(tmp_path / "infos.jsonl", {"itemId": 22, "tags": [tag("y", 1)], "comments": []})
    tags, problems, _ = read(tmp_path, format="pr0gramm")
    assert tags == {
        "a.jpg": {"x": 0.5, "flag:sfw": 1.0},
        "b.jpg": ("y", "flag:sfw"),
        "c.jpg": ("flag:sfw",),
    }
    assert problems == []
    assert open_source(tmp_path).name == "pr0gramm"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (item(1, "../../etc/passwd", tags=[]), "--allow-outside"),
        (item(1, "a\0.jpg", tags=[]), "NUL"),
        (item(1, "a.jpg", tags=[tag("x", 1.5)]), "not from 0 to 1"),
        (item(1, "a.jpg", tags=["x"]), "something else than tags"),
        ({**item(1, "a.jpg", tags=[]), "flags": "sfw"}, "flags are no number"),
        ({"tags": [tag("x", 1)]}, "nobody knows which item"),
        ({"id": 5}, "neither an item"),
    ],
)
def test_bad_items_are_told(tmp_path: Path, entry: dict[str, object], reason: str) -> None:
    touch(tmp_path, "a.jpg", "good.jpg")
    dump = lines(tmp_path / "a.jsonl", item(2, "good.jpg", tags=[]), entry)
    tags, problems, _ = read(dump)
    assert list(tags) == ["good.jpg"]
    assert len(problems) == 1
    assert reason in problems[0]


@pytest.mark.parametrize("flags", ["sfw,porn", "", "0", "-1"])
def test_unknown_flags_are_refused(tmp_path: Path, flags: str) -> None:
    dump = lines(tmp_path / "a.jsonl", item(1, "a.jpg", tags=[]))
    with pytest.raises(SourceError, match="no flag of pr0gramm"):
        open_source(dump, flags=flags)


def test_records_have_as_many_weights_as_tags(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    dump = lines(tmp_path / "a.jsonl", item(1, "a.jpg", 3, tags=[tag("x", 0.5)]))
    (record,) = open_source(dump)
    assert isinstance(record, ImageRecord)
    assert len(record.tags) == len(record.weights) == 3


def test_half_a_surrogate_pair_can_be_stored(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    dump = lines(tmp_path / "a.jsonl", item(1, "a.jpg", tags=[tag("\ud83d", 1), tag("😀", 1)]))
    assert read(dump)[0] == {"a.jpg": ("\ufffd", "😀", "flag:sfw")}
