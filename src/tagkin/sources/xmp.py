"""The tags in a packet of XMP."""

from xml.etree.ElementTree import Element  # the parser is another

from tagkin.sources.text import clean_tags

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_SUBJECT = "{http://purl.org/dc/elements/1.1/}subject"
_TAGS_LIST = "{http://www.digikam.org/ns/1.0/}TagsList"
#: What a packet may be filled up with, so that tags can be added in place.
PADDING = b"\0 \t\r\n"
_HIERARCHICAL = "{http://ns.adobe.com/lightroom/1.0/}hierarchicalSubject"


def tags_in_xmp(packet: bytes) -> tuple[str, ...]:
    """Returns the tags in a packet of XMP, each once.

    Those of ``dc:subject`` and ``digiKam:TagsList`` as they are; those of
    ``lr:hierarchicalSubject`` with ``/`` for ``|``, as digiKam writes the same path.

    Raises:
        ValueError: It is no XML, or XML with a document type, whose entities could name files and
            grow without end.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root = fromstring(packet.strip(PADDING), forbid_dtd=True)
    except DefusedXmlException:
        raise ValueError("XMP with a document type or entities is not read") from None
    # LookupError for an encoding that doesn't exist.
    except (ParseError, LookupError, ValueError, RecursionError) as error:
        raise ValueError(f"XMP that is no XML: {error}") from None
    found: list[str] = []
    for name in (_SUBJECT, _TAGS_LIST, _HIERARCHICAL):
        values = [item.text or "" for element in root.iter(name) for item in _items(element)]
        # A property of a single value may be written as an attribute.
        values += [value for one in root.iter(f"{_RDF}Description") if (value := one.get(name))]
        found += [value.replace("|", "/") for value in values] if name == _HIERARCHICAL else values
    return tuple(dict.fromkeys(clean_tags(found)))


def _items(element: Element) -> list[Element]:
    return list(element.iter(f"{_RDF}li")) or [element]
