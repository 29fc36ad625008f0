"""Structures from any OPTIMADE provider, through the client of optimade-python-tools (extra ``optimade-client``).

Pages are asked for one at a time and given on at once. The client's own loop holds all results in memory and repeats a
request without end when a provider answers "too many requests"; ours waits as told and gives up after a few attempts.

Reference: OPTIMADE specification 1.2, https://www.optimade.org (Andersen et al., Sci. Data 8, 217 (2021)).
"""

from __future__ import annotations

import contextlib
import io
import re
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urljoin, urlsplit

from store.errors import FilterError, MissingExtra, SourceError, UsageError
from store.ingest.json_records import canonical
from store.ingest.records import BadRecord, Origin, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

_RETRIED: Final = frozenset({429, 502, 503, 504})
_LONGEST_WAIT: Final = 30.0
_MORE_PAGES: Final = 100_000


def fetch_optimade(
    provider: str,
    filter: str | None = None,
    *,
    name: str | None = None,
    page_limit: int = 100,
    limit: int | None = None,
    response_fields: list[str] | None = None,
    attempts: int = 4,
    timeout: float = 60.0,
) -> Iterator[Record | BadRecord]:
    """Yield the structures that a filter finds at a provider, page by page.

    Parameters
    ----------
    provider : str
        Base address, e.g. "https://optimade.materialsproject.org", or a provider's short name, e.g. "mp" (looked up in
        the list of OPTIMADE providers).
    filter : str, optional
        In the OPTIMADE filter language, e.g. ``'elements HAS "Li" AND nelements=3'``.
    name : str, optional
        What to call the provider; default: the prefix that it gives in its answers.
    page_limit : int
        Structures a request.
    limit : int, optional
        Stop after so many structures.
    response_fields : list of str, optional
        What to ask for besides the structure; default: what the provider sends by itself.
    attempts : int
        Times that a request is repeated when the provider is busy or the connection fails.
    timeout : float
        Of one request, s.

    Yields
    ------
    Record or BadRecord
        Of the format "optimade-json". A page that does not come ends the list with a bad record that says why.

    Raises
    ------
    MissingExtra
        The client is not installed.
    FilterError
        The filter cannot be parsed.
    UsageError
        No such provider.

    Examples
    --------
    >>> from itertools import islice
    >>> found = fetch_optimade("https://optimade.materialsproject.org", 'elements HAS "Li"')
    >>> [record.id for record in islice(found, 3)]          # doctest: +SKIP
    """
    if page_limit < 1 or attempts < 1:
        raise UsageError("page_limit and attempts are at least 1.")
    client_class = _client_class()
    _check(filter)
    bases = _addresses(provider)
    given = 0
    for base in bases:
        client = client_class(
            base_urls=base, use_async=False, silent=True, http_client=_session(attempts, timeout), http_timeout=timeout
        )
        for item in _pages(client, base, filter or "", name, page_limit, response_fields):
            yield item
            given += 1
            if limit is not None and given >= limit:
                return


def _client_class() -> Any:
    try:
        from optimade.client import OptimadeClient
    except ImportError:
        raise MissingExtra(
            "OPTIMADE providers are reached through optimade's client, which is not installed.",
            mend="pip install 'ionatlas[optimade-client]'",
        ) from None
    return OptimadeClient


def _check(text: str | None) -> None:
    """Parse the filter here: a provider's own message may be a page of HTML."""
    if not text:
        return
    from optimade.exceptions import BadRequest
    from optimade.filterparser import LarkParser

    try:
        LarkParser().parse(text)
    except BadRequest as error:
        raise FilterError(f"The filter {text!r} is not in the OPTIMADE language: {error}.") from None


def _addresses(provider: str) -> list[str]:
    if provider.startswith(("http://", "https://")):
        return [provider.rstrip("/")]
    if not re.fullmatch(r"[a-z0-9_.\-]+", provider):
        raise UsageError(f"{provider!r} is neither an address nor the short name of an OPTIMADE provider.")
    from optimade.utils import get_all_databases

    found = [str(address).rstrip("/") for address in get_all_databases(include_providers=[provider])]
    if not found:
        raise UsageError(
            f"No OPTIMADE provider {provider!r} answers.", mend="give its address: https://www.optimade.org/providers"
        )
    return found


def _session(attempts: int, timeout: float) -> type[Any]:
    """Make the session class that the client opens: it waits when told to, and gives up in the end."""
    import requests

    class PatientSession(requests.Session):
        def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            options["timeout"] = timeout
            for attempt in range(1, attempts + 1):
                last = attempt == attempts
                try:
                    answer = super().send(request, **options)
                except requests.RequestException as error:
                    if last:
                        raise RuntimeError(f"{request.url} cannot be reached: {error}") from error
                    time.sleep(_pause(attempt, None))
                    continue
                if answer.status_code not in _RETRIED:
                    return answer
                if not last:
                    time.sleep(_pause(attempt, answer.headers.get("Retry-After")))
            raise RuntimeError(f"{answer.status_code} - {request.url}: still busy after {attempts} attempts")

    return PatientSession


def _pause(attempt: int, told: str | None) -> float:
    try:
        seconds = float(told) if told is not None else 0.25 * 2**attempt
    except ValueError:  # a date
        seconds = 2.0
    return min(max(seconds, 0.0), _LONGEST_WAIT)


def _pages(
    client: Any, base: str, text: str, name: str | None, page_limit: int, fields: list[str] | None
) -> Iterator[Record | BadRecord]:
    address: str | None = None
    seen: set[str] = set()
    for page in range(1, _MORE_PAGES):
        # The client prints errors whether told to be silent or not.
        with contextlib.redirect_stdout(io.StringIO()):
            answers = client.get_one(
                "structures",
                quote(text, safe=""),
                base,
                page_limit=page_limit,
                response_fields=_fields(fields),
                paginate=False,
                override_url=address,
            )
        result = answers[base]
        here = Origin(url=address or f"{base}/v1/structures?filter={text}")
        if result.errors and not result.data:
            yield BadRecord(here, SourceError(f"Page {page} of {base} did not come: {_errors(result.errors)}."))
            return
        prefix = name or _prefix(result.meta)
        terms = _licence(result.meta)
        for item in result.data if isinstance(result.data, list) else []:
            yield _record(item, here, base, prefix, terms)
        following = _next(result.links, base)
        if following is None:
            return
        if following in seen or following == address:
            yield BadRecord(here, SourceError(f"The pages of {base} go in circles: {following} came again."))
            return
        seen.add(following)
        address = following


def _fields(wanted: list[str] | None) -> list[str] | None:
    if wanted is None:
        return None
    structure = ["lattice_vectors", "cartesian_site_positions", "species", "species_at_sites", "dimension_types"]
    return list(dict.fromkeys([*structure, *wanted]))


def _errors(errors: list[Any]) -> str:
    parts = [str(one.get("detail") or one.get("title") or one) if isinstance(one, dict) else str(one) for one in errors]
    return "; ".join(parts)[:500]


def _next(links: dict[str, Any], base: str) -> str | None:
    link = links.get("next")
    if isinstance(link, dict):
        link = link.get("href")
    if not isinstance(link, str) or not link:
        return None
    return urljoin(f"{base}/v1/", link)


def _prefix(meta: dict[str, Any]) -> str | None:
    provider = meta.get("provider")
    prefix = provider.get("prefix") if isinstance(provider, dict) else None
    return prefix if isinstance(prefix, str) and prefix else None


def _licence(meta: dict[str, Any]) -> str | None:
    for value in (meta.get("license"), (meta.get("database") or {}).get("license")):
        link = value.get("href") if isinstance(value, dict) else value
        if isinstance(link, str) and link:
            return link
    return None


def _record(item: Any, here: Origin, base: str, prefix: str | None, terms: str | None) -> Record | BadRecord:
    content = canonical(item)
    if not isinstance(item, dict) or not isinstance(item.get("attributes"), dict) or not item.get("id"):
        return BadRecord(here, SourceError("The provider sent an entry without id or attributes."), content)
    own = str(item["id"])
    provider = prefix or urlsplit(base).netloc
    full = own if own.lower().startswith(provider.lower()) else f"{provider}-{own}"
    return Record(
        format="optimade-json",
        content=content,
        id=full[:300],
        origin=Origin(url=f"{base}/v1/structures/{own}"),
        provider=provider,
        licence=terms,
    )
