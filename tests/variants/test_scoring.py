import numpy as np

from tagkin.variants.scoring import PairTable, probabilities, relations


def table(
    string: float,
    content: float,
    *,
    sure: bool = False,
    vouched: bool = False,
    counts: tuple[int, int, int] = (20, 10, 0),
) -> PairTable:
    count_a, count_b, shared = counts
    return PairTable(
        a=np.array([0]),
        b=np.array([1]),
        count_a=np.array([count_a]),
        count_b=np.array([count_b]),
        shared=np.array([shared]),
        string_llr=np.array([string]),
        sure=np.array([sure]),
        vouched=np.array([vouched]),
        content_llr=np.array([content]),
    )


def probability(found: PairTable, tags: int = 500) -> float:
    return float(probabilities(found, tags)[0])


def test_odd_content_has_no_veto_over_a_sure_rule() -> None:
    assert probability(table(11, -6, sure=True)) > 0.5
    assert probability(table(7, -6)) < 0.1


def test_content_alone_is_no_variant() -> None:
    assert probability(table(-1.2, 5)) < 0.1


def test_chance_likeness_counts_less_among_more_tags_but_a_rule_does_not() -> None:
    typo, plural = table(7, 2), table(9, 0, sure=True)
    assert probability(typo, 50_000) < probability(typo, 500) - 0.3
    assert abs(probability(plural, 50_000) - probability(plural, 500)) < 0.01


def test_relations() -> None:
    def relation(found: PairTable, value: float) -> object:
        return relations(found, np.array([value]), 1000)[0]

    assert relation(table(9, 0), 0.9) == "variant"
    assert relation(table(0, 0, counts=(12, 10, 10)), 0.05) == "same-images"
    assert relation(table(0, 0, counts=(90, 10, 9)), 0.05) == "implication"
    assert relation(table(0, 4), 0.05) == "related"
    assert relation(table(6, 0), 0.2) == "related"
    assert relation(table(0, 0), 0.05) is None
    assert relation(table(0, 0, counts=(990, 10, 10)), 0.05) is None, "it is on nearly every image"


def test_synonyms_may_sit_on_the_same_images_and_likeness_may_not() -> None:
    together = (20, 10, 10)
    assert probability(table(7.5, 0, counts=together)) < 0.1
    assert probability(table(7.5, 0, counts=together, vouched=True)) > 0.4
