"""Plants variants of tags in a collection that has none: the truth is known then."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

Tags = list[list[str]]
Rng = np.random.Generator

_LEAST_IMAGES = 8
_LEET: Final = {"a": "4", "e": "3", "i": "1", "o": "0", "s": "5", "t": "7"}
_IRREGULAR: Final = {
    "foot": "feet", "goose": "geese", "leaf": "leaves", "man": "men", "mouse": "mice",
    "person": "people", "shelf": "shelves", "tooth": "teeth", "wolf": "wolves", "woman": "women",
}  # fmt: skip
_GERMAN: Final = {
    "animal": "tier", "apple": "apfel", "beach": "strand", "bear": "bär", "bird": "vogel",
    "boat": "boot", "book": "buch", "bridge": "brücke", "building": "gebäude", "car": "auto",
    "castle": "schloss", "cat": "katze", "church": "kirche", "city": "stadt", "clouds": "wolken",
    "coast": "küste", "cow": "kuh", "deer": "hirsch", "desert": "wüste", "dog": "hund",
    "door": "tür", "face": "gesicht", "field": "feld", "fire": "feuer", "fish": "fisch",
    "flag": "flagge", "flower": "blume", "flowers": "blumen", "food": "essen", "forest": "wald",
    "garden": "garten", "grass": "gras", "hills": "hügel", "horse": "pferd", "house": "haus",
    "ice": "eis", "island": "insel", "leaf": "blatt", "map": "karte", "moon": "mond",
    "mountain": "berg", "ocean": "meer", "people": "leute", "plane": "flugzeug",
    "plants": "pflanzen", "rocks": "felsen", "river": "fluss", "sand": "sand", "sky": "himmel",
    "snow": "schnee", "statue": "statue", "stone": "stein", "street": "straße", "sun": "sonne",
    "swimmers": "schwimmer", "train": "zug", "tree": "baum", "valley": "tal", "water": "wasser",
    "window": "fenster", "woman": "frau",
}  # fmt: skip
_SYNONYMS: Final = {
    "animal": "creature", "automobile": "car", "boat": "vessel", "building": "edifice",
    "car": "automobile", "cat": "feline", "cliff": "bluff", "close-up": "macro", "coast": "shore",
    "couple": "pair", "dog": "canine", "fox": "vulpine", "forest": "woodland", "garden": "yard",
    "hills": "knolls", "home": "dwelling", "house": "home", "hut": "shack", "jet": "jetliner",
    "market": "bazaar", "mountain": "mount", "ocean": "sea", "palace": "mansion",
    "people": "folk", "pillar": "column", "plane": "aircraft", "plants": "vegetation",
    "pool": "basin", "road": "roadway", "rocks": "boulders", "ruins": "remains", "ship": "vessel",
    "statue": "sculpture", "stone": "rock", "street": "avenue", "sunset": "sundown",
    "swimmers": "bathers", "trail": "path", "tree": "timber", "valley": "vale", "woman": "lady",
}  # fmt: skip


@dataclass(frozen=True)
class Plant:
    """A tag and the variant that was made of it."""

    tag: str
    variant: str
    kind: str


def plant(tags: Sequence[Sequence[str]], seed: int, count: int = 35) -> tuple[Tags, list[Plant]]:
    """Makes variants of frequent tags and gives them to some of the tags' images.

    Half of a tag's images keep it, four tenths get the variant instead, a tenth gets both. Half of
    the plantings deal the images at random; the others give the variant to whole runs of images in
    the order of the collection, where neighbours are kin, as if a few people had typed it.

    Args:
        tags: For each image its distinct tags.
        seed: Of the choice of tags, kinds and images.
        count: Variants wanted; fewer are planted where tags don't suffice.

    Returns:
        The tags with the variants, and what was planted.
    """
    rng = np.random.default_rng(seed)
    images: dict[str, list[int]] = {}
    for place, row in enumerate(tags):
        for tag in row:
            images.setdefault(tag, []).append(place)
    known = set(images)
    frequent = sorted(tag for tag, on in images.items() if len(on) >= _LEAST_IMAGES)
    made = [list(row) for row in tags]
    planted: list[Plant] = []
    planted_of: Counter[str] = Counter()
    for place in rng.permutation(len(frequent)).tolist():
        if len(planted) == count:
            break
        tag = frequent[place]
        # The kind with the fewest plantings that this tag allows keeps the mix even.
        for kind in sorted(KINDS, key=lambda kind: (planted_of[kind], rng.random())):
            variant = KINDS[kind](tag, rng)
            if variant is not None and variant not in known:
                known.add(variant)
                planted_of[kind] += 1
                planted.append(Plant(tag, variant, kind))
                _deal(made, images[tag], tag, variant, rng)
                break
    return made, planted


def _deal(made: Tags, images: list[int], tag: str, variant: str, rng: Rng) -> None:
    # Each image by itself, or in ten runs: a run is some photos by one person.
    runs = len(images) if rng.random() < 0.5 else min(len(images), 10)
    order = [
        image
        for run in rng.permutation(runs).tolist()
        for image in images[run * len(images) // runs : (run + 1) * len(images) // runs]
    ]
    both = max(1, round(len(order) / 10))
    replaced = max(2, round(len(order) * 4 / 10))
    for image in order[: both + replaced]:
        made[image].append(variant)
    for image in order[both : both + replaced]:
        made[image].remove(tag)


def _plural(tag: str, _: Rng) -> str | None:
    if not tag.isalpha():
        return None
    if tag in _IRREGULAR:
        return _IRREGULAR[tag]
    singular = {plural: single for single, plural in _IRREGULAR.items()}
    if tag in singular:
        return singular[tag]
    if tag.endswith("s") and not tag.endswith(("ss", "us", "is")) and len(tag) > 4:
        return tag[:-3] + "y" if tag.endswith("ies") else tag[:-1]
    if tag.endswith(("s", "x", "z", "ch", "sh")):
        return tag + "es"
    if tag.endswith("y") and tag[-2] not in "aeiou":
        return tag[:-1] + "ies"
    return tag + "s"


def _typo(tag: str, rng: Rng) -> str | None:
    if len(tag) < 5 or not tag.isalpha():
        return None
    place = int(rng.integers(1, len(tag) - 1))
    how = int(rng.integers(4))
    if how == 0:
        return tag[:place] + tag[place + 1 :]
    if how == 1:
        return tag[:place] + tag[place] + tag[place:]
    if how == 2:
        swapped = tag[:place] + tag[place + 1] + tag[place] + tag[place + 2 :]
        return None if swapped == tag else swapped
    other = "abcdefghijklmnopqrstuvwxyz"[int(rng.integers(26))]
    return None if other == tag[place] else tag[:place] + other + tag[place + 1 :]


def _leet(tag: str, rng: Rng) -> str | None:
    places = [place for place, letter in enumerate(tag) if letter in _LEET]
    if len(tag) < 4 or not places:
        return None
    place = places[int(rng.integers(len(places)))]
    return tag[:place] + _LEET[tag[place]] + tag[place + 1 :]


def _case(tag: str, rng: Rng) -> str | None:
    return tag.upper() if rng.random() < 0.5 else tag.title()


def _separator(tag: str, rng: Rng) -> str | None:
    for old in "-_ ":
        if old in tag:
            new = [one for one in ("-", "_", " ", "") if one != old]
            return tag.replace(old, new[int(rng.integers(len(new)))])
    if len(tag) < 6:
        return None
    place = len(tag) // 2
    return tag[:place] + "-_ "[int(rng.integers(3))] + tag[place:]


def _german(tag: str, _: Rng) -> str | None:
    return _GERMAN.get(tag)


def _synonym(tag: str, _: Rng) -> str | None:
    return _SYNONYMS.get(tag)


KINDS: Final[dict[str, Callable[[str, Rng], str | None]]] = {
    "synonym": _synonym,
    "German": _german,
    "plural": _plural,
    "typo": _typo,
    "leet": _leet,
    "case": _case,
    "separator": _separator,
}
