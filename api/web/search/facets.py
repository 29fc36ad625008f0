"""Facets: how the materials that match divide, with an address for each part."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from store.documents import CRYSTAL_SYSTEMS
from store.errors import IonatlasError
from store.fields import FIELDS
from store.ion_fields import WORKING_IONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.service import Service
    from api.web.search.state import SearchState

_HULL_EDGES: Final = tuple(round(0.05 * step, 2) for step in range(11))
_GAP_EDGES: Final = tuple(float(step) for step in range(11))
_MOST_ELEMENTS: Final = 24


@dataclass(frozen=True)
class Part:
    """One value of a facet.

    Attributes
    ----------
    label : str
    count : int
    url : str
        Takes the value in, or out again.
    chosen : bool
    share : float
        Of the largest count, 0 to 1.
    """

    label: str
    count: int
    url: str
    chosen: bool
    share: float


@dataclass(frozen=True)
class Facet:
    """One way to divide what matches.

    Attributes
    ----------
    title, field : str
    parts : list of Part
    unknown : int
        Materials without a value.
    kind : str
        ``values`` or ``histogram``.
    unit : str
    note : str
        Why there is nothing to show.
    failed : bool
        Whether it could not be counted.
    """

    title: str
    field: str
    parts: list[Part]
    unknown: int = 0
    kind: str = "values"
    unit: str = ""
    note: str = ""
    failed: bool = False


@dataclass(frozen=True)
class Facets:
    """All facets of a search, and how many materials match."""

    facets: list[Facet]
    total: int | None
    note: str = ""


def facets(service: Service, state: SearchState) -> Facets:
    """Count the materials of a search by what users divide them by."""
    total: int | None = None
    found: list[Facet] = []
    for make in (_systems, _numbers, _elements, _dimensions, _hull, _gap):
        facet, count = make(service, state)
        if not found and facet.failed:
            return Facets([], None, facet.note)  # what one cannot count, none can
        found.append(facet)
        total = count if total is None else total
    return Facets(found, total)


Made = tuple[Facet, int | None]


def _counted(
    service: Service, state: SearchState, field: str, title: str, part: Callable[[Any, int, int], Part], **how: Any
) -> tuple[Facet, int | None, list[Part]]:
    """Ask for counts; a store that cannot tell is told in the facet."""
    try:
        answer = service.aggregate(state.combined or None, group_by=field, include_duplicates=not state.unique, **how)
    except IonatlasError as error:
        return Facet(title, field, [], note=error.message.split("\n")[0], failed=True), None, []
    rows = [row for row in answer.buckets if row.value is not None]
    largest = max((int(row.count) for row in rows), default=1)
    parts = [part(row.value, int(row.count), largest) for row in rows]
    return Facet(title, field, parts, unknown=int(answer.unknown or 0)), answer.total, parts


def _systems(service: Service, state: SearchState) -> Made:
    def part(value: Any, count: int, largest: int) -> Part:
        return Part(str(value), count, state.toggled("systems", value), value in state.systems, count / largest)

    facet, total, parts = _counted(service, state, "crystal_system", "Crystal system", part)
    order = {name: place for place, name in enumerate(CRYSTAL_SYSTEMS)}
    return replace(facet, parts=sorted(parts, key=lambda each: -order.get(each.label, 0))), total


def _numbers(service: Service, state: SearchState) -> Made:
    def part(value: Any, count: int, largest: int) -> Part:
        return Part(str(value), count, state.toggled("counts", value), value in state.counts, count / largest)

    facet, total, parts = _counted(service, state, "nelements", "Number of elements", part)
    return replace(facet, parts=sorted(parts, key=lambda each: int(each.label))), total


def _elements(service: Service, state: SearchState) -> Made:
    def part(value: Any, count: int, largest: int) -> Part:
        return Part(str(value), count, state.toggled("has", value), value in state.has, count / largest)

    facet, total, _ = _counted(service, state, "elements", "Elements", part, top=_MOST_ELEMENTS)
    return facet, total


def _dimensions(service: Service, state: SearchState) -> Made:
    name = f"{state.ion.lower()}_channel_dimension"

    def part(value: Any, count: int, largest: int) -> Part:
        label = f"{value}D" if value else "no way through"
        return Part(label, count, state.toggled("dimensions", value), value in state.dimensions, count / largest)

    facet, total, parts = _counted(service, state, name, f"Channels for {state.ion}", part)
    parts = sorted(parts, key=lambda each: each.label)
    note = facet.note or ("" if parts else f"no channels of {state.ion} are built here (ionatlas build channels)")
    return replace(facet, parts=parts, note=note), total


def _hull(service: Service, state: SearchState) -> Made:
    return _histogram(service, state, "hull", "energy_above_hull", _HULL_EDGES)


def _gap(service: Service, state: SearchState) -> Made:
    return _histogram(service, state, "gap", "band_gap", _GAP_EDGES)


def _histogram(service: Service, state: SearchState, name: str, field: str, edges: tuple[float, ...]) -> Made:
    title = {"hull": "Energy above hull", "gap": "Band gap"}[name]
    unit = FIELDS[field].unit or ""
    try:
        answer = service.aggregate(
            state.combined or None, histogram=field, bins=edges, include_duplicates=not state.unique
        )
    except IonatlasError as error:
        return Facet(title, field, [], kind="histogram", unit=unit, note=error.message.split("\n")[0]), None
    largest = max((int(row.count) for row in answer.buckets), default=1) or 1
    parts = []
    for row in answer.buckets:
        low, high, count = row.low, row.high, int(row.count)
        if low is None or high is None:
            continue
        chosen = getattr(state, name) == (low, high)
        changes: dict[str, Any] = {name: (None, None) if chosen else (float(low), float(high))}
        url = state.url(**changes)
        parts.append(Part(f"{low:g} to {high:g}", count, url, chosen, count / largest))
    note = "" if any(each.count for each in parts) else "no material here has a value"
    parts = parts if not note else []
    return Facet(title, field, parts, int(answer.unknown or 0), "histogram", unit, note), answer.total


def ions() -> tuple[str, ...]:
    """Ions that the facet of channels offers."""
    return WORKING_IONS
