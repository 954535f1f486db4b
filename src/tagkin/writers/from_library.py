"""The tags of a library's images as others are to see them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tagkin.library import Library
from tagkin.records import ImageRow
from tagkin.tag_edits import EditedTags
from tagkin.vocabulary import TagRules
from tagkin.writers.tagged import TaggedImage


@dataclass(frozen=True)
class LibraryTags:
    """Which tags of its images a library gives away.

    Attributes:
        rules: How raw tags become the tags that everything else sees.
        own: Whether the library's tags are wanted; else only those of ``more``.
        raw: Whether they are wanted as they were read, not as the rules see them.
        drop_old_names: Whether spellings that aliases and decisions renamed are unwanted in files
            that have them.
        more: Returns further tags of an image with weights, given its id.
    """

    rules: TagRules
    own: bool = True
    raw: bool = False
    drop_old_names: bool = False
    more: Callable[[str], Mapping[str, float]] | None = None

    def images(self, library: Library) -> list[TaggedImage]:
        """Returns each file that isn't missing with the tags of its image, ordered by path.

        Tags that the owner took off an image are unwanted in files that have them.
        """
        edits = EditedTags(library.tag_edits(), self.rules)
        rows = library.iter_images(library.image_ids())  # a row has several times as much memory
        found = [image for row in rows for image in self._of_row(row, edits)]
        return sorted(found, key=lambda image: image.path)

    def _of_row(self, row: ImageRow, edits: EditedTags) -> Iterator[TaggedImage]:
        paths = [file.path for file in row.files if not file.missing]
        if not paths:
            return
        edited = edits.row(row)
        tags = self._own_tags(edited) if self.own else {}
        if self.more is not None:
            tags |= {tag: weight for tag, weight in self.more(row.id).items() if tag not in tags}
        taken_off = self._taken_off(edited, edits)
        if taken_off:  # a tag that was taken off is not put back by whoever else proposes it
            tags = {tag: one for tag, one in tags.items() if self.rules.fold(tag) not in taken_off}
        unwanted = taken_off | (self._old_names(edited) if self.drop_old_names else set())
        size = (row.width, row.height)
        for path in paths:
            yield TaggedImage(path, tags, frozenset(unwanted), size)

    def _own_tags(self, row: ImageRow) -> dict[str, float]:
        if self.raw:
            weights = row.weights
            return {tag: weights.get(tag, 1.0) for tag in row.tags}
        weighted = self.rules.resolve_weighted(row)
        return {tag: one for tag, one in weighted.items() if tag not in self.rules.excluded}

    def _taken_off(self, edited: ImageRow, edits: EditedTags) -> set[str]:
        """Returns folded tags that the owner took off, and the names that these have now.

        A name that another tag of the image stands for stays.
        """
        removed = {edit.tag for edit in edits.of(edited.id) if edit.kind == "remove"}
        if not removed:
            return set()
        names = {self.rules.resolve(tag) for tag in removed}
        names -= {self.rules.resolve(tag) for tag in edited.tags}
        return {self.rules.fold(tag) for tag in removed | names} - {""}

    def _old_names(self, row: ImageRow) -> set[str]:
        steps = [self.rules.steps(tag) for tag in row.tags]
        return {folded for folded, _, name in steps if name and folded != name}
