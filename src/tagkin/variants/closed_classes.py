"""Small classes of words of which each means something of its own, in English and German.

Two spellings of one thing never swap a colour or a direction for another. A row holds what means
the same in both languages.
"""

from collections.abc import Iterator
from typing import Final

_CLASSES: Final[tuple[str, ...]] = (
    "red rot/green grün/blue blau/yellow gelb/black schwarz/white weiß/brown braun/orange/"
    "pink rosa/purple violet lila/gray grey grau/silver silber/gold/cyan/magenta/beige/turquoise "
    "türkis",
    "north nord norden/south süd süden/east ost osten/west westen",
    "northern nördlich/southern südlich/eastern östlich/western westlich",
    "left links/right rechts",
    "up hoch/down runter",
    "upper obere/lower untere",
    "top oben/bottom unten",
    "front vorne/back hinten",
    "in/out",
    "on/off",
    "open offen/closed geschlossen/close",
    "old alt/new neu/young jung",
    "small klein/large groß/big/medium mittel",
    "man mann/woman frau/boy junge/girl mädchen",
    "men männer/women frauen/boys/girls",
    "male männlich/female weiblich",
    "day tag/night nacht/morning/evening abend",
    "spring frühling/summer sommer/autumn fall herbst/winter",
    "sunrise sonnenaufgang/sunset sonnenuntergang",
    "monday montag/tuesday dienstag/wednesday mittwoch/thursday donnerstag/friday freitag/"
    "saturday samstag/sunday sonntag",
    "january januar/february februar/march märz/april/may mai/june juni/july juli/august/"
    "september/october oktober/november/december dezember",
    "one eins/two zwei/three drei/four vier/five fünf/six sechs/seven sieben/eight acht/nine neun/"
    "ten zehn",
    "africa afrika/america amerika/asia asien/europe europa/australia australien/antarctica",
    "african afrikanisch/american amerikanisch/asian asiatisch/european europäisch/australian",
    "indoor innen/outdoor außen",
    "light hell/dark dunkel",
    "hot heiß/cold kalt/warm",
    "square quadrat/circle kreis/triangle dreieck",
    "mono/stereo",
    "inside/outside",
)


def _rows() -> Iterator[tuple[str, tuple[int, int]]]:
    for number, members in enumerate(_CLASSES):
        for row, words in enumerate(members.split("/")):
            for word in words.split():
                yield word, (number, row)


_PLACES: dict[str, list[tuple[int, int]]] = {}
for _word, _place in _rows():
    _PLACES.setdefault(_word, []).append(_place)


def are_opposed(a: str, b: str) -> bool:
    """Whether both belong to one class and mean different things in it."""
    return any(
        first[0] == second[0] and first[1] != second[1]
        for first in _PLACES.get(a, ())
        for second in _PLACES.get(b, ())
    )


def mean_the_same(a: str, b: str) -> bool:
    """Whether both stand in one row: red and rot."""
    return a != b and not set(_PLACES.get(a, ())).isdisjoint(_PLACES.get(b, ()))
