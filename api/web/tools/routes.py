"""Forms and their answers: structures for a composition, compositions for a structure, channels, conduction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002  (FastAPI reads the annotations)
from starlette.responses import Response  # noqa: TC002

from api.web.rendering import PageRoute, may_compute, page, parts_of, service_of, status_of
from api.web.tools.forms import Form, in_thread, read_form
from store.errors import IonatlasError, UsageError
from store.ion_fields import ANIONS, WORKING_IONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.sandbox import Sandbox
    from api.service import Service

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_BOTH = ["GET", "POST"]


async def _answered(
    request: Request, template: str, answer: Callable[[Service, Sandbox, Form], dict[str, Any] | None]
) -> Response:
    """Show a form with the answer to what it sent, or with what is wrong with it."""
    form, error, found = Form({}, None), None, None
    try:
        form = await read_form(request)
        if may_compute(request):
            found = await in_thread(answer, service_of(request), request.app.state.sandbox, form)
    except IonatlasError as caught:
        error = caught
    shown: Response = await in_thread(
        lambda: page(
            request,
            template,
            status=200 if error is None else status_of(error),
            form=form,
            found=found,
            error=None if error is None else parts_of(error),
            ions=(*WORKING_IONS, *ANIONS),
        )
    )
    return shown


@router.api_route("/predict-structure", methods=_BOTH)
async def predict_structure(request: Request) -> Response:
    """Structures that a composition may take."""
    return await _answered(request, "predict_structure.html", _structures)


def _structures(service: Service, sandbox: Sandbox, form: Form) -> dict[str, Any] | None:
    from api.prediction import predict_structure as predict
    from api.web.material.scene import scene
    from api.web.tools.work import template

    formula = form.text("formula")
    if formula is None:
        if form.upload is not None:
            raise UsageError("A formula is wanted.", mend="LiNiPO4, for example")
        return None
    library: Any = ()
    own: list[str] = []
    if form.upload is not None:
        sandbox.check_size(*form.upload)
        entry = sandbox.run(template, form.upload)
        library = service.templates().with_entries([entry])
        own = [entry.id]
    found = predict(
        formula,
        form.whole("top", 1, 50, 10) or 10,
        exclude_formula=form.flag("exclude"),
        space_group=form.whole("space_group", 1, 230),
        templates=library,
        service=lambda: service,
    )
    cifs = ["data:chemical/x-cif;charset=utf-8," + quote(found.cif(each.rank)) for each in found.candidates]
    first = scene(found.candidates[0].crystal) if found.candidates else None
    name = "".join(letter for letter in found.formula if letter.isalnum() or letter == ".")
    return {"report": found, "files": {"cifs": cifs, "name": name, "own": own}, "scene": first}


@router.api_route("/inverse", methods=_BOTH)
async def inverse(request: Request) -> Response:
    """Compositions that could take a structure."""
    return await _answered(request, "inverse.html", _inverse)


def _inverse(service: Service, sandbox: Sandbox, form: Form) -> dict[str, Any] | None:
    from api.inverse import inverse as find
    from api.web.tools import work

    if not _asks(form):
        return None
    id, upload = form.crystal()
    options: dict[str, Any] = {
        "k": form.whole("k", 1, 200, 20) or 20,
        "elements": _symbols(form.text("elements")),
        "required": _symbols(form.text("required")),
        "charge_balanced": form.flag("balanced"),
        "new": form.flag("new"),
    }
    if upload is not None:
        sandbox.check_size(*upload)
        return {"report": sandbox.run(work.inverse, upload, options), "id": None}
    assert id is not None
    found = find(service.structure(id), service=lambda: service, **options)
    return {"report": replace(found, name=id), "id": id}


def _symbols(text: str | None) -> list[str] | None:
    return None if text is None else text.replace(",", " ").split()


def _asks(form: Form) -> bool:
    """Whether something was sent: an empty form is shown as it is."""
    return bool(form.upload or form.text("id") or form.fields.get("sent"))


@router.api_route("/channels", methods=_BOTH)
async def channels(request: Request) -> Response:
    """Voids and channels of an ion."""
    return await _answered(request, "channels.html", _channels)


def _channels(service: Service, sandbox: Sandbox, form: Form) -> dict[str, Any] | None:
    from api.web.tools import work

    threshold = form.amount("threshold", 0.0, 10.0)
    # A link from a material names it alone: the form is shown filled in, and nothing is computed yet.
    if not form.fields.get("sent") and form.upload is None:
        return None
    id, upload = form.crystal()
    _check(service, sandbox, id, upload)
    told: dict[str, Any] = sandbox.run(work.channels, id, upload, form.text("ion"), threshold)
    return told


@router.api_route("/predict", methods=_BOTH)
async def predict(request: Request) -> Response:
    """Migration energies and conductivity."""
    return await _answered(request, "predict.html", _predict)


def _predict(service: Service, sandbox: Sandbox, form: Form) -> dict[str, Any] | None:
    from api.web.tools import work

    if not form.fields.get("sent") and form.upload is None:
        return None
    id, upload = form.crystal()
    _check(service, sandbox, id, upload)
    told: dict[str, Any] = sandbox.run(work.predict, id, upload, form.text("ion"))
    return told


def _check(service: Service, sandbox: Sandbox, id: str | None, upload: tuple[str, bytes] | None) -> None:
    """Refuse what need not go to a worker: a file that is too large, an id that is not there."""
    if upload is not None:
        sandbox.check_size(*upload)
    elif id is not None:
        service.structure(id)
