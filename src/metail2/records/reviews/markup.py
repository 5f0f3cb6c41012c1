"""XML as a tree of elements that know their line; document types and entities are refused before they can grow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from metail2.errors import RecordError

DEEPEST = 200
"""Elements within elements; RevMan 5 files have about 20."""


@dataclass(slots=True)
class Element:
    """One element.

    Attributes
    ----------
    tag : str
        Its name.
    line : int
        Where it begins.
    attributes : dict of str to str
        Its attributes.
    children : list of Element
        In the order of the file.
    pieces : list of str
        Its text and that of its children, in the order of the file.
    """

    tag: str
    line: int
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text within, with single spaces."""
        return " ".join("".join(self.pieces).split())

    def child(self, tag: str) -> Element | None:
        """The first child of this name."""
        return next((child for child in self.children if child.tag == tag), None)

    def words(self, tag: str) -> str:
        """Text of the first child of this name; empty where there is none."""
        found = self.child(tag)
        return "" if found is None else found.text

    def every(self, *tags: str) -> Iterator[Element]:
        """Children of these names."""
        return (child for child in self.children if child.tag in tags)

    def within(self, tag: str) -> Iterator[Element]:
        """Elements of this name at any depth, in the order of the file."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            if element.tag == tag:
                yield element
            waiting.extend(reversed(element.children))


class _Builder:
    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Element | None = None
        self.open: list[Element] = []
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.words
        # entities can only be declared in a document type, so nothing can expand once that is refused
        self.parser.StartDoctypeDeclHandler = self.refuse

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, self.parser.CurrentLineNumber, attributes)
        if self.open:
            self.open[-1].children.append(element)
        else:
            self.root = element
        self.open.append(element)
        if len(self.open) > DEEPEST:
            raise RecordError(
                f"{self.file}, row {element.line}: elements stand more than {DEEPEST} deep in one another, so this is "
                "no RevMan 5 file; save the review again in RevMan."
            )

    def end(self, tag: str) -> None:
        ended = self.open.pop()
        if self.open:
            self.open[-1].pieces.extend(ended.pieces)

    def words(self, text: str) -> None:
        self.open[-1].pieces.append(text)

    def refuse(self, name: str, *rest: object) -> None:
        raise RecordError(
            f"{self.file}, row {self.parser.CurrentLineNumber}: the file declares a document type {name!r}, which "
            "RevMan never does and which can hide harmful entities; save the review again in RevMan."
        )


def parse_markup(file: str, data: bytes) -> Element:
    """Parse XML.

    Parameters
    ----------
    file : str
        What to call it in a message.
    data : bytes
        In any encoding that its declaration or byte-order mark names.

    Raises
    ------
    RecordError
        If the file is not well-formed XML, or declares a document type (and with it entities).
    """
    builder = _Builder(file)
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as problem:
        raise RecordError(
            f"{file}, row {problem.lineno}: the file is not whole XML ({expat.ErrorString(problem.code)}); download or "
            "save it again."
        ) from None
    except (LookupError, ValueError):  # an encoding that Python does not know, or that has several bytes a character
        raise RecordError(
            f"{file}: the encoding that the file declares cannot be read; save it again as UTF-8."
        ) from None
    assert builder.root is not None, "expat accepts no document without an element"
    return builder.root
