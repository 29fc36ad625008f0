"""Addresses of a material: its page, and what the page loads or leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002  (FastAPI reads the annotations)
from starlette.responses import JSONResponse, RedirectResponse, Response

from api.web.material import parts
from api.web.rendering import PageRoute, must_compute, page, parts_of, service_of, status_of
from api.web.text import material_url
from store.errors import IonatlasError, UsageError

if TYPE_CHECKING:
    from api.service import Service

router = APIRouter(route_class=PageRoute, include_in_schema=False)

SIMILAR: Final = {
    "composition": "By composition",
    "structure": "By arrangement of atoms",
    "learned": "By what was learned of both",
}
_MOST_SIMILAR: Final = 100


def _plain(id: str) -> str:
    """An id as it is: the guard marks a slash inside it."""
    from api.rest.guard import SLASH

    return id.replace(SLASH, "/")


@router.get("/materials")
@router.get("/materials/")
def materials(request: Request) -> Response:
    """There is no list of all: the search is it. An id from a form leads to its material."""
    id = request.query_params.get("id", "").strip()
    return RedirectResponse(material_url(id) if id else "/", 303)


@router.get("/materials/{id:path}/scene.json")
def scene(request: Request, id: str) -> Response:
    """What the viewer shows."""
    try:
        return JSONResponse(_scene(service_of(request), _plain(id), request.query_params.get("ion", "")))
    except IonatlasError as error:
        return JSONResponse({"error": parts_of(error)}, status_of(error))


def _scene(service: Service, id: str, ion: str) -> dict[str, Any]:
    from api.web.material.scene import scene as make

    crystal = service.structure(id)
    if not ion:
        return make(crystal)
    key = f"{id}/{ion}"
    document = service.call(lambda database: database["channels"].find_one({"_id": key}))
    if document is None:
        raise UsageError(f"The channels of {ion[:10]} in {id} are not built.", mend="ionatlas build channels")
    from builders.channels.document import from_document

    found = from_document(document)
    threshold = document.get("threshold")
    if threshold is None:
        from builders.channels.thresholds import threshold as default_threshold

        threshold = default_threshold(found.ion, found.anion).r_chan
    return make(crystal, found, threshold)


@router.get("/materials/{id:path}/topology.json")
def topology(request: Request, id: str) -> Response:
    """Persistence diagrams and Betti curves."""
    from api.web.material.topology import figures

    service = service_of(request)
    key = f"{_plain(id)}/{request.query_params.get('ion', '')}"
    try:
        document = service.call(lambda database: database["topology"].find_one({"_id": key}))
        if document is None:
            raise UsageError(f"The diagrams {key[:100]} are not built.", mend="ionatlas build topology")
        return JSONResponse(figures(document))
    except IonatlasError as error:
        return JSONResponse({"error": parts_of(error)}, status_of(error))


@router.get("/materials/{id:path}/structure.{form}")
def structure(request: Request, id: str, form: str) -> Response:
    """The structure as a file."""
    from api.web.material.files import structure_file

    return structure_file(service_of(request), _plain(id), form, request.query_params.get("cell", "standard"))


@router.get("/materials/{id:path}/lineage/{field}")
def lineage(request: Request, id: str, field: str) -> Response:
    """Where a number comes from."""
    from api.web.material.lineage import tree

    id = _plain(id)
    found = service_of(request).why(id, field)
    return page(request, "lineage.html", id=id, lineage=found, steps=[tree(step) for step in found.steps])


@router.get("/materials/{id:path}/similar")
def similar(request: Request, id: str) -> Response:
    """What is like this material."""
    id = _plain(id)
    by = request.query_params.get("by", "composition")
    if by not in SIMILAR:
        raise UsageError(f"There is no similarity by {by[:40]!r}.", mend=f"by one of {', '.join(SIMILAR)}")
    text = request.query_params.get("k", "8")
    k = int(text) if text.isdecimal() and text.isascii() and len(text) < 5 else 0
    if not 1 <= k <= _MOST_SIMILAR:
        raise UsageError(f"k is a number from 1 to {_MOST_SIMILAR}.", mend="k=8")
    asked = request.query_params.get("filter", "").strip() or None
    found = service_of(request).similar(
        id, k, by=by, filter=asked, fields=["formula", "space_group_symbol"], files=False
    )
    return page(request, "similar.html", id=id, by=by, title=SIMILAR[by], found=found, k=k)


@router.api_route("/materials/{id:path}/polymorphs", methods=["GET", "POST"])
def polymorphs(request: Request, id: str) -> Response:
    """Structures that the composition could take."""
    from api.prediction import predict_structure

    must_compute(request)
    service, id = service_of(request), _plain(id)
    rows = service.query(f'id = "{_escaped(id)}"', fields=["formula"], limit=1).rows
    if not rows:
        service.show(id)  # tells why: unknown, or not built
        raise UsageError(f"{id} is not among the candidates.", mend="ionatlas build")
    found = predict_structure(rows[0]["formula"], 8, service=lambda: service)
    return page(request, "polymorphs.html", id=id, formula=rows[0]["formula"], found=found)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


@router.get("/materials/{id:path}")
def material(request: Request, id: str) -> Response:
    """Everything about a material."""
    id = _plain(id)
    found = service_of(request).show(id)
    ions = parts.ions(found)
    built = [document["ion"] for document in found["channels"]]
    return page(
        request,
        "material.html",
        id=id,
        found=found,
        kind=parts.kind(found),
        candidate=found["candidate"] or {},
        structure=found["structure"],
        facts=parts.facts(found),
        ions=ions,
        scenes=[ion for ion in ions if ion in built],
        channels=parts.channels(found),
        energies=parts.energies(found),
        conduction=parts.conduction(found),
        topology=parts.topology(found),
        duplicates=parts.duplicates(found),
        failures=parts.failures(found),
        record=parts.record(found),
        cell=parts.cell(found),
        similar=SIMILAR,
        missing=lambda collection: parts.missing(found, collection),
    )
