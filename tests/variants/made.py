"""Small made-up collections: tags with a meaning, and vectors that follow it."""

import numpy as np
from numpy.typing import NDArray

Tags = list[list[str]]
Vectors = NDArray[np.float32]

SUBJECTS = (
    "mountain", "harbour", "kitchen", "portrait", "elephant", "bicycle", "waterfall", "cathedral",
    "orchid", "snowman", "lighthouse", "orchestra", "volcano", "penguin", "library", "sunflower",
)  # fmt: skip


def collection(
    spellings: dict[str, tuple[str, ...]] | None = None,
    *,
    seed: int = 0,
    each: int = 30,
    parallel: float = 0.0,
) -> tuple[Tags, Vectors]:
    """Images of 16 subjects, each with its own look and its own two companions.

    Args:
        spellings: For a subject, the spellings that its images are dealt to in turn.
        seed: Of the vectors.
        each: Images of a subject.
        parallel: Length of a part that all vectors share, as those of a backbone do.
    """
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(SUBJECTS), 24))
    tags, vectors = [], []
    for number, subject in enumerate(SUBJECTS):
        names = (spellings or {}).get(subject, (subject,))
        for image in range(each):
            row = [names[image % len(names)]]
            # The companions come and go, but not in step with the spelling.
            row += [f"with {'abcdefghijklmnop'[number]}"] if rng.random() < 0.7 else []
            row += [f"near {'abcdefghijklmnop'[number // 2]}"] if rng.random() < 0.5 else []
            tags.append(row)
            vectors.append(centres[number] + rng.normal(size=24) * 0.6 + parallel)
    return tags, np.asarray(vectors, np.float32)
