"""Routes made from the use-cases: read what is asked, answer it, dress the answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, urlencode

import orjson
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response, StreamingResponse

from api.rest.caching import Generation, ResponseCache, etag_of, matches
from api.rest.guard import SLASH
from api.rest.problems import NotAsked, problem
from api.rest.reading import Reader
from api.usecases.registry import Answer, Upload

if TYPE_CHECKING:
    from pydantic import BaseModel
    from starlette.requests import Request

    from api.rest.options import ServeOptions
    from api.rest.service import ServedService
    from api.sandbox import Sandbox
    from api.usecases import UseCase
    from store.fields import Field

VERSION: Final = version("ionatlas")
PREFIX: Final = "/v1"
_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC
_REVALIDATE: Final = "private, no-cache"
_VARY: Final = "Accept-Encoding, Authorization"
_LARGEST_FIELD: Final = 65_536


@dataclass
class Hub:
    """What all routes share.

    Attributes
    ----------
    service : ServedService
    sandbox : Sandbox
    options : ServeOptions
    """

    service: ServedService
    sandbox: Sandbox
    options: ServeOptions
    generation: Generation = field(init=False)
    cache: ResponseCache = field(init=False)

    def __post_init__(self) -> None:
        self.generation = Generation(self.service)
        self.cache = ResponseCache(int(self.options.cache_mb * 2**20))

    @cached_property
    def readers(self) -> CapacityLimiter:
        """Threads for reads: few, since they share the processor and wait for MongoDB only."""
        return CapacityLimiter(6)

    @cached_property
    def heavy(self) -> CapacityLimiter:
        """One thread for heavy reads: they wait for each other, and light ones do not wait for them."""
        return CapacityLimiter(1)

    @cached_property
    def waiters(self) -> CapacityLimiter:
        """Threads that wait for the sandbox."""
        return CapacityLimiter(64)

    @cached_property
    def streams(self) -> CapacityLimiter:
        """Exports at a time."""
        return CapacityLimiter(4)

    async def current(self) -> str | None:
        """The generation of the data, looked up at most once a second."""
        if self.generation.fresh:
            return self.generation.name
        return await run_sync(self.generation.look, limiter=self.readers)


class Endpoint:
    """The handler of one use-case.

    Parameters
    ----------
    case : UseCase
    hub : Hub
    """

    def __init__(self, case: UseCase, hub: Hub) -> None:
        self.case, self.hub = case, hub
        in_path = tuple(part[1:-1] for part in case.route.split("/") if part.startswith("{"))
        self.reader = Reader(case.ask, in_path)
        self.body_reader = None if case.body is None else Reader(case.body)

    @property
    def methods(self) -> list[str]:
        """GET, and POST where there is a body."""
        return ["GET", "POST"] if self.case.upload or self.case.body else ["GET"]

    async def handle(self, request: Request) -> Response:
        """Answer."""
        if request.method == "POST":
            ask, upload = await self._posted(request)
            return self._dressed(request, await self._answer(ask, upload), None)
        generation = await self.hub.current() if self.case.settled else None
        if generation is None:
            return await self._asked(request)
        query = request.scope["query_string"]
        key = f"{request.scope['path']}?{query.decode('latin-1')}"
        etag = etag_of(generation, VERSION, key)
        body = self.hub.cache.get(generation, key)
        if body is not None:
            return _conditional(request, body, etag)
        response = await self._asked(request, etag)
        if response.status_code == 200 and self.hub.generation.name == generation:
            self.hub.cache.put(generation, key, bytes(response.body))
        return response

    async def _asked(self, request: Request, etag: str | None = None) -> Response:
        path = {name: value.replace(SLASH, "/") for name, value in request.path_params.items()}
        ask = self.reader.query(request.scope["query_string"], path)
        if self.case.upload and getattr(ask, "id", None) is None:
            raise NotAsked.of("id", "The id of a material is wanted.", "give id=, or send a file by POST")
        return self._dressed(request, await self._answer(ask, None), etag)

    async def _posted(self, request: Request) -> tuple[BaseModel, Upload | None]:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if self.body_reader is not None:
            if kind != "application/json":
                raise NotAsked.of("body", "The body is JSON.", "send it with Content-Type: application/json")
            self._no_query(request)
            return self.body_reader.json(await request.body()), None
        if kind != "multipart/form-data":
            raise NotAsked.of("body", "The body is a form with a file.", "curl -F file=@LiFePO4.cif ...")
        self._no_query(request)
        return await self._form(request)

    def _no_query(self, request: Request) -> None:
        if request.scope["query_string"]:
            raise NotAsked.of("query", "A POST takes its parameters in the body.", "put them there")

    async def _form(self, request: Request) -> tuple[BaseModel, Upload]:
        pairs: list[tuple[str, str]] = []
        upload: Upload | None = None
        async with request.form(max_files=1, max_fields=20, max_part_size=_LARGEST_FIELD) as form:
            for name, value in form.multi_items():
                if isinstance(value, str):
                    pairs.append((name, value))
                elif name == "file" and upload is None:
                    upload = Upload(value.filename or "file", await value.read())
                else:
                    raise NotAsked.of(
                        name[:60], "One file is taken, in the field 'file'.", "curl -F file=@LiFePO4.cif ..."
                    )
        if upload is None:
            raise NotAsked.of("file", "No file was sent.", "curl -F file=@LiFePO4.cif ...; or ask by GET with id=")
        self.hub.sandbox.check_size(upload.name, upload.content)
        ask = self.reader.strings(pairs, {})
        if getattr(ask, "id", None) is not None:
            raise NotAsked.of("id", "Either an id or a file is given, not both.", "leave one out")
        return ask, upload

    async def _answer(self, ask: BaseModel, upload: Upload | None) -> Answer:
        if self.case.isolated:
            from api.usecases.isolated import answer_isolated

            args = (self.case.name, ask.model_dump_json(), upload)
            return await run_sync(self.hub.sandbox.run, answer_isolated, *args, limiter=self.hub.waiters)
        limiter = self.hub.heavy if self.case.heavy else self.hub.readers
        return await run_sync(self.case.answer, self.hub.service, ask, limiter=limiter)

    def _dressed(self, request: Request, answer: Answer, etag: str | None) -> Response:
        if answer.content is not None:
            return self._file(request, answer)
        data = orjson.dumps(answer.data, option=_OPTIONS)
        meta = {
            "version": VERSION,
            "fields": {each.name: meaning(each) for each in answer.fields},
            "total": answer.total,
            "more": answer.more,
            "next": answer.next,
            "seconds": None if answer.seconds is None else round(answer.seconds, 4),
            "note": answer.note,
        }
        body = orjson.dumps(
            {"data": orjson.Fragment(data), "meta": meta, "links": {"next": self._next(request, answer.next)}},
            option=_OPTIONS,
        )
        if request.method == "POST":
            return Response(body, 200, {"Cache-Control": "no-store"}, media_type="application/json")
        return _conditional(request, body, etag or etag_of(VERSION, data))

    def _next(self, request: Request, after: str | None) -> str | None:
        if after is None or request.method == "POST":
            return None
        pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        kept = [(name, value) for name, value in pairs if name not in ("after", "skip")]
        base = self.hub.options.public_url or ""
        return f"{base}{quote(request.scope['path'])}?{urlencode([*kept, ('after', after)])}"

    def _file(self, request: Request, answer: Answer) -> Response:
        headers = {"Cache-Control": _REVALIDATE, "Vary": _VARY}
        if answer.filename:
            headers["Content-Disposition"] = f'attachment; filename="{answer.filename}"'
        if isinstance(answer.content, bytes):
            return _conditional(request, answer.content, etag_of(answer.content), answer.media or "text/plain", headers)
        assert isinstance(answer.content, Iterator)
        return _Stream(answer.content, self.hub.streams, media_type=answer.media, headers=headers)


class _Stream(StreamingResponse):
    """A file that is written while it is sent; few at a time."""

    def __init__(self, chunks: Iterator[bytes], places: CapacityLimiter, **options: Any) -> None:
        self._places = places
        super().__init__(iterate_in_threadpool(chunks), **options)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._places.available_tokens < 1:
            await problem(503, "Enough exports are under way.", mend="try again in a minute")(scope, receive, send)
            return
        async with self._places:
            await super().__call__(scope, receive, send)


def _conditional(
    request: Request,
    body: bytes,
    etag: str,
    media: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Response:
    """Answer with a body, or with 304 where the caller has it already."""
    told = {"ETag": etag, "Cache-Control": _REVALIDATE, "Vary": _VARY, **(headers or {})}
    given = request.headers.get("if-none-match")
    if given is not None and matches(given, etag):
        return Response(None, 304, told)
    return Response(body, 200, told, media_type=media)


@lru_cache(maxsize=4096)
def meaning(field: Field) -> dict[str, str | None]:
    """What a column is, as replies tell it."""
    return {"unit": field.unit, "type": field.type, "meaning": field.meaning}


__all__ = ["PREFIX", "VERSION", "Endpoint", "Hub"]
