"""The evidence of a pair in plain words."""

from tagkin.variants.proposals import TagPair

_LOOKS = ((0.6, "looks alike"), (0.3, "looks somewhat alike"), (-1.1, "looks different"))
_COMPANY = ((0.6, "same company"), (0.3, "similar company"), (-0.1, "other company"))

_NOT_SPELLING = {
    "synonym": "synonyms in a dictionary",
    "translation": "translations of each other",
    "yours": "the same in your file of synonyms",
    "opposite": "opposites, or two of one kind",
}


def explain(pair: TagPair) -> str:
    """Says in one line why a pair was proposed.

    Args:
        pair: From any method.

    Returns:
        For example ``spelled alike: plural; looks alike: 0.93; same company: tree, lake``.
    """
    evidence = pair.evidence
    parts: list[str] = []
    spelling = evidence.get("spelling")
    if spelling == "number":
        parts.append("differ by a number")
    elif spelling == "none":
        parts.append("spelled differently")
    elif spelling in _NOT_SPELLING:
        parts.append(_NOT_SPELLING[str(spelling)])
    elif spelling is not None:
        parts.append(f"spelled alike: {spelling}")
    if "visual" in evidence:
        visual = float(evidence["visual"])
        parts.append(f"{_word(visual, _LOOKS)}: {visual:.2f}")
    company = evidence.get("company")
    if "context" in evidence:
        context = float(evidence["context"])
        names = company if company and context >= _COMPANY[1][0] else f"{context:.2f}"
        parts.append(f"{_word(context, _COMPANY)}: {names}")
    elif company:
        parts.append(f"seen with: {company}")
    if pair.relation == "implication":
        share = f"{evidence['shared']} of the {evidence['count_b']} images"
        parts.append(f"{share} of '{pair.b}' carry '{pair.a}'")
    elif evidence.get("shared"):
        images = "image" if evidence["shared"] == 1 else "images"
        parts.append(f"together on {evidence['shared']} {images}")
    if evidence.get("images") == "too few apart":
        parts.append("too few images apart to compare")
    if evidence.get("vectors") == "none":
        parts.append("no vectors to compare looks")
    if "cosine" in evidence:
        parts.append(f"mean vectors alike: {float(evidence['cosine']):.2f}")
    if "same_key" in evidence:
        parts.append(f"the same {evidence['same_key']}")
    if "jaro_winkler" in evidence:
        parts.append(f"Jaro-Winkler: {float(evidence['jaro_winkler']):.2f}")
    return "; ".join(parts)


def _word(value: float, scale: tuple[tuple[float, str], ...]) -> str:
    return next((word for least, word in scale if value >= least), scale[-1][1])
