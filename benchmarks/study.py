"""What each ingredient of a tagger adds, on hold-outs of a tagged collection.

python benchmarks/study.py COLLECTION [--seeds 3] [--fine-tune] [--work DIR]

COLLECTION is a folder with a ``tags.csv``. A tenth of the images is held out for the final figures
and another tenth chooses epochs and weights, both drawn anew by each seed. The protocol of image
annotation is used beside mAP: each image gets five words; precision and recall are means over the
words that occur in the hold-out, F1 their harmonic mean, N+ the words with a recall above 0.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from collections_at_hand import prepared
from numpy.typing import NDArray

from tagkin.backbones import BackboneConfig
from tagkin.backbones.config import describe_backbone
from tagkin.embeddings import embed, read_images
from tagkin.head import Head
from tagkin.images import ImageLimits
from tagkin.library import Library
from tagkin.neighbours import Neighbours
from tagkin.settings import Settings
from tagkin.training.activations import Activations, cache_activations
from tagkin.training.augment import TrainingViews
from tagkin.training.cut import cut_backbone
from tagkin.training.fine_tune import fine_tune
from tagkin.training.fit import fit_head
from tagkin.training.metrics import mean_average_precision, score_split
from tagkin.training.recipe import Recipe
from tagkin.training.trunk import open_trunk
from tagkin.vocabulary import TagRules, Vocabulary

Array = NDArray[Any]
SINGLE = ("squeeze", "crop", "squeeze-flip", "crop-flip")
BATCH = 32  # of phase 2
SHARES = np.arange(0, 1.01, 0.1)


@dataclass
class Collection:
    """Images, labels and the vectors of each view."""

    library: Library
    rows: list[Any]
    vocabulary: Vocabulary
    labels: Any
    vectors: dict[str, Array]
    settings: Settings


@dataclass
class Fold:
    """One seed's choice of images."""

    seed: int
    train: Array
    validation: Array
    test: Array


class Table:
    """Collects figures by ingredient over the seeds."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[float, ...]]] = defaultdict(list)

    def add(
        self, name: str, data: Collection, fold: Fold, logits: Callable[[Array], Array]
    ) -> None:
        """Scores logits; how far frequent tags are held back is chosen on the validation part."""
        labels = data.labels
        counts = np.bincount(labels[fold.train].indices, minlength=labels.shape[1])
        prior = np.log((counts + 0.5) / len(fold.train))
        ours, theirs = logits(fold.validation), logits(fold.test)
        share = max(SHARES, key=lambda s: words(labels[fold.validation], ours - s * prior)[2])
        plain = words(labels[fold.test], theirs)
        best = words(labels[fold.test], theirs - share * prior)
        value = 100 * mean_average_precision(labels[fold.test], theirs)
        self.rows[name].append((value, plain[2], *best, share))
        print(
            f"seed {fold.seed} {name}: " + " ".join(f"{x:.1f}" for x in self.rows[name][-1]),
            flush=True,
        )

    def markdown(self) -> str:
        """Returns means over the seeds, with the standard deviation of mAP and F1."""
        lines = [
            "| | mAP | F1 by probability | P | R | F1 | N+ |",
            "|---|---|---|---|---|---|---|",
        ]
        for name, values in self.rows.items():
            m, d = np.mean(values, axis=0), np.std(values, axis=0)
            lines.append(
                f"| {name} | {m[0]:.1f} ± {d[0]:.1f} | {m[1]:.1f} | {m[2]:.1f} | {m[3]:.1f} | "
                f"{m[4]:.1f} ± {d[4]:.1f} | {m[5]:.0f} |"
            )
        return "\n".join(lines)


def words(labels: Any, logits: Array) -> tuple[float, float, float, float]:
    """Precision, recall, F1 in per cent and N+ of five words an image."""
    scores = score_split(labels, logits, np.full(logits.shape[1], np.inf, np.float32))
    return (
        100 * scores.words_precision,
        100 * scores.words_recall,
        100 * scores.words_f1,
        scores.words_found,
    )


def load(folder: Path, work: Path, least: int) -> Collection:
    library, settings = prepared(folder, work)
    vectors: dict[str, Array] = {}
    for view in SINGLE:
        config = replace(describe_backbone(settings), views=(view,))
        embed(library, config, settings)
        rows, vectors[view] = library.embedded_images(config.fingerprint)
    rules = TagRules.from_settings(settings)
    tags = [rules.resolve_all(row.tags) for row in rows]
    vocabulary = Vocabulary.build(tags, min_tag_occurrences=least)
    return Collection(library, rows, vocabulary, vocabulary.multi_hot(tags), vectors, settings)


def folds(data: Collection, seeds: int, grouped: bool) -> list[Fold]:
    """Random tenths; grouped ones keep near-duplicates together."""
    names = [row.group if grouped else row.id for row in data.rows]
    order = {name: place for place, name in enumerate(sorted(set(names)))}
    group = np.array([order[name] for name in names])
    made = []
    for seed in range(seeds):
        place = np.random.default_rng(1000 + seed).permutation(len(order))[group] / len(order)
        parts = (place >= 0.2, (place >= 0.1) & (place < 0.2), place < 0.1)
        made.append(Fold(seed, *(np.flatnonzero(part) for part in parts)))
    return made


def mean(data: Collection, views: Sequence[str]) -> Array:
    total = sum(data.vectors[view].astype(np.float32) for view in views)
    return total / np.float32(len(views))


def neighbours(vectors: Array, labels: Any, train: Array) -> Callable[[Array], Array]:
    """Returns what the nearest training images say about images."""
    known = Neighbours.of(vectors[train], labels[train])
    return lambda images: known.logits(vectors[images])


def blended(data: Collection, fold: Fold, first: Callable[[Array], Array], second: Any) -> Any:
    """Adds two logits; the weight of the second is chosen by mAP on the validation part."""
    a, b = first(fold.validation), second(fold.validation)
    labels = data.labels[fold.validation]
    share = max((0.25, 0.5, 1.0), key=lambda c: mean_average_precision(labels, a + c * b))
    return lambda images: first(images) + share * second(images)


def head_logits(head: Head, vectors: Array) -> Callable[[Array], Array]:
    return lambda images: head.logits(vectors[images])


def phase1(data: Collection, fold: Fold, vectors: Array, **settings: Any) -> Head:
    chosen = data.settings.model_copy(update={"seed": fold.seed, **settings})
    y, t, v = data.labels, fold.train, fold.validation
    return fit_head(vectors[t], y[t], vectors[v], y[v], chosen).head


def study_heads(data: Collection, fold: Fold, table: Table) -> None:
    one, four = mean(data, SINGLE[:1]), mean(data, SINGLE)
    table.add("one view", data, fold, head_logits(phase1(data, fold, one), one))
    head = head_logits(phase1(data, fold, four), four)
    table.add("four views", data, fold, head)
    for name, changes in {
        "asymmetric loss": {"loss": "asl"},
        "weight decay 0.01": {"weight_decay": 0.01},
        "weight decay 0.1": {"weight_decay": 0.1},
        "learning rate 3e-4": {"learning_rate": 3e-4},
        "learning rate 3e-3": {"learning_rate": 3e-3},
        "dropout 0.5": {"dropout": 0.5},
    }.items():
        other = phase1(data, fold, four, **changes)
        table.add(f"four views, {name}", data, fold, head_logits(other, four))
    seeds = [phase1(data, fold, four, seed=100 + s) for s in range(5)]
    kernel = np.mean([h.kernel for h in seeds], axis=0)
    together = Head(kernel, np.mean([h.bias for h in seeds], axis=0))
    table.add("four views, mean of 5 heads", data, fold, head_logits(together, four))
    near = neighbours(four, data.labels, fold.train)
    table.add("four views, neighbours alone", data, fold, near)
    table.add("four views and neighbours", data, fold, blended(data, fold, head, near))


@dataclass
class Some:
    """Some of the images of cached activations, as `fine_tune` takes them."""

    whole: Activations
    places: Array

    def __post_init__(self) -> None:
        self.ids = [self.whole.ids[place] for place in self.places]
        self.views, self.shape, self.dtype = self.whole.views, self.whole.shape, self.whole.dtype
        self.key = f"{self.whole.key}-{len(self.places)}"

    def __len__(self) -> int:
        return len(self.places)

    def read(self, images: Array, views: Any = 0) -> Array:
        """Reads activations as `Activations.read` does."""
        return self.whole.read(self.places[images], views)


def cache(data: Collection, config: BackboneConfig, views: int, work: Path) -> list[Activations]:
    """Caches what phase 2 trains on, and the four views by which it is judged."""
    trunk = open_trunk(cut_backbone(config), config, data.settings.cache_dir, precision="f32")
    limits = ImageLimits.from_settings(data.settings)
    by_id = {row.id: row for row in data.rows}
    random = TrainingViews(config, limits, views, 0)
    fixed = replace(config, views=SINGLE)

    def reader(how: BackboneConfig, decode: Any) -> Any:
        return lambda ids: read_images(
            [by_id[i] for i in ids], how, data.settings, [], decode=decode
        )

    ids = [row.id for row in data.rows]
    folder = work / "activations"
    return [
        cache_activations(
            trunk, ids, reader(config, random), folder, views=views, pixels=random.key
        ),
        cache_activations(
            trunk, ids, reader(fixed, None), folder, views=4, pixels="+".join(SINGLE)
        ),
    ]


def study_fine_tuning(
    data: Collection, fold: Fold, table: Table, caches: list[Activations], recipes: Any, work: Path
) -> None:
    config = replace(describe_backbone(data.settings), views=("squeeze",))
    one, plain = mean(data, SINGLE[:1]), mean(data, SINGLE)
    head, head_of_four = phase1(data, fold, one), phase1(data, fold, plain)
    frozen = head_logits(head_of_four, plain)
    nearby = neighbours(plain, data.labels, fold.train)
    table.add("phase 1, one view", data, fold, head_logits(head, one))
    table.add("phase 1, four views", data, fold, frozen)
    table.add("phase 1, and neighbours", data, fold, blended(data, fold, frozen, nearby))
    for name, recipe in recipes:
        cut = cut_backbone(config, data.settings.trainable_layers)
        settings = data.settings.model_copy(
            update={"seed": fold.seed, "fine_tune_batch_size": BATCH}
        )
        started = time.monotonic()
        tuned = fine_tune(
            cut,
            head,
            Some(caches[0], fold.train),  # type: ignore[arg-type]
            data.labels[fold.train],
            Some(caches[0], fold.validation),  # type: ignore[arg-type]
            data.labels[fold.validation],
            settings,
            folder=work / "checkpoints" / f"{name}-{fold.seed}",
            recipe=recipe,
            epoch_done=lambda e: print(f"  {e}", flush=True),
        )
        print(f"{name}: epoch {tuned.best_epoch}, {time.monotonic() - started:.0f} s", flush=True)
        judged = caches[1]
        views = [
            np.concatenate(
                [
                    np.asarray(cut.tail.predict_on_batch(judged.read(some, v).astype(np.float32)))
                    for some in np.array_split(np.arange(len(judged)), len(judged) // 64)
                ]
            )
            for v in range(4)
        ]
        four = np.mean(views, axis=0)
        first = head_logits(tuned.head, four)
        near = neighbours(four, data.labels, fold.train)
        table.add(f"{name}, one view", data, fold, head_logits(tuned.head, views[0]))
        table.add(f"{name}, four views", data, fold, first)
        table.add(f"{name}, and neighbours", data, fold, blended(data, fold, first, near))
        again = head_logits(phase1(data, fold, four), four)
        table.add(f"{name}, head trained anew", data, fold, again)
        anew = blended(data, fold, again, near)
        table.add(f"{name}, head trained anew and neighbours", data, fold, anew)
        both = blended(data, fold, blended(data, fold, first, frozen), near)
        table.add(f"{name}, with phase 1 and neighbours", data, fold, both)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collection", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0, help="leave out those before")
    parser.add_argument("--fine-tune", action="store_true")
    parser.add_argument("--grouped", action="store_true", help="keep near-duplicates together")
    parser.add_argument("--min-images", type=int, default=1, help="of a tag")
    parser.add_argument("--recipe", default="one-cycle", help="of phase 2, as in the settings")
    parser.add_argument("--views", type=int, default=8, help="cached views of a training image")
    parser.add_argument("--epochs", type=int, help="of phase 2; those of the recipe if not given")
    parser.add_argument("--rates", help="learning rates of phase 2; the recipe's if not given")
    parser.add_argument("--work", type=Path, required=True, help="folder for library and caches")
    arguments = parser.parse_args()
    data = load(arguments.collection, arguments.work, arguments.min_images)
    table = Table()
    caches: list[Activations] = []
    if arguments.fine_tune:
        config = replace(describe_backbone(data.settings), views=("squeeze",))
        caches = cache(data, config, arguments.views, arguments.work)
    recipes = []
    for rate in arguments.rates.split(",") if arguments.rates else [None]:
        settings = Settings(
            fine_tune_recipe=arguments.recipe,
            fine_tune_learning_rate=rate,
            fine_tune_epochs=arguments.epochs,
            fine_tune_views=arguments.views,
        )
        name = f"phase 2, {arguments.recipe}" + (f" at {rate}" if rate else "")
        recipes.append((name, Recipe.from_settings(settings)))
    for fold in folds(data, arguments.seeds, arguments.grouped)[arguments.first_seed :]:
        if arguments.fine_tune:
            study_fine_tuning(data, fold, table, caches, recipes, arguments.work)
        else:
            study_heads(data, fold, table)
        print(table.markdown(), flush=True)


if __name__ == "__main__":
    main()
