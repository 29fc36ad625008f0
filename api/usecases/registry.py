"""The registration point: what a use-case is, and which there are."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pydantic import BaseModel

    from api.results import QueryResult
    from store.fields import Field

MODULES: Final = (
    "api.usecases.query",
    "api.usecases.materials",
    "api.usecases.similar",
    "api.usecases.predictions",
    "api.usecases.channels",
    "api.usecases.store",
)
"""Modules that register use-cases when they are imported; a room adds its own here."""

Scope = Literal["read", "compute", "export", "admin"]


@dataclass(frozen=True)
class Upload:
    """A file that somebody sent.

    Attributes
    ----------
    name : str
        As the sender calls it; never a path of ours.
    content : bytes
    """

    name: str
    content: bytes


@dataclass
class Answer:
    """What a use-case answers, before a face dresses it.

    Attributes
    ----------
    data : object
        What JSON can hold; times and NumPy numbers too.
    fields : sequence of store.fields.Field
        What the columns of ``data`` are.
    total, more, next, seconds, note
        As in :class:`api.results.QueryResult`.
    content : bytes or iterator of bytes, optional
        Instead of ``data``: text or a file, of the type ``media``.
    media, filename : str, optional
    """

    data: Any = None
    fields: Sequence[Field] = ()
    total: int | None = None
    more: bool | None = None
    next: str | None = None
    seconds: float | None = None
    note: str | None = None
    content: bytes | Iterator[bytes] | None = None
    media: str | None = None
    filename: str | None = None

    @classmethod
    def of(cls, result: QueryResult) -> Answer:
        """Make the answer of rows."""
        after = getattr(result, "next", None)
        return cls(result.rows, result.fields, result.total, result.more, after, result.seconds, result.note)


@dataclass(frozen=True)
class UseCase:
    """A question.

    Attributes
    ----------
    name : str
        Such as ``predict-structure``.
    summary : str
        A few words; the description is the docstring of ``answer``.
    ask, reply : type of pydantic.BaseModel
        What it is asked with; what ``data`` and ``meta`` of the reply are.
    answer : callable
        ``(service, ask) -> Answer``. Of use-cases that take a file it is ``(service, ask, upload)``, ``upload`` being None
        where a material of the store is asked about.
    cost : {"read", "compute"}
        Computations are bounded, and need a scope of their own.
    upload : bool
        Whether it takes a file instead of an id.
    path : str
        Below ``/v1``; names in braces are those of ``ask``.
    body : type of pydantic.BaseModel, optional
        What a POST without a file takes; None where there is none.
    isolated : bool
        Whether ``answer`` runs in the sandbox.
    settled : bool
        Whether the answer depends on the question and the present generation of ``candidates`` alone.
    formats : dict
        Further media types by the value of the ask's ``format``.
    scope : str
    heavy : bool
        Whether a read works the processor or the whole collection: few such are answered at a time, so that light ones need
        not wait for them.
    tag : str
        Heading in the reference.
    """

    name: str
    summary: str
    ask: type[BaseModel]
    reply: type[BaseModel]
    answer: Callable[..., Answer]
    cost: Literal["read", "compute"] = "read"
    upload: bool = False
    path: str = ""
    body: type[BaseModel] | None = None
    isolated: bool = False
    settled: bool = False
    formats: dict[str, str] = field(default_factory=dict)
    scope: Scope = "read"
    heavy: bool = False
    tag: str = "Materials"

    @property
    def route(self) -> str:
        """Path below ``/v1``."""
        return self.path or f"/{self.name}"

    @property
    def description(self) -> str:
        """What the docstring of ``answer`` says."""
        import inspect

        return inspect.getdoc(self.answer) or self.summary


USE_CASES: dict[str, UseCase] = {}
"""All use-cases by name; :func:`load_use_cases` fills it."""


def register(use_case: UseCase) -> UseCase:
    """Add a use-case.

    Raises
    ------
    ValueError
        Another of this name is there.
    """
    known = USE_CASES.get(use_case.name)
    if known is not None and known.answer is not use_case.answer:
        raise ValueError(f"There is a use-case {use_case.name!r} already.")
    USE_CASES[use_case.name] = use_case
    return use_case


def load_use_cases() -> dict[str, UseCase]:
    """Import all modules that register use-cases, and return these, in the order of the modules.

    Examples
    --------
    >>> "query" in load_use_cases()
    True
    """
    for module in MODULES:
        import_module(module)
    places = {module: place for place, module in enumerate(MODULES)}
    ordered = sorted(USE_CASES.values(), key=lambda case: places.get(case.answer.__module__, len(places)))
    return {case.name: case for case in ordered}


def listing() -> list[dict[str, Any]]:
    """List all use-cases with the schemas of what goes in and comes out, as programs that call tools want them.

    Examples
    --------
    >>> [each["name"] for each in listing()][:2]
    ['query', 'aggregate']
    """
    return [
        {
            "name": each.name,
            "summary": each.summary,
            "description": each.description,
            "path": f"/v1{each.route}",
            "cost": each.cost,
            "scope": each.scope,
            "takes_file": each.upload,
            "input": each.ask.model_json_schema(),
        }
        for each in load_use_cases().values()
    ]
