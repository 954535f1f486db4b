"""How phase 2 goes about it: the published recipe, or one that gains more and takes longer."""

import math
from dataclasses import dataclass

from tagkin.settings import Settings

_WARM_UP = 0.2  # share of the steps


@dataclass(frozen=True)
class Recipe:
    """Rates, duration and start of phase 2.

    Attributes:
        epochs: Of training.
        views: Of each training image, from which each epoch takes one.
        learning_rate: Of the tail (Adam); the greatest, if it changes.
        head_learning_rate: Of the head, likewise.
        one_cycle: Whether the rates rise over the first fifth of the steps and then fall to
            nothing along a cosine (Smith and Topin 2019, "Super-Convergence", arXiv:1708.07120).
        new_head: Whether the head starts from nothing but how frequent each tag is. One from phase
            1 knows the training images too well already: their loss then leaves the backbone
            little to learn but the images by heart.
    """

    epochs: int
    views: int
    learning_rate: float
    head_learning_rate: float
    one_cycle: bool = False
    new_head: bool = False

    @classmethod
    def from_settings(cls, settings: Settings) -> "Recipe":
        """Returns the recipe that the settings name, with what they change of it."""
        base = _RECIPES[settings.fine_tune_recipe]
        rate = settings.fine_tune_learning_rate or base.learning_rate
        return cls(
            epochs=settings.fine_tune_epochs or base.epochs,
            views=settings.fine_tune_views or base.views,
            learning_rate=rate,
            head_learning_rate=rate * base.head_learning_rate / base.learning_rate,
            one_cycle=base.one_cycle,
            new_head=base.new_head,
        )

    def rate_share(self, step: int, steps: int) -> float:
        """Returns by what the rates are multiplied in a step, counted from 0, of all ``steps``."""
        if not self.one_cycle:
            return 1.0
        warm = max(1.0, _WARM_UP * steps)
        if step < warm:
            return (step + 1) / (warm + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1.0, steps - warm)))


_RECIPES = {
    "published": Recipe(epochs=5, views=1, learning_rate=1e-5, head_learning_rate=1e-5),
    "one-cycle": Recipe(
        epochs=8,
        views=8,
        learning_rate=3e-4,
        head_learning_rate=3e-3,
        one_cycle=True,
        new_head=True,
    ),
}
