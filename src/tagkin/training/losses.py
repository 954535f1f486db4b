"""The losses that a tagger learns by: binary cross-entropy and asymmetric loss."""

from collections.abc import Callable
from typing import Any

from tagkin.settings import Settings

# Of the asymmetric loss, as its paper recommends.
_NEGATIVE_FOCUS, _POSITIVE_FOCUS, _SHIFT = 4.0, 0.0, 0.05
_EPSILON = 1e-7

LossFunction = Callable[[Any, Any], Any]


def build_loss(keras: Any, settings: Settings) -> LossFunction:
    """Returns the loss that the settings name, as Keras takes it.

    ``bce`` is binary cross-entropy. ``asl`` is the asymmetric loss (Ridnik et al. 2021, "Asymmetric
    Loss For Multi-Label Classification", arXiv:2009.14119): easy negatives count less, by their
    probability less 0.05 to the power of 4, and those below 0.05 not at all.

    Args:
        keras: The imported package.
        settings: ``loss``.

    Returns:
        A function of labels and probabilities, both float32 of shape (batch, tags), to the mean
        over the tags, float32 of shape (batch,). A label of 0 means that the tag is not there;
        a greater one that it is, and how much that pair counts in the loss.
    """
    ops = keras.ops
    asymmetric = settings.loss == "asl"

    def loss(labels: Any, probabilities: Any) -> Any:
        p = ops.clip(probabilities, _EPSILON, 1 - _EPSILON)
        there = ops.cast(labels > 0, p.dtype)
        right, wrong = ops.log(p), ops.log(1 - p)
        if asymmetric:
            shifted = ops.clip(p - _SHIFT, 0.0, 1.0)
            right = right * (1 - p) ** _POSITIVE_FOCUS if _POSITIVE_FOCUS else right
            wrong = ops.log(1 - shifted) * shifted**_NEGATIVE_FOCUS
        # A weighted label is the weight itself where the tag is there, and 0 elsewhere.
        return -ops.mean(labels * right + (1 - there) * wrong, axis=-1)

    return loss


def decision_accuracy(labels: Any, probabilities: Any) -> Any:
    """Share of right decisions at 0.5 ("binary accuracy"), of each image.

    Labels are as for the loss: what is above 0 is there.
    """
    from keras import ops

    right = ops.equal(labels > 0, probabilities > 0.5)
    return ops.mean(ops.cast(right, "float32"), axis=-1)
