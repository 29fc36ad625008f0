"""The published study (Osipov et al. 2023, https://doi.org/10.31857/S2686954323601033), run on hops that the user has.

from api.reproduce import osipov

result = osipov("hops.jsonl.gz")
result.fits, result.table2, result.to_dict()
result.figures("figures")
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from api.reproduce.hops import Progress
    from api.reproduce.study import Reproduction
    from api.service import Service

REPEATS = 10
"""Seeds that the splits are drawn with."""


def osipov(
    source: str | Path | None = None,
    *,
    seed: int = 0,
    repeats: int = REPEATS,
    crystals: Sequence[str | Path] = (),
    service: Callable[[], Service] | None = None,
    progress: Progress | None = None,
) -> Reproduction:
    """Run the study on hops of lithium with a barrier above 0 and up to 1.5 eV.

    Parameters
    ----------
    source : str or pathlib.Path, optional
        A file of hops with barriers; by default the store's ``barriers``.
    seed : int
        Of the first split, which gives tables 2, 4, 5 and figure 4.
    repeats : int
        Splits of each kind, with the seeds ``seed``, ``seed + 1``, ...; table 1 is their mean.
    crystals : sequence of str or pathlib.Path
        Crystals of compounds of table 2, to measure their paths in anew.
    service : callable, optional
        Opens the store (:class:`api.service.Service`); by default the one that the settings name.
    progress : callable, optional
        Called with what is done, how much of it, and of how much.

    Returns
    -------
    Reproduction

    Raises
    ------
    UsageError
        No such file, no barriers, too few of lithium, a crystal that table 2 does not hold, an impossible number.

    Examples
    --------
    >>> result = osipov("hops.jsonl.gz", repeats=3)                             # doctest: +SKIP
    >>> result.to_dict()["table1"]["svr"]["mae"]["framework"]["test"]["mean"]   # doctest: +SKIP
    0.198
    """
    from api.reproduce.crystals import measure
    from api.reproduce.fits import fit_all
    from api.reproduce.hops import from_file, from_store
    from api.reproduce.published import load
    from api.reproduce.study import conclude

    if not 0 <= seed < 2**31:
        raise UsageError(f"The seed must be a whole number from 0; {seed} was given.", mend="--seed 0")
    if not 1 <= repeats <= 1000:
        raise UsageError(
            f"The number of splits must be between 1 and 1000; {repeats} was given.", mend=f"--repeats {REPEATS}"
        )
    published = load()
    measured = measure([Path(each) for each in crystals], published.table2)
    hops = from_file(Path(source), progress) if source is not None else from_store((service or _service)())
    seeds = range(seed, seed + repeats)
    return conclude(hops, published, seeds, fit_all(hops, seeds, progress), measured)


def _service() -> Service:
    """The store that the settings name."""
    from api.service import Service
    from store.connection import connect
    from store.settings import load_settings

    settings = load_settings()
    return Service(connect(settings), settings)


__all__ = ["REPEATS", "osipov"]
