"""Element data, read once from pymatgen when first asked for.

Everything a kernel needs about an element is one small named tuple, so that the hot paths never touch pymatgen's
``Element`` objects (each attribute there is a lookup through several layers).
"""

from __future__ import annotations

import json
import math
import re
import warnings
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

# Unknown electronegativities (He, Ne, Ar and the heaviest elements) sort behind all others.
UNKNOWN_ELECTRONEGATIVITY = math.inf


class ElementData(NamedTuple):
    """What the kernels of this room know about one element."""

    number: int
    """atomic number"""
    mass: float
    """standard atomic mass, g/mol"""
    electronegativity: float
    """Pauling scale; infinite where unknown"""
    states: tuple[int, ...]
    """oxidation states found in the ICSD, else the common ones, else empty"""


@lru_cache(maxsize=1)
def element_table() -> Mapping[str, ElementData]:
    """Map each element symbol (H to Og) to its :class:`ElementData`.

    Source: pymatgen's periodic table. Deuterium and tritium are not in it: they are isotopes of H.

    Examples
    --------
    >>> iron = element_table()["Fe"]
    >>> iron.number, iron.mass, iron.states
    (26, 55.845, (2, 3))
    """
    from pymatgen.core.periodic_table import Element

    table = {}
    for element in Element:
        if element.symbol in {"D", "T"}:
            continue
        with warnings.catch_warnings():
            # pymatgen warns for each element without an electronegativity; we treat these on purpose.
            warnings.simplefilter("ignore")
            chi = float(element.X)
        table[element.symbol] = ElementData(
            element.Z,
            float(element.atomic_mass),
            UNKNOWN_ELECTRONEGATIVITY if math.isnan(chi) else chi,
            tuple(int(state) for state in (element.icsd_oxidation_states or element.common_oxidation_states)),
        )
    return table


@lru_cache(maxsize=1)
def state_log_probabilities() -> Mapping[str, Mapping[int, float]]:
    """Map each element to ``{oxidation state: log probability}`` as counted in the ICSD.

    The counts are those that pymatgen carries (``icsd_bv.yaml``, section *occurrence*). A state of an element's list
    that was never counted gets half a count. The state 0 is left out.

    Examples
    --------
    >>> iron = state_log_probabilities()["Fe"]
    >>> sorted(iron), round(math.exp(iron[3]), 2)
    ([2, 3], 0.62)
    """
    counts = _occurrences()
    result: dict[str, dict[int, float]] = {}
    for symbol, data in element_table().items():
        seen = {state: counts.get((symbol, state), 0.5) for state in data.states if state != 0}
        total = sum(seen.values())
        result[symbol] = {state: math.log(count / total) for state, count in sorted(seen.items())}
    return result


def _occurrences() -> dict[tuple[str, int], float]:
    """Read the counts with a regular expression: a YAML parser needs a second for this file."""
    import pymatgen.core

    text = (Path(str(pymatgen.core.__file__)).parent / "icsd_bv.yaml").read_text(encoding="utf-8")
    section = text.split("occurrence:", 1)[1].split("\n")
    counts: dict[tuple[str, int], float] = {}
    for line in section:
        found = re.fullmatch(r"\s+([A-Z][a-z]?)(\d*)([+-]): (\d+)", line)
        if found:
            symbol, size, sign, count = found.groups()
            counts[symbol, int(size or 1) * (1 if sign == "+" else -1)] = float(count)
    return counts


@lru_cache(maxsize=1)
def wyckoff_relabelings() -> Mapping[int, tuple[Mapping[str, str], ...]]:
    """Map a space-group number to the relabelings of its Wyckoff letters under a change of origin or axes.

    Source: the table of pymatgen's ``analysis.prototypes`` (from the aviary package, Goodall et al. 2022,
    doi:10.1126/sciadv.abn4117), read directly because importing that module takes four seconds.

    Examples
    --------
    >>> [relabeling["a"] for relabeling in wyckoff_relabelings()[225]]
    ['a', 'b']
    """
    import gzip

    import pymatgen.core

    path = Path(str(pymatgen.core.__file__)).parents[1] / "analysis" / "prototypes"
    with gzip.open(path / "wyckoff-position-relabelings.json.gz") as handle:
        raw = json.load(handle)
    return {
        int(number): tuple({chr(int(old)): new for old, new in relabeling.items()} for relabeling in relabelings)
        for number, relabelings in raw.items()
    }
