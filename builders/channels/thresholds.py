"""How wide a channel and how large a void must be for an ion among an anion: a table, and estimates beyond it.

The table (``data/thresholds.json``) is measured, not chosen: :mod:`builders.channels.derive_thresholds` makes it from known
crystals. A threshold is a default to start from; every query and command takes another one.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from store.errors import FeatureError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

DATA: Final = Path(__file__).parent / "data" / "thresholds.json"
MEASURED, ADDITIVE, RADII = "measured", "additive", "ionic radii"
_USUAL_ANION = "O"


class Threshold(NamedTuple):
    """Smallest sizes at which an ion fits; all lengths in Å.

    Attributes
    ----------
    ion : str
    anion : str or None
        None in metals.
    r_sd : float
        Smallest R_sd of a void that holds the ion: the 1 % quantile of the voids that do.
    r_chan : float
        Smallest radius of a channel that the ion passes.
    distance : float
        Mean distance of the ion's nearest anion.
    source : str
        ``measured``; ``additive`` (a sum of one term for the ion and one for the anion, fitted to the measured rows); or
        ``ionic radii`` (Shannon's, for ions and anions outside the table).
    n : int
        Structures measured; 0 for an estimate.
    n_sites : int
        Ion sites in them.
    n_available : int
        Structures there were to draw from.
    r_sd_p5, r_sd_p25, r_sd_p50, r_sd_mean, r_sd_std : float or None
        5 %, 25 % and 50 % quantile, mean and standard deviation of R_sd; None for an estimate.
    """

    ion: str
    anion: str | None
    r_sd: float
    r_chan: float
    distance: float
    source: str = MEASURED
    n: int = 0
    n_sites: int = 0
    n_available: int = 0
    r_sd_p5: float | None = None
    r_sd_p25: float | None = None
    r_sd_p50: float | None = None
    r_sd_mean: float | None = None
    r_sd_std: float | None = None

    @property
    def estimated(self) -> bool:
        """Whether this is an estimate, not a measured row."""
        return self.source != MEASURED


class _Fit(NamedTuple):
    """Terms of distance and R_sd, shape=(2,) each."""

    ions: Mapping[str, NDArray[np.float64]]
    anions: Mapping[str | None, NDArray[np.float64]]


class _Table(NamedTuple):
    about: Mapping[str, Any]
    rows: Mapping[tuple[str, str | None], Threshold]


def threshold(ion: str, anion: str | None) -> Threshold:
    """Look the default thresholds of an ion among an anion up, or estimate them.

    Parameters
    ----------
    ion : str
        Element symbol.
    anion : str or None
        Element symbol; None where there are no anions (metals).

    Returns
    -------
    Threshold
        The measured row if there is one. Else, where the table knows ion and anion from other rows, a sum of one term for
        each (``additive``). Else a sum of ionic radii, an unknown partner counted as oxygen (``ionic radii``).

    Raises
    ------
    FeatureError
        The ion has neither a row nor an ionic radius.

    Examples
    --------
    >>> lithium_in_oxides = threshold("Li", "O")
    >>> lithium_in_oxides.source, round(lithium_in_oxides.r_sd, 1), round(lithium_in_oxides.r_chan, 1)
    ('measured', 1.3, 1.7)
    >>> threshold("Y", "O").source
    'ionic radii'
    """
    return _threshold(ion, anion)


def thresholds() -> tuple[Threshold, ...]:
    """All measured rows, by ion and anion.

    Examples
    --------
    >>> {"Li", "Na", "Mg"} <= {row.ion for row in thresholds()}
    True
    """
    return tuple(_table().rows.values())


def provenance() -> Mapping[str, Any]:
    """What the table is made from: data, licence, selection, seed.

    Examples
    --------
    >>> provenance()["data_licence"]
    'CC-BY-4.0'
    """
    return _table().about


@lru_cache(maxsize=4096)
def _threshold(ion: str, anion: str | None) -> Threshold:
    table = _table()
    row = table.rows.get((ion, anion))
    if row is not None:
        return row
    fit = _fit()
    if ion in fit.ions and anion in fit.anions:
        distance, r_sd = (fit.ions[ion] + fit.anions[anion]).tolist()
        source = ADDITIVE
    else:
        distance = _ion_radius(ion) + _anion_radius(anion or _USUAL_ANION)
        r_sd = distance * float(np.median([row.r_sd / row.distance for row in table.rows.values()]))
        source = RADII
    return Threshold(ion, anion, r_sd, distance * float(table.about["factor"]), distance, source)


def _ion_radius(symbol: str) -> float:
    fit = _fit()
    if symbol in fit.ions or symbol in fit.anions:
        terms = fit.ions[symbol] if symbol in fit.ions else fit.anions[symbol]
        return float(terms[0])
    radii = _shannon_radii(symbol)
    if not radii:
        raise FeatureError(
            f"There are no thresholds for {symbol!r} as an ion: it is not in the table and has no ionic radius."
        )
    return sum(radii.values()) / len(radii)


def _anion_radius(symbol: str) -> float:
    anions = _fit().anions
    if symbol in anions:
        return float(anions[symbol][0])
    negative = [radius for state, radius in _shannon_radii(symbol).items() if state < 0]
    return negative[0] if negative else float(anions[_USUAL_ANION][0])


@lru_cache(maxsize=1)
def _fit() -> _Fit:
    """Split the measured rows into one term an ion and one an anion, by least squares.

    Rows determine the terms but for a shift between ions and anions. It is chosen so that oxygen's term of the distance is
    Shannon's crystal radius; the terms are then radii on his scale (S 1.69, his 1.70).
    """
    rows = list(_table().rows.values())
    ions, anions = sorted({row.ion for row in rows}), sorted({row.anion for row in rows}, key=str)
    design = np.zeros((len(rows) + 1, len(ions) + len(anions)))
    for equation, row in zip(design, rows, strict=False):
        equation[ions.index(row.ion)] = equation[len(ions) + anions.index(row.anion)] = 1.0
    design[-1, len(ions) + anions.index(_USUAL_ANION)] = 1.0
    sizes = np.array(
        [*((row.distance, row.r_sd) for row in rows), (_shannon_radii(_USUAL_ANION)[-2], 0.0)], dtype=np.float64
    )
    terms = np.linalg.lstsq(design, sizes, rcond=None)[0]
    return _Fit(dict(zip(ions, terms[: len(ions)], strict=True)), dict(zip(anions, terms[len(ions) :], strict=True)))


def _shannon_radii(symbol: str) -> dict[int, float]:
    """Shannon's crystal radii (six neighbours) of an element by oxidation state; Acta Cryst. A 32, 751 (1976)."""
    from pymatgen.core.periodic_table import Element

    if not Element.is_valid_symbol(symbol):
        return {}
    return {int(state): float(radius) for state, radius in Element(symbol).ionic_radii.items()}


@lru_cache(maxsize=1)
def _table() -> _Table:
    return read_table(files("builders.channels").joinpath("data", DATA.name).read_text(encoding="utf-8"))


def read_table(text: str) -> _Table:
    """Read a table as :func:`to_json` wrote it."""
    content = json.loads(text)
    rows = [Threshold(**row) for row in content["rows"]]
    return _Table(content["about"], {(row.ion, row.anion): row for row in rows})


def to_json(about: Mapping[str, Any], rows: Sequence[Threshold]) -> str:
    """Write a table for people to read: one row a line, lengths to 0.001 Å.

    Examples
    --------
    >>> print(to_json({"factor": 0.8}, [Threshold("Li", "O", 1.3, 1.6, 2.0, n=40)]))
    {
      "about": {
        "factor": 0.8
      },
      "rows": [
        {"ion": "Li", "anion": "O", "r_sd": 1.3, "r_chan": 1.6, "distance": 2.0, "n": 40, "n_sites": 0, "n_available": 0}
      ]
    }
    <BLANKLINE>
    """
    lines = []
    for row in sorted(rows, key=lambda row: (row.ion, row.anion or "")):
        given = {name: value for name, value in row._asdict().items() if name != "source" and value is not None}
        given["anion"] = row.anion
        rounded = {name: round(value, 3) if isinstance(value, float) else value for name, value in given.items()}
        lines.append("    " + json.dumps({name: rounded[name] for name in Threshold._fields if name in rounded}))
    head = json.dumps(about, indent=2, ensure_ascii=False).replace("\n", "\n  ")
    return f'{{\n  "about": {head},\n  "rows": [\n' + ",\n".join(lines) + "\n  ]\n}\n"
