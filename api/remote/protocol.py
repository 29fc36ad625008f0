"""The protocol of what stands behind :class:`api.client.Atlas`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from pymatgen.core.structure import Structure

    from api.barriers import Wanted
    from api.channels.report import ChannelReport
    from api.inverse.report import InverseReport
    from api.migration.report import MigrationReport
    from api.prediction.report import StructurePrediction
    from api.remote.reports import RemoteChannels, RemoteInverse, RemoteMigration, RemotePrediction
    from api.results import Aggregation, Lineage, QueryResult, StoreStatus
    from api.service import StructureKind
    from store.crystal import Crystal
    from store.fields import Field


@dataclass(frozen=True)
class Query:
    """A query as it is asked (see :meth:`api.service.Service.query`)."""

    filter: str | None = None
    fields: Sequence[str] | str | None = None
    sort: str | None = None
    limit: int | None = 100
    skip: int = 0
    include_duplicates: bool = True
    count: bool = False
    after: str | None = None


class Backend(Protocol):
    """Answers the questions of :class:`api.client.Atlas`: a store on this machine, or a server."""

    def describe(self) -> str:
        """What is asked, in the words of a ``repr``; never a secret."""

    def close(self) -> None:
        """Let connections go."""

    def query(self, asked: Query) -> QueryResult:
        """Find materials by their properties."""

    def get(self, id: str, fields: Sequence[str] | str | None) -> dict[str, Any]:
        """Return one material's row."""

    def get_many(self, ids: Sequence[str], fields: Sequence[str] | str | None) -> QueryResult:
        """Return rows in the order of their ids."""

    def aggregate(self, filter: str | None, **options: Any) -> Aggregation:
        """Count materials: all, by groups, by intervals."""

    def export(self, filter: str | None, **options: Any) -> Iterable[bytes]:
        """Stream materials as a file."""

    def similar(
        self, source: str, k: int, by: str, filter: str | None, fields: Sequence[str] | str | None
    ) -> QueryResult:
        """Find the materials most like one."""

    def structure(self, id: str, kind: StructureKind) -> Crystal:
        """Return a crystal."""

    def show(self, id: str) -> dict[str, Any]:
        """Collect all documents about a material."""

    def why(self, id: str, field: str) -> Lineage:
        """Tell where a value comes from."""

    def status(self) -> StoreStatus:
        """Tell what is in the store."""

    def fields(self) -> Sequence[Field]:
        """List the fields of materials."""

    def channels(
        self, source: str | Path | Crystal | Structure, ion: str | None, threshold: float | None
    ) -> ChannelReport | RemoteChannels:
        """Find voids and channels."""

    def migration_energy(
        self, source: str | Path | Crystal | Structure, ion: str | None
    ) -> MigrationReport | RemoteMigration:
        """Predict barriers and migration energies."""

    def predict_structure(
        self, formula: str | Mapping[str, float], top: int, **options: Any
    ) -> StructurePrediction | RemotePrediction:
        """Predict structures of a composition."""

    def inverse(
        self, source: str | Path | Crystal | Structure, k: int, **options: Any
    ) -> InverseReport | RemoteInverse:
        """Find compositions for a structure."""

    def barriers(self, wanted: Wanted, sort: str, limit: int | None) -> QueryResult:
        """Find computed migration barriers."""
