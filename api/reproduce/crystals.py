"""Paths of the published Table 2 measured anew in crystals that the user has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from api.reproduce.hops import ION
from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from api.reproduce.published import PublishedPath

SAME_LENGTH: Final = 0.06
"""Relative difference of P_length up to which a hop of the crystal is the published path."""


class Measured(NamedTuple):
    """A published path found in a crystal.

    Attributes
    ----------
    published : PublishedPath
    file : str
        Name of the crystal's file.
    r_sd, r_chan, p_length : float
        Å, of the analysis of channels.
    """

    published: PublishedPath
    file: str
    r_sd: float
    r_chan: float
    p_length: float


def measure(files: Sequence[Path], paths: Sequence[PublishedPath]) -> list[Measured]:
    """Find the published paths in crystals: same formula, and the hop of the nearest length.

    Parameters
    ----------
    files : sequence of pathlib.Path
        One structure each.
    paths : sequence of PublishedPath

    Returns
    -------
    list of Measured

    Raises
    ------
    UsageError
        A crystal is of none of the published compounds, or holds none of its paths.

    Examples
    --------
    >>> from pathlib import Path
    >>> from api.reproduce.published import load
    >>> [(row.published.path, row.p_length) for row in measure([Path("LiFePO4.cif")], load().table2)]  # doctest: +SKIP
    [('1', 3.003), ('2', 4.691)]
    """
    from api.channels import channels

    found = []
    for file in files:
        report = channels(file, ION)
        wanted = [path for path in paths if _formula(path.compound) == report.formula]
        if not wanted:
            known = ", ".join(dict.fromkeys(path.compound for path in paths))
            raise UsageError(
                f"{file.name} is {report.formula}, and table 2 has no such compound.",
                mend=f"give a crystal of one of {known}",
            )
        # One row a hop of different symmetry.
        hops = report.channels.hops
        rows = []
        for path in wanted:
            nearest = min(hops, key=lambda hop, length=path.p_length: abs(hop.p_length - length), default=None)  # type: ignore[misc]
            if nearest is not None and abs(nearest.p_length - path.p_length) <= SAME_LENGTH * path.p_length:
                rows.append(Measured(path, file.name, nearest.r_sd, nearest.r_chan, nearest.p_length))
        if not rows:
            lengths = ", ".join(f"{path.p_length:.3f}" for path in wanted)
            raise UsageError(
                f"{file.name} has no hop as long as the published paths of {report.formula} ({lengths} Å).",
                mend="give the crystal structure that the article used",
            )
        found += rows
    return found


def _formula(compound: str) -> str:
    """The compound as ionatlas writes formulas."""
    from pymatgen.core.composition import Composition

    from builders.structures.formulas import describe_composition

    amounts = {element.symbol: float(amount) for element, amount in Composition(compound).items()}
    return describe_composition(amounts).formula
