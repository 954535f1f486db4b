"""The commands as a newcomer runs them, in processes of their own."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import Demo, RunTagkin

from tagkin.backbones import BACKBONES
from tagkin.demo import demo_collection

COMMANDS = ("prepare", "embed", "train", "predict", "similar", "variants", "demo", "cache")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, run_tagkin: RunTagkin) -> None:
    done = run_tagkin(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert ("--library" in done.stdout) == (command != "cache")
    assert "--json" in done.stdout


def test_help_lists_the_commands(run_tagkin: RunTagkin) -> None:
    done = run_tagkin("--help")
    assert done.returncode == 0
    assert all(command in done.stdout for command in COMMANDS)
    assert run_tagkin("--version").stdout.startswith("tagkin 0.")


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        (["embed"], {}, "tagkin prepare"),
        (["train"], {}, "tagkin prepare"),
        (["variants"], {}, "tagkin prepare"),
        (["similar", "--tag", "bird"], {}, "tagkin prepare"),
        (["predict", "image.png"], {}, "tagkin prepare"),
        (["prepare", "absent-folder"], {}, "absent-folder"),
        (["prepare", "{demo}", "--min-tag-occurrences", "0"], {}, "min_tag_occurrences"),
        (["embed", "--model", "clip", "--library", "{library}"], {}, "efficientnet-lite0"),
        (["embed", "--library", "{library}"], {"TAGKIN_MODEL": "x"}, "model_architecture"),
        (["embed", "--library", "{library}"], {"TAGKIN_IMAGE_SIZE": "huge"}, "image_size"),
        (["embed", "--library", "{library}", "--fit", "stretch"], {}, "squeeze"),
        (["embed", "--library", "{library}", "--weights", "absent.h5"], {}, "absent.h5"),
        (["similar", "--library", "{library}"], {}, "--tag TAG"),
        (["similar", "{image}", "--tag", "bird", "--library", "{library}"], {}, "--tag TAG"),
        (["similar", "absent.png", "--library", "{library}"], {}, "absent.png"),
        (["similar", "--tag", "birdd", "--library", "{library}"], {}, "did you mean 'bird'"),
        (["predict", "{image}", "--library", "{library}", "--tagger", "best"], {}, "lite0-001"),
        (
            ["predict", "{image}", "--library", "{library}", "--model", "resnet50"],
            {},
            "no tagger of resnet50",
        ),
        (["variants", "--library", "{library}", "--method", "magic"], {}, "jarowinkler"),
        (["train", "--library", "{library}", "--min-tag-occurrences", "9999"], {}, "lower"),
    ],
)
def test_a_mistake_is_one_clear_message(
    arguments: list[str],
    environment: dict[str, str],
    expected: str,
    demo_library: Demo,
    demo_images: list[Path],
    run_tagkin: RunTagkin,
) -> None:
    names = {
        "library": demo_library.path,
        "image": demo_images[0],
        "demo": demo_collection().parent,
    }
    done = run_tagkin(*(part.format(**names) for part in arguments), env=environment)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_the_whole_way_on_the_demo_collection(
    run_tagkin: RunTagkin, demo_images: list[Path], tmp_path: Path
) -> None:
    lite0 = ("--model", "efficientnet-lite0")
    done = run_tagkin("prepare", demo_collection(), "--min-tag-occurrences", "12", "--json")
    assert done.returncode == 0, done.stderr
    prepared = json.loads(done.stdout)
    assert prepared["images"] > 600
    assert min(prepared["tags"]["kept"].values()) >= 12

    done = run_tagkin("embed", *lite0, "--precision", "f32", "--export", "out", "--json")
    assert done.returncode == 0, done.stderr
    embedded = json.loads(done.stdout)
    assert embedded["added"] == prepared["images"]
    vectors = np.load(tmp_path / "cwd" / "out" / "embeddings.npy")
    assert vectors.shape == (prepared["images"], 1280)

    done = run_tagkin("train", "--json", env={"TAGKIN_MAX_EPOCHS": "15"})
    assert done.returncode == 0, done.stderr
    trained = json.loads(done.stdout)
    assert trained["tags"] == len(prepared["tags"]["kept"])  # the option is remembered
    assert trained["validation"]["map"] > 0.3

    done = run_tagkin("predict", demo_images[0], demo_images[1], "--top", "3", "--json")
    assert done.returncode == 0, done.stderr
    predictions = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(p["path"]) for p in predictions] == demo_images[:2]
    assert [len(p["tags"]) for p in predictions] == [3, 3]

    done = run_tagkin("similar", "--tag", "bird", "--limit", "4", "--json")
    assert done.returncode == 0, done.stderr
    similar = json.loads(done.stdout)
    assert similar["query"] == "bird"
    assert len(similar["images"]) == 4

    done = run_tagkin("variants", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["groups"]
    assert done.stdout.count("\n") == 1


def test_a_bad_file_among_good_ones_costs_nothing_but_the_exit_code(
    demo_library: Demo, demo_images: list[Path], run_tagkin: RunTagkin, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("not an image")
    arguments = ("predict", demo_images[0], bad, "absent.png", demo_images[1])
    done = run_tagkin(*arguments, "--library", demo_library.path)
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [
        str(demo_images[0]),
        str(demo_images[1]),
    ]
    assert "bad.png" in done.stderr
    assert "absent.png" in done.stderr
    assert "Traceback" not in done.stderr
    done = run_tagkin(*arguments, "--library", demo_library.path, "--json")
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert ["error" in line for line in lines] == [False, True, True, False]


def test_a_folder_is_searched_for_images(
    demo_library: Demo, demo_images: list[Path], run_tagkin: RunTagkin, tmp_path: Path
) -> None:
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    shutil.copy(demo_images[0], folder / "a.webp")
    shutil.copy(demo_images[1], folder / "B.WEBP")
    (folder / "notes.txt").write_text("no image")
    done = run_tagkin("predict", tmp_path / "deep", "--library", demo_library.path, "--json")
    assert done.returncode == 0, done.stderr
    paths = [Path(json.loads(line)["path"]).name for line in done.stdout.splitlines()]
    assert sorted(paths) == ["B.WEBP", "a.webp"]


def test_a_tagger_is_used_by_its_folder_without_a_library(
    demo_library: Demo, demo_images: list[Path], run_tagkin: RunTagkin, tmp_path: Path
) -> None:
    alone = tmp_path / "my-tagger"
    shutil.copytree(demo_library.tagger, alone)
    done = run_tagkin("predict", demo_images[0], "--tagger", alone, "--top", "1")
    assert done.returncode == 0, done.stderr
    assert str(demo_images[0]) in done.stdout


def test_similar_to_an_image_of_the_library_leaves_it_out(
    demo_library: Demo, demo_images: list[Path], run_tagkin: RunTagkin
) -> None:
    done = run_tagkin("similar", demo_images[5], "--library", demo_library.path, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert len(result["images"]) == 10
    assert all(str(demo_images[5]) not in image["paths"] for image in result["images"])


@pytest.mark.parametrize(
    "arguments", [["similar", "--tag", "bird"], ["variants"], ["predict", "{image}"]]
)
def test_output_into_a_pipe_is_plain_text(
    arguments: list[str], demo_library: Demo, demo_images: list[Path], run_tagkin: RunTagkin
) -> None:
    parts = [part.format(image=demo_images[0]) for part in arguments]
    done = run_tagkin(*parts, "--library", demo_library.path, env={"TERM": "xterm-256color"})
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("as_json", [True, False])
def test_names_that_a_terminal_cannot_show(
    encoding: str,
    as_json: bool,
    demo_library: Demo,
    demo_images: list[Path],
    run_tagkin: RunTagkin,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in ("emoji \N{CAT FACE}.webp", "[bold]markup[red].webp", "not utf-8 \udcff.webp"):
        try:
            shutil.copy(demo_images[0], folder / name)
        except (OSError, UnicodeError):  # a file system that takes no such name
            continue
    count = len(list(folder.iterdir()))
    options = ["--json"] if as_json else []
    done = run_tagkin(
        *("predict", folder, "--top", "1", "--library", demo_library.path, *options),
        env={"PYTHONIOENCODING": encoding},
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == count
    assert "[bold]markup[red]" in done.stdout


def test_the_catalogue_is_named_whole_in_the_message(
    demo_library: Demo, run_tagkin: RunTagkin
) -> None:
    done = run_tagkin("train", "--model", "unknown", "--library", demo_library.path)
    assert all(name in done.stderr for name in BACKBONES)
