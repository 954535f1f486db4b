"""CSV, TSV and Parquet tables of images and tags."""

import csv
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagkin.errors import SourceError, TagkinError
from tagkin.sources import ImageRecord, SourceProblem, open_source


def table(folder: Path, content: str | bytes, name: str = "tags.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def parquet(folder: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), folder / "tags.parquet")
    return folder / "tags.parquet"


def records(path: Path, **options: Any) -> dict[str, tuple[str, ...]]:
    """The tags of each file name; fails if there are problems."""
    found = {}
    for item in open_source(path, **options):
        assert isinstance(item, ImageRecord), item
        found[item.path.name] = item.tags
    return found


def problems(path: Path, **options: Any) -> list[str]:
    items = open_source(path, **options)
    return [item.reason for item in items if isinstance(item, SourceProblem)]


def test_rows_become_records_below_the_tables_folder(tmp_path: Path) -> None:
    source = open_source(table(tmp_path, "file,tags\nimages/a.jpg,cat| dog |\nb.jpg,\nb.jpg,sea\n"))
    assert list(source) == [
        ImageRecord(tmp_path / "images" / "a.jpg", ("cat", "dog")),
        ImageRecord(tmp_path / "b.jpg", ()),
        ImageRecord(tmp_path / "b.jpg", ("sea",)),
    ]
    assert list(source) == list(source)
    assert source.name == "csv"
    assert "'|'" in source.description


@pytest.mark.parametrize(
    "content",
    [
        "FileName ; Labels\na.jpg;x|y\n",
        "id\tPATH\tkeywords\n1\ta.jpg\tx|y\n",
        '"file","tags"\r\n"a.jpg","x|y"\r\n',
        'image;"tags"\n"a.jpg";"x|y"\n',
        "\ufefffile,tags\na.jpg,x|y",
        "file,tags\ra.jpg,x|y\r",
        "file,tags\na.jpg,x|y\n".encode("utf-16"),
        "file,path,tags\na.jpg,other.jpg,x|y\n",
        "file,tags\n\na.jpg,x|y\n\n",
    ],
)
def test_kinds_of_csv(tmp_path: Path, content: str | bytes) -> None:
    assert records(table(tmp_path, content)) == {"a.jpg": ("x", "y")}


@pytest.mark.parametrize(
    ("cells", "tags"),
    [
        (["a|b", "a"], [("a", "b"), ("a",)]),
        (["a;b", "b"], [("a", "b"), ("b",)]),
        (["a, b", "b"], [("a", "b"), ("b",)]),
        (["a\nb", "b"], [("a", "b"), ("b",)]),
        (["a\tb", "b"], [("a", "b"), ("b",)]),
        (["one tag", "another"], [("one tag",), ("another",)]),
        (["Smith, John|x", "y|z, :|"], [("Smith, John", "x"), ("y", "z, :")]),
        ([":|", ";)", "a,b"], [(":|",), (";)",), ("a", "b")]),
        (["", ""], [(), ()]),
        (["😀|😃"], [("😀", "😃")]),
    ],
)
def test_the_separator_is_detected(
    tmp_path: Path, cells: list[str], tags: list[tuple[str, ...]]
) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([("file", "tags"), *((f"{at}", c) for at, c in enumerate(cells))])
    assert list(records(table(tmp_path, text.getvalue())).values()) == tags


def test_the_separator_can_be_given(tmp_path: Path) -> None:
    path = table(tmp_path, 'file,tags\na.jpg,"big_cat  x|y"\n')
    assert records(path, separator=" ") == {"a.jpg": ("big_cat", "x|y")}
    assert records(path, separator="") == {"a.jpg": ("big_cat  x|y",)}


def test_bad_rows_are_problems_and_the_rest_is_read(tmp_path: Path) -> None:
    content = (
        "file,tags\n"
        "a.jpg,x|y\n"
        "b.jpg,x,y\n"
        "c.jpg\n"
        " ,x\n"
        "nul\0.jpg,x\n"
        f"{'long' * 50_000},x\n"
        f"e.jpg,{'x' * 2**21}\n"
        'f.jpg,"a" b\n'
        "g.jpg,z\n"
    )
    path = table(tmp_path, content)
    found = [item.path.name for item in open_source(path) if isinstance(item, ImageRecord)]
    assert found == ["a.jpg", "g.jpg"]
    reasons = problems(path)
    assert [reason.split(":")[0] for reason in reasons] == [f"line {n}" for n in range(3, 10)]
    for part, reason in zip(
        ("3 columns", "1 columns", "empty", "NUL", "field larger", "more than", "expected after"),
        reasons,
        strict=True,
    ):
        assert part in reason


def test_an_open_quotation_mark_loses_no_row_silently(tmp_path: Path) -> None:
    reasons = problems(table(tmp_path, 'file,tags\na.jpg,"x\nb.jpg,y\n'))
    assert reasons == ["line 3: unexpected end of data"]


@pytest.mark.parametrize("file", ["../b.jpg", "images/../../b.jpg", "/etc/passwd", "link/b.jpg"])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path, file: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "link").symlink_to(tmp_path)
    path = table(home, f"file,tags\n{file},x\n")
    (reason,) = problems(path)
    assert reason.startswith("line 2")
    assert "--allow-outside" in reason
    (record,) = open_source(path, allow_outside=True)
    assert isinstance(record, ImageRecord)
    assert record.path.is_absolute()
    assert ".." not in record.path.parts


def test_a_path_that_stays_inside_is_read(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    path = table(tmp_path, f"file,tags\nimages/../b.jpg,x\n{tmp_path}/c.jpg,y\n")
    assert records(path) == {"b.jpg": ("x",), "c.jpg": ("y",)}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"", "its columns are: none"),
        ("a.csv", b"name;size\na;1\n", "its columns are: 'name', 'size'"),
        ("a.csv", b"file,tags\na.jpg,caf\xe9\n", r"isn't UTF-8 on line 2: .*Save the table"),
        ("a.csv", b"\xff\xfef\0i", "isn't UTF-16 on line 1"),
        ("a.parquet", b"file,tags\n", "can't be read as Parquet"),
        ("a.csv", b"PAR1 and more", "can't be read as Parquet"),
        ("a.xlsx", b"PK\3\4", "isn't a known kind"),
    ],
)
def test_a_bad_table_is_refused_before_any_row(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    with pytest.raises(SourceError, match=reason):
        open_source(table(tmp_path, content, name))


def test_parquet_with_lists_of_tags(tmp_path: Path) -> None:
    path = parquet(
        tmp_path,
        file=["a.jpg", "b.jpg", None, "nul\0", "../c.jpg"],
        tags=[["x, y", None, " z "], None, ["x"], [], []],
    )
    source = open_source(path)
    assert source.name == "parquet"
    first, second, *rest = source
    assert first == ImageRecord(tmp_path / "a.jpg", ("x, y", "z"))
    assert second == ImageRecord(tmp_path / "b.jpg", ())
    assert [item.reason.split(":")[0] for item in rest] == ["row 3", "row 4", "row 5"]
    assert len(problems(path, allow_outside=True)) == 2


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary("int32", "string")])
def test_parquet_with_text(tmp_path: Path, kind: Any) -> None:
    path = parquet(tmp_path, Image=["a.jpg"] * 3000, labels=pa.array(["x;y"] * 3000, kind))
    assert records(path) == {"a.jpg": ("x", "y")}
    assert len(list(open_source(path))) == 3000


def test_parquet_with_other_columns(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"column 'tags' of .* is int64, not text"):
        open_source(parquet(tmp_path, file=["a"], tags=[1]))
    with pytest.raises(SourceError, match="its columns are: 'name'"):
        open_source(parquet(tmp_path, name=["a"]))


def test_a_damaged_row_group_is_one_problem(tmp_path: Path) -> None:
    path = tmp_path / "tags.parquet"
    content = pa.table({"file": [f"{n}.jpg" for n in range(300)], "tags": ["x|y"] * 300})
    pq.write_table(content, path, row_group_size=100, compression="NONE", use_dictionary=False)
    data = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    data[start : start + 40] = b"\xff" * 40
    path.write_bytes(data)
    (reason,) = problems(path, separator="|")
    assert reason.startswith("rows 101 to 200: these rows can't be read")
    assert len(list(open_source(path))) == 201


def test_invalid_text_in_parquet_is_a_problem_of_its_row(tmp_path: Path) -> None:
    file = pa.array([b"a.jpg", b"b\xff.jpg", b"c.jpg"]).view(pa.string())
    path = parquet(tmp_path, file=file, tags=["x", "y", "z"])
    (reason,) = problems(path)
    assert reason.startswith("row 2")


# Weights and splits


@pytest.mark.parametrize("column", ["weights", "Weight", " CONFIDENCE "])
def test_weights_of_a_csv_table(tmp_path: Path, column: str) -> None:
    path = table(tmp_path, f"{column};file;tags\n0.5|1;a.jpg;x|y\n;b.jpg;x|z\n1|1;c.jpg;x|y\n")
    source = open_source(path)
    assert list(source) == [
        ImageRecord(tmp_path / "a.jpg", ("x", "y"), (0.5, 1.0)),
        ImageRecord(tmp_path / "b.jpg", ("x", "z")),
        ImageRecord(tmp_path / "c.jpg", ("x", "y")),
    ]
    assert source.description.endswith("with weights")


def test_a_row_for_each_tag_of_a_file(tmp_path: Path) -> None:
    path = table(tmp_path, "file,tag,confidence\na.jpg,x,0.5\na.jpg,y,0.25\n")
    assert list(open_source(path)) == [
        ImageRecord(tmp_path / "a.jpg", ("x",), (0.5,)),
        ImageRecord(tmp_path / "a.jpg", ("y",), (0.25,)),
    ]


def test_bad_weights_are_problems_and_the_rest_is_read(tmp_path: Path) -> None:
    content = "file,tags,weights\na.jpg,x|y,1\nb.jpg,x|y,0.5|2\nc.jpg,x|y,0.5|high\nd.jpg,x,0.5\n"
    path = table(tmp_path, content)
    assert problems(path) == [
        "line 2: 1 weight for 2 tags: there must be as many",
        "line 3: the weight 2 is not from 0 to 1",
        "line 4: the weight 'high' is not a number",
    ]
    (record,) = (item for item in open_source(path) if isinstance(item, ImageRecord))
    assert record == ImageRecord(tmp_path / "d.jpg", ("x",), (0.5,))


@pytest.mark.parametrize(
    ("tags", "weights"),
    [
        ([["x", None, "y"]], [[0.5, None, 0.25]]),
        ([["x", "y"]], pa.array([[0.5, 0.25]], pa.large_list(pa.float16()))),
        (["x|y"], [[0.5, 0.25]]),
        (["x|y"], ["0.5|0.25"]),
        ([["x", "y"]], [["0.5", "0.25"]]),
    ],
)
def test_weights_of_a_parquet_table(tmp_path: Path, tags: Any, weights: Any) -> None:
    (record,) = open_source(parquet(tmp_path, file=["a.jpg"], tags=tags, weights=weights))
    assert record == ImageRecord(tmp_path / "a.jpg", ("x", "y"), (0.5, 0.25))


def test_numbers_of_a_parquet_table(tmp_path: Path) -> None:
    weights = [0.5, 0.0, None, 7.0, float("nan")]
    path = parquet(tmp_path, file=list("abcde"), tag=["x"] * 5, confidence=weights)
    records = [item for item in open_source(path) if isinstance(item, ImageRecord)]
    assert [record.weights for record in records] == [(0.5,), (0.0,), ()]
    assert problems(path) == [
        "row 4: the weight 7.0 is not from 0 to 1",
        "row 5: the weight nan is not from 0 to 1",
    ]
    path = parquet(tmp_path, file=["a"], tags=["x"], weights=pa.nulls(1), split=pa.array(["dev"]))
    assert list(open_source(path)) == [ImageRecord(tmp_path / "a", ("x",), (), "validation")]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"weights": [True]}, "column 'weights' of .* is bool, not numbers"),
        ({"weights": [[["x"]]]}, "column 'weights' of .* not numbers"),
        ({"split": [1]}, "column 'split' of .* is int64, not text"),
    ],
)
def test_parquet_columns_of_another_kind(tmp_path: Path, columns: Any, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        open_source(parquet(tmp_path, file=["a"], tags=["x"], **columns))


def test_splits_of_a_table(tmp_path: Path) -> None:
    names = ["train", "Validation", "test", " VAL ", "valid", "dev", "", "holdout"]
    rows = "".join(f"{at}.jpg,x,{name}\n" for at, name in enumerate(names))
    path = table(tmp_path, f"file,tags,split\n{rows}")
    splits = [item.split for item in open_source(path) if isinstance(item, ImageRecord)]
    held_out = "validation"
    assert splits == ["train", held_out, "test", held_out, held_out, held_out, None]
    (reason,) = problems(path)
    assert reason.startswith("line 9: the split 'holdout' is none of train, validation")
    assert open_source(path).description.endswith("with splits")


_TAG = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="|\0"), min_size=1)
_TAGS = st.lists(_TAG.map(str.strip).filter(bool))


@settings(deadline=None, database=None)
@given(rows=st.lists(_TAGS, max_size=5), delimiter=st.sampled_from(",;\t"))
def test_tags_survive_a_table(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], delimiter: str
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(("file", "tags"))
    writer.writerows((f"{at}.jpg", "|".join(tags)) for at, tags in enumerate(rows))
    path = table(tmp_path_factory.mktemp("table"), text.getvalue())
    assert list(records(path, separator="|").values()) == [tuple(tags) for tags in rows]


@settings(deadline=None, database=None)
@given(
    head=st.sampled_from(
        [b"", b"file,tags\n", b"file,tags,weights,split\n", b"\xff\xfe", b"PAR1", b"file;tags\r"]
    ),
    body=st.binary() | st.text(st.sampled_from('a,;|"\n\r\0./\\~é01')).map(str.encode),
    name=st.sampled_from(["a.csv", "a.tsv", "a.parquet"]),
    allow_outside=st.booleans(),
)
def test_any_bytes_give_items_or_a_tagkin_error(
    tmp_path_factory: pytest.TempPathFactory,
    head: bytes,
    body: bytes,
    name: str,
    allow_outside: bool,
) -> None:
    path = table(tmp_path_factory.mktemp("any"), head + body, name)
    try:
        items = list(open_source(path, allow_outside=allow_outside))
    except TagkinError as error:
        assert str(error)
        return
    for item in items:
        assert item.path.is_absolute()
        if isinstance(item, ImageRecord):
            assert all(tag and tag == tag.strip() for tag in item.tags)
            assert len(item.weights) in (0, len(item.tags))
            assert all(0 <= weight <= 1 for weight in item.weights)
