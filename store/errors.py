"""The one tree of errors.

::

    IonatlasError                     exit code 1
    ├── UsageError                    2   a wrong option, file or value was given
    │   ├── FilterError               2   a filter that cannot be understood (position and nearest names given)
    │   │   └── UnknownField          2
    │   ├── UnknownId                 2   no such document
    │   ├── NotAsked                  2   a request over HTTP that cannot be understood (api/rest/problems.py)
    │   ├── TooMuch                   2   a body that is larger than may be sent (api/rest/problems.py)
    │   ├── SandboxLimit              2   a computation on a given file took too much time or memory (api/sandbox.py)
    │   ├── SandboxBusy               2   enough is being computed; try again (api/sandbox.py)
    │   └── MissingExtra              2   an optional package is needed (names the pip command)
    ├── DatabaseError                 3
    │   ├── ServerUnavailable         3   nobody answers at the URI
    │   ├── ServerStartError          3   the private mongod could not be started
    │   ├── DataFolderError           3   data folder read-only, full or not ours
    │   ├── SchemaError               3   a document breaks its collection's schema
    │   ├── QueryTimeout              3   a query took longer than it may (api/rest/service.py)
    │   └── ArraysDamaged             3   packed arrays of a document that cannot be read back
    ├── BuildError                    5
    │   ├── BuildRunning              4   another build holds the lease
    │   ├── ItemsFailed               5   the build ended, some items failed (recorded)
    │   └── OrphanGuard               6   removing orphans was refused
    ├── SourceError                   5   bytes that cannot be read as what they claim to be
    │   ├── EmptySource
    │   ├── UnknownFormat
    │   ├── ArchiveBomb
    │   └── SourceTooLarge
    ├── StructureError                5   bytes were read, the crystal in them is impossible
    │   ├── InvalidLattice            NaN, zero or negative volume
    │   ├── InvalidCoordinates        NaN, infinite, wrong shape
    │   ├── UnknownElement
    │   ├── InvalidOccupancy          negative, above one, nothing on the site
    │   ├── CoincidentAtoms
    │   └── GeometryError             a periodic point set that cannot be triangulated with a certificate
    ├── FeatureError                  5   a descriptor cannot be computed (element without data, ...)
    │   └── EmptyFramework                nothing but the working ion is there
    └── IndexError_                   7
        ├── SnapshotMissing           7   nothing was published yet
        └── SnapshotDamaged           7   files do not match their manifest

A message says what was wrong, what was expected, what was given, and ``mend`` holds the command that mends it.
Exit codes: 0 well, 1 a fault of ours, 2 usage, 3 database, 4 another build runs, 5 items failed, 6 refused by a guard,
7 index, 130 interrupted by Ctrl-C.
"""

from __future__ import annotations

from typing import ClassVar


class IonatlasError(Exception):
    """Base of every error that ionatlas raises on purpose.

    Parameters
    ----------
    message : str
        What was wrong, what was expected, what was given.
    mend : str, optional
        The command or step that mends it.

    Examples
    --------
    >>> print(IonatlasError("The store is empty.", mend="ionatlas ingest FILE"))
    The store is empty. To mend it: ionatlas ingest FILE
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, mend: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.message} To mend it: {self.mend}" if self.mend else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders: keyword-only arguments need telling to pickle.
        return (_rebuild, (type(self), self.message, self.mend))


def _rebuild(kind: type[IonatlasError], message: str, mend: str | None) -> IonatlasError:
    return kind(message, mend=mend)


class UsageError(IonatlasError):
    """A wrong option, file or value was given."""

    exit_code = 2


class FilterError(UsageError):
    """A filter that cannot be understood."""


class UnknownField(FilterError):
    """A field that the registry does not hold."""


class UnknownId(UsageError):
    """No document has this id."""


class MissingExtra(UsageError):
    """An optional package is needed; ``mend`` names the pip command."""


class DatabaseError(IonatlasError):
    """Something about MongoDB."""

    exit_code = 3


class ServerUnavailable(DatabaseError):
    """Nobody answers at the URI, or the server went away and did not come back."""


class ServerStartError(DatabaseError):
    """The private mongod could not be found or started."""


class DataFolderError(DatabaseError):
    """The data folder is read-only, full, or not ours."""


class SchemaError(DatabaseError):
    """A document breaks the schema of its collection."""


class ArraysDamaged(DatabaseError):
    """The bytes of a document's packed arrays are not what was written."""


class BuildError(IonatlasError):
    """Something about a build."""

    exit_code = 5


class BuildRunning(BuildError):
    """Another build holds the lease of this collection."""

    exit_code = 4


class ItemsFailed(BuildError):
    """The build ended; some items failed and are recorded in ``build_state``."""


class OrphanGuard(BuildError):
    """Removing orphans was refused: the source is empty, or too large a share would go."""

    exit_code = 6


class SourceError(IonatlasError):
    """Bytes that cannot be read as what they claim to be."""

    exit_code = 5


class EmptySource(SourceError):
    """A file or record without content."""


class UnknownFormat(SourceError):
    """Bytes in none of the formats that are read."""


class ArchiveBomb(SourceError):
    """An archive that unpacks to far more than its size allows."""


class SourceTooLarge(SourceError):
    """A record larger than a MongoDB document can hold."""


class StructureError(IonatlasError):
    """The bytes were read; the crystal in them is impossible."""

    exit_code = 5


class InvalidLattice(StructureError):
    """NaN, infinite, or a cell of zero or negative volume."""


class InvalidCoordinates(StructureError):
    """NaN, infinite, or coordinates of the wrong shape."""


class UnknownElement(StructureError):
    """A symbol that is no chemical element."""


class InvalidOccupancy(StructureError):
    """Negative, above one, or a site with nothing on it."""


class CoincidentAtoms(StructureError):
    """Two atoms at the same place."""


class GeometryError(StructureError):
    """A point set whose triangulation could not be made or certified."""


class FeatureError(IonatlasError):
    """A descriptor cannot be computed."""

    exit_code = 5


class EmptyFramework(FeatureError):
    """Nothing is left of a crystal when its working ion is taken out."""


class IndexError_(IonatlasError):  # noqa: N801  (the built-in name is taken)
    """Something about a vector index."""

    exit_code = 7


class SnapshotMissing(IndexError_):
    """No snapshot of this index was published yet."""


class SnapshotDamaged(IndexError_):
    """The files of a snapshot do not match its manifest."""
