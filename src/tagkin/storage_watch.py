"""Ends a job whose drive or store has gone, which would otherwise wait for each of its files."""

from tagkin.errors import LibraryError
from tagkin.records import Problem

_MOST = 10  # files in a row: a store may be unable to give a few for ever


class StorageWatch:
    """Is told what became of each file, as it becomes known."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def saw(self, problem: Problem | None) -> None:
        """Notes a file.

        Args:
            problem: Why it could not be used; None if it could.

        Raises:
            LibraryError: Many in a row were on storage that didn't answer.
        """
        if problem is None or not problem.unreachable:
            self._in_a_row = 0
            return
        self._in_a_row += 1
        if self._in_a_row == _MOST:
            raise LibraryError(
                f"{_MOST} files in a row could not be had, the last {problem.path}: "
                f"{problem.reason}. Is their drive or store still there? What was stored stays, "
                "and the same command goes on from there"
            )
