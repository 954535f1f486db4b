"""The page stands on its own, and shows every name as what it is: text."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from unittest.mock import patch

import pytest
from helpers_report import HOSTILE, made_report

from tagkin.errors import TaggerError
from tagkin.training.report import render_html, write_report
from tagkin.training.report.plot import ticks


class Page(HTMLParser):
    """Collects elements, attributes and text as a browser would see them."""

    VOID = frozenset({"meta", "img", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)


@pytest.fixture(scope="module")
def text() -> str:
    return render_html(made_report(two_phases=True))


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_every_element_is_closed(page: Page) -> None:
    assert page.open == []


def test_nothing_is_loaded_from_elsewhere(text: str, page: Page) -> None:
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/jpeg;base64,", "#")), (tag, value)
    assert "@import" not in text
    assert "url(" not in text
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)


def test_no_name_becomes_an_element_or_a_script(page: Page) -> None:
    names = [tag for tag, _ in page.elements]
    assert names.count("script") == 2  # the rows and the page's own
    assert not {"b", "i", "u"} & set(names)
    assert all(attributes.get("src") != "x" for tag, attributes in page.elements if tag == "img")
    assert not any(key.startswith("on") for _, attributes in page.elements for key in attributes)


def test_names_are_shown_as_they_are(page: Page) -> None:
    shown = "".join(page.texts["bdi"])
    for name in (*HOSTILE, "rare <u>", "no & no", "tagger <1>"):
        assert name in shown
    assert "<b>" in "".join(page.texts["dd"])
    assert "12,345" in page.texts["dd"]


def test_the_rows_come_back_from_their_json(text: str) -> None:
    embedded = re.search(r'<script type="application/json" id="rows">(.*?)</script>', text, re.S)
    assert embedded
    assert not set("<>&\u2028") & set(embedded[1])
    rows = json.loads(embedded[1])
    report = made_report()
    assert [row[0] for row in rows] == list(HOSTILE)
    for row, expected in zip(rows, report.tags, strict=True):
        assert row[1:5] == [expected.images, expected.train, expected.validation, expected.test]
        assert row[5] == pytest.approx(expected.average_precision, abs=5e-4)
        assert row[13] == expected.within_chance
        assert re.fullmatch(r"\d{22}", row[14])


def test_only_its_own_script_may_run(text: str, page: Page) -> None:
    policy = next(a["content"] for t, a in page.elements if t == "meta" and "http-equiv" in a)
    assert policy and "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}='", policy)
    assert "script-src 'unsafe-inline'" not in policy


def test_headers_sort_and_can_be_reached_by_key(page: Page) -> None:
    assert sum("aria-sort" in attributes for _, attributes in page.elements) == 13
    assert sum("data-column" in a for t, a in page.elements if t == "button") == 13
    assert all("aria-label" in a for t, a in page.elements if t == "svg" and "viewbox" in a)


def test_both_phases_and_all_charts_are_there(text: str, page: Page) -> None:
    assert "phase 2" in "".join(page.texts["span"])
    # Two of training, one over all tags, one of each tag, two of reliability.
    assert sum(tag == "svg" for tag, _ in page.elements) == 2 + 1 + len(HOSTILE) + 2
    assert "nan" not in re.sub(r"<script.*?</script>", "", text, flags=re.S).lower().split('"')


def test_a_second_phase_that_was_not_better_is_shown_as_well() -> None:
    report = made_report()
    second = [replace(split, phase=2) for split in report.scores]
    page = Page(render_html(replace(report, scores=(*report.scores, *second))))
    assert "the tagger is of phase 1, since phase 2 was not better" in "".join(page.texts["p"])
    strong = [a for t, a in page.elements if t == "td" and "strong" in (a["class"] or "")]
    assert len(strong) == 2


def test_a_report_with_hardly_anything() -> None:
    report = replace(
        made_report(("one",), images=2, history=(), reliability_before=None),
        best=(), worst=(), dropped=(), facts={}, reliability_test=None,
    )  # fmt: skip
    assert Page(render_html(report)).open == []


def test_ten_thousand_tags_are_a_small_file() -> None:
    tags = tuple(f"a tag of usual length {number}" for number in range(10_000))
    report = made_report(tags, images=20)
    assert len(render_html(report).encode()) < 2_000_000


def test_writes_both_files_in_one_step_each(tmp_path: Path) -> None:
    report = made_report()
    as_json, as_html = write_report(report, tmp_path)
    assert json.loads(as_json.read_text("utf-8")) == json.loads(json.dumps(report.to_dict()))
    assert as_html.read_text("utf-8").rstrip() == render_html(report).rstrip()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_half_a_surrogate_pair_can_be_written(tmp_path: Path) -> None:
    write_report(made_report(("a \ud83d b", "c")), tmp_path)
    assert "a ? b" in (tmp_path / "report.html").read_text("utf-8")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(TaggerError, match="missing"):
        write_report(made_report(), tmp_path / "missing")
    with (
        patch("tagkin.training.report.writing.atomic_file", side_effect=OSError("disk full")),
        pytest.raises(TaggerError, match="disk full"),
    ):
        write_report(made_report(), tmp_path)


@pytest.mark.parametrize(
    ("least", "greatest", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (1, 46, [10, 20, 30, 40]),
        (0.013, 0.02, [0.014, 0.016, 0.018, 0.02]),
        (3, 3, [3]),
    ],
)
def test_ticks_are_round_numbers(least: float, greatest: float, expected: list[float]) -> None:
    assert ticks(least, greatest) == pytest.approx(expected)
