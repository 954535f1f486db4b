"""`RayEngine`: embeds with Ray's workers."""

from collections.abc import Iterable

from tagkin.backbones import BackboneConfig, cached_graph
from tagkin.backbones.tuning import choose_batch
from tagkin.distributed.crew import Ray
from tagkin.distributed.worker import Files, Worker
from tagkin.embeddings import Vectors
from tagkin.errors import BackboneError
from tagkin.records import ImageRow, Problem
from tagkin.settings import Settings


class RayEngine:
    """Makes vectors with the workers of a Ray cluster; an `embeddings.Engine`."""

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        """Notes where and how many; see `tagkin.distributed.crew.Ray`."""
        self._ray = Ray(address, workers)

    def __call__(
        self,
        rows: Iterable[ImageRow],
        count: int,
        config: BackboneConfig,
        settings: Settings,
        problems: list[Problem],
    ) -> Vectors:
        """Yields ids and vectors as they come; see `embeddings.Engine`.

        Raises:
            EngineError: Ray is missing, can't be started or reached, or its workers keep dying.
            BackboneError: A machine can't run the backbone.
            LibraryError: A machine doesn't see the files, or many in a row took too long.
        """
        if settings.device != "cpu":
            raise BackboneError("--engine ray runs on processors: leave --device gpu out")
        self._ray.check()
        graph = cached_graph(config, settings.cache_dir)
        batch = choose_batch(graph, config.precision, count * len(config.views))

        def files() -> Files:
            if not self._ray.address:  # only other machines have caches of their own
                return {}
            return {one.name: one.read_bytes() for one in (graph, graph.with_suffix(".bin"))}

        def give_up(row: ImageRow, reason: str) -> None:
            problems.append(Problem(row.paths[0], reason))

        arguments = {"config": config, "settings": settings, "batch": batch}
        for _, made in self._ray.work(rows, count, Worker, arguments, give_up, files):
            problems.extend(made.problems)
            yield from zip(made.ids, made.values, strict=True)
