"""The search page and what it loads afterwards: facets, points of the figure, completions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002  (FastAPI reads the annotations)
from starlette.responses import JSONResponse, Response

from api.web.rendering import PageRoute, page, parts_of, service_of, status_of
from api.web.search.state import MODES, SIZES, SearchState
from api.web.text import unit
from store.errors import IonatlasError, UsageError
from store.fields import FIELDS, candidate_fields

if TYPE_CHECKING:
    from api.results import QueryResult
    from api.service import Service
    from store.fields import Field

router = APIRouter(route_class=PageRoute, include_in_schema=False)

COLUMNS: Final = ("id", "formula", "name", "space_group_symbol", "energy_above_hull", "band_gap", "density")
"""Columns when none are chosen; those that the filter and the order mention come along."""

MOST_POINTS: Final = 2_000
"""Points of the figure: more are neither told apart nor quickly sent."""

EXAMPLES: Final = (
    ("Wide band gap, with lithium", 'elements HAS "Li" AND band_gap > 3 eV AND energy_above_hull < 30 meV/atom'),
    ("Chemical system", 'formula MATCHES "Li-*-O" AND nelements = 3'),
    ("Three-dimensional channels", 'li_channel_dimension = 3 AND elements HAS "O"'),
    ("Low predicted barrier", "li_migration_energy < 400 meV AND li_migration_energy_in_domain = TRUE"),
)
"""Filters to begin with."""


@router.get("/")
def search(request: Request) -> Response:
    """The search page."""
    service = service_of(request)
    query = request.query_params
    try:
        state = SearchState.read(query)
    except UsageError as error:
        return _page(request, service, SearchState(filter=query.get("filter", "")[:8192]), None, error)
    try:
        found = _answer(service, state)
    except IonatlasError as error:
        return _page(request, service, state, None, error)
    return _page(request, service, state, found, None)


def _answer(service: Service, state: SearchState) -> QueryResult:
    """Rows of one page. The filter is read alone first: a mistake is then shown in it and not in what the facets add."""
    from api.filters import compile_filter

    mentioned = compile_filter(state.filter, similar=True).fields
    fields: Any = state.columns or list(
        dict.fromkeys([*COLUMNS, *mentioned, *(each.strip(" +-") for each in state.sort.split(",") if each.strip())])
    )
    if state.columns and "id" not in state.columns.split(","):
        fields = f"id,{state.columns}"
    return service.query(
        state.combined or None,
        fields=fields,
        sort=state.sort or None,
        limit=state.size,
        include_duplicates=not state.unique,
        after=state.after or None,
    )


def _page(
    request: Request,
    service: Service,
    state: SearchState,
    found: QueryResult | None,
    error: IonatlasError | None,
) -> Response:
    figure = None
    if found is not None and state.x and state.y:
        figure, error = _figure(state)
    empty = found is not None and not found.rows
    return page(
        request,
        "search.html",
        status=200 if error is None else status_of(error),
        state=state,
        found=found,
        columns=[] if found is None else [_column(field, state) for field in _shown(found, state)],
        error=None if error is None else {**parts_of(error), "instead": _instead(error, state)},
        figure=figure,
        examples=EXAMPLES,
        modes=MODES,
        sizes=SIZES,
        choices=_choices(state, found),
        axes=[field for field in candidate_fields() if field.type in ("float", "integer") and _common(field, state)],
        elements=_periodic(),
        anything=not empty or (found is not None and found.note is None),
        exports=_exports(state, found),
        facets=None,
        seconds=None if found is None else found.seconds,
    )


def _instead(error: IonatlasError, state: SearchState) -> list[tuple[str, str]]:
    """Names near to a mistyped one, each with the address of the search that has it."""
    told = parts_of(error)
    lines = told["picture"].split("\n")
    near = re.search(r"Near(?:est)?: (.+?)\.(?:\s|$)", told["more"])
    if len(lines) < 2 or near is None:
        return []
    start, end = lines[-1].find("^"), lines[-1].rfind("^") + 1
    wrong = lines[-2][start:end]
    if not wrong or len(re.findall(rf"(?<!\w){re.escape(wrong)}(?!\w)", state.filter)) != 1:
        return []
    names = [name.split(" [")[0].strip() for name in re.split(r",\s+(?:or )?| or ", near.group(1))]
    right = [name for name in names if name in FIELDS]
    pattern = rf"(?<!\w){re.escape(wrong)}(?!\w)"
    return [(name, state.url(filter=re.sub(pattern, name, state.filter))) for name in right]


def _shown(found: QueryResult, state: SearchState) -> list[Field]:
    """Columns of the table; of those that nobody asked for only what some row has."""
    asked = {*state.columns.split(","), *state.combined.replace("(", " ").split(), *state.sort.lstrip("-").split(",")}
    kept = (*asked, "id", "formula")
    return [
        field
        for field in found.fields
        if state.columns or field.name in kept or any(row.get(field.name) is not None for row in found.rows)
    ]


def _column(field: Field, state: SearchState) -> dict[str, Any]:
    """A head: which way it is sorted, and where a click on it leads."""
    first = state.sort.split(",")[0].strip()
    way = "" if first.lstrip("+-") != field.name else "descending" if first.startswith("-") else "ascending"
    # Large numbers are asked for as often as small ones: a second click turns the order round.
    next_sort = f"-{field.name}" if way == "ascending" else field.name
    return {"field": field, "way": way, "url": state.url(sort=next_sort) if field.sortable else ""}


def _common(field: Field, state: SearchState) -> bool:
    return not field.ion or field.ion == state.ion


def _choices(state: SearchState, found: QueryResult | None) -> list[dict[str, Any]]:
    """Columns that can be chosen: those of every material, and those of the ion of the facet."""
    shown = {field.name for field in found.fields} if found is not None else set(COLUMNS)
    general = [field for field in candidate_fields() if not field.ion and field.type != "dictionary"]
    ion = [field for field in candidate_fields() if field.ion == state.ion]
    others = [FIELDS[name] for name in sorted(shown) if name in FIELDS and FIELDS[name].ion not in ("", state.ion)]
    groups = [("Every material", general), (f"{state.ion} as the travelling ion", ion), ("Shown besides", others)]
    return [
        {"title": title, "fields": [(field, field.name in shown) for field in fields]}
        for title, fields in groups
        if fields
    ]


def _exports(state: SearchState, found: QueryResult | None) -> dict[str, str]:
    """Addresses of the same question at the API."""
    if found is None:
        return {}
    asked: dict[str, str] = {"filter": state.combined} if state.combined else {}
    columns = {"fields": ",".join(field.name for field in found.fields if field.name in FIELDS)}
    sort = {"sort": state.sort} if state.sort else {}
    unique = {"include_duplicates": "false"} if state.unique else {}
    twin = {"JSON": f"/v1/materials?{urlencode({**asked, **columns, **sort, **unique, 'limit': str(state.size)})}"}
    for name, form in (("JSON Lines", "jsonl"), ("CSV", "csv"), ("Parquet", "parquet")):
        twin[name] = f"/v1/export?{urlencode({**asked, **columns, 'format': form})}"
    return twin


def _periodic() -> list[dict[str, Any]]:
    """Elements with their places in the table of 18 columns."""
    from api.web.search.periodic import cells

    return cells()


def _figure(state: SearchState) -> tuple[dict[str, Any] | None, IonatlasError | None]:
    """The axes of the figure, or why there is none."""
    from api.filter_errors import unknown_name

    axes = []
    for name in (state.x, state.y):
        field = FIELDS.get(name)
        if field is None or not field.candidate:
            return None, unknown_name(name[:100], "to draw")
        if field.type not in ("float", "integer"):
            return None, UsageError(
                f"{name} is no number ({field.type}).", mend="take band_gap or density, for example"
            )
        axes.append(field)
    return {"x": axes[0], "y": axes[1], "url": state.url("/search/points.json"), "most": MOST_POINTS}, None


@router.get("/search/facets")
def facets(request: Request) -> Response:
    """How the materials that match divide."""
    from api.web.search.facets import facets as count
    from api.web.search.facets import ions

    state = SearchState.read(request.query_params)
    return page(request, "facets.html", state=state, facets=count(service_of(request), state), ions=ions())


@router.get("/search/points.json")
def points(request: Request) -> Response:
    """Points of the figure: id, formula, x, y."""
    try:
        state = SearchState.read(request.query_params)
        figure, error = _figure(state)
        if figure is None:
            raise error or UsageError("Two fields are wanted.", mend="x=band_gap&y=density")
        x, y = figure["x"], figure["y"]
        known = [f"{field.name} IS KNOWN" for field in dict.fromkeys([x, y])]
        asked = " AND ".join([*([state.combined] if state.combined else []), *known])
        found = service_of(request).query(
            asked, fields=["id", "formula", x.name, y.name], limit=MOST_POINTS, include_duplicates=not state.unique
        )
    except IonatlasError as error:
        return JSONResponse({"error": parts_of(error)}, status_of(error))
    rows = [[row["id"], row["formula"], row[x.name], row[y.name]] for row in found.rows]
    axes = {
        name: {"name": field.name, "unit": unit(field.unit), "meaning": field.meaning}
        for name, field in (("x", x), ("y", y))
    }
    return JSONResponse({**axes, "points": rows, "more": found.more})


@router.get("/search/complete")
def complete(request: Request) -> Response:
    """Completions of what is typed in the filter box."""
    text = request.query_params.get("text", "")[:8192]
    try:
        found = service_of(request).complete(text)
    except IonatlasError:
        found = []
    told = [{"text": each.text, "kind": each.kind, "detail": each.detail, "start": each.start} for each in found[:12]]
    return JSONResponse({"suggestions": told})
