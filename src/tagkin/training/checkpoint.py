"""What fine-tuning writes after each epoch, so that a killed run goes on where it was."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tagkin.errors import TaggerError
from tagkin.files import atomic_file

Arrays = list[NDArray[Any]]


@dataclass(frozen=True)
class EpochMetrics:
    """What is known after an epoch.

    Attributes:
        epoch: Its number; 0 is the state before the first.
        loss: Mean over the training images; NaN for epoch 0.
        accuracy: Share of right decisions at 0.5 over training images and tags; NaN for epoch 0.
        validation_map: Mean average precision on the validation images.
        seconds: That the epoch took, with its validation.
    """

    epoch: int
    loss: float
    accuracy: float
    validation_map: float
    seconds: float = field(compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON types."""
        return asdict(self)


@dataclass
class State:
    """All that the next epoch depends on, besides settings and data.

    Attributes:
        weights: Of all that is trained.
        optimizer: Its variables.
        moments: Mean and deviation that the vectors are standardised with.
        history: One entry for each epoch, from epoch 0 on.
        best_epoch: Number of the best one.
    """

    weights: Arrays
    optimizer: Arrays
    moments: Arrays
    history: list[EpochMetrics] = field(default_factory=list)
    best_epoch: int = 0

    @property
    def epoch(self) -> int:
        """The number of epochs that are done."""
        return len(self.history) - 1


class Checkpoints:
    """The checkpoint and the best epoch's weights, in a folder; one run at a time."""

    def __init__(self, folder: Path, key: str) -> None:
        """Names a folder.

        Args:
            folder: Made if missing when something is saved.
            key: Of settings and data: what another key has written isn't read.
        """
        self._folder, self._key = folder, key

    def save(self, state: State) -> None:
        """Writes the state, and the weights once more if its last epoch is the best.

        Raises:
            TaggerError: The files can't be written; the last checkpoint stays whole.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            best = self._best(state.best_epoch)
            if state.best_epoch == state.epoch:
                self._write(best, {"weights": state.weights})
            about = [entry.to_dict() for entry in state.history]
            groups = {
                "weights": state.weights,
                "optimizer": state.optimizer,
                "moments": state.moments,
            }
            self._write(self._checkpoint, groups, {"history": about, "best": state.best_epoch})
            # Only now, since the checkpoint before named the best epoch before.
            for path in self._folder.glob("best-*.npz"):
                if path != best:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise TaggerError(
                f"can't write the checkpoint in {self._folder}: {error}. Free some space and run "
                "the same command again: it goes on after the last epoch"
            ) from error

    def load(self) -> State | None:
        """Returns the last state that was saved under the same key; None if there is none."""
        found = self._read(self._checkpoint)
        if found is None:
            return None
        groups, about = found
        try:
            state = State(
                groups["weights"],
                groups["optimizer"],
                groups["moments"],
                [EpochMetrics(**entry) for entry in about["history"]],
                int(about["best"]),
            )
        except (KeyError, TypeError, ValueError):
            return None
        return state if self.best_weights(state.best_epoch) is not None else None

    def best_weights(self, epoch: int) -> Arrays | None:
        """Returns the weights of the best epoch; None if they aren't there whole."""
        found = self._read(self._best(epoch))
        return None if found is None else found[0].get("weights")

    def delete(self) -> None:
        """Removes the files."""
        for path in (self._checkpoint, *self._folder.glob("best-*.npz")):
            path.unlink(missing_ok=True)

    @property
    def _checkpoint(self) -> Path:
        return self._folder / "checkpoint.npz"

    def _best(self, epoch: int) -> Path:
        return self._folder / f"best-{epoch}.npz"

    def _write(self, path: Path, groups: dict[str, Arrays], about: Any = None) -> None:
        arrays = {
            f"{name}-{place}": array
            for name, group in groups.items()
            for place, array in enumerate(group)
        }
        text = json.dumps({"key": self._key, "about": about})
        with atomic_file(path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, json=np.array(text), **arrays)

    def _read(self, path: Path) -> tuple[dict[str, Arrays], Any] | None:
        with (
            suppress(OSError, ValueError, KeyError, TypeError, BadZipFile),
            np.load(path, allow_pickle=False) as file,
        ):
            text = json.loads(str(file["json"]))
            if text["key"] != self._key:
                return None
            groups: dict[str, Arrays] = {}
            names = [name.rsplit("-", 1) for name in file.files if name != "json"]
            for name, place in sorted(names, key=lambda pair: (pair[0], int(pair[1]))):
                groups.setdefault(name, []).append(file[f"{name}-{place}"])
            return groups, text["about"]
        return None
