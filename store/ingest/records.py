"""Records and where they come from: the units of ingestion."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from store.errors import IonatlasError


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a record was read.

    Attributes
    ----------
    path : str or None
        File, as it was given.
    url : str or None
        Address, for what came over the network.
    member : str or None
        Member of an archive or row of a database; nested ones are joined by ``!``.
    line : int or None
        Line of the file or member where the record begins, counted from one.

    Examples
    --------
    >>> Origin(path="all.zip", member="a.cif").to_document()
    {'path': 'all.zip', 'member': 'a.cif'}
    """

    path: str | None = None
    url: str | None = None
    member: str | None = None
    line: int | None = None

    def to_document(self) -> dict[str, Any]:
        """Return the parts that are known, for BSON."""
        given = {"path": self.path, "url": self.url, "member": self.member, "line": self.line}
        return {key: value for key, value in given.items() if value is not None}

    def __str__(self) -> str:
        text = self.path or self.url or "?"
        text = f"{text}!{self.member}" if self.member else text
        return f"{text}:{self.line}" if self.line else text


@dataclass(frozen=True, slots=True)
class Record:
    """One structure, one hop of an ion, or one conductivity, as it was given: bytes of a known format.

    Attributes
    ----------
    format : str
        One of :data:`store.ingest.kinds.FORMATS` (structures), :data:`store.ingest.kinds.HOP_FORMATS` or
        :data:`store.ingest.kinds.CONDUCTIVITY_FORMATS`.
    content : bytes
        Exactly as given; of a row of a table, or in a document of several, a JSON object with the parts it needs.
    id : str or None
        The provider's own id, where the record carries one.
    origin : Origin
        Where it was read.
    provider : str or None
        Who publishes it.
    licence : str or None
        Under which licence.
    references : tuple of str
        Publications.

    Examples
    --------
    >>> Record("cif", b"data_x").format
    'cif'
    """

    format: str
    content: bytes
    id: str | None = None
    origin: Origin = field(default_factory=Origin)
    provider: str | None = None
    licence: str | None = None
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BadRecord:
    """Bytes that could not be split into records; they are kept with the reason.

    Attributes
    ----------
    origin : Origin
        Where they were read.
    error : IonatlasError
        Why they could not be split.
    content : bytes
        The bytes, empty where they are too many to keep.
    sha256 : str or None
        Of all bytes, where they were read to the end and ``content`` does not hold them.

    Examples
    --------
    >>> from store.errors import EmptySource
    >>> print(BadRecord(Origin(path="a.cif"), EmptySource("The file is empty.")).error)
    The file is empty.
    """

    origin: Origin
    error: IonatlasError
    content: bytes = b""
    sha256: str | None = None
