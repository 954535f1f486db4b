"""The pages: routers that ask ``services`` and fill in templates.

A page is complete without JavaScript as far as looking goes; scripts, which talk to the REST
interface only, add what changes something. All text is escaped by the templates.
"""

from tagkin.web.pages.rendering import error_page
from tagkin.web.pages.routes import router

__all__ = ["error_page", "router"]
