"""``tagkin variants accept``, ``reject``, ``merge``, ``imply``, ``related``, ``undo``, ``list``."""

from collections.abc import Callable
from typing import Annotated

import typer

from tagkin.cli.options import JsonOption, LibraryOption
from tagkin.cli.variants.common import Desk, command, from_spans
from tagkin.decisions import in_words


def accept(
    ctx: typer.Context,
    groups: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="GROUP...",
            help="Ids of proposed groups, or for each group a tag that is in no other.",
            show_default=False,
        ),
    ] = None,
    safe: Annotated[bool, typer.Option("--safe", help="All groups of the tier safe.")] = False,
    canonical: Annotated[
        str | None,
        typer.Option(
            metavar="TAG",
            help="The tag of the group to keep. (default: the one proposed)",
            show_default=False,
        ),
    ] = None,
    library: LibraryOption = None,
    json: JsonOption = False,
) -> None:
    """Merge the tags of proposed groups."""
    from tagkin.errors import DecisionError

    if safe == bool(groups):
        raise DecisionError("name either groups or --safe; 'tagkin variants' lists the groups")
    if safe and canonical is not None:
        raise DecisionError("--canonical goes with one group, not with --safe")
    desk = Desk(ctx, library, json)
    decisions = desk.decisions()
    if safe:
        desk.tell(decisions.accept_safe(), "there is no safe group to merge")
    else:
        desk.tell(decisions.accept(groups or [], canonical=canonical))


def merge(
    ctx: typer.Context,
    tags: Annotated[list[str], typer.Argument(metavar="TAG...", help="Tags that mean the same.")],
    canonical: Annotated[
        str | None,
        typer.Option(
            metavar="TAG",
            help="The name to keep, which may be a new one. (default: the tag on the most images)",
            show_default=False,
        ),
    ] = None,
    library: LibraryOption = None,
    json: JsonOption = False,
) -> None:
    """Merge tags that nobody proposed."""
    desk = Desk(ctx, library, json)
    desk.tell(desk.decisions().merge(tags, canonical=canonical))


def reject(
    ctx: typer.Context,
    tags: Annotated[
        list[str],
        typer.Argument(
            metavar="GROUP|TAG TAG...", help="A proposed group, or two or more different tags."
        ),
    ],
    library: LibraryOption = None,
    json: JsonOption = False,
) -> None:
    """Say that tags are different: they are never again proposed, nor in one group."""
    desk = Desk(ctx, library, json)
    decisions = desk.decisions()
    desk.tell(decisions.reject_group(tags[0]) if len(tags) == 1 else decisions.reject(tags))


def imply(
    ctx: typer.Context,
    tag: Annotated[str, typer.Argument(metavar="TAG", help="The special tag.")],
    implied: Annotated[str, typer.Argument(metavar="IMPLIED", help="The general tag.")],
    library: LibraryOption = None,
    json: JsonOption = False,
) -> None:
    """Say that images of a tag have another tag as well, whoever forgot to write it."""
    desk = Desk(ctx, library, json)
    desk.tell(desk.decisions().imply(tag, implied))


def related(
    ctx: typer.Context,
    tag: Annotated[str, typer.Argument(metavar="TAG", help="A tag.")],
    other: Annotated[str, typer.Argument(metavar="TAG", help="Another tag.")],
    library: LibraryOption = None,
    json: JsonOption = False,
) -> None:
    """Say that tags belong together without being one: recorded and exported, no more."""
    desk = Desk(ctx, library, json)
    desk.tell(desk.decisions().relate(tag, other))


def undo(
    ctx: typer.Context,
    numbers: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NUMBER...",
            help="Numbers of decisions, such as 3 or 3-5. (default: the last one in force)",
            show_default=False,
        ),
    ] = None,
    library: LibraryOption = None,
    json: JsonOption = False,
) -> None:
    """Take decisions back; to undo an undo brings back what it took."""
    desk = Desk(ctx, library, json)
    desk.tell(desk.decisions().undo(from_spans(numbers or [])))


def list_decisions(
    ctx: typer.Context, library: LibraryOption = None, json: JsonOption = False
) -> None:
    """List all decisions, also those that were undone."""
    from rich.markup import escape

    from tagkin.cli.session import table
    from tagkin.decisions import undone

    desk = Desk(ctx, library, json)
    taken = desk.library.decisions()
    taken_back = undone(taken)
    if desk.output.as_json:
        listed = [{**one.__dict__, "undone_by": taken_back.get(one.number)} for one in taken]
        desk.output.json({"decisions": listed})
        return
    if not taken:
        told = f"nothing has been decided yet: see '{command('--help', None)}'"
        desk.output.print(told, markup=False)
        return
    shown = table("number", "decision", "undone", "when", "who", "evidence", right=[0])
    for one in taken:
        by = taken_back.get(one.number)
        shown.add_row(
            str(one.number),
            escape(in_words(one)),
            "" if by is None else f"by {by}",
            one.when[:16].replace("T", " "),
            escape(one.who),
            escape(one.evidence),
            style="dim" if by is not None else None,
        )
    desk.output.print(shown)


COMMANDS: dict[str, Callable[..., None]] = {
    "accept": accept,
    "reject": reject,
    "merge": merge,
    "imply": imply,
    "related": related,
    "undo": undo,
    "list": list_decisions,
}
