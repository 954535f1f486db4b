"""Collections on an object store, and tables that name images elsewhere."""

import io
import json
import socket
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import Demo
from object_store import Bucket
from PIL import Image
from web_server import Site, serve_site

from tagkin import images, remote_files
from tagkin.checking.image_files import FileCheck
from tagkin.errors import ImageError, LibraryError, SourceError
from tagkin.images import ImageLimits
from tagkin.library import Library
from tagkin.preparing import prepare
from tagkin.records import ImageFile
from tagkin.remote_paths import as_path
from tagkin.settings import Settings, load_settings
from tagkin.sources import ImageRecord, SourceProblem, open_source
from tagkin.tagger import Tagger
from tagkin.web_files import WebRules
from tagkin.writers.image_tags import WriteOptions, open_writer
from tagkin.writers.tagged import TaggedImage

LIMITS = ImageLimits(10**6, 10**6, web=WebRules(5.0, ("127.0.0.1",)))


def picture(number: int) -> bytes:
    data = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def read(path: Path, **options: object) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """The tags of each image by its address, and the problems."""
    tags, problems = {}, []
    for item in open_source(path, **options):  # type: ignore[arg-type]
        if isinstance(item, ImageRecord):
            tags[str(item.path)] = item.tags
        elif isinstance(item, SourceProblem):
            problems.append(item.reason)
    return tags, problems


@pytest.fixture
def site() -> Iterator[Site]:
    with serve_site() as site:
        yield site


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"library": tmp_path / "library", "private_hosts": "127.0.0.1"})


def test_a_folder_on_a_store_is_walked(object_store: Bucket) -> None:
    for number in range(30):
        object_store.put(f"walk/cats/{number}.png", picture(number))
        object_store.put(f"walk/cats/{number}.txt", f"cat, number {number}".encode())
    object_store.put("walk/a b#%41é.jpg", picture(1))
    object_store.put("walk/.hidden/x.png", picture(2))
    object_store.put("walk/note.pdf", b"")
    tags, problems = read(as_path(object_store.address("walk/")), folder_tags=True)
    assert problems == []
    assert len(tags) == 31
    assert tags[object_store.address("walk/cats/7.png")] == ("cats", "cat", "number 7")
    assert tags[object_store.address("walk/a b#%41é.jpg")] == ()


def test_other_sidecars_and_tables_are_read_there_too(object_store: Bucket) -> None:
    object_store.put("hydrus/x.png", picture(3))
    object_store.put("hydrus/x.png.json", json.dumps({"tags": ["a", "b"]}).encode())
    assert read(as_path(object_store.address("hydrus")))[0] == {
        object_store.address("hydrus/x.png"): ("a", "b")
    }
    object_store.put("sets/train/x.png", picture(3))
    line = json.dumps({"file_name": "train/x.png", "tags": ["a"]})
    object_store.put("sets/metadata.jsonl", line.encode())
    assert read(as_path(object_store.address("sets")))[0] == {
        object_store.address("sets/train/x.png"): ("a",)
    }
    object_store.put("table/t.csv", b"file,tags\nimg/1.png,a;b\n../up.png,c\n")
    tags, problems = read(as_path(object_store.address("table/t.csv")))
    assert tags == {object_store.address("table/img/1.png"): ("a", "b")}
    assert "elsewhere" in problems[0]


def test_what_is_not_there_is_said(object_store: Bucket) -> None:
    for name in ("nothing", "nothing.csv"):
        with pytest.raises(SourceError, match="doesn't exist"):
            open_source(as_path(object_store.address(name)))
    with pytest.raises(SourceError, match=r"doesn't exist|refuses|can't be read"):
        open_source(as_path("s3://no-such-bucket/photos"))


def test_without_obstore_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(SourceError, match=r"pip install 'tagkin\[cloud\]'"):
        open_source(as_path("s3://pictures/x"))


def go_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leads the environment to where nothing listens; only for buckets not asked before."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setitem(remote_files._RETRY, "max_retries", 2)


def test_a_store_that_is_down_is_said(
    object_store: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_away(monkeypatch)
    with pytest.raises(SourceError, match="s3://pictures-away can't be read"):
        open_source(as_path("s3://pictures-away/x"))


def test_predicting_does_not_try_each_image_of_a_store_that_is_down(
    object_store: Bucket, monkeypatch: pytest.MonkeyPatch, demo_library: Demo
) -> None:
    go_away(monkeypatch)
    tagger, settings = Tagger.load(demo_library.tagger), demo_library.settings
    paths = [as_path(f"s3://pictures-gone/{number}.png") for number in range(30)]
    with pytest.raises(LibraryError, match=r"10 files in a row.*s3://pictures-gone.*nothing answ"):
        list(tagger.predict(paths, settings))
    few = [as_path("s3://pictures-gone/x.png"), demo_library.library.images()[0].paths[0]]
    lost, found = tagger.predict(few, settings)
    assert "nothing answers" in (lost.error or "")
    assert found.error is None


def test_a_table_names_addresses_only_if_it_may(object_store: Bucket, tmp_path: Path) -> None:
    names = [object_store.address("a.png"), "https://example.org/b.jpg?size=1", "gs://b-b/c.png"]
    table = tmp_path / "t.csv"
    table.write_text("file,tags\n" + "".join(f"{name},x\n" for name in names))
    tags, problems = read(table)
    assert tags == {}
    assert len(problems) == 3
    assert all("--allow-remote" in problem for problem in problems)
    assert list(read(table, allow_remote=True)[0]) == names
    dump = tmp_path / "posts.json"
    post = {"id": 1, "md5": "0" * 32, "file_ext": "jpg", "tag_string": "x", "file_url": names[1]}
    dump.write_text(json.dumps([post]))
    assert read(dump)[0] == {}
    assert list(read(dump, allow_remote=True)[0]) == [names[1]]
    # The owner has named the folder, so what is below it needs no leave.
    folder = as_path("https://img.example.org/pictures")
    tags, problems = read(table, images=folder)
    assert len(problems) == 3
    item = {"id": 5, "image": "2024/a.jpg", "promoted": 0, "flags": 1, "up": 3, "tags": []}
    dump.write_text(json.dumps(item))
    assert list(read(dump, images=folder)[0]) == ["https://img.example.org/pictures/2024/a.jpg"]


def test_shards_on_a_store_are_read_in_place(object_store: Bucket) -> None:
    for shard in range(2):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for number in range(3):
                for name, data in (("png", picture(10 * shard + number)), ("txt", b"a, b")):
                    member = tarfile.TarInfo(f"{number}.{name}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
        object_store.put(f"shards/{shard:03d}.tar", packed.getvalue())
    for where in ("shards", "shards/{000..001}.tar"):
        tags, problems = read(as_path(object_store.address(where)))
        assert problems == []
        assert len(tags) == 6
        assert set(tags.values()) == {("a", "b")}
        last = as_path(list(tags)[-1])
        assert str(last) == object_store.address("shards/001.tar!/2.png")
    data = images.read_bytes(last, LIMITS)
    assert data == picture(12)
    assert images.status(last, LIMITS)[0] == len(data)
    with pytest.raises(ImageError, match="no such file in the archive"):
        images.read_bytes(last.parent / "none.png", LIMITS)
    broken = object_store.put("broken/000.tar", packed.getvalue()[:1000])
    assert read(as_path(broken))[1] != []


def test_prepare_reads_again_only_what_changed(
    object_store: Bucket, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        object_store.put(f"again/{number}.png", picture(number))
    source = open_source(as_path(object_store.address("again")))
    library = Library.create_or_open(settings.library)
    report = prepare(library, source, settings)
    assert (report.files, report.problems) == (20, ())
    rows = library.images()
    addresses = {str(path) for row in rows for path in row.paths}
    assert addresses == {object_store.address(f"again/{number}.png") for number in range(20)}

    read_addresses: Counter[str] = Counter()
    plain = images.read_dated

    def counted(path: Path, limits: ImageLimits) -> tuple[bytes, int | None]:
        read_addresses[str(path)] += 1
        return plain(path, limits)

    monkeypatch.setattr(images, "read_dated", counted)
    object_store.put("again/3.png", picture(99))
    object_store.delete("again/4.png")
    report = prepare(library, open_source(as_path(object_store.address("again"))), settings)
    assert list(read_addresses) == [object_store.address("again/3.png")]
    assert (report.changes.updated, report.changes.missing) == (1, 1)


def test_every_image_that_a_web_server_withholds_is_a_problem(
    site: Site, settings: Settings, tmp_path: Path
) -> None:
    for number in range(8):
        site.files[f"/{number}.png"] = picture(number)
    site.files["/page.png"] = b"<!DOCTYPE html><html>log in</html>"
    site.files["/large.png"] = bytes(2000)
    names = [*(f"{number}.png" for number in range(8)), "none.png", "page.png", "large.png"]
    table = tmp_path / "t.csv"
    rows = "".join(f"{site.address}/{name},x\n" for name in names)
    table.write_text(f"file,tags\n{rows}http://10.0.0.1/x.png,x\n")
    settings = settings.model_copy(update={"max_image_bytes": 1999})
    library = Library.create_or_open(settings.library)
    report = prepare(library, open_source(table, allow_remote=True), settings)
    assert report.files == 8
    said = {problem.path.name: problem.reason for problem in report.problems}
    assert said["none.png"] == "can't be read: the server answers 404 Not Found"
    assert "begins like HTML" in said["page.png"]
    assert "max_image_bytes" in said["large.png"]
    assert "private_hosts" in said["x.png"]
    assert str(report.problems[0].path).startswith("http://")
    prepare(library, open_source(table, allow_remote=True), settings)
    assert site.asked["GET /1.png"] == 1
    assert site.asked["HEAD /1.png"] == 1


def test_files_elsewhere_are_checked(object_store: Bucket, site: Site) -> None:
    site.files["/a.png"] = b"x"
    here = as_path(object_store.put("check/a.png", b"x"))
    files = []
    for path in (here, as_path(f"{site.address}/a.png")):
        size, changed = images.status(path, LIMITS)
        files.append(("0" * 32, ImageFile(path, (), size, changed)))
    gone = as_path(object_store.address("check/b.png"))
    files.append(("0" * 32, ImageFile(gone, (), 1, 1)))
    found = FileCheck(LIMITS, content=False).look(files)
    assert list(found.values()) == ["same", "same", "gone"]


@pytest.mark.parametrize("name", ["txt", "xmp", "hydrus"])
def test_nothing_is_written_beside_an_image_elsewhere(name: str) -> None:
    image = TaggedImage(as_path("s3://pictures/a.png"), {"x": 1.0})
    with open_writer(name, WriteOptions()) as writer:
        change = writer.write(image)
    assert change.kind == "failed"
    assert "--to csv" in (change.problem or "")
