"""What a long job will take, on stderr, before it starts."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tagkin.backbones import BackboneConfig
    from tagkin.backbones.runtime import Arithmetic
    from tagkin.cli.session import Output, Session
    from tagkin.library import Library
    from tagkin.machine import Machine
    from tagkin.recommending.jobs import Job


def announce_embedding(session: "Session", library: "Library", *, anyway: bool) -> None:
    """Says what embedding will take if that is long; refuses it if it can't fit.

    Raises:
        ResourceError: It can't fit, and ``anyway`` is not given.
    """
    from tagkin.backbones.cache import is_exported
    from tagkin.recommending.jobs import costs_here, embed_job

    settings = session.settings
    wanted = _describe(session, library)
    if wanted is None or settings.device == "gpu":
        return
    count = _missing(library, wanted)
    if not count:
        return
    costs = costs_here(library.working_path, settings.cache_dir)
    job = embed_job(
        *(costs, wanted.architecture, wanted.image_size, count, len(wanted.views)),
        exported=is_exported(wanted, settings.cache_dir),
    )
    if job:
        _tell(session.output, job, costs.machine, anyway)


def announce_fine_tuning(session: "Session", library: "Library", *, anyway: bool) -> None:
    """Says what phase 2 will take; refuses it if it can't fit.

    Raises:
        ResourceError: It can't fit, and ``anyway`` is not given.
    """
    from tagkin.recommending.jobs import costs_here, fine_tune_job
    from tagkin.tag_edits import EditedTags
    from tagkin.tagged_images import TaggedImages
    from tagkin.training.recipe import Recipe

    settings = session.settings
    wanted = _describe(session, library)
    if wanted is None:
        return
    tagged = TaggedImages.read(library.image_table(), EditedTags(()))
    images = len(tagged.places_of("train"))
    if not images:
        return
    recipe = Recipe.from_settings(settings)
    costs = costs_here(library.working_path, settings.cache_dir)
    job = fine_tune_job(
        costs,
        wanted.architecture,
        wanted.image_size,
        images,
        batch=settings.fine_tune_batch_size,
        views=recipe.views,
        epochs=recipe.epochs,
    )
    if job:
        _tell(session.output, job, costs.machine, anyway)


def _describe(session: "Session", library: "Library") -> "BackboneConfig | None":
    """Returns the backbone that will be used, its precision left open; None if it is unknown."""
    from tagkin.backbones import BACKBONES
    from tagkin.backbones.config import describe_backbone
    from tagkin.settings import Settings

    wanted = session.wanted_backbone(library)
    name = wanted.model_architecture if isinstance(wanted, Settings) else wanted.architecture
    if name not in BACKBONES:
        return None  # an ONNX file, or a mistake that is told where the backbone is opened
    return describe_backbone(wanted) if isinstance(wanted, Settings) else wanted


def _missing(library: "Library", config: "BackboneConfig") -> int:
    """Returns how many images lack a vector, in the precision that most of them have."""
    from dataclasses import replace

    ids = library.image_ids()
    each: tuple[Arithmetic, ...] = (config.precision, "f32", "bf16")
    prints = {replace(config, precision=precision).fingerprint for precision in each}
    return min(len(library.without_vector(ids, one)) for one in prints)


def _tell(output: "Output", job: "Job", machine: "Machine", anyway: bool) -> None:
    from tagkin.quantities import format_bytes
    from tagkin.recommending.jobs import WORTH_SECONDS, refuse_what_cannot_fit, short_of_memory

    if not anyway:
        refuse_what_cannot_fit(job, machine)
    if (job.seconds or 0.0) > WORTH_SECONDS:
        output.note(str(job))
    if short_of_memory(job, machine):
        output.note(
            f"warning: that is more than the {format_bytes(machine.available)} of memory that are "
            "free now: close what else uses it"
        )
