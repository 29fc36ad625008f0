"""How much may come out of what is given: the guard against archive bombs."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from store.errors import ArchiveBomb

if TYPE_CHECKING:
    from typing import BinaryIO

MIB: Final = 1 << 20

RECORD_LIMIT: Final = 14_000_000
"""Largest record that is stored, bytes: a MongoDB document holds 16 MiB with everything around it."""


@dataclass(frozen=True)
class Limits:
    """What one given file may unpack to.

    Attributes
    ----------
    total : int
        Unpacked bytes in all.
    ratio : float
        Unpacked bytes for each byte of the file; DEFLATE reaches 1,032 on zeros, real data 10.
    ratio_from : int
        Unpacked bytes below which the ratio is not looked at.
    members : int
        Members of all archives in the file.
    depth : int
        Archives within archives.
    record : int
        Largest record, bytes.
    document : int
        Largest JSON object that is taken apart in memory, bytes.

    Examples
    --------
    >>> Limits(total=100).total
    100
    """

    total: int = 32 * 1024 * MIB
    ratio: float = 250.0
    ratio_from: int = 32 * MIB
    members: int = 1_000_000
    depth: int = 4
    record: int = RECORD_LIMIT
    document: int = 256 * MIB


class Budget:
    """Counts what one given file has unpacked to, nested archives included.

    Parameters
    ----------
    given : int
        Size of the file, bytes.
    limits : Limits
        What it may unpack to.
    """

    def __init__(self, given: int, limits: Limits) -> None:
        self.given = given
        self.limits = limits
        self.unpacked = 0
        self.members = 0
        self.exhausted = False

    def spend(self, amount: int) -> None:
        """Count unpacked bytes.

        Raises
        ------
        ArchiveBomb
            More came out than is allowed.
        """
        self.unpacked += amount
        self.exhausted = True
        if self.unpacked > self.limits.total:
            raise ArchiveBomb(
                f"The archive unpacks to more than {self.limits.total / MIB:,.0f} MiB; it was read up to there."
            )
        if self.unpacked > self.limits.ratio_from and self.unpacked > self.limits.ratio * max(self.given, 1):
            raise ArchiveBomb(
                f"The archive unpacks to more than {self.limits.ratio:.0f} times its {self.given:,} bytes; "
                "it was read up to there."
            )
        self.exhausted = False

    def count_member(self) -> None:
        """Count one member of an archive.

        Raises
        ------
        ArchiveBomb
            There are too many.
        """
        self.members += 1
        if self.members > self.limits.members:
            self.exhausted = True
            raise ArchiveBomb(f"The archive has more than {self.limits.members:,} members; it was read up to there.")

    def go_deeper(self, depth: int) -> int:
        """Enter an archive within an archive.

        Raises
        ------
        ArchiveBomb
            They are nested too deeply.
        """
        if depth >= self.limits.depth:
            raise ArchiveBomb(f"Archives are nested more than {self.limits.depth} deep.")
        return depth + 1


class CountedStream(io.RawIOBase):
    """A readable stream whose bytes are counted against a budget."""

    def __init__(self, stream: BinaryIO, budget: Budget) -> None:
        super().__init__()
        self._stream = stream
        self._budget = budget

    def readable(self) -> bool:
        """Return True: this is all it does."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill the buffer from the stream."""
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self._stream.read(len(view))
        view[: len(data)] = data
        self._budget.spend(len(data))
        return len(data)
