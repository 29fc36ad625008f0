"""Requests to an ionatlas server: retried where that helps, never telling the key to anybody else.

What is asked over HTTP only reads, so every request may be repeated. A server that is busy says how long to wait
(``Retry-After``); we wait as told, up to a bound, with some randomness so that many clients do not come back at once.
"""

from __future__ import annotations

import contextlib
import random
import time
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx

from api.remote.failures import failed
from store.errors import IonatlasError, ServerUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from api.remote.cache import ResponseCache

_BUSY: Final = frozenset({429, 502, 503, 504})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 5
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_CUT: Final = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError, httpx.ConnectError, httpx.TimeoutException)


class OfflineAnswer(UserWarning):
    """The server did not answer; what it said earlier is given."""


class OpenKey(UserWarning):
    """An API key goes over a connection that others can read."""


@dataclass(frozen=True)
class Patience:
    """How long to go on asking.

    Attributes
    ----------
    attempts : int
        Most times that one request is made.
    longest_wait : float
        Most seconds between two of them; a server that wants more waiting is given up at once.
    timeout : float
        Seconds without a byte after which a request is given up.
    sleep, random : callable
        Replaced in tests.
    """

    attempts: int = 5
    longest_wait: float = 60.0
    timeout: float = 120.0
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random

    def pause(self, attempt: int, told: float | None) -> float | None:
        """Seconds to wait before the next attempt; None where that is more than we wait.

        Examples
        --------
        >>> patience = Patience(random=lambda: 0.5)
        >>> patience.pause(1, None), patience.pause(1, 8.0), patience.pause(1, 3600.0)
        (0.5, 8.4, None)
        """
        if told is None:
            # Half fixed, half random: doubling, so that a server that comes up again is not met by all at once.
            return min(self.longest_wait, 0.5 * 2.0 ** (attempt - 1) * (0.5 + self.random()))
        if told > self.longest_wait:
            return None
        return told * (1 + 0.1 * self.random())


@dataclass
class Session:
    """A connection to one server.

    Parameters
    ----------
    address : str
        ``https://host``, with a path where the server stands behind one.
    api_key : str, optional
        Sent to this server alone.
    cache : api.remote.cache.ResponseCache, optional
    patience : Patience
    transport : httpx.BaseTransport, optional
        Used instead of the network (tests; an application in this process).
    """

    address: str
    api_key: str | None = field(default=None, repr=False)
    cache: ResponseCache | None = field(default=None, repr=False)
    patience: Patience = field(default_factory=Patience, repr=False)
    transport: httpx.BaseTransport | None = field(default=None, repr=False)
    _client: httpx.Client | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.address = checked_address(self.address)
        parts = urlsplit(self.address)
        if self.api_key is not None:
            self.api_key = _checked_key(self.api_key)
            if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
                warnings.warn(f"The API key goes to {self.address} unencrypted; use https.", OpenKey, stacklevel=4)

    def __del__(self) -> None:
        # Nobody closes an Atlas in a notebook; its sockets should not complain of that.
        with contextlib.suppress(Exception):
            self.close()

    def close(self) -> None:
        """Let the connections go; the next request opens new ones."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Ask by GET and return the JSON; from the cache where the server says that nothing changed, or does not answer."""
        given = tuple(sorted((name, _plain(value)) for name, value in (params or {}).items() if value is not None))
        kept = None if self.cache is None else self.cache.find(self.address, path, given, self.api_key)
        headers = {"If-None-Match": kept.etag} if kept is not None and kept.etag else {}
        try:
            answer = self._send("GET", path, params=list(given), headers=headers, quick=kept is not None)
        except ServerUnavailable as error:
            if kept is None:
                raise
            warnings.warn(f"{error.message} Given is its answer of {kept.told()}.", OfflineAnswer, stacklevel=2)
            return kept.data()
        if answer.status_code == 304 and kept is not None:
            return kept.data()
        content = self._good(answer)
        if self.cache is not None:
            self.cache.keep(self.address, path, given, self.api_key, answer.headers.get("etag"), answer.content)
        return content

    def post(
        self,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        file: tuple[str, bytes] | None = None,
        form: Mapping[str, Any] | None = None,
    ) -> Any:
        """Ask by POST: with a body of JSON, or with a file and the fields of a form."""
        if json is not None:
            answer = self._send("POST", path, json=dict(json))
        else:
            assert file is not None
            data = {name: _plain(value) for name, value in (form or {}).items() if value is not None}
            answer = self._send("POST", path, files={"file": file}, data=data)
        return self._good(answer)

    def stream(self, path: str, params: Mapping[str, Any]) -> Iterator[bytes]:
        """Yield the bytes of an answer as they come; begun again only while nothing was given yet.

        Raises
        ------
        ServerUnavailable
            The connection broke in the middle: what was given is not whole.
        """
        given = [(name, _plain(value)) for name, value in sorted(params.items()) if value is not None]
        answer = self._send("GET", path, params=given, stream=True)
        try:
            if answer.status_code != 200:
                answer.read()
                self._good(answer)
            yield from answer.iter_bytes()
        except _CUT as error:
            raise ServerUnavailable(
                f"{self.address} broke off in the middle of an export: {type(error).__name__}.", mend="ask again"
            ) from None
        finally:
            answer.close()

    # One request

    def _send(
        self, method: str, path: str, *, quick: bool = False, stream: bool = False, **options: Any
    ) -> httpx.Response:
        attempts = 1 if quick else self.patience.attempts
        for attempt in range(1, attempts + 1):
            try:
                answer = self._follow(method, path, stream, options)
            except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
                raise UsageError(f"{self.address} is no address: {error}.", mend='Atlas("https://host")') from None
            except httpx.TransportError as error:
                trouble: IonatlasError = self._silent(error)
                told = None
                if isinstance(error, httpx.ReadTimeout):  # it is at work on the question: asking again makes it worse
                    raise trouble from None
            else:
                if answer.status_code not in _BUSY:
                    return answer
                answer.read()
                told = _seconds(answer.headers.get("retry-after"))
                trouble = failed(self.address, answer)
                answer.close()
            pause = self.patience.pause(attempt, told)
            if attempt == attempts or pause is None:
                raise trouble
            self.patience.sleep(pause)
        raise AssertionError("at least one attempt is made")

    def _follow(self, method: str, path: str, stream: bool, options: dict[str, Any]) -> httpx.Response:
        """Send a request, and after it the redirects, which never carry the key to another host."""
        address = f"{self.address}{path}"
        home = _origin(self.address)
        for _ in range(_MOST_REDIRECTS + 1):
            headers = {"Accept": "application/json", **options.get("headers", {})}
            if self.api_key is not None and _origin(address) == home:
                headers["Authorization"] = f"Bearer {self.api_key}"
            rest = {name: value for name, value in options.items() if name != "headers"}
            request = self._opened().build_request(method, address, headers=headers, **rest)
            answer = self._opened().send(request, stream=stream)
            target = answer.headers.get("location")
            if answer.status_code not in _REDIRECTS or target is None:
                return answer
            answer.close()
            address = str(request.url.join(target))
            self._check_target(method, address)
            options = {**options, "params": None}  # the new address has them, or was meant without
        raise UsageError(f"{self.address} leads from one address to the next without end.", mend="check the address")

    def _check_target(self, method: str, address: str) -> None:
        if urlsplit(address).scheme not in ("http", "https") or "@" in urlsplit(address).netloc:
            raise UsageError(
                f"{self.address} leads to {address[:100]}, which is no web address.", mend="check the address"
            )
        if method == "POST" and _origin(address) != _origin(self.address):
            raise UsageError(
                f"{self.address} leads to another host, to which no file is sent: {address[:200]}.",
                mend="give that address, if you trust it",
            )

    def _opened(self) -> httpx.Client:
        if self._client is None:
            self._client = httpx.Client(
                timeout=httpx.Timeout(self.patience.timeout, connect=min(10.0, self.patience.timeout)),
                headers={"User-Agent": f"ionatlas/{version('ionatlas')}"},
                transport=self.transport,
                follow_redirects=False,
            )
        return self._client

    def _silent(self, error: httpx.TransportError) -> ServerUnavailable:
        kind = "does not answer in time" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
        return ServerUnavailable(
            f"{self.address} {kind} ({type(error).__name__}: {error}).",
            mend="check the address and that the server runs (ionatlas serve); Atlas(..., cache=FOLDER) keeps answers",
        )

    def _good(self, answer: httpx.Response) -> Any:
        if answer.status_code != 200:
            raise failed(self.address, answer)
        try:
            return answer.json()
        except ValueError:
            raise _stranger(self.address, answer) from None


def checked_address(text: str) -> str:
    """Check the address of a server.

    Raises
    ------
    UsageError
        It is none, or holds a password, which would stand in messages.

    Examples
    --------
    >>> checked_address("https://atlas.example.org/v1/")
    'https://atlas.example.org'
    """
    parts = urlsplit(text)
    try:
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment:
        raise UsageError(f"{text.partition('?')[0]!r} is no address of a server.", mend='Atlas("https://host")')
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            f"The address of {parts.hostname} holds a name or a password.",
            mend='Atlas("https://host", api_key=...), or the variable IONATLAS_API_KEY',
        )
    path = parts.path.rstrip("/").removesuffix("/v1")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _checked_key(key: str) -> str:
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError("The API key has letters that no key has.", mend="copy it again from ionatlas key create")
    return key


def _origin(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, parts.port or default


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(str(each) for each in value)
    return str(value)


def _seconds(text: str | None) -> float | None:
    """Read Retry-After: seconds, or a date.

    Examples
    --------
    >>> _seconds("12"), _seconds("soon") is None
    (12.0, True)
    """
    if text is None:
        return None
    try:
        return max(0.0, float(text)) if text.strip().lower() not in ("nan", "inf", "infinity") else None
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(tz=UTC)).total_seconds())


def _stranger(address: str, answer: httpx.Response) -> UsageError:
    kind = answer.headers.get("content-type", "nothing").partition(";")[0]
    return UsageError(
        f"{address} does not answer as an ionatlas server: {kind} came instead of JSON.", mend="check the address"
    )
