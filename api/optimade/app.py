"""The OPTIMADE application: ``optimade_app(service)``, mounted at ``/optimade``.

Parts of optimade-python-tools that are used: models, query parameters, the class of entry collections, exceptions and the
description of properties. Its own routers and middleware are not: they keep warnings of one request where another's answer
may pick them up, send request headers back when they redirect, and take the mount for a part of the path.
"""

from __future__ import annotations

import inspect
import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import RedirectResponse
from optimade.exceptions import BadRequest, Forbidden, OptimadeHTTPException, VersionNotSupported
from optimade.models import Implementation, Provider
from optimade.models.links import LinksResourceAttributes
from optimade.models.references import ReferenceResourceAttributes
from optimade.server.config import ServerConfig
from optimade.server.query_params import EntryListingQueryParams, SingleEntryQueryParams
from optimade.server.schemas import retrieve_queryable_properties
from pydantic import EmailStr  # noqa: TC002  (FastAPI reads it)
from starlette.exceptions import HTTPException

from api.optimade import answers
from api.optimade.answers import API_VERSION, VERSIONS, Answer, base_url, meta, next_link
from api.optimade.collection import StructureCollection
from api.optimade.entries import licence_link, spdx
from api.optimade.filters import ListTranslator, understand
from api.optimade.names import PREFIX, described
from store.errors import IonatlasError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic_settings import PydanticBaseSettingsSource

    from api.service import Service

PAGE: Final = 20
LARGEST_PAGE: Final = 500

_FORMATS: Final = ["json"]
_PARAMETERS: Final = tuple(inspect.signature(EntryListingQueryParams).parameters)
_LINK_NAMES: Final = {"id", "type", *LinksResourceAttributes.model_fields}
_REFERENCE_NAMES: Final = {"id", "type", *ReferenceResourceAttributes.model_fields}


class ListingParams(EntryListingQueryParams):  # type: ignore[misc]  # optimade publishes no types
    """The query parameters of lists; our cursors are text, and the reference server's a number that it does not use."""

    def __init__(
        self,
        *,
        filter: Annotated[str, Query(description="A filter in the OPTIMADE language.")] = "",
        response_format: Annotated[str, Query(description="json.")] = "json",
        email_address: Annotated[EmailStr | None, Query(description="Whose request it is.")] = None,
        response_fields: Annotated[str, Query(description="Properties to tell, with commas.")] = "",
        sort: Annotated[str, Query(description="Properties to sort by, with commas, - before a descending one.")] = "",
        page_limit: Annotated[int, Query(ge=0, description=f"Most entries, up to {LARGEST_PAGE}.")] = PAGE,
        page_offset: Annotated[int, Query(ge=0, description="Entries to skip.")] = 0,
        page_number: Annotated[int | None, Query(description="Number of the page, from 1.")] = None,
        page_cursor: Annotated[str, Query(description="From the link to the next page.")] = "",
        page_above: Annotated[str | None, Query(description="The id behind which to go on.")] = None,
        page_below: Annotated[str | None, Query(description="Not used.")] = None,
        include: Annotated[str, Query(description="references, or nothing.")] = "references",
        api_hint: Annotated[str, Query(description="v1, v1.2.")] = "",
    ) -> None:
        given = dict(locals())
        super().__init__(**{name: given[name] for name in _PARAMETERS if name in given and name != "page_cursor"})
        self.page_cursor = page_cursor


class Config(ServerConfig):  # type: ignore[misc]  # optimade publishes no types
    """optimade's settings, from here alone: neither the environment nor a file in the home folder changes the server."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[Any], init_settings: PydanticBaseSettingsSource, **_: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is given in the call."""
        return (init_settings,)


def optimade_config() -> Config:
    """Say who provides what."""
    return Config(
        page_limit=PAGE,
        page_limit_max=LARGEST_PAGE,
        insert_test_data=False,
        provider=Provider(
            prefix=PREFIX,
            name="ionatlas",
            description="A store of crystal structures with ion channels, migration energies and similarity, served by ionatlas.",
        ),
        provider_fields={},
        implementation=Implementation(name="ionatlas", version=version("ionatlas")),
    )


def optimade_app(service: Service) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    service : api.service.Service
        Of the store that is served; reads only.

    Returns
    -------
    fastapi.FastAPI
        To be mounted (``app.mount("/optimade", optimade_app(service))``); base URLs are ``/optimade`` and
        ``/optimade/v1``, ``/v1.2``, ``/v1.2.0``.

    Examples
    --------
    >>> from api.client import Atlas                                            # doctest: +SKIP
    >>> app = optimade_app(Atlas().service)                                     # doctest: +SKIP
    """
    app = FastAPI(title="OPTIMADE API", version=API_VERSION, docs_url=None, redoc_url=None, openapi_url="/openapi.json")
    app.state.config = optimade_config()
    app.state.public_url = getattr(getattr(service, "settings", None), "public_url", None)
    app.state.structures = StructureCollection(service, app.state.config)
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["GET", "HEAD", "OPTIONS"])
    app.add_exception_handler(OptimadeHTTPException, answers.on_optimade)
    app.add_exception_handler(IonatlasError, answers.on_ours)
    app.add_exception_handler(HTTPException, answers.on_http)
    app.add_exception_handler(RequestValidationError, answers.on_parameters)
    app.add_exception_handler(Exception, answers.on_fault)
    for prefix in ("", *VERSIONS):
        app.include_router(router, prefix=prefix, include_in_schema=prefix == VERSIONS[0])
    app.add_api_route("/versions", versions, methods=["GET", "HEAD"], include_in_schema=False)
    return app


def check_hint(request: Request, api_hint: str = "") -> None:
    """Look at ``api_hint``: a newer version than ours is refused, everything else is answered as version 1."""
    found = re.fullmatch(r"v(\d+)(\.\d+)?", api_hint)
    if api_hint and found is None:
        request.state.optimade_warnings = [f"api_hint={api_hint} is not of the form v1 or v1.2, and was not used."]
    elif found is not None and int(found.group(1)[:9]) > int(VERSIONS[0][2:]):
        raise VersionNotSupported(f"There is no {api_hint}; there are {', '.join(each[1:] for each in VERSIONS)}.")


router: Final = APIRouter(dependencies=[Depends(check_hint)], default_response_class=Answer)


def versions() -> Response:
    """List the major versions."""
    return Response(f"version\n{VERSIONS[0][2:]}", media_type="text/csv; header=present")


@router.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
def landing(request: Request) -> Response:
    """Lead to what the server says of itself."""
    return RedirectResponse(f"{base_url(request)}{VERSIONS[0]}/info")


@router.api_route("/info", methods=["GET", "HEAD"], tags=["Info"])
def info(request: Request) -> Answer:
    """Describe the server: versions, endpoints, licence."""
    known = request.app.state.structures.licences()
    one = known[0] if len(known) == 1 else None
    attributes: dict[str, Any] = {
        "api_version": API_VERSION,
        "available_api_versions": [
            {"url": f"{base_url(request)}{prefix}", "version": API_VERSION} for prefix in VERSIONS
        ],
        "formats": _FORMATS,
        "available_endpoints": ["info", "links", "references", "structures"],
        "entry_types_by_format": {"json": ["structures"]},
        "is_index": False,
        "license": licence_link(one),
        "available_licenses": [one] if spdx(one) else None,
    }
    data = {"type": "info", "id": "/", "attributes": attributes}
    return Answer({"meta": meta(request, returned=1, available=1), "data": data})


@router.api_route("/info/{entry}", methods=["GET", "HEAD"], tags=["Info"])
def entry_info(request: Request, entry: str) -> Answer:
    """Describe the properties of a type of entries."""
    if entry == "structures":
        about: Mapping[str, dict[str, Any]] = described()
        text = "Crystal structures: the record's own cell, and what was computed from it."
    elif entry == "references":
        about, text = _reference_properties(), "Bibliographic references. This server has none."
    else:
        raise HTTPException(404, f"There are no entries {entry!r}; there are structures and references.")
    data = {
        "type": "info",
        "id": entry,
        "description": text,
        "formats": _FORMATS,
        "properties": about,
        "output_fields_by_format": {"json": list(about)},
    }
    return Answer({"meta": meta(request, returned=1, available=1), "data": data})


@router.api_route("/structures", methods=["GET", "HEAD"], tags=["Structures"])
def structures(request: Request, params: Annotated[ListingParams, Depends()]) -> Answer:
    """List structures."""
    noted = _check(request, params, strict=True)
    page = request.app.state.structures.page(params)
    return _many(request, page.entries, page.returned, page.available, page.following, [*noted, *page.warnings])


@router.api_route("/structures/{entry_id:path}", methods=["GET", "HEAD"], tags=["Structures"])
def structure(request: Request, entry_id: str, params: Annotated[SingleEntryQueryParams, Depends()]) -> Answer:
    """Show one structure; ``data`` is null where there is none of this id."""
    noted = _check(request, params, strict=False)
    page = request.app.state.structures.one(entry_id, params.response_fields)
    found = page.entries[0] if page.entries else None
    return _one(request, found, page.available, [*noted, *page.warnings])


@router.api_route("/references", methods=["GET", "HEAD"], tags=["References"])
def references(request: Request, params: Annotated[ListingParams, Depends()]) -> Answer:
    """List references: none."""
    return _listed(request, params, [], _REFERENCE_NAMES)


@router.api_route("/references/{entry_id:path}", methods=["GET", "HEAD"], tags=["References"])
def reference(request: Request, entry_id: str, params: Annotated[SingleEntryQueryParams, Depends()]) -> Answer:
    """Show one reference: there are none."""
    del entry_id
    return _one(request, None, 0, _check(request, params, strict=False))


@router.api_route("/links", methods=["GET", "HEAD"], tags=["Links"])
def links(request: Request, params: Annotated[ListingParams, Depends()]) -> Answer:
    """List related servers: this one, and the list of providers."""
    config: ServerConfig = request.app.state.config
    entries = [
        _link("root", config.provider.name, config.provider.description, base_url(request), "root"),
        _link(
            "optimade",
            "OPTIMADE providers",
            "The list of all providers of materials data through OPTIMADE.",
            "https://providers.optimade.org",
            "providers",
        ),
    ]
    return _listed(request, params, entries, _LINK_NAMES)


def _link(key: str, name: str, text: str, address: str, kind: str) -> dict[str, Any]:
    attributes = {"name": name, "description": text, "base_url": address, "homepage": None, "link_type": kind}
    return {"type": "links", "id": key, "attributes": attributes}


def _reference_properties() -> dict[str, dict[str, Any]]:
    from optimade.models import ReferenceResource

    found = retrieve_queryable_properties(ReferenceResource, {"id", "type", "attributes"})
    return {
        name: {
            "description": about["description"],
            "type": "string" if name == "type" else about["type"].value,
            "sortable": False,
        }
        for name, about in found.items()
    }


def _check(request: Request, params: Any, *, strict: bool) -> list[str]:
    """Look at the parameters of a request: those of others are ignored with a warning, mis-spelt ones refused."""
    if params.response_format not in ("", "json"):
        raise BadRequest(f"There is no response_format {params.response_format!r}; there is json.")
    if params.include not in ("", "references"):
        raise BadRequest(f"include={params.include} names no relationship of these entries; there is references.")
    noted = []
    for name in request.query_params:
        if hasattr(params, name) and not name.startswith("_"):
            continue
        ours = name.startswith(f"_{PREFIX}_")
        if strict and (ours or not re.match(r"_[a-z][a-z0-9]*_", name)):
            raise BadRequest(f"There is no query parameter {name!r} here.")
        noted.append(f"The query parameter {name} is not known and was not used.")
    return noted


def _listed(request: Request, params: Any, entries: list[dict[str, Any]], names: set[str]) -> Answer:
    """Answer from a short list: filter, page and fields as for any entries."""
    noted = _check(request, params, strict=True)
    if params.page_limit > LARGEST_PAGE:
        raise Forbidden(f"page_limit is at most {LARGEST_PAGE}; {params.page_limit} was given.")
    wanted = [name.strip() for name in params.response_fields.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in names and not name.startswith("_")]
    if unknown:
        raise BadRequest(f"There is no property {unknown[0]!r}; there are {', '.join(sorted(names))}.")
    if params.sort:
        raise BadRequest("These entries have one order.")
    available = len(entries)
    entries = _matching(entries, params.filter, names, noted)
    begin = (max(1, params.page_number) - 1) * params.page_limit if params.page_number else params.page_offset
    shown = entries[begin : begin + params.page_limit]
    more = begin + params.page_limit < len(entries)
    following = {"page_offset": str(begin + params.page_limit)} if more and params.page_limit else None
    if wanted:
        shown = [
            {
                **each,
                "attributes": {name: each["attributes"].get(name) for name in wanted if name not in ("id", "type")},
            }
            for each in shown
        ]
    return _many(request, shown, len(entries), available, following, noted)


def _matching(entries: list[dict[str, Any]], text: str, names: set[str], noted: list[str]) -> list[dict[str, Any]]:
    if not text.strip():
        return entries
    flat = [{"id": each["id"], "type": each["type"], **each["attributes"]} for each in entries]
    translator = ListTranslator(text, flat, names)
    found = understand(text, translator)
    noted += [f"{name} is not a property of ours: unknown for every entry." for name in translator.foreign]
    return [each for place, each in enumerate(entries) if place in found.yes]


def _many(
    request: Request,
    entries: list[dict[str, Any]],
    returned: int | None,
    available: int | None,
    following: Mapping[str, str] | None,
    warnings: Iterable[str],
) -> Answer:
    more = following is not None
    about = meta(request, returned=returned, available=available, more=more, warnings=list(warnings))
    return Answer({"meta": about, "links": {"next": next_link(request, following)}, "data": entries})


def _one(request: Request, entry: dict[str, Any] | None, available: int | None, warnings: list[str]) -> Answer:
    returned = 0 if entry is None else 1
    about = meta(request, returned=returned, available=available, warnings=warnings)
    return Answer({"meta": about, "links": {"next": None}, "data": entry})
