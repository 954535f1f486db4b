"""The tags of an uploaded image."""

from dataclasses import dataclass

from tagkin.web.services.image import PredictedTag
from tagkin.web.state import WebState


@dataclass(frozen=True)
class Predicted:
    """What the tagger says of an image.

    Attributes:
        tagger: Its name.
        tags: The first by rank first.
    """

    tagger: str
    tags: tuple[PredictedTag, ...]


def predict_upload(state: WebState, data: bytes, client: str, top: int | None = None) -> Predicted:
    """Returns the tags of an uploaded image.

    Args:
        state: The server's.
        data: The content of an image file.
        client: Who asks, whose requests are counted.
        top: Exactly so many tags; if None, those at or above their threshold.

    Raises:
        NotReadyError: The library has no tagger yet.
        TooManyError, TooLargeError, NotAnImageError: It is refused.
    """
    predictor = state.loaded().need_predictor()
    with state.gate.entered(client):
        vector = state.embed(data, predictor.saved.config, predictor.saved.backbone)
    found = predictor.tagger.tags_for(vector, top=top, rank=state.settings.rank)
    unwanted = state.live().rules.excluded
    return Predicted(
        predictor.name,
        tuple(
            PredictedTag(one.tag, one.score, one.threshold)
            for one in found
            if one.tag not in unwanted
        ),
    )
