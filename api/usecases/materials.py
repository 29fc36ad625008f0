"""Use-cases about one material: its row, its crystal, where a value comes from, all its documents."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime  # noqa: TC003  (pydantic reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, create_model

from api.usecases.asks import Cell, Fields, IdAsk
from api.usecases.crystals import CrystalReply, cif_text, crystal_data, poscar_text
from api.usecases.registry import Answer, UseCase, register
from api.usecases.replies import Envelope, Reply, material_model

if TYPE_CHECKING:
    from api.results import Step
    from api.service import Service

_PRIVATE: Final = frozenset({"path", "traceback", "recipe", "invariants"})
"""Keys of documents that tell of this machine, or mean nothing outside it."""


class GetAsk(IdAsk):
    """Which material, which columns."""

    fields: Fields = None


MaterialReply = create_model("MaterialReply", __base__=Envelope, __doc__="One material.", data=(material_model(), ...))


def get(service: Service, ask: GetAsk) -> Answer:
    """Return one material: every field that is known, or those asked for."""
    from store.fields import FIELDS

    row = service.get(ask.id, fields=ask.fields)
    if ask.fields is None:
        row = {name: value for name, value in row.items() if value is not None and value != []}
    return Answer(row, [FIELDS[name] for name in row if name in FIELDS])


class StructureAsk(IdAsk):
    """Which crystal, in which form."""

    format: Annotated[
        Literal["json", "cif", "poscar"], Field(description="Form: JSON, a CIF, or VASP's POSCAR (ordered crystals).")
    ] = "json"
    cell: Cell = "standard"


class StructureReply(Envelope):
    """A crystal."""

    data: CrystalReply


def structure(service: Service, ask: StructureAsk) -> Answer:
    """Return the crystal of a material."""
    crystal = service.structure(ask.id, ask.cell)
    if ask.format == "json":
        return Answer(crystal_data(crystal, ask.id))
    if ask.format == "poscar":
        return Answer(content=poscar_text(crystal, ask.id).encode(), media="text/plain; charset=utf-8")
    return Answer(content=cif_text(crystal).encode(), media="chemical/x-cif; charset=utf-8")


class LineageAsk(IdAsk):
    """Which value."""

    field: Annotated[str, Field(description="Field, such as `band_gap`.", pattern=r"^[A-Za-z0-9_.]{1,100}$")]


class LineageStep(Reply):
    """A document on the way of a value, with what made it."""

    collection: str
    id: str
    hash: str | None
    state: str = Field(description="given, fresh, or stale with the cause.")
    builder: str | None
    version: int | None = Field(description="Version of the builder.")
    params: dict[str, Any] | None = Field(
        description="Parameters of the builder; null when they are not known any more."
    )
    made_at: datetime | None
    seconds: float | None = Field(description="Time that the builder took, s.")
    packages: dict[str, str] = Field(description="Versions of the packages that did the work.")
    inputs: list[LineageStep] = Field(description="What it was made from.")
    more_inputs: int
    origins: list[dict[str, Any]] = Field(description="Of a record: where it was read.")
    sha256: str | None
    format: str | None
    licence: str | None
    references: list[str]


class LineageData(Reply):
    """Where a value comes from."""

    id: str
    field: str
    value: Any
    unit: str | None
    copied_from: str = Field(description="collection.path that it was copied from.")
    steps: list[LineageStep]


class LineageReply(Envelope):
    """Where a value comes from."""

    data: LineageData


def lineage(service: Service, ask: LineageAsk) -> Answer:
    """Tell where a value comes from: the documents it was made from, with builder, version and parameters, back to the record."""
    found = service.why(ask.id, ask.field)
    data = {
        "id": found.id,
        "field": found.field.name,
        "value": public(found.value),
        "unit": found.field.unit,
        "copied_from": found.copied_from,
        "steps": [_step(each) for each in found.steps],
    }
    return Answer(data, [found.field])


def _step(step: Step) -> dict[str, Any]:
    told = {**asdict(step), "inputs": [_step(each) for each in step.inputs]}
    told["origins"] = public(step.origins)
    return told


class DocumentsReply(Envelope):
    """All documents about a material, by collection."""

    data: dict[str, Any]


def documents(service: Service, ask: IdAsk) -> Answer:
    """Return all documents about a material: record, structure, channels, barriers, predictions, failures; without big arrays."""
    return Answer(public(service.show(ask.id)))


def public(value: Any) -> Any:
    """Leave out of documents what tells of this machine; bytes become their number.

    Examples
    --------
    >>> public({"origins": [{"path": "/home/ann/a.cif", "line": 3}], "content": b"abc"})
    {'origins': [{'line': 3, 'file': 'a.cif'}], 'content': '3 bytes'}
    """
    if isinstance(value, dict):
        told = {str(key): public(each) for key, each in value.items() if key not in _PRIVATE}
        if isinstance(value.get("path"), str):
            told["file"] = value["path"].replace("\\", "/").rsplit("/", 1)[-1]
        return told
    if isinstance(value, list | tuple):
        return [public(each) for each in value]
    if isinstance(value, bytes | bytearray):
        return f"{len(value)} bytes"
    return value


register(UseCase("get", "One material", GetAsk, MaterialReply, get, path="/materials/{id}", settled=True))
register(
    UseCase(
        "structure",
        "The crystal of a material",
        StructureAsk,
        StructureReply,
        structure,
        path="/materials/{id}/structure",
        formats={"cif": "chemical/x-cif", "poscar": "text/plain"},
    )
)
register(
    UseCase(
        "lineage", "Where a value comes from", LineageAsk, LineageReply, lineage, path="/materials/{id}/lineage/{field}"
    )
)
register(
    UseCase(
        "documents",
        "All documents about a material",
        IdAsk,
        DocumentsReply,
        documents,
        path="/materials/{id}/documents",
    )
)
