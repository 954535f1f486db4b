"""The REST interface under ``/api/v1``.

Routers that parse requests, call ``services`` and give out what these return; nothing is decided
here.
"""

from tagkin.web.api.routes import router

__all__ = ["router"]
