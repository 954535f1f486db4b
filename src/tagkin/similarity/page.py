"""The answer to a search as one HTML page with thumbnails inside, which loads nothing."""

from contextlib import suppress
from functools import cache
from importlib.resources import files

from jinja2 import Environment
from markupsafe import Markup

from tagkin import images
from tagkin.errors import ImageError
from tagkin.files import printable
from tagkin.parallel import map_ahead
from tagkin.settings import Settings
from tagkin.similarity.results import SimilarImage, SimilarResult
from tagkin.templates import page_environment
from tagkin.thumbnails import make_thumbnail

_HEIGHT = 320  # pixels of a thumbnail, more than are shown, for dense screens
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)


def render_page(result: SimilarResult, settings: Settings, *, where: str = "") -> str:
    """Returns the page; whatever text a tag or a file name holds, it is shown as that text.

    Args:
        result: What was found.
        settings: Limits of images and number of threads.
        where: The filter, to be named on the page.
    """
    limits = images.ImageLimits.from_settings(settings)

    def read(image: SimilarImage) -> bytes | None:
        for path in image.paths:
            with suppress(ImageError):
                return make_thumbnail(images.read_bytes(path, limits), _HEIGHT, limits)
        return None

    pictures = map_ahead(read, result.images, settings.decode_threads)
    style = files("tagkin.similarity").joinpath("templates/similar.css").read_text("utf-8")
    return (
        _environment()
        .get_template("similar.html")
        .render(
            result=result,
            where=where,
            images=list(pictures),
            policy=_POLICY,
            style=Markup(style),  # noqa: S704 - our own file
        )
    )


@cache
def _environment() -> Environment:
    environment = page_environment("tagkin.similarity")
    environment.filters["shown"] = printable
    return environment
