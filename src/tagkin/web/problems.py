"""Refusals of the server, each with its HTTP status and a short code for programs."""

from typing import ClassVar

from tagkin.errors import TagkinError


class WebError(TagkinError):
    """A request that is refused.

    Args:
        message: What is wrong, and what to do next.
        retry_after: Seconds after which another try makes sense.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnauthorizedError(WebError):
    """The token is missing or wrong."""

    status = 401
    code = "unauthorized"


class ForbiddenError(WebError):
    """The request comes from another site."""

    status = 403
    code = "forbidden"


class CsrfError(ForbiddenError):
    """The CSRF token is missing or old."""

    code = "csrf"


class NotFoundError(WebError):
    """There is no such image, tag, group or decision."""

    status = 404
    code = "not_found"


class ConflictError(WebError):
    """It contradicts what is there."""

    status = 409
    code = "conflict"


class TooLargeError(WebError):
    """An upload has too many bytes or pixels."""

    status = 413
    code = "too_large"


class NotAnImageError(WebError):
    """An upload can't be decoded."""

    status = 415
    code = "not_an_image"


class TooManyError(WebError):
    """More requests than the limits allow."""

    status = 429
    code = "too_many"


class NotReadyError(WebError):
    """The library has no vectors or no tagger yet, or something is still being worked out."""

    status = 503
    code = "not_ready"
