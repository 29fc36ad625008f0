"""The guard before everything: who calls, what they may, how much; headers on every answer; one line a request in the log.

It is plain ASGI, once around the whole application, mounted ones included. No line of the log holds a query string, a header or a
body: a secret that somebody puts there by mistake stays with them.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import logging
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from starlette.exceptions import HTTPException

from api.rest.limiting import Limiter
from api.rest.problems import problem, told
from store.errors import IonatlasError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from api.keys import Key, Keyring
    from api.rest.options import ServeOptions

log = logging.getLogger("ionatlas.access")
faults = logging.getLogger("ionatlas.faults")

SLASH: Final = "\ue000"
"""Stands for a slash inside an id, from the encoded path to the handler: ``%2F`` is no boundary of path parts."""
_LONGEST_TARGET: Final = 16_384
_FREE: Final = frozenset({"/healthz", "/openapi.json", "/docs", "/favicon.ico", "/robots.txt"})
_POLICY: Final = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "worker-src 'self' blob:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


@dataclass
class _Call:
    """A request on its way."""

    id: str
    started: float
    status: int = 0
    key: Key | None = None
    limits: list[tuple[bytes, bytes]] | None = None


class Guard:
    """Middleware around the whole application.

    Parameters
    ----------
    app : ASGI application
    options : ServeOptions
    keyring : Keyring
    scopes : callable
        From method and path to the scope that is needed.
    largest_body : int
        Bytes that a request may send.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        options: ServeOptions,
        keyring: Keyring,
        scopes: Callable[[str, str], str],
        largest_body: int,
    ) -> None:
        self._app = app
        self._options = options
        self._keyring = keyring
        self._scopes = scopes
        self._largest = largest_body
        self._hosts = options.hosts
        self._limiter = Limiter(options)
        secure = (options.public_url or "").startswith("https:")
        extra = ((b"strict-transport-security", b"max-age=31536000"),) if secure else ()
        self._headers = (*_HEADERS, *extra)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
            return
        call = _Call(secrets.token_hex(6), time.perf_counter())

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
                self._dress(message, call)
            await send(message)

        try:
            refused = await self._refused(scope, call)
            if refused is None:
                await self._app(scope, self._bounded(receive), answered)
            else:
                await refused(scope, receive, answered)
        except Exception as error:
            await self._fault(error, call, scope, receive, answered)
        finally:
            _write_down(scope, call)

    def _dress(self, message: Message, call: _Call) -> None:
        there = {name.lower() for name, _ in message["headers"]}
        if b"access-control-allow-origin" in there:  # OPTIMADE is there for pages of others too
            there |= {b"cross-origin-resource-policy"}
        more = [(name, value) for name, value in self._headers if name not in there]
        more.append((b"x-request-id", call.id.encode()))
        message["headers"] = [*message["headers"], *more, *(call.limits or ())]

    async def _fault(self, error: Exception, call: _Call, scope: Scope, receive: Receive, send: Send) -> None:
        if isinstance(error, IonatlasError) and not call.status:
            await told(error)(scope, receive, send)
            return
        faults.error("request %s failed", call.id, exc_info=error)
        if not call.status:
            detail = f"This is a fault of ionatlas. The server's log tells more under {call.id}."
            await problem(500, detail, mend="report it with what was asked")(scope, receive, send)

    async def _refused(self, scope: Scope, call: _Call) -> Response | None:
        """Look at the request before anything is done for it; the answer where it is refused."""
        headers = _few(scope)
        fault = self._malformed(scope, headers)
        if fault is not None:
            return fault
        path = scope["path"]
        if path in _FREE or path.startswith("/static/"):
            return None
        needed = self._scopes(scope["method"], path)
        address = _address(scope)
        token = _token(headers)
        if token is not None:
            call.key = await self._key(token)
        limited = self._limiter.hit(address, call.key, needed)
        call.limits = limited.headers
        if not limited.allowed:
            return problem(
                429,
                f"Too many requests: {limited.rule} are answered.",
                mend=f"try again in {limited.seconds} s" + ("" if call.key else "; with a key more are answered"),
                headers={"Retry-After": str(limited.seconds)},
            )
        if token is not None and call.key is None:
            return _unauthorized("The key is not valid: unknown, expired or revoked.")
        if call.key is not None:
            if not call.key.may(needed):
                return problem(
                    403,
                    f"This key is not good for this: it needs the scope {needed}.",
                    mend=f"ask who runs the server for a key with it (ionatlas key create NAME --scope {needed})",
                )
        elif not self._open_to_all(needed):
            return _unauthorized("This needs a key.")
        scope["state"] = {**scope.get("state", {}), "key": call.key}
        return None

    def _open_to_all(self, needed: str) -> bool:
        level = self._options.anonymous
        return level == "all" or (level == "read" and needed == "read")

    async def _key(self, token: str) -> Key | None:
        from anyio.to_thread import run_sync

        checked, key = self._keyring.known(token)
        return key if checked else await run_sync(self._keyring.check, token)

    def _malformed(self, scope: Scope, headers: dict[bytes, bytes]) -> Response | None:
        if self._hosts is not None:
            host = headers.get(b"host", b"").decode("latin-1").lower()
            name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
            if name not in self._hosts:
                return problem(
                    400, "The server is not known by this name.", mend="use the address that ionatlas serve printed"
                )
        raw = scope.get("raw_path") or b""
        if len(raw) + len(scope.get("query_string", b"")) > _LONGEST_TARGET:
            return problem(
                414, f"The address is longer than {_LONGEST_TARGET} characters.", mend="send it by POST /v1/materials"
            )
        path = scope["path"]
        if b"%2f" in raw.lower() and path.startswith("/v1/materials/"):
            scope["path"] = path = _with_slashes(raw)
        if any(letter < " " or letter == "\x7f" for letter in path):
            return problem(400, "The path holds a control character.")
        length = headers.get(b"content-length")
        if length is not None and (not length.isdigit() or int(length) > self._largest):
            return _too_large(self._largest)
        if scope["method"] == "POST" and headers.get(b"sec-fetch-site") == b"cross-site":
            return problem(403, "Forms of other sites are not taken.")
        return None

    def _bounded(self, receive: Receive) -> Receive:
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._largest:
                raise HTTPException(413, f"At most {self._largest / 1e6:.1f} MB are taken.")
            return message

        return bounded


def _too_large(largest: int) -> Response:
    return problem(413, f"At most {largest / 1e6:.1f} MB are taken.", headers={"Connection": "close"})


def _unauthorized(detail: str) -> Response:
    return problem(
        401,
        detail,
        mend="send it in the header 'Authorization: Bearer ia_...'; a browser asks for it as the password",
        headers={"WWW-Authenticate": 'Bearer realm="ionatlas", Basic realm="ionatlas", charset="UTF-8"'},
    )


def _few(scope: Scope) -> dict[bytes, bytes]:
    wanted = (b"host", b"authorization", b"x-api-key", b"content-length", b"sec-fetch-site")
    return {name: value for name, value in scope["headers"] if name in wanted}


def _token(headers: dict[bytes, bytes]) -> str | None:
    """Take the token out of a header, in one of the three ways that clients know; None where there is none."""
    given = headers.get(b"x-api-key")
    if given is not None:
        return given.decode("latin-1").strip()
    kind, _, value = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return value.strip() if kind else None


def _address(scope: Scope) -> str:
    """The caller's address; of IPv6 the network that one customer has."""
    given = (scope.get("client") or ("unknown",))[0]
    try:
        address = ipaddress.ip_address(given)
    except ValueError:
        return str(given)[:60]
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else given


def _with_slashes(raw: bytes) -> str:
    """Decode a path, keeping an encoded slash apart from those between its parts."""
    parts = raw.decode("ascii", "replace").replace("%2f", "%2F").split("%2F")
    return SLASH.join(unquote(part, errors="replace") for part in parts)


def _write_down(scope: Scope, call: _Call) -> None:
    if log.isEnabledFor(logging.INFO):
        path = scope["path"][:300].replace(SLASH, "%2F").encode("unicode_escape").decode("ascii")
        spent = 1000 * (time.perf_counter() - call.started)
        who: Any = call.key.id if call.key else "-"
        log.info("%s %s %s %s %d %.1f ms %s", _address(scope), who, scope["method"], path, call.status, spent, call.id)
