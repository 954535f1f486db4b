from tagkin.variants import TagPair, explain


def test_plain_words() -> None:
    pair = TagPair(
        "icon",
        "icons",
        "variant",
        0.97,
        {"spelling": "plural", "visual": 0.93, "context": 0.8, "company": "tree, lake"},
    )
    assert explain(pair) == "spelled alike: plural; looks alike: 0.93; same company: tree, lake"


def test_too_few_images() -> None:
    pair = TagPair("a", "b", "related", 0.1, {"spelling": "none", "images": "too few apart"})
    assert explain(pair) == "spelled differently; too few images apart to compare"


def test_an_implication_names_both_tags() -> None:
    evidence = {"spelling": "none", "shared": 9, "count_a": 90, "count_b": 10}
    line = explain(TagPair("animal", "penguin", "implication", 0.0, {**evidence}))
    assert line.endswith("9 of the 10 images of 'penguin' carry 'animal'")
