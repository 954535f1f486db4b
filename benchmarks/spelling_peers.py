"""What the learnt spelling evidence is compared with: rules and curves made by hand."""

import math

from rapidfuzz.distance import OSA, JaroWinkler

from tagkin.variants.spelling_features import endings

_UNLIKE = -1.2


def hand_made_llr(a: str, b: str) -> float:
    """A likelihood ratio by hand-drawn curves, which know no dictionary.

    They follow how often codespell's typing errors and pairs of correct words reach a distance.
    """
    short, long = sorted((a, b), key=lambda text: (len(text), text))
    distance = OSA.distance(short, long, score_cutoff=2)
    same = next(
        (i for i, (x, y) in enumerate(zip(short, long, strict=False)) if x != y), len(short)
    )
    stem = {1: 5.0 if same >= 7 else 4.0, -1: 1.5, 0: None}[endings(short, long, same)]
    if stem is not None:
        return stem
    if distance <= 2 and len(long) >= 4:
        length = (len(short) + len(long)) / 2
        if distance == 1:
            llr = 7.5 - 5.0 * math.exp((4.0 - length) / 1.5)
            llr += 1.0 if sorted(short) == sorted(long) else 0.0
        else:
            llr = 6.5 - 6.0 * math.exp((6.0 - length) / 3.0)
        if same == 0:
            llr -= 2.5
        elif same >= len(short) - 2 and sorted(short) != sorted(long):
            llr = min(llr, 5.0)
        if long.startswith(short) or long.endswith(short):
            llr = min(llr, 4.5)
        return max(min(llr, 0.5) if len(short) <= 3 else llr, _UNLIKE)
    if len(short) >= 3 and (long.startswith(short) or long.endswith(short)):
        return min(0.5 * len(short) - 1.0, 2.0)
    return _UNLIKE + 4.0 * max(0.0, JaroWinkler.similarity(short, long) - 0.6)
