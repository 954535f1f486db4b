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


def test_heavy_ones_are_forgotten_earlier() -> None:
    asked: list[str] = []

    def same(text: str) -> str:
        asked.append(text)
        return text

    recent: Recent[str] = Recent(10, heaviest=5, weigh=len)
    for text in ("aa", "bbb", "aa", "cc", "aa", "bbb", "much too long", "much too long"):
        assert recent.get(text, lambda text=text: same(text)) == text  # type: ignore[misc]
    assert asked == ["aa", "bbb", "cc", "bbb", "much too long"]
