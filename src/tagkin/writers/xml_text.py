"""An XML document as text, from which the same document is read again.

The standard library's writer for its document trees leaves carriage returns and, before Python
3.13, line ends in attributes as they are, which a parser then takes for others.
"""

from collections.abc import Iterator
from xml.dom.minidom import (
    CDATASection,
    Comment,
    Document,
    Element,
    Node,
    ProcessingInstruction,
    Text,
)

_Escapes = dict[str, str | int | None]

_IN_TEXT: _Escapes = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_IN_ATTRIBUTE: _Escapes = {**_IN_TEXT, '"': "&quot;", "\n": "&#10;", "\t": "&#9;"}


def to_xml(document: Document, *, declared: bool) -> bytes:
    """Returns a document in UTF-8.

    Args:
        document: Its text nodes hold nothing that XML can't.
        declared: Whether it begins with an XML declaration.
    """
    head = '<?xml version="1.0" encoding="UTF-8"?>\n' if declared else ""
    body = "".join("".join(_write(node)) + "\n" for node in document.childNodes)
    return (head + body).encode()


def _write(top: Node) -> Iterator[str]:
    """Uses a stack instead of recursion, since elements can be nested deeply."""
    stack: list[Node | str] = [top]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, Element):
            yield f"<{node.tagName}"
            for name, value in node.attributes.items() if node.attributes else ():
                yield f' {name}="{_escape(value, _IN_ATTRIBUTE)}"'
            if node.childNodes:
                yield ">"
                stack += [f"</{node.tagName}>", *reversed(node.childNodes)]
            else:
                yield "/>"
        elif isinstance(node, CDATASection):  # which is a kind of text
            yield f"<![CDATA[{node.data}]]>"
        elif isinstance(node, Text):
            yield _escape(node.data, _IN_TEXT)
        elif isinstance(node, Comment):
            yield f"<!--{node.data}-->"
        elif isinstance(node, ProcessingInstruction):
            yield f"<?{node.target} {node.data}?>"


def _escape(text: str, escapes: _Escapes) -> str:
    return text.translate(str.maketrans(escapes))
