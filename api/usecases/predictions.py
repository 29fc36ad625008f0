"""Use-cases that predict: crystal structures, compositions for a structure, migration energies, conductivities and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from api.usecases.asks import Ask, Elements, Formula, Ion, MaybeId
from api.usecases.crystals import asked_crystal
from api.usecases.registry import Answer, UseCase, register
from api.usecases.replies import Envelope, Reply

if TYPE_CHECKING:
    from api.service import Service
    from api.usecases.registry import Upload


class PredictStructureAsk(Ask):
    """Of which composition, how many."""

    formula: Formula
    top: Annotated[int, Field(description="Most candidates.", ge=1, le=100)] = 10
    exclude_formula: Annotated[
        bool, Field(description="Use no structure of this very formula: what would be predicted if it were unknown.")
    ] = False
    space_group: Annotated[int | None, Field(description="Only candidates of this space group.", ge=1, le=230)] = None


class PredictedStructure(Reply):
    """A candidate."""

    formula: str
    rank: int
    probability: float = Field(description="That it is the most stable structure of the formula; calibrated.")
    space_group: int
    space_group_symbol: str
    template: str = Field(description="Id of the template.")
    template_formula: str
    derived: bool = Field(description="Whether the template was derived from one of another stoichiometry.")
    mapping: dict[str, str] = Field(description="Which element of the template each element replaces.")
    volume_per_atom: float = Field(description="Å^3.")
    energy: float | None = Field(description="eV/atom, where energies were computed.")
    method: str | None
    warnings: list[str]
    cif: str


class PredictStructureData(Reply):
    """Candidates, the likeliest first."""

    formula: str
    n_templates: int = Field(description="Templates of the formula's stoichiometry.")
    notes: list[str]
    candidates: list[PredictedStructure]


class PredictStructureReply(Envelope):
    """Predicted structures."""

    data: PredictStructureData


def predict_structure(service: Service, ask: PredictStructureAsk, upload: Upload | None = None) -> Answer:
    """Predict which crystal structures a composition may take, from templates of the store, with calibrated probabilities."""
    from api.prediction import predict_structure as predict

    found = predict(
        ask.formula,
        ask.top,
        exclude_formula=ask.exclude_formula,
        space_group=ask.space_group,
        service=lambda: service,
    )
    data = {
        "formula": found.formula,
        "n_templates": found.n_templates,
        "notes": list(found.notes),
        "candidates": found.rows(),
    }
    return Answer(data, seconds=found.seconds)


class InverseAsk(Ask):
    """For which structure, of which elements."""

    id: MaybeId = None
    k: Annotated[int, Field(description="Most compositions.", ge=1, le=200)] = 20
    elements: Elements = None
    required: Elements = None
    charge_balanced: Annotated[
        bool, Field(description="Only compositions that are neutral with usual oxidation states.")
    ] = False
    new: Annotated[bool, Field(description="Leave out compositions that the store has; needs elements.")] = False


class NearestKnown(Reply):
    """A known compound with the same prototype."""

    formula: str
    id: str
    similarity: float


class InverseCandidate(Reply):
    """A composition that could take the structure."""

    rank: int
    formula: str
    composition: dict[str, int]
    score: float
    probability: float | None = Field(description="Calibrated on compounds that exist; null for other stoichiometries.")
    known: bool
    known_ids: list[str]
    has_prototype: bool = Field(description="Whether a known structure of it has the prototype already.")
    nearest_known: list[NearestKnown]
    mapping: dict[str, str] = Field(description="Which element of the structure each element stands for.")
    oxidation_states: dict[str, float] | None
    scale: float = Field(description="Factor of the structure's lengths at which the score was found.")


class InverseData(Reply):
    """Compositions, the likeliest first."""

    name: str
    formula: str
    n_known: int = Field(description="Structures whose compositions were looked among.")
    notes: list[str]
    candidates: list[InverseCandidate]


class InverseReply(Envelope):
    """Compositions that could take a structure."""

    data: InverseData


def inverse(service: Service, ask: InverseAsk, upload: Upload | None = None) -> Answer:
    """Find compositions that could take a structure: one of the store, or one that is sent."""
    from api.inverse import inverse as find

    name, crystal = asked_crystal(service, ask.id, upload)
    found = find(
        crystal,
        ask.k,
        elements=ask.elements,
        required=ask.required,
        charge_balanced=ask.charge_balanced,
        new=ask.new,
        service=lambda: service,
    )
    data = {
        "name": name,
        "formula": found.formula,
        "n_known": found.n_known,
        "notes": list(found.notes),
        "candidates": found.rows(),
    }
    return Answer(data)


class MigrationAsk(Ask):
    """In which crystal, of which ion."""

    id: MaybeId = None
    ion: Ion = None


class CrystalAsk(Ask):
    """In which crystal."""

    id: MaybeId = None


class MigrationEnergy(Reply):
    """Migration energy in so many directions."""

    value: float | None = Field(description="eV; null where no path leads so.")
    lower: float | None = Field(description="Lower end of the 90 % interval, eV.")
    upper: float | None = Field(description="Upper end of the 90 % interval, eV.")
    in_domain: bool | None = Field(description="Whether the path's hops are like those that the model was trained on.")
    limiting_hop: str | None
    directions: list[list[float]] = Field(description="Directions of travel, in cell vectors.")


class Hop(Reply):
    """A hop of the ion."""

    id: str
    ion: str
    value: float | None = Field(description="Predicted barrier, eV.")
    lower: float | None = Field(description="Lower end of the 90 % interval, eV.")
    upper: float | None = Field(description="Upper end of the 90 % interval, eV.")
    in_domain: bool | None
    model: str | None
    start: str
    end: str
    offset: list[int] = Field(description="Cell of the end, in cell vectors.")
    multiplicity: int
    length: float = Field(description="Distance of the two sites, Å.")
    r_bottleneck: float = Field(description="Narrowest place of the widest route, Å.")
    distance: float | None = Field(description="From the training set, in the model's measure.")
    percolates: bool
    reason: str | None = Field(default=None, description="Why it is out of the domain.")
    error: str | None = Field(default=None, description="Why there is no prediction.")


class MigrationData(Reply):
    """Predicted barriers and migration energies of an ion in a crystal."""

    name: str
    formula: str
    ion: str
    model: str
    definition: str = Field(description="What the migration energy is.")
    one_direction: MigrationEnergy
    two_directions: MigrationEnergy
    three_directions: MigrationEnergy
    reason: str | None = Field(description="Why there is no migration energy.")
    hops: list[Hop]


class MigrationReply(Envelope):
    """Predicted migration energies."""

    data: MigrationData


def migration_energy(service: Service, ask: MigrationAsk, upload: Upload | None = None) -> Answer:
    """Predict the barriers of an ion's hops in a crystal, and what it costs the ion to cross it.

    Each number comes with its 90 % interval, and with whether it lies inside the model's domain.
    """
    from dataclasses import replace

    from api.migration import migration_energy as predict
    from api.migration.report import DEFINITION

    name, crystal = asked_crystal(service, ask.id, upload)
    report = replace(predict(crystal, ask.ion, service=lambda: service), name=name)
    *hops, last = list(report.rows())
    energy = ("value", "lower", "upper", "in_domain", "limiting_hop", "directions")
    data: dict[str, Any] = {
        "name": name,
        "formula": report.formula,
        "ion": report.ion,
        "model": report.model,
        "definition": DEFINITION,
        "one_direction": {key: last[key] for key in energy},
        "two_directions": last["two_directions"],
        "three_directions": last["three_directions"],
        "reason": last.get("reason"),
        "hops": hops,
    }
    return Answer(data)


class ConductivityData(Reply):
    """A predicted conductivity of lithium ions at room temperature."""

    id: str = Field(description="File or id.")
    formula: str
    value: float = Field(description="log10 of the conductivity in S/cm.")
    lower: float = Field(description="Lower end of the 90 % interval, log10 of S/cm.")
    upper: float = Field(description="Upper end of the 90 % interval, log10 of S/cm.")
    in_domain: bool
    distance: float = Field(description="From the training set, in the model's measure.")
    known: str = Field(description="structure, cell or composition: what the prediction was made from.")
    model: str
    reason: str | None = Field(default=None, description="Why it is out of the domain.")


class ConductivityReply(Envelope):
    """A predicted conductivity."""

    data: ConductivityData


def conductivity(service: Service, ask: CrystalAsk, upload: Upload | None = None) -> Answer:
    """Predict how well a crystal conducts lithium ions at room temperature; with 90 % interval and domain flag."""
    from dataclasses import replace

    from api.conductivity import conductivity as predict

    name, crystal = asked_crystal(service, ask.id, upload)
    return Answer(replace(predict(crystal, service=lambda: service), name=name).row())


class ExplanationData(Reply):
    """A predicted conductivity taken apart."""

    name: str
    formula: str
    model: str
    unit: str
    value: float
    expected: float = Field(description="Of a compound of which nothing is known.")
    composition: float = Field(description="What its elements add.")
    scores: dict[str, Any] = Field(description="How good the explained model is.")
    curves: list[dict[str, Any]] = Field(description="What the holes of each group of atoms add, by radius (Å).")
    sentences: list[str]


class ExplanationReply(Envelope):
    """Why a conductivity is predicted as it is."""

    data: ExplanationData


def explain_conductivity(service: Service, ask: CrystalAsk, upload: Upload | None = None) -> Answer:
    """Take the predicted conductivity of a crystal apart into what the holes between its atoms add."""
    from dataclasses import replace

    from api.explain import explain_conductivity as explain

    name, crystal = asked_crystal(service, ask.id, upload)
    return Answer(replace(explain(crystal, service=lambda: service), name=name).to_dict())


def _computed(
    name: str, summary: str, ask: type[Ask], reply: type[Envelope], answer: Any, path: str, file: bool
) -> None:
    register(
        UseCase(
            name,
            summary,
            ask,
            reply,
            answer,
            cost="compute",
            scope="compute",
            upload=file,
            path=path,
            isolated=True,
            tag="Predictions",
        )
    )


_computed(
    "predict-structure",
    "Crystal structures for a composition",
    PredictStructureAsk,
    PredictStructureReply,
    predict_structure,
    "/predict-structure",
    file=False,
)
_computed("inverse", "Compositions for a structure", InverseAsk, InverseReply, inverse, "/inverse", file=True)
_computed(
    "migration-energy",
    "Migration barriers and energies",
    MigrationAsk,
    MigrationReply,
    migration_energy,
    "/predict/migration-energy",
    file=True,
)
_computed(
    "conductivity",
    "Ionic conductivity at room temperature",
    CrystalAsk,
    ConductivityReply,
    conductivity,
    "/predict/conductivity",
    file=True,
)
_computed(
    "explain",
    "Why a conductivity is predicted",
    CrystalAsk,
    ExplanationReply,
    explain_conductivity,
    "/explain/conductivity",
    file=True,
)
