"""Decisions from a file, checked as a whole before any of them is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tagkin.decisions import Decision, Link, NewDecision, accepted_merges, links
from tagkin.vocabulary import TagRules
from tagkin.writers.problems import raise_line_problems


def check_import(
    read: Sequence[Link], taken: Sequence[Decision], rules: TagRules
) -> tuple[list[NewDecision], list[str]]:
    """Returns the decisions that a file adds to a list, and in words what is decided already.

    Args:
        read: What the file says, numbered by line.
        taken: The decisions so far.
        rules: How tags are folded and renamed now.

    Raises:
        ExchangeError: Lines contradict each other or the decisions so far.
    """
    plain = [
        replace(link, tag=rules.steps(link.tag)[1], other=rules.steps(link.other)[1])
        for link in read
    ]
    problems = _contradictions(plain)
    raise_line_problems(problems)
    decided = links(taken)
    standing = {(link.kind, link.tag, link.other): link.number for link in decided}
    names = accepted_merges(taken)
    fresh: dict[tuple[str, str, str], Link] = {}
    skipped = []
    for link in plain:
        ends = names.get(link.tag, link.tag), names.get(link.other, link.other)
        known = standing.get((link.kind, *ends))
        if link.kind in ("reject", "related"):
            known = known or standing.get((link.kind, *ends[::-1]))
        if link.kind == "merge" and names.get(link.tag) == link.other:
            known = known or standing.get(("merge", link.tag, link.other))
        if link.tag == link.other:
            skipped.append(f"line {link.number}: {link.tag!r} is one tag already")
        elif known:
            skipped.append(f"line {link.number}: decided already, by number {known}")
        else:
            fresh.setdefault((link.kind, link.tag, link.other), link)
    new = [_new(link) for link in fresh.values()]
    raise_line_problems(_conflicts(list(fresh.values()), new, taken, decided, names))
    return new, skipped


def _new(link: Link) -> NewDecision:
    return NewDecision(
        link.kind,
        (link.tag, link.other),
        link.other if link.kind == "merge" else None,
        evidence=link.evidence,
        probability=link.probability,
        when=link.when,
        who=link.who,
    )


def _contradictions(read: Sequence[Link]) -> list[tuple[int, str]]:
    """Lists the lines that say something impossible, by themselves or beside other lines."""
    problems = []
    target: dict[str, Link] = {}
    for link in read:
        if not link.tag or not link.other:
            problems.append((link.number, "a tag is empty"))
        elif link.kind == "merge" and link.tag != link.other:
            earlier = target.setdefault(link.tag, link)
            if earlier.other != link.other:
                problems.append(
                    (
                        link.number,
                        f"{link.tag!r} goes to {link.other!r}, but to {earlier.other!r} by line "
                        f"{earlier.number}",
                    )
                )
            elif _comes_back(link.tag, target):
                problems.append((link.number, f"the merges of {link.tag!r} go round in a circle"))
                del target[link.tag]
    return problems


def _comes_back(tag: str, target: dict[str, Link]) -> bool:
    current = tag
    while current in target:
        current = target[current].other
        if current == tag:
            return True
    return False


def _conflicts(
    fresh: Sequence[Link],
    new: Sequence[NewDecision],
    taken: Sequence[Decision],
    decided: Sequence[Link],
    before: Mapping[str, str],
) -> list[tuple[int, str]]:
    """Lists the lines that would change what was decided, or keep apart what becomes one tag.

    Args:
        fresh: The lines that are not decided already.
        new: The decisions that they would be.
        taken: The decisions so far.
        decided: What these have in force.
        before: The names that these gave to merged tags.
    """
    start = len(taken) + 1
    added = [
        Decision(number, one.kind, one.tags, one.canonical, None, "", "")
        for number, one in enumerate(new, start)
    ]
    after = accepted_merges([*taken, *added])

    def now(tag: str) -> str:
        return after.get(tag, tag)

    problems = []
    number_of = {link.tag: link.number for link in decided if link.kind == "merge"}
    for link in fresh:
        was = before.get(link.tag)
        if link.kind == "merge" and was is not None and now(was) != now(link.tag):
            problems.append(
                (
                    link.number,
                    f"{link.tag!r} is merged into {was!r} by decision {number_of[link.tag]}, not "
                    f"into {link.other!r}",
                )
            )
    said = [
        *((link, f"decision {link.number}") for link in decided),
        *((link, f"line {link.number}") for link in fresh),
    ]
    merging = {now(link.tag): link.number for link in fresh if link.kind == "merge"}
    for link, where in said:
        name = now(link.tag)
        if link.kind == "merge" or name != now(link.other):
            continue
        told = f"{link.tag!r} and {link.other!r} would be one tag, against {where} ({link.kind})"
        if link in fresh and name not in merging:
            told = f"{link.tag!r} and {link.other!r} were merged into one tag ({name!r}) before"
        problems.append((merging.get(name, link.number), told))
    return sorted(problems)
