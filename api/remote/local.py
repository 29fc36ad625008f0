"""The store of this machine behind :class:`api.client.Atlas`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from pymatgen.core.structure import Structure

    from api.barriers import Wanted
    from api.channels.report import ChannelReport
    from api.inverse.report import InverseReport
    from api.migration.report import MigrationReport
    from api.prediction.report import StructurePrediction
    from api.remote.protocol import Query
    from api.results import Aggregation, Lineage, QueryResult, StoreStatus
    from api.service import Service, StructureKind
    from store.crystal import Crystal
    from store.fields import Field
    from store.settings import Settings


class LocalBackend:
    """Answers from MongoDB and the indexes; connected at the first question.

    Parameters
    ----------
    given : dict
        ``mongodb_uri``, ``database`` and ``home``, where they are given.
    """

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given
        self._settings: Settings | None = None
        self._service: Service | None = None

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        if self._settings is None:
            self._settings = _settings({name: value for name, value in self._given.items() if value is not None})
        return self._settings

    @property
    def service(self) -> Service:
        """The service; it answers with plain rows."""
        if self._service is None:
            from api.service import Service
            from store.connection import connect

            self._service = Service(connect(self.settings), self.settings)
        return self._service

    def describe(self) -> str:
        """Database and home."""
        return f"database={self.settings.database!r}, home={str(self.settings.home)!r}"

    def close(self) -> None:
        """Forget the connection; the private server runs on."""
        self._service = None

    def query(self, asked: Query) -> QueryResult:
        """Find materials by their properties."""
        options = asdict(asked)
        return self.service.query(options.pop("filter"), **options)

    def get(self, id: str, fields: Sequence[str] | str | None) -> dict[str, Any]:
        """Return one material's row."""
        return self.service.get(id, fields)

    def get_many(self, ids: Sequence[str], fields: Sequence[str] | str | None) -> QueryResult:
        """Return rows in the order of their ids."""
        return self.service.get_many(ids, fields)

    def aggregate(self, filter: str | None, **options: Any) -> Aggregation:
        """Count materials."""
        return self.service.aggregate(filter, **options)

    def export(self, filter: str | None, **options: Any) -> Iterable[bytes]:
        """Stream materials as a file."""
        return self.service.export(filter, **options)

    def similar(
        self, source: str, k: int, by: str, filter: str | None, fields: Sequence[str] | str | None
    ) -> QueryResult:
        """Find the materials most like one."""
        return self.service.similar(source, k, by=by, filter=filter, fields=fields)

    def structure(self, id: str, kind: StructureKind) -> Crystal:
        """Return a crystal."""
        return self.service.structure(id, kind)

    def show(self, id: str) -> dict[str, Any]:
        """Collect all documents about a material."""
        return self.service.show(id)

    def why(self, id: str, field: str) -> Lineage:
        """Tell where a value comes from."""
        return self.service.why(id, field)

    def status(self) -> StoreStatus:
        """Tell what is in the store."""
        return self.service.status()

    def fields(self) -> Sequence[Field]:
        """List the fields of materials."""
        from store.fields import candidate_fields

        return candidate_fields()

    def channels(
        self, source: str | Path | Crystal | Structure, ion: str | None, threshold: float | None
    ) -> ChannelReport:
        """Find voids and channels; a file needs no store."""
        from api.channels import channels

        return channels(source, ion, threshold=threshold, service=lambda: self.service)

    def migration_energy(self, source: str | Path | Crystal | Structure, ion: str | None) -> MigrationReport:
        """Predict barriers and migration energies."""
        from api.migration import migration_energy

        return migration_energy(source, ion, service=lambda: self.service)

    def predict_structure(self, formula: str | Mapping[str, float], top: int, **options: Any) -> StructurePrediction:
        """Predict structures of a composition."""
        from api.prediction import predict_structure

        return predict_structure(formula, top, **options, service=lambda: self.service)

    def inverse(self, source: str | Path | Crystal | Structure, k: int, **options: Any) -> InverseReport:
        """Find compositions for a structure."""
        from api.inverse import inverse

        return inverse(source, k, **options, service=lambda: self.service)

    def barriers(self, wanted: Wanted, sort: str, limit: int | None) -> QueryResult:
        """Find computed migration barriers."""
        from api.barriers import find_barriers

        return find_barriers(self.service, wanted, sort=sort, limit=limit)


def _settings(given: dict[str, Any]) -> Settings:
    from pydantic import ValidationError

    from store.settings import Settings, load_settings

    load_settings()  # the environment's own faults, told by their variables' names
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = {"mongodb_uri": "uri"}.get(str(first["loc"][0]), str(first["loc"][0]))
        raise UsageError(
            f"Atlas cannot use {name}={first.get('input')!r}: {first['msg']}.", mend="give a value that fits"
        ) from None
