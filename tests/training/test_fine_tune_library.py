"""Phase 2 on the drawings of the demo collection, from files to vectors of the tuned backbone."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Demo
from scipy.sparse import csr_array

from tagkin.embeddings import embed, read_images
from tagkin.images import ImageLimits
from tagkin.training.activations import cache_activations
from tagkin.training.augment import TrainingViews
from tagkin.training.cut import cut_backbone, save_weights, tuned_config
from tagkin.training.fine_tune import fine_tune
from tagkin.training.fit import fit_head
from tagkin.training.trunk import open_trunk


@pytest.mark.slow
def test_from_files_to_the_vectors_of_the_tuned_backbone(demo_copy: Demo, tmp_path: Path) -> None:
    library, config = demo_copy.library, demo_copy.config
    settings = demo_copy.settings.model_copy(
        update={"fine_tune_learning_rate": 1e-4, "fine_tune_epochs": 2, "max_epochs": 5}
    )
    rows, vectors = library.embedded_images(config.fingerprint)
    counts = Counter(tag for row in rows for tag in row.tags)
    tags = [tag for tag, _ in counts.most_common(10)]
    place = {row.id: number for number, row in enumerate(rows)}
    labels = csr_array(np.array([[tag in row.tags for tag in tags] for row in rows], np.float32))
    train = np.arange(len(rows)) % 4 > 0

    cut = cut_backbone(config)
    trunk = open_trunk(cut, config, settings.cache_dir, precision="f32")
    views = TrainingViews(config, ImageLimits.from_settings(settings))

    def read(ids: Any) -> Any:
        wanted = set(ids)
        return read_images([row for row in rows if row.id in wanted], config, settings, [])

    def cached(which: Any) -> Any:
        ids = [rows[number].id for number in np.flatnonzero(which)]
        return cache_activations(trunk, ids, read, tmp_path, pixels=views.key)

    parts = [cached(train), cached(~train)]
    own = [labels[[place[image] for image in part.ids]] for part in parts]
    head = fit_head(vectors[train], labels[train], vectors[~train], labels[~train], settings).head
    done = fine_tune(
        cut, head, parts[0], own[0], parts[1], own[1], settings, folder=tmp_path / "checkpoints"
    )
    assert len(done.history) == 3
    assert done.history[2].loss < done.history[1].loss

    weights = tmp_path / "tuned.weights.h5"
    save_weights(cut, weights)
    tuned = tuned_config(config, weights)
    embed(library, tuned, settings)
    _, after = library.embedded_images(tuned.fingerprint)
    assert len(after) == len(vectors)
    # Nearly the same scores from the exported graph as from the tail that was trained.
    scores = done.head.scores(after)
    expected = np.asarray(cut.tail(parts[1].read(np.arange(8)).astype(np.float32), training=False))
    found = scores[[place[image] for image in parts[1].ids[:8]]]
    np.testing.assert_allclose(found, done.head.scores(expected), atol=0.02)
