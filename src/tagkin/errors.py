"""The exceptions of Tagkin. Each message says what is wrong and what to do next."""


class TagkinError(Exception):
    """Something the user can put right; the command line prints it and exits with 2."""


class SettingsError(TagkinError):
    """A setting has an unknown name or an impossible value."""


class SourceError(TagkinError):
    """A folder or table of images and tags can't be read as one."""


class ImageError(TagkinError):
    """One image can't be decoded, or is beyond the limits set for images."""


class UnreachableError(ImageError):
    """An image is on storage that doesn't answer."""


class NoAnswerError(OSError):
    """A store doesn't answer, or says that it can't just now."""


class ImageTooLargeError(ImageError):
    """An image has more pixels or bytes than the limits allow."""


class LibraryError(TagkinError):
    """The library folder is missing, damaged, too new, or lacks what a command needs."""


class VocabularyError(TagkinError):
    """The tags can't form a vocabulary: none is frequent enough, or an alias is circular."""


class DecisionError(VocabularyError):
    """A decision on tags can't be taken: it names nothing, or contradicts what was decided."""


class ExchangeError(TagkinError):
    """A file of decisions can't be read, or its format can't carry a tag."""


class ExportError(TagkinError):
    """Tags can't be written in the way or to the place that was asked for."""


class UnknownTagError(VocabularyError):
    """A tag that no image of the library carries."""


class QueryError(TagkinError):
    """A search can't be understood."""


class BackboneError(TagkinError):
    """A backbone can't be built, loaded or run as asked."""


class WeightsError(BackboneError):
    """The weights of a backbone can't be downloaded or don't fit it."""


class EngineError(TagkinError):
    """The workers that should share a job are missing, can't be reached, or keep dying."""


class ResourceError(TagkinError):
    """A job can't fit into the memory or onto the disk of this machine."""


class TaggerError(TagkinError):
    """A saved tagger is missing or damaged, or training can't make one."""


def first_line(error: BaseException, most: int | None = 300) -> str:
    """Returns the first line of what an error says, or its name if it says nothing.

    Args:
        error: The error.
        most: Characters behind which the line is cut; None for the whole line.
    """
    said = str(error).strip()
    return said.splitlines()[0][:most] if said else type(error).__name__
