"""Tags and file names that try to be more than text, and a library of them."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tagkin.backbones import BackboneConfig, Runtime
from tagkin.embeddings import embed
from tagkin.library import Library
from tagkin.preparing import prepare
from tagkin.settings import Settings
from tagkin.sources import open_source
from tagkin.training.train import train
from tagkin.variants.proposals import Proposals, TagGroup, TagPair, group_id
from tagkin.variants.stored import save_proposals

MARK = "pwned"

_PAYLOADS = (
    "<script>window.{mark}={n}</script>",
    "</title><script>window.{mark}={n}</script>",
    "</script><script>window.{mark}={n}//",
    "</style><script>window.{mark}={n}</script>",
    "--><script>window.{mark}={n}</script><!--",
    "]]><script>window.{mark}={n}</script>",
    "</textarea></select></option><script>window.{mark}={n}</script>",
    '"><img src=x onerror=window.{mark}={n}>',
    "'><img src=x onerror=window.{mark}={n}>",
    "<img src=x onerror=window.{mark}={n}>",
    "<svg onload=window.{mark}={n}>",
    "<svg><animate onbegin=window.{mark}={n} attributeName=x dur=1s>",
    "<body onload=window.{mark}={n}>",
    "<iframe srcdoc='<script>top.{mark}={n}</script>'>",
    "<iframe src=javascript:top.{mark}={n}>",
    "<a href=javascript:window.{mark}={n}>{n}</a>",
    "<math><mi xlink:href=javascript:window.{mark}={n}>{n}",
    "<details open ontoggle=window.{mark}={n}>",
    "<input autofocus onfocus=window.{mark}={n}>",
    "<meta http-equiv=refresh content='0;url=javascript:window.{mark}={n}'>",
    "<base href=//{n}.invalid>",
    "<link rel=stylesheet href=//{n}.invalid/a.css>",
    "<style>*{{display:none}}</style>{n}",
    "<form action=//{n}.invalid><button>",
    '" onerror="window.{mark}={n}',
    '" onmouseover=window.{mark}={n} x="',
    "' onfocus='window.{mark}={n}' autofocus='",
    '" autofocus onfocus="window.{mark}={n}',
    '" style="position:fixed;inset:0" x="{n}',
    "javascript:window.{mark}={n}",
    "data:text/html,<script>top.{mark}={n}</script>",
    "{{{{ {n}*{n} }}}}",
    "{{% include '/etc/passwd' %}}{n}",
    "${{window.{mark}={n}}}",
    "`${{window.{mark}={n}}}`",
    "&lt;script&gt;window.{mark}={n}&lt;/script&gt;",
    "&#60;script&#62;window.{mark}={n}&#60;/script&#62;",
    "%3Cscript%3Ewindow.{mark}={n}%3C/script%3E",
    "\\u003cscript\\u003ewindow.{mark}={n}\\u003c/script\\u003e",
    "\\x3cimg src=x onerror=window.{mark}={n}\\x3e",
    # Folding by NFKC turns these into plain signs.
    "＜script＞window.{mark}={n}＜/script＞",
    "﹤img src=x onerror=window.{mark}={n}﹥",
    "\u202e<tpircs>{n}",
    "../../../../etc/passwd{n}",
    "..\\..\\windows\\{n}",
    "a&b=c&id={n}#?{n}",
    '"{n}" -x ~y folder:z date:2020',
    "folder:{n}",
    "-{n}",
    "~{n}*",
)

#: Two hundred of them, each with a number of its own.
HOSTILE = tuple(_PAYLOADS[n % len(_PAYLOADS)].format(mark=MARK, n=1000 + n) for n in range(200))

_IMAGES, _OF_EACH_TAG = 80, 12

_made: list[tuple[Path, Settings]] = []


def hostile_library(
    lite0: Runtime,
    lite0_config: BackboneConfig,
    lite0_settings: Settings,
    factory: pytest.TempPathFactory,
) -> tuple[Path, Settings]:
    """Returns a library of hostile tags and file names, which is made once for all modules.

    It is embedded and trained, and has proposals.
    """
    if not _made:
        folder = factory.mktemp("hostile")
        _made.append(_make(folder, lite0, lite0_config, lite0_settings))
    return _made[0]


def _make(
    folder: Path, lite0: Runtime, lite0_config: BackboneConfig, lite0_settings: Settings
) -> tuple[Path, Settings]:
    chance = random.Random(0)
    files, tags = [], []
    for number in range(_IMAGES):
        file = folder / "images" / f"{_file_name(HOSTILE[number])}.png"
        file.parent.mkdir(exist_ok=True)
        size = 40 + number % 9, 40 + number % 7
        colours = [(chance.randrange(256), chance.randrange(256), 90) for _ in range(16)]
        tiles = Image.new("RGB", (4, 4))
        tiles.putdata(colours)
        tiles.resize(size, Image.Resampling.NEAREST).save(file)
        files.append(str(file))
        tags.append([])
    for tag in HOSTILE:
        for place in chance.sample(range(_IMAGES), _OF_EACH_TAG):
            tags[place].append(tag)
    table = folder / "images.parquet"
    pq.write_table(pa.table({"file": files, "tags": tags}), table)
    path = folder / "library"
    settings = lite0_settings.model_copy(update={"library": path, "max_epochs": 3})
    library = Library.create_or_open(path)
    prepare(library, open_source(table), settings)
    embed(library, lite0_config, settings, backbone=lite0)
    graph = settings.cache_dir / "graphs" / lite0_config.graph_key / "model.xml"
    train(library, lite0_config, graph, settings)
    save_proposals(library, _proposals())
    return path, settings


def _file_name(text: str) -> str:
    """Returns a name as hostile as a file system takes it."""
    return text.replace("/", "∕").replace("\0", "")


def _proposals() -> Proposals:
    """Proposes pairs of hostile tags, of every kind."""
    groups, pairs = [], []
    for number in range(0, 40, 2):
        members = HOSTILE[number], HOSTILE[number + 1]
        counts = dict.fromkeys(members, _OF_EACH_TAG)
        groups.append(TagGroup(group_id(members), members[0], members, counts, "suggested"))
        evidence = {"spelling": "typo", "company": HOSTILE[number + 2], "context": 0.9}
        pairs.append(TagPair(*members, "variant", 0.9 - number / 100, evidence))
    for number, relation in ((60, "implication"), (70, "related"), (80, "same-images")):
        members = HOSTILE[number], HOSTILE[number + 1]
        evidence = {"shared": 3, "count_b": 12, "company": HOSTILE[number + 2]}
        pairs.append(TagPair(*members, relation, 0.1, evidence))
    return Proposals("default", tuple(groups), tuple(pairs))
