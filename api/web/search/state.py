"""The state of a search: all of it is in the address, so that an address can be kept and passed on."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from store.documents import CRYSTAL_SYSTEMS
from store.errors import UsageError
from store.ion_fields import IONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.datastructures import QueryParams

SIZES: Final = (25, 50, 100, 200)
"""Rows a page."""

MODES: Final = {
    "all": "all of them, and maybe others",
    "exactly": "all of them and no others",
    "subset": "no others, not all are needed",
}
"""What the elements that were picked mean."""

RANGES: Final = {"hull": "energy_above_hull", "gap": "band_gap"}
"""Ranges of the facets: name in the address and field."""

Range = tuple[float | None, float | None]


@dataclass(frozen=True)
class SearchState:
    """A search as it stands in the address.

    Attributes
    ----------
    filter : str
        As typed.
    has, without : tuple of str
        Elements.
    mode : str
        One of :data:`MODES`.
    systems : tuple of str
        Crystal systems.
    counts : tuple of int
        Numbers of elements.
    ion : str
        The ion of the facet of channels.
    dimensions : tuple of int
        Of its channels.
    hull, gap : tuple
        Lower and upper end, eV/atom and eV; None where open.
    unique : bool
        Whether repeated crystals are left out.
    sort, columns, after, x, y : str
        Order, columns, place of the page, axes of the figure.
    size : int
        Rows.
    """

    filter: str = ""
    has: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    mode: str = "all"
    systems: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    ion: str = "Li"
    dimensions: tuple[int, ...] = ()
    hull: Range = (None, None)
    gap: Range = (None, None)
    unique: bool = False
    sort: str = ""
    columns: str = ""
    after: str = ""
    size: int = 50
    x: str = ""
    y: str = ""

    @classmethod
    def read(cls, query: QueryParams) -> SearchState:
        """Read an address; what is not understood is a UsageError that names it."""
        return cls(
            filter=query.get("filter", "").strip(),
            has=_elements(query.getlist("has")),
            without=_elements(query.getlist("not")),
            mode=_one_of(query.get("mode", "all"), tuple(MODES), "mode"),
            systems=tuple(_one_of(each, CRYSTAL_SYSTEMS, "system") for each in _listed(query.getlist("system"))),
            counts=tuple(_whole(each, 1, 100, "n") for each in _listed(query.getlist("n"))),
            ion=_one_of(query.get("ion", "Li") or "Li", IONS, "ion"),
            dimensions=tuple(_whole(each, 0, 3, "dim") for each in _listed(query.getlist("dim"))),
            hull=(_amount(query.get("hull_min"), "hull_min"), _amount(query.get("hull_max"), "hull_max")),
            gap=(_amount(query.get("gap_min"), "gap_min"), _amount(query.get("gap_max"), "gap_max")),
            unique=query.get("unique") == "1",
            sort=query.get("sort", "").strip(),
            columns=",".join(_listed(query.getlist("columns"))),
            after=query.get("after", ""),
            size=_whole(query.get("size", "50") or "50", 1, 500, "size"),
            x=query.get("x", "").strip(),
            y=query.get("y", "").strip(),
        )

    def conditions(self) -> list[tuple[str, str, SearchState]]:
        """What the facets ask for beside the filter: words, condition, and the state without it."""
        found: list[tuple[str, str, SearchState]] = []
        if self.has:
            told = {"all": "with", "exactly": "exactly", "subset": "only of"}[self.mode]
            found.append(
                (f"{told} {', '.join(self.has)}", _with(self.has, self.mode), replace(self, has=(), mode="all"))
            )
        if self.without:
            listed = ",".join(f'"{each}"' for each in self.without)
            words = f"without {', '.join(self.without)}"
            found.append((words, f"NOT elements HAS ANY {listed}", replace(self, without=())))
        if self.systems:
            found.append((" or ".join(self.systems), _any("crystal_system", self.systems), replace(self, systems=())))
        if self.counts:
            words = " or ".join(map(str, self.counts)) + (" element" if self.counts == (1,) else " elements")
            found.append((words, _any("nelements", self.counts), replace(self, counts=())))
        if self.dimensions:
            words = f"{self.ion} channels in {' or '.join(map(str, self.dimensions))} dimensions"
            name = f"{self.ion.lower()}_channel_dimension"
            found.append((words, _any(name, self.dimensions), replace(self, dimensions=())))
        for name, field in RANGES.items():
            low, high = getattr(self, name)
            parts = [f"{field} {sign} {end:g}" for sign, end in ((">=", low), ("<=", high)) if end is not None]
            if parts:
                without: SearchState = replace(self, **{name: (None, None)})  # type: ignore[arg-type]
                found.append((" and ".join(parts), " AND ".join(parts), without))
        return found

    @property
    def combined(self) -> str:
        """Filter and facets as one filter; empty where nothing is asked for."""
        parts = [condition for _, condition, _ in self.conditions()]
        if self.filter:
            # A similarity must stand at the top, not within brackets.
            simple = not parts or re.search(r"\bSIMILAR\s+TO\b", self.filter) is not None
            parts = [self.filter if simple else f"({self.filter})", *parts]
        return " AND ".join(parts)

    @property
    def is_plain(self) -> bool:
        """Whether nothing restricts the search."""
        return not self.combined and not self.unique

    def parameters(self) -> list[tuple[str, str]]:
        """What stands in the address, without what has its default."""
        pairs: list[tuple[str, str]] = []
        plain = {"filter": self.filter, "mode": self.mode if self.mode != "all" else "", "sort": self.sort}
        plain |= {"has": ",".join(self.has), "not": ",".join(self.without), "columns": self.columns}
        plain |= {"ion": self.ion if self.ion != "Li" else "", "unique": "1" if self.unique else ""}
        plain |= {"size": str(self.size) if self.size != 50 else "", "x": self.x, "y": self.y, "after": self.after}
        pairs += [(name, value) for name, value in plain.items() if value]
        pairs += [("system", each) for each in self.systems]
        pairs += [("n", str(each)) for each in self.counts]
        pairs += [("dim", str(each)) for each in self.dimensions]
        for name in RANGES:
            for end, value in zip(("min", "max"), getattr(self, name), strict=True):
                if value is not None:
                    pairs.append((f"{name}_{end}", f"{value:g}"))
        return pairs

    def url(self, path: str = "/", **changes: Any) -> str:
        """Address of this search with something changed; any change goes back to the first page."""
        changed = replace(self, **{"after": "", **changes})
        told = urlencode(changed.parameters())
        return f"{path}?{told}" if told else path

    def hidden(self, *names: str) -> list[tuple[str, str]]:
        """Parameters that a form must carry along which sets others itself."""
        return [(name, value) for name, value in self.parameters() if name not in (*names, "after")]

    def toggled(self, name: str, value: Any) -> str:
        """Address with one value of a facet put in or taken out."""
        held: tuple[Any, ...] = getattr(self, name)
        changed = tuple(each for each in held if each != value) if value in held else (*held, value)
        changes: dict[str, Any] = {name: changed}
        return self.url(**changes)


def _with(elements: Iterable[str], mode: str) -> str:
    listed = ",".join(f'"{each}"' for each in elements)
    if mode == "subset":
        return f"elements HAS ONLY {listed}"
    return f"elements HAS ALL {listed}" + (f" AND elements HAS ONLY {listed}" if mode == "exactly" else "")


def _any(field: str, values: Iterable[str | int]) -> str:
    parts = [f'{field} = "{each}"' if isinstance(each, str) else f"{field} = {each}" for each in values]
    return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"


def _listed(given: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(part.strip() for text in given for part in text.split(",") if part.strip()))


def _elements(given: Iterable[str]) -> tuple[str, ...]:
    from api.conditions import SYMBOLS

    names = [name for part in _listed(given) for name in part.split()]
    for name in names:
        if name not in SYMBOLS:
            raise UsageError(f"There is no element {name[:40]!r}.", mend="write symbols with commas: Li, O")
    return tuple(dict.fromkeys(names))


def _one_of(text: str, known: tuple[str, ...], name: str) -> str:
    if text not in known:
        raise UsageError(f"{text[:40]!r} is no {name}.", mend=f"take one of {', '.join(known)}")
    return text


def _whole(text: str, low: int, high: int, name: str) -> int:
    if not re.fullmatch(r"\d{1,4}", text, re.ASCII) or not low <= int(text) <= high:
        raise UsageError(
            f"{name} is a whole number from {low} to {high}; {text[:40]!r} was given.", mend=f"{name}={low}"
        )
    return int(text)


def _amount(text: str | None, name: str) -> float | None:
    if text is None or not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or abs(number) > 1e6:
        raise UsageError(f"{name} is a number; {text[:40]!r} was given.", mend=f"{name}=0.1, for example")
    return number
