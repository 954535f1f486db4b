"""The last few answers, so that the same question needn't be worked out again."""

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Recent(Generic[Answer]):
    """Keeps the answers that were last asked for; safe to be used by several threads.

    Args:
        most: Answers that are kept.
        heaviest: Greatest weight of them all; the last one is kept whatever it weighs.
        weigh: What an answer weighs.
    """

    def __init__(
        self,
        most: int,
        *,
        heaviest: float = math.inf,
        weigh: Callable[[Answer], float] = lambda _: 0,
    ) -> None:
        self._most = most
        self._heaviest = heaviest
        self._weigh = weigh
        self._answers: OrderedDict[Hashable, Answer] = OrderedDict()
        self._lock = Lock()

    def get(self, question: Hashable, answer: Callable[[], Answer]) -> Answer:
        """Returns the answer that is kept, else a new one.

        Two threads that ask at the same time may both work it out.
        """
        with self._lock:
            if question in self._answers:
                self._answers.move_to_end(question)
                return self._answers[question]
        found = answer()
        with self._lock:
            self._answers[question] = found
            while self._too_many():
                self._answers.popitem(last=False)
        return found

    def _too_many(self) -> bool:
        weight = sum(map(self._weigh, self._answers.values()))
        return len(self._answers) > self._most or (
            weight > self._heaviest and len(self._answers) > 1
        )
