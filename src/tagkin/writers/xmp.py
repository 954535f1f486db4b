"""Tags in XMP files beside images, beside whatever else such a file says.

The document is changed where its tags are, and written again as it was otherwise: other
properties, comments, processing instructions and prefixes of names stay.
"""

import re
from collections.abc import Collection, Sequence
from typing import Any
from xml.dom.minidom import CDATASection, Document, Element, Node, Text

from tagkin.sources.text import clean_tags
from tagkin.sources.xmp import PADDING, tags_in_xmp
from tagkin.writers.sidecars import SidecarFormat
from tagkin.writers.xml_text import to_xml

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DC = "http://purl.org/dc/elements/1.1/"
_DIGIKAM = "http://www.digikam.org/ns/1.0/"
_SUBJECT = (_DC, "subject")
_TAGS_LIST = (_DIGIKAM, "TagsList")
_HIERARCHICAL = ("http://ns.adobe.com/lightroom/1.0/", "hierarchicalSubject")
_XMLNS = "http://www.w3.org/2000/xmlns/"
_EMPTY = f"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{RDF}">
  <rdf:Description rdf:about="" xmlns:dc="{_DC}" xmlns:digiKam="{_DIGIKAM}"/>
 </rdf:RDF>
</x:xmpmeta>
""".encode()
# What XML 1.0 has no way to write.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xmp_sidecar() -> SidecarFormat:
    """Returns XMP with ``dc:subject`` and ``digiKam:TagsList``."""
    return SidecarFormat(".xmp", True, tags_in_xmp, carries, render)


def carries(tag: str) -> bool:
    """Returns whether XML can hold a tag."""
    return clean_tags([tag]) == (tag,) and not _UNWRITABLE.search(tag)


def render(old: bytes | None, added: Sequence[str], gone: Collection[str]) -> bytes:
    """Returns an XMP document with tags added and taken out.

    Args:
        old: The document, or None to make one.
        added: Tags that it doesn't hold.
        gone: Tags that it holds, as `tagkin.sources.xmp.tags_in_xmp` returns them.

    Raises:
        ValueError: It is no XMP, or one that can't be changed.
    """
    try:
        document = _parse(_EMPTY if old is None else old)
        for name in (_SUBJECT, _TAGS_LIST, _HIERARCHICAL):
            _take_out(document, name, gone)
        if added:
            _add(document, _SUBJECT, "dc", "Bag", added)
            _add(document, _TAGS_LIST, "digiKam", "Seq", added)
    except RecursionError:
        raise ValueError("XMP that is nested too deeply") from None
    return to_xml(document, declared=old is None or old.lstrip(PADDING).startswith(_DECLARED))


_DECLARED = (b"<?xml ", b"\xef\xbb\xbf<?xml ")


def _parse(data: bytes) -> Document:
    from xml.parsers.expat import ExpatError

    from defusedxml.common import DefusedXmlException
    from defusedxml.minidom import parseString

    try:
        document: Document = parseString(data.strip(PADDING), forbid_dtd=True)
    except DefusedXmlException:
        raise ValueError("XMP with a document type or entities is not read") from None
    except (ExpatError, LookupError, ValueError) as error:
        raise ValueError(f"XMP that is no XML: {error}") from None
    if not document.getElementsByTagNameNS(RDF, "RDF"):
        raise ValueError("it is XML, but no XMP: it has no rdf:RDF")
    return document


def _add(
    document: Document, name: tuple[str, str], prefix: str, kind: str, tags: Sequence[str]
) -> None:
    """Adds tags to the first array of a property, which is made if there is none."""
    descriptions = document.getElementsByTagNameNS(RDF, "Description")
    found = [one for description in descriptions for one in _properties(description, name)]
    if not found:
        parent = descriptions[0] if descriptions else _describe(document)
        found = [_child(document, parent, name, prefix)]
    arrays = [one for one in found[0].childNodes if isinstance(one, Element) and _is_array(one)]
    if arrays:
        array = arrays[0]
    else:
        single = _text_of(found[0])  # a property of one value, which needn't be an array
        while found[0].firstChild is not None:
            found[0].removeChild(found[0].firstChild)
        array = _child(document, found[0], (RDF, kind), "rdf")
        tags = [*([single] if single.strip() else []), *tags]
    for description in descriptions:
        if value := description.getAttributeNS(*name):  # the same, as an attribute
            description.removeAttributeNS(*name)
            tags = [value, *tags]
    for tag in tags:
        item = _child(document, array, (RDF, "li"), "rdf")
        item.appendChild(document.createTextNode(tag))


def _take_out(document: Document, name: tuple[str, str], gone: Collection[str]) -> None:
    def is_gone(text: str) -> bool:
        return (text.replace("|", "/") if name == _HIERARCHICAL else text).strip() in gone

    for description in document.getElementsByTagNameNS(RDF, "Description"):
        if is_gone(description.getAttributeNS(*name)):
            description.removeAttributeNS(*name)
        for one in _properties(description, name):
            items = one.getElementsByTagNameNS(RDF, "li")
            left = [item for item in items if not is_gone(_text_of(item))]
            for item in items:
                if item not in left:
                    _remove(item)
            if not left and (items or is_gone(_text_of(one))):
                _remove(one)


def _describe(document: Document) -> Element:
    made = _child(document, document.getElementsByTagNameNS(RDF, "RDF")[0], (RDF, "Description"))
    made.setAttributeNS(RDF, f"{made.prefix}:about", "")
    return made


def _child(
    document: Document, parent: Element, name: tuple[str, str], prefix: str = "rdf"
) -> Element:
    """Appends an element, indented like its siblings, under a prefix that stands for its name."""
    space, local = name
    known = _prefix_of(parent, space)
    made: Element = document.createElementNS(space, f"{known or prefix}:{local}")
    if known is None:
        made.setAttributeNS(_XMLNS, f"xmlns:{prefix}", space)
    outer = _white_space(parent.previousSibling)
    inner = _white_space(parent.firstChild)
    last = parent.lastChild
    if last is None:
        inner = f"{outer} " if outer else ""
    elif tail := _white_space(last):
        outer = tail
        parent.removeChild(last)
    for text in (inner, None, outer):
        if text is None:
            parent.appendChild(made)
        elif text:
            parent.appendChild(document.createTextNode(text))
    return made


def _white_space(node: Node | None) -> str:
    """Returns the text of a node that is nothing but white space."""
    if not isinstance(node, Text) or isinstance(node, CDATASection) or node.data.strip():
        return ""
    return node.data


def _prefix_of(element: Node | None, space: str) -> str | None:
    """Returns the prefix that stands for a namespace at a place in the document."""
    shadowed = set()
    while isinstance(element, Element):
        for attribute in element.attributes.values():
            if attribute.namespaceURI == _XMLNS and attribute.prefix == "xmlns":
                prefix = attribute.localName
                if attribute.value == space and prefix not in shadowed:
                    return str(prefix)
                shadowed.add(prefix)
        element = element.parentNode
    return None


def _properties(description: Element, name: tuple[str, str]) -> list[Element]:
    return [
        child
        for child in description.childNodes
        if isinstance(child, Element) and (child.namespaceURI, child.localName) == name
    ]


def _is_array(element: Element) -> bool:
    return element.namespaceURI == RDF and element.localName in ("Bag", "Seq", "Alt")


def _text_of(element: Element) -> str:
    return "".join(child.data for child in element.childNodes if isinstance(child, Text))


def _remove(element: Element) -> None:
    parent: Any = element.parentNode
    before = element.previousSibling
    if _white_space(before):
        parent.removeChild(before)
    parent.removeChild(element)
