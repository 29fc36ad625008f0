"""Pages about the store itself: status, fields, help."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002  (FastAPI reads the annotations)
from starlette.responses import Response  # noqa: TC002

from api.web.rendering import PageRoute, must_compute, page, service_of
from store.fields import FIELDS, shown_fields
from store.ion_fields import IONS

if TYPE_CHECKING:
    from api.service import Service

router = APIRouter(route_class=PageRoute, include_in_schema=False)

LANGUAGE: Final = (
    ("Compare", "band_gap > 3 AND density < 4", "Numbers are in the field's own unit."),
    ("Units", "band_gap > 3000 meV AND density > 3000 kg/m^3", "Any unit of the right kind; it is converted."),
    ("Elements", 'elements HAS ALL "Li","P","O"', "HAS, HAS ALL, HAS ANY, HAS ONLY."),
    ("Leave out", 'elements HAS "Na" AND NOT elements HAS ANY "H","C"', "NOT before a condition."),
    ("Text", 'crystal_system = "cubic"', "Text stands in double quotes."),
    ("Formula", 'formula = "LiFePO4"', "The order of the elements does not matter."),
    ("Chemical system", 'formula MATCHES "Li-*-O"', "A star stands for any element."),
    ("Kind of formula", 'formula MATCHES "ABO3"', "Letters A, B, C stand for different elements."),
    ("Either", '(nelements = 2 OR nelements = 3) AND elements HAS "S"', "Brackets as in arithmetic."),
    ("Unknown", "band_gap IS UNKNOWN", "A comparison with a value that is not known never matches."),
    ("Channels", "li_channel_dimension >= 2 AND li_channel_r2 > 1.6", "Of any ion: li_, na_, k_, mg_ ..."),
    (
        "Barriers",
        "li_migration_energy < 400 meV AND li_migration_energy_in_domain = TRUE",
        "Predicted, with a domain flag.",
    ),
)
"""Examples of the filter language: heading, filter, remark."""


@router.get("/status")
def status(request: Request) -> Response:
    """What is in the store and how it stands."""
    found = service_of(request).status()
    failed = [each for each in found.collections if each.failed]
    return page(request, "status.html", status_=found, failed=failed)


class _Plan:
    """What a build would do, worked out by one request at a time and kept for a while: it reads every stamp of the store."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[datetime, Any]] = {}

    def get(self, service: Service) -> tuple[datetime, Any]:
        """Return the plan and when it was made."""
        from api.builds import explain_builds
        from api.work import build_options

        key = f"{service.settings.home}/{service.database.name}"
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or (datetime.now(UTC) - kept[0]).total_seconds() > _PLAN_SECONDS:
                options = build_options(service.settings, workers=1)
                plans = service.call(lambda database: explain_builds(database, service.settings, None, options))
                kept = self._kept[key] = (datetime.now(UTC), plans)
            return kept


_PLAN: Final = _Plan()
_PLAN_SECONDS: Final = 60.0


@router.api_route("/status/plan", methods=["GET", "POST"])
def plan(request: Request) -> Response:
    """What a build would do now."""
    must_compute(request)
    at, plans = _PLAN.get(service_of(request))
    return page(request, "plan.html", at=at, plans=plans)


@router.get("/fields")
def fields(request: Request) -> Response:
    """All fields that can be asked for."""
    text = request.query_params.get("q", "").strip()[:200]
    ion = request.query_params.get("ion", "")
    rows = shown_fields(ion if ion in IONS else None)
    words = text.lower().split()
    kept = [row for row in rows if all(word in f"{row[0]} {row[2]} {row[1].unit or ''}".lower() for word in words)]
    return page(request, "fields.html", rows=kept, total=len(FIELDS), text=text, ion=ion, ions=IONS)


@router.get("/about")
def about(request: Request) -> Response:
    """How to ask."""
    example = _example(request)
    return page(request, "about.html", language=LANGUAGE, example=example)


def _example(request: Request) -> dict[str, Any] | None:
    """A material of this very store, for examples that name one."""
    from store.errors import IonatlasError

    try:
        rows = service_of(request).query('elements HAS "Li"', fields=["id", "formula"], limit=1).rows
    except IonatlasError:
        rows = []
    return rows[0] if rows else None
