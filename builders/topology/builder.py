"""TopologyBuilder: ``structures`` -> ``topology``, one document a structure and ion."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from builders.channels.builder import PairInput
from builders.channels.pairs import KeysOfIons, read_ions, split_key, wanted_ions
from builders.engine.builder import IncrementalBuilder
from builders.engine.inputs import KeyedInput
from store.ion_fields import WORKING_IONS

if TYPE_CHECKING:
    from collections.abc import Container

    from builders.engine.inputs import Input, StampTables
    from builders.engine.plan import Plan
    from builders.topology.document import Radii
    from store.crystal import Crystal

SECONDS_EACH: Final = 0.02
"""What one document takes on one core, s: for estimates only."""


class TopologyBuilder(IncrementalBuilder):
    """Make the persistence diagrams of each structure and working ion, and check them against the channels.

    The pairs are those of :class:`builders.channels.builder.ChannelBuilder` without inserted ions. The channels are an input that
    may be missing: where they come, go or change, just their document is made again.

    Examples
    --------
    >>> TopologyBuilder(selection={"ions": ["Li"]}).params_hash == TopologyBuilder().params_hash
    True
    """

    NAME = "topology"
    VERSION = 1
    COLLECTION = "topology"
    PACKAGES = ("numpy", "scipy")
    ITEM_SECONDS = 300.0
    BATCH = 8

    @dataclass(frozen=True)
    class Params:
        """Groups of atoms whose diagrams are made."""

        groups: tuple[str, ...] = field(default_factory=lambda: _groups())

    @dataclass(frozen=True)
    class Selection:
        """Which pairs of structure and ion are wanted.

        Attributes
        ----------
        ions : tuple of str or None
            Only these are looked at, and made where they are missing. None: the usual ones are made where they are
            missing, and everything that is there is kept up to date.
        usual : tuple of str or None
            By default those of the setting IONATLAS_CHANNEL_IONS.
        """

        ions: tuple[str, ...] | None = None
        usual: tuple[str, ...] | None = None

    @classmethod
    def inputs(cls) -> tuple[Input, ...]:
        """Read the primitive cells, and the percolation radii of the channels if they are there."""
        return (PairInput(target=cls.COLLECTION), _channels())

    def roles(self) -> tuple[Input, ...]:
        """Read the primitive cells of the pairs that are wanted."""
        return (PairInput(self._ions(), target=self.COLLECTION), _channels())

    def _ions(self) -> tuple[str, ...]:
        assert isinstance(self.wanted, TopologyBuilder.Selection)
        return wanted_ions(self.wanted.ions or self.wanted.usual)

    def plan(self, tables: StampTables, *, only: Container[str] | None = None, retry_failed: bool = False) -> Plan:
        """Find out what a build would do; with named ions, at these alone."""
        assert isinstance(self.wanted, TopologyBuilder.Selection)
        if self.wanted.ions is not None:
            only = KeysOfIons(read_ions(self.wanted.ions), self.keys if only is None else only)
        return super().plan(tables, only=only, retry_failed=retry_failed)

    def compute(self, key: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Make the diagrams of one structure for one ion."""
        from builders.topology.analysis import analyse
        from builders.topology.document import compare, to_document
        from store.crystal import Crystal

        assert isinstance(self.settings, TopologyBuilder.Params)
        material, ion = split_key(key)
        crystal = Crystal.from_document(inputs["structures"]["primitive"])
        diagrams = analyse(crystal, ion, tuple(self.settings.groups))
        channels, framework, check = inputs.get("channels"), diagrams.get("framework"), None
        if channels is not None and framework is not None:
            radii = (channels["r1"], channels["r2"], channels["r3"])
            check = compare(framework, radii, lambda: _network(crystal, ion))
        return {"material": material, **to_document(ion, diagrams, check)}

    def remarks(self, plan: Plan) -> list[str]:
        """Say which ions are chosen, and how long a first build takes."""
        told = []
        ions = self._ions()
        if ions != WORKING_IONS:
            told.append(f"topology: made for {', '.join(ions)}; that of other ions is kept")
        minutes = len(plan.inputs) * SECONDS_EACH / 60
        if minutes > 1:
            told.append(f"topology to make: {len(plan.inputs):,} documents, about {minutes:.0f} min on one core")
        return told


def _network(crystal: Crystal, ion: str) -> Radii:
    """Percolation radii from the channels' own network, made anew."""
    from builders.channels.framework import split
    from builders.channels.network import voronoi_edges
    from builders.channels.percolation import percolate
    from builders.geometry.delaunay import periodic_delaunay
    from builders.topology.document import Radii
    from builders.topology.duality import joint_radii

    complex_ = periodic_delaunay(split(crystal, ion).crystal.frac_coords, crystal.lattice)
    edges, n_vertices = voronoi_edges(complex_), len(complex_.tetrahedra)
    connected = percolate(edges.vertices, edges.offsets, edges.r_open, n_vertices).radii
    return Radii(joint_radii(edges, n_vertices), connected)


def _channels() -> KeyedInput:
    return KeyedInput("channels", required=False, projection={"r1": 1, "r2": 1, "r3": 1})


def _groups() -> tuple[str, ...]:
    from builders.topology.groups import GROUPS

    return GROUPS
