"""The cache of exported graphs, which can always be made again."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from tagkin.backbones import cached_graph, clear_cache, list_cache
from tagkin.backbones.config import BackboneConfig
from tagkin.checking.findings import Finding
from tagkin.errors import TagkinError


def check_graphs(
    cache_dir: Path, configs: Iterable[BackboneConfig], *, repair: bool
) -> Iterator[Finding]:
    """Yields the damaged entries of the cache; a repair removes them, and makes those in use again.

    Args:
        cache_dir: The cache folder.
        configs: Backbones in use.
        repair: Whether to remove them.

    Raises:
        BackboneError: An entry can't be removed.
    """
    used = {config.graph_key: config for config in configs}
    for entry in list_cache(cache_dir):
        if entry.whole:
            continue
        killed = entry.key.startswith(".")
        done = None
        if repair:
            clear_cache(cache_dir, [entry.key])
            done = _make_again(used.get(entry.key), cache_dir)
        yield Finding(
            "leftover" if killed else "damage",
            "cache",
            entry.path,
            "the remains of an export that was killed" if killed else "a damaged exported graph",
            advice="it is made again when it is needed; 'tagkin check --repair' removes it",
            repaired=done,
        )


def _make_again(config: BackboneConfig | None, cache_dir: Path) -> str:
    if config is None:
        return "removed; it is made again when it is needed"
    try:
        cached_graph(config, cache_dir)
    except TagkinError as error:
        return f"removed; it couldn't be made again now: {error}"
    return "removed and made again"
