"""What ``import tagkin`` offers."""

import subprocess
import sys

import tagkin


def test_the_public_names_are_these() -> None:
    assert tagkin.__all__ == [
        "BackboneConfig",
        "Collection",
        "Library",
        "Searcher",
        "Settings",
        "TagDecisions",
        "TagRules",
        "Tagger",
        "TagkinError",
        "Vocabulary",
        "embed",
        "export_vectors",
        "find_variants",
        "load_settings",
        "open_backbone",
        "open_source",
        "parse_query",
        "prepare",
        "resolve_backbone",
        "train",
    ]
    assert set(tagkin.__all__) <= set(dir(tagkin))


def test_every_public_name_can_be_used_and_is_documented() -> None:
    for name in tagkin.__all__:
        assert getattr(tagkin, name).__doc__, name


def test_importing_tagkin_imports_nothing_heavy() -> None:
    heavy = ("numpy", "pydantic", "lance", "openvino", "keras", "tensorflow")
    code = f"import sys, tagkin; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
