"""XMP: tags are added to a document of which all else stays; exiftool reads what is written."""

import json
import shutil
import subprocess
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest
from helpers_writers import images, kinds, write
from hypothesis import given, settings
from hypothesis import strategies as st

from tagkin.sources.xmp import tags_in_xmp
from tagkin.writers.xmp import carries, render

RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
DC = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
DIGIKAM = 'xmlns:digiKam="http://www.digikam.org/ns/1.0/"'
XMP = 'xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
LR = 'xmlns:lr="http://ns.adobe.com/lightroom/1.0/"'

#: As a raw converter leaves it: properties as attributes, history, comments, other people's names.
RICH = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<!-- kept -->
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 5.5">
 <rdf:RDF {RDF}>
  <rdf:Description rdf:about="" {XMP} xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
    xmlns:unused="http://example.org/unused" xmp:Rating="4"
    crs:Note="two&#xA;lines &quot;and&quot; more">
   <crs:ToneCurve><rdf:Seq><rdf:li>0, 0</rdf:li><rdf:li>255, 255</rdf:li></rdf:Seq></crs:ToneCurve>
   <crs:Text><![CDATA[a < b]]></crs:Text><?other instruction?>
  </rdf:Description>
  <rdf:Description rdf:about="" xmlns:d="http://purl.org/dc/elements/1.1/">
   <d:title><rdf:Alt><rdf:li xml:lang="x-default">A title</rdf:li></rdf:Alt></d:title>
   <d:subject>
    <rdf:Bag>
     <rdf:li>Dog</rdf:li>
    </rdf:Bag>
   </d:subject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""
TAG = st.text(st.characters(codec="utf-8"), min_size=1, max_size=10).map(str.strip).filter(bool)


def test_all_else_in_a_document_stays() -> None:
    made = render(RICH.encode(), ["cat", "a&b"], [])
    assert tags_in_xmp(made) == ("Dog", "cat", "a&b")
    text = made.decode()
    for kept in (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<!-- kept -->\n<x:xmpmeta ',
        'xmp:Rating="4" crs:Note="two&#10;lines &quot;and&quot; more"',
        'xmlns:unused="http://example.org/unused"',
        "<![CDATA[a < b]]></crs:Text><?other instruction?>\n",
        '<rdf:li xml:lang="x-default">A title</rdf:li>',
        '<?xpacket end="w"?>\n',
        "     <rdf:li>Dog</rdf:li>\n     <rdf:li>cat</rdf:li>\n     <rdf:li>a&amp;b</rdf:li>\n",
    ):
        assert kept in text
    assert plain(render(made, [], ["cat", "a&b"])) == plain(RICH.encode())
    assert render(made, [], []) == made


def plain(document: bytes) -> str:
    """The document in canonical form."""
    return ElementTree.canonicalize(document.strip().decode(), strip_text=True)


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        (f'<rdf:Description {DC} dc:subject="one"/>', ("one", "new")),
        (f"<rdf:Description {DC}><dc:subject>one</dc:subject></rdf:Description>", ("one", "new")),
        (f"<rdf:Description {DC}><dc:subject/></rdf:Description>", ("new",)),
        (f"<rdf:Description {DIGIKAM}><digiKam:TagsList/></rdf:Description>", ("new",)),
        ("<rdf:Description/>", ("new",)),
        ("", ("new",)),
        (
            f"<rdf:Description {LR}><lr:hierarchicalSubject><rdf:Bag><rdf:li>a|b</rdf:li></rdf:Bag>"
            "</lr:hierarchicalSubject></rdf:Description>",
            ("new", "a/b"),
        ),
    ],
)
def test_every_way_to_have_tags_or_none(inside: str, expected: tuple[str, ...]) -> None:
    made = render(f"<rdf:RDF {RDF}>{inside}</rdf:RDF>".encode(), ["new"], [])
    assert tags_in_xmp(made) == expected
    for name in ("http://purl.org/dc/elements/1.1/}subject", "ns/1.0/}TagsList"):
        (found,) = (e for e in ElementTree.fromstring(made).iter() if e.tag.endswith(name))  # noqa: S314
        assert found[0].tag.endswith("Bag" if name.endswith("subject") else "Seq")
        assert [item.text for item in found[0]][-1] == "new"


def test_prefixes_that_stand_for_something_else(tmp_path: Path) -> None:
    document = (
        '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description '
        'xmlns:dc="http://example.org/" xmlns:rdf="http://example.org/2" dc:x="1"/></r:RDF>'
    )
    made = render(document.encode(), ["a"], [])
    assert tags_in_xmp(made) == ("a",)
    assert b'dc:x="1"' in made


def test_tags_in_paths_are_one_with_those_of_other_programs(tmp_path: Path) -> None:
    (cat,) = images(tmp_path, "cat.jpg")
    (tmp_path / "cat.xmp").write_text(
        f"<rdf:RDF {RDF}><rdf:Description {LR}><lr:hierarchicalSubject><rdf:Bag>"
        "<rdf:li>Animals|Cat</rdf:li><rdf:li>x|y</rdf:li></rdf:Bag></lr:hierarchicalSubject>"
        "</rdf:Description></rdf:RDF>"
    )
    (change,) = write("xmp", {cat: ["Animals/Cat", "z"]}, unwanted=("x/y",), update=True)
    assert (change.kind, change.added, change.removed) == ("changed", ("z",), ("x/y",))
    assert tags_in_xmp((tmp_path / "cat.xmp").read_bytes()) == ("z", "Animals/Cat")


exiftool = pytest.mark.skipif(
    shutil.which("exiftool") is None, reason="exiftool is not installed (libimage-exiftool-perl)"
)


def ask_exiftool(*paths: Path) -> list[dict[str, list[str]]]:
    command = ["exiftool", "-config", "", "-j", "-G1", "-a", "-XMP:all", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, check=True)
    assert b"Warning" not in done.stderr
    # Tags such as 1.0 and TRUE come without quotation marks.
    read = partial(json.loads, parse_float=str, parse_int=str, parse_constant=str)
    return read(done.stdout)  # type: ignore[no-any-return]


@exiftool
def test_exiftool_reads_what_is_written(tmp_path: Path) -> None:
    tags = ["cat", "München 🐕", "a & <b>", "Animals/Dog", "character:miku", "007", "a, b|c;d"]
    cat, dog = images(tmp_path, "cat.jpg", "-dog 'x'.jpg")
    (tmp_path / "-dog 'x'.xmp").write_text(RICH)
    assert kinds(write("xmp", {cat: tags, dog: tags}, update=True)) == ["made", "changed"]
    new, merged = ask_exiftool(tmp_path / "cat.jpg.xmp", tmp_path / "-dog 'x'.xmp")
    assert new["XMP-dc:Subject"] == new["XMP-digiKam:TagsList"] == tags
    assert merged["XMP-dc:Subject"] == ["Dog", *tags]
    assert merged["XMP-digiKam:TagsList"] == tags
    assert merged["XMP-dc:Title"] == "A title"
    assert str(merged["XMP-xmp:Rating"]) == "4"
    assert merged["XMP-crs:ToneCurve"] == ["0, 0", "255, 255"]


@exiftool
@settings(max_examples=8, deadline=None)
@given(tags=st.lists(st.lists(TAG, min_size=1, max_size=5, unique=True), min_size=5, max_size=20))
def test_exiftool_reads_any_tags(
    tags: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("xmp")
    files = []
    for number, named in enumerate(tags):
        files.append(folder / f"{number:03}.xmp")
        kept = [tag for tag in named if carries(tag)] or ["x"]
        files[-1].write_bytes(render(None, kept, []))
    for file, told in zip(files, ask_exiftool(*files), strict=True):
        found = told["XMP-dc:Subject"]
        listed = found if isinstance(found, list) else [found]
        # Exiftool shows neither line ends nor other control characters as they are.
        assert len(listed) == len(tags_in_xmp(file.read_bytes()))
        for shown, tag in zip(listed, tags_in_xmp(file.read_bytes()), strict=True):
            same = str(shown).lower() == tag.lower() if isinstance(shown, bool) else shown == tag
            assert same or not tag.isprintable()
