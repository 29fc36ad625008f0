"""The answer about the channels of a crystal: numbers, tables, words, pictures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from api.channels import tables
from api.channels.scene import SAME_WIDTH
from api.channels.words import along, plain, site_names, spelled
from store.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from api.channels.scene import Scene
    from api.channels.style import Labels
    from builders.channels.model import Channels, Flag
    from builders.channels.thresholds import Threshold
    from store.crystal import Crystal


@dataclass(frozen=True, eq=False)
class ChannelReport:
    """Voids and channels of an ion in a crystal, with a threshold to judge them by.

    Attributes
    ----------
    name : str
        File, id, or formula.
    formula : str
    crystal : store.crystal.Crystal
        What was analysed; directions and coordinates are in its cell.
    channels : builders.channels.model.Channels
        Everything as arrays.
    cations : numpy.ndarray
        shape=(n_framework_sites,), bool.
    limits : builders.channels.thresholds.Threshold
        The default thresholds.
    given : float or None
        Å; the channel radius that was asked for instead of the default.

    Examples
    --------
    >>> from api.channels import channels
    >>> from store.crystal import Crystal
    >>> salt = Crystal.from_lists([[0, 2, 2], [2, 0, 2], [2, 2, 0]], ["Li", "F"], [[0.5, 0.5, 0.5], [0, 0, 0]])
    >>> report = channels(salt, "Li", threshold=1.6)
    >>> report.formula, round(report.r3, 3), report.dimension(), report.dimension(1.7)
    ('LiF', 1.633, 3, 0)
    """

    name: str
    formula: str
    crystal: Crystal
    channels: Channels
    cations: NDArray[np.bool_]
    limits: Threshold
    given: float | None = None

    def __repr__(self) -> str:
        return "\n".join(self.headline())

    @property
    def ion(self) -> str:
        """The working ion."""
        return self.channels.ion

    @property
    def is_host(self) -> bool:
        """Whether the crystal holds none of the ion: then hops lead between voids (insertion)."""
        return not len(self.channels.sites)

    @property
    def r1(self) -> float:
        """Widest radius at which an ion travels without end, Å."""
        return self.channels.percolation.radii[0]

    @property
    def r2(self) -> float:
        """The same in two independent directions, Å."""
        return self.channels.percolation.radii[1]

    @property
    def r3(self) -> float:
        """The same in three independent directions, Å."""
        return self.channels.percolation.radii[2]

    @property
    def threshold(self) -> float:
        """Channel radius that the ion needs, Å: the one given, or the default of ion and anion."""
        return self.limits.r_chan if self.given is None else self.given

    @property
    def flags(self) -> tuple[Flag, ...]:
        """Doubts about the analysis, with reasons."""
        return self.channels.flags

    def dimension(self, threshold: float | None = None) -> int:
        """Count the directions in which an ion that needs passages so wide travels without end.

        Parameters
        ----------
        threshold : float, optional
            Å; :attr:`threshold` by default.

        Returns
        -------
        int
            0 to 3.
        """
        from builders.channels.percolation import dimension

        return dimension(self.channels.percolation, self.threshold if threshold is None else checked(threshold))

    @cached_property
    def roles(self) -> NDArray[np.int64]:
        """What each channel is good for at the threshold (see :func:`api.channels.scene.tiers`)."""
        from api.channels.scene import tiers

        return tiers(self.channels, self.threshold)

    @cached_property
    def hops(self) -> pd.DataFrame:
        """Hops between ion sites, one of each symmetry class, the widest first; ``attrs`` hold units and meanings."""
        return tables.hops(self)

    @cached_property
    def voids(self) -> pd.DataFrame:
        """Voids, one row each, with ``orbit`` the same for equivalent ones; ``attrs`` hold units and meanings."""
        return tables.voids(self)

    @cached_property
    def passages(self) -> pd.DataFrame:
        """Channels between voids, one row each; ``attrs`` hold units and meanings."""
        return tables.passages(self)

    def headline(self) -> list[str]:
        """Say the result in a few lines of words."""
        what = f"{self.formula}: channels for {spelled(self.ion)}"
        if self.is_host:
            what += f" (insertion: the crystal holds no {self.ion}, hops lead between its voids)"
        parts = []
        for names, radius, basis in self._distinct_radii():
            parts.append(f"{names} {radius:.3f} Å {along(basis)}" if radius > 0 else f"{names} none")
        return [what, "percolation radii: " + ", ".join(parts), self.verdict()]

    def _distinct_radii(self) -> list[tuple[str, float, Any]]:
        """Percolation radii with their names and directions, equal ones together: ``r1 = r2``."""
        found: list[tuple[str, float, Any]] = []
        for k, (radius, basis) in enumerate(zip(*self.channels.percolation, strict=True), start=1):
            if found and found[-1][1] - radius < SAME_WIDTH:
                found[-1] = (f"{found[-1][0]} = r{k}", found[-1][1], basis)
            else:
                found.append((f"r{k}", radius, basis))
        return found

    def verdict(self) -> str:
        """Say in how many directions the ion travels at the threshold, and where the threshold comes from."""
        rank = self.dimension()
        words = {0: "no percolation", 1: "1D", 2: "2D", 3: "3D"}[rank]
        where = f" {along(self.channels.percolation.directions[rank - 1])}" if rank in (1, 2) else ""
        return f"at {self.threshold:.3f} Å: {words}{where} (threshold {self.threshold_source()})"

    def threshold_source(self) -> str:
        """Say where the threshold comes from."""
        if self.given is not None:
            return "as given"
        limits = self.limits
        pair = f"{limits.ion}-{limits.anion}" if limits.anion else f"{limits.ion} among metals"
        if limits.estimated:
            words = {"additive": "from rows of other pairs", "ionic radii": "from ionic radii"}
            return f"{pair}, estimated {words.get(limits.source, limits.source)}"
        return f"{pair}, measured on {limits.n:,} structures"

    def to_dict(self) -> dict[str, Any]:
        """Everything, in keys that stay: numbers, text, lists and dictionaries only.

        Returns
        -------
        dict
            ``units`` and ``meanings`` of the keys; ``name``, ``formula``, ``ion``, ``anion``, ``insertion``; ``r1``, ``r2``,
            ``r3`` and ``directions`` (for each, the vectors of travel); ``threshold`` (``r_chan``, ``r_sd``, ``source``,
            ``n``), ``dimension`` at it; ``hop_percolation`` (``radii``, ``directions``: of the hops alone); ``lattice``,
            ``sites``; ``hops``, ``voids``, ``passages``: the rows of the tables of those names; ``flags``;
            ``certificate``.
        """
        found, names = self.channels, site_names(self.channels)
        return {
            "units": tables.UNITS,
            "meanings": tables.MEANINGS,
            "name": self.name,
            "formula": self.formula,
            "ion": self.ion,
            "anion": found.anion,
            "insertion": self.is_host,
            "r1": self.r1,
            "r2": self.r2,
            "r3": self.r3,
            "directions": plain(found.percolation.directions),
            "threshold": {
                "r_chan": self.threshold,
                "r_sd": self.limits.r_sd,
                "source": self.threshold_source(),
                "n": self.limits.n,
            },
            "dimension": self.dimension(),
            "hop_percolation": {
                "radii": list(found.hop_percolation.radii),
                "directions": plain(found.hop_percolation.directions),
            },
            "lattice": found.framework.lattice.tolist(),
            "sites": [
                {"site": names[k], "x": x, "y": y, "z": z, "occupancy": float(found.occupancies[k])}
                for k, (x, y, z) in enumerate(found.sites.tolist())
            ],
            "hops": tables.records(self.hops),
            "voids": tables.records(self.voids),
            "passages": tables.records(self.passages),
            "flags": [flag._asdict() for flag in self.flags],
            "certificate": {**found.certificate._asdict(), "betti": list(found.certificate.betti)},
        }

    def png(self, path: str | Path) -> Path:
        """Draw voids and channels in the crystal as a PNG file.

        Raises
        ------
        UsageError
            The file cannot be written.
        """
        from api.channels.pictures import channel_picture

        return channel_picture(self.channels, self.scene(), self.labels(), path)

    def html(self, path: str | Path) -> Path:
        """Write a page that shows the same in three dimensions in any browser, without a network.

        Raises
        ------
        UsageError
            The file cannot be written.
        """
        from api.channels.page import channel_page

        return channel_page(self, self.scene(), self.labels(), path)

    def scene(self) -> Scene:
        """What the pictures show, as bodies in space."""
        from api.channels.scene import make_scene

        return make_scene(self.channels, self.cations, self.threshold)

    def labels(self) -> Labels:
        """Words and numbers around the pictures."""
        from api.channels.style import Labels

        head = self.headline()
        return Labels(
            title=f"{self.formula}   {self.ion} channels" + ("  (insertion)" if self.is_host else ""),
            lines=(head[1], head[2]),
            r_chan=self.threshold,
            r_sd=self.limits.r_sd,
            radii=self.channels.percolation.radii,
        )


def checked(threshold: float) -> float:
    """Refuse what is no channel radius.

    Raises
    ------
    UsageError
    """
    if not 0.0 < threshold < 10.0:
        raise UsageError(
            f"A threshold is a radius between 0 and 10 Å; {threshold:g} was given.", mend="--threshold 1.7, for example"
        )
    return float(threshold)
