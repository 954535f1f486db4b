"""The tables of proposals."""

from pathlib import Path
from typing import TYPE_CHECKING

from tagkin.cli.variants.common import command

if TYPE_CHECKING:
    from tagkin.cli.session import Output
    from tagkin.variants import Proposals, TagPair

_RELATIONS_SHOWN = 24


def print_variants(output: "Output", proposals: "Proposals") -> None:
    """Prints the groups, with the evidence for each pair in words."""
    from rich.markup import escape

    from tagkin.cli.session import table
    from tagkin.variants import explain

    if not proposals.groups:
        output.print("no tags that mean the same were found")
        return
    between = {frozenset((pair.a, pair.b)): pair for pair in proposals.pairs}
    groups = table(
        "group", "keep", "merge", "tier", "probability", "evidence", title="tag variants"
    )
    groups.columns[0].no_wrap = True
    for group in proposals.groups:
        for number, member in enumerate(m for m in group.members if m != group.canonical):
            pair = between.get(frozenset((group.canonical, member)))
            sure = f"{pair.probability:.2f}" if pair and pair.probability is not None else ""
            groups.add_row(
                "" if number else group.id,
                "" if number else escape(f"{group.canonical} ({group.counts[group.canonical]})"),
                escape(f"{member} ({group.counts[member]})"),
                group.tier,
                sure,
                escape(explain(pair)) if pair else "through the others of the group",
            )
    output.print(groups)
    if check := proposals.check:
        output.print(
            f"What the images are worth here: of {check.planted} variants made by splitting tags "
            f"and {check.others} pairs of other tags, held out, they put the right one first "
            f"{100 * check.roc_auc:.0f} times in 100; their probabilities are off by "
            f"{check.reliability.ece:.2f} on average",
            markup=False,
        )


def print_hint(output: "Output", proposals: "Proposals", library: Path | None) -> None:
    """Says what to do next with the groups, if there are any.

    Args:
        output: Where to.
        proposals: What was found.
        library: As the user named it, for the commands that are shown.
    """
    if not proposals.groups:
        return
    first = next((g.id for g in proposals.groups if g.tier != "safe"), proposals.groups[0].id)
    safe = sum(group.tier == "safe" for group in proposals.groups)
    lines = (
        [
            (
                command("accept --safe", library),
                f"merges the {safe} safe groups" if safe > 1 else "merges the safe group",
            )
        ]
        if safe
        else []
    )
    lines += [
        (command(f"accept {first}", library), "merges one group, by its id or one of its tags"),
        (command(f"reject {first}", library), "never proposes it again"),
    ]
    width = max(len(left) for left, _ in lines)
    output.print("\nNothing has changed yet. To decide, for example:", markup=False)
    for left, right in lines:
        output.print(f"  {left:{width}}  {right}", markup=False)


def print_relations(output: "Output", proposals: "Proposals") -> None:
    """Prints the pairs that are no variants: tags that imply others, share images, or are kin."""
    from rich.markup import escape

    from tagkin.cli.session import table
    from tagkin.variants import explain

    found = [pair for pair in proposals.pairs if pair.relation != "variant"]
    if not found:
        output.print("no other relations between tags were found")
        return
    shown = table("tags", "relation", "evidence", title="other relations")
    for pair in _first_of_each(found):
        shown.add_row(escape(_tags(pair)), pair.relation, escape(explain(pair)))
    output.print(shown)
    if len(found) > len(shown.rows):
        output.print(f"and {len(found) - len(shown.rows)} more, all of them with --json")


def _first_of_each(pairs: list["TagPair"]) -> list["TagPair"]:
    """Picks the strongest of each relation, in the order of the proposals."""
    relations = list(dict.fromkeys(pair.relation for pair in pairs))
    share = max(1, _RELATIONS_SHOWN // len(relations))
    of_each = [[pair for pair in pairs if pair.relation == one][:share] for one in relations]
    return [pair for part in of_each for pair in part]


def _tags(pair: "TagPair") -> str:
    if pair.relation == "implication":
        return f"{pair.b} implies {pair.a}"
    return f"{pair.a}, {pair.b}"
