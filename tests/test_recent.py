"""The last few answers."""

from tagkin.recent import Recent


def test_the_last_ones_are_kept() -> None:
    asked: list[int] = []

    def double(number: int) -> int:
        asked.append(number)
        return 2 * number

    recent: Recent[int] = Recent(2)
    answers = [recent.get(n, lambda n=n: double(n)) for n in (1, 2, 1, 3, 1, 2)]  # type: ignore[misc]
    assert answers == [2, 4, 2, 6, 2, 4]
    assert asked == [1, 2, 3, 2]
