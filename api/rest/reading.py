"""What is asked over HTTP, read strictly: query strings, JSON and forms into the ask of a use-case."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import orjson
from pydantic import ValidationError

from api.rest.problems import NotAsked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import BaseModel

MOST_PARAMETERS: Final = 50
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
_BAD: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class Reader:
    """Reads the ask of one use-case.

    Attributes
    ----------
    ask : type of pydantic.BaseModel
    in_path : tuple of str
        Names that stand in the path.
    """

    ask: type[BaseModel]
    in_path: tuple[str, ...] = ()

    @cached_property
    def kinds(self) -> dict[str, str]:
        """JSON type by name."""
        return (
            {name: kind_of(rule) for name, rule in self.ask.model_json_schema()["properties"].items()}
            if self._any
            else {}
        )

    @property
    def _any(self) -> bool:
        return bool(self.ask.model_fields)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names that a query string may hold."""
        return tuple(name for name in self.kinds if name not in self.in_path)

    def query(self, raw: bytes, path: Mapping[str, str]) -> BaseModel:
        """Read a query string.

        Raises
        ------
        NotAsked
            An unknown name, one given twice, a value that does not fit.
        """
        return self.strings(_pairs(raw), path)

    def strings(self, pairs: Iterable[tuple[str, str]], path: Mapping[str, str]) -> BaseModel:
        """Read names and values that are text, of a query string or a form."""
        values: dict[str, Any] = dict(path)
        for name, text in pairs:
            if name not in self.names:
                raise unknown(name, self.names)
            if name in values:
                raise NotAsked.of(name, f"{name} is given twice.", "give it once")
            values[name] = converted(name, text, self.kinds[name])
        return validated(self.ask, values)

    def json(self, body: bytes) -> BaseModel:
        """Read a JSON object.

        Raises
        ------
        NotAsked
        """
        try:
            values = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise NotAsked.of("body", f"The body is no JSON: {error}.", "send a JSON object") from None
        if not isinstance(values, dict):
            raise NotAsked.of("body", "The body is no JSON object.", "send a JSON object")
        for name in values:
            if name not in self.kinds:
                raise unknown(name, tuple(self.kinds))
        return validated(self.ask, values)


def _pairs(raw: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS)
    except UnicodeError:
        raise NotAsked.of(
            "query", "The query string holds a broken character.", "write it in UTF-8, percent-encoded"
        ) from None
    except ValueError:
        raise NotAsked.of("query", f"There are more than {MOST_PARAMETERS} parameters.", "give fewer") from None


def kind_of(rule: Mapping[str, Any]) -> str:
    """Tell the JSON type of a property's schema; of several, the first that is not null."""
    for each in rule.get("anyOf", [rule]):
        kind = each.get("type")
        if kind and kind != "null":
            return str(kind)
    return "string"


def converted(name: str, text: str, kind: str) -> Any:
    """Turn text into a value of a JSON type.

    Raises
    ------
    NotAsked

    Examples
    --------
    >>> converted("limit", "20", "integer"), converted("count", "true", "boolean"), converted("x", "1e-3", "number")
    (20, True, 0.001)
    """
    if kind == "integer":
        if _INTEGER.fullmatch(text):
            return int(text)
        raise NotAsked.of(name, f"{name} is a whole number; {text[:50]!r} was given.", f"{name}=10, for example")
    if kind == "number":
        if _NUMBER.fullmatch(text):
            return float(text)
        raise NotAsked.of(name, f"{name} is a number; {text[:50]!r} was given.", f"{name}=1.7, for example")
    if kind == "boolean":
        if text in ("true", "false"):
            return text == "true"
        raise NotAsked.of(name, f"{name} is true or false; {text[:50]!r} was given.", f"{name}=true, for example")
    return text


def unknown(name: str, names: Iterable[str]) -> NotAsked:
    """Make the error of a parameter that there is not, with the nearest that there is."""
    known = sorted(names)
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    shown = name[:60].encode("unicode_escape").decode("ascii")
    meant = f" Did you mean {near[0]}?" if near else ""
    return NotAsked.of(
        shown,
        f"There is no parameter {shown!r}.{meant}",
        f"the parameters are {', '.join(known)}" if known else "leave it out: there are no parameters",
    )


def validated(ask: type[BaseModel], values: dict[str, Any]) -> BaseModel:
    """Check values against the ask's types and bounds.

    Raises
    ------
    NotAsked
    """
    for name, value in values.items():
        for text in value if isinstance(value, list) else (value,):
            if isinstance(text, str) and _BAD.search(text):
                raise NotAsked.of(name, f"{name} holds a control character or a broken one.", "leave it out")
    try:
        return ask.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "body"
        given = repr(first.get("input"))[:80]
        raise NotAsked.of(name, f"{name}: {first['msg']}; {given} was given.", "see /docs for what fits") from None
