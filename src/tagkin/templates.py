"""Jinja templates of pages, in which whatever text comes from outside is shown as that text."""

import base64

from jinja2 import Environment, PackageLoader, StrictUndefined


def page_environment(package: str) -> Environment:
    """Returns an environment for the folder ``templates`` of a package, with the filter ``base64``.

    Values are escaped in all templates, and names that are not there are errors.
    """
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode("ascii")
    return environment
