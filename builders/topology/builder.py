"""TopologyBuilder: ``structures`` -> ``topology``, one document a structure and ion."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from builders.channels.builder import PairBuilder, PairInput
from builders.channels.pairs import split_key
from builders.engine.inputs import KeyedInput
from store.ion_fields import WORKING_IONS

if TYPE_CHECKING:
    from builders.engine.inputs import Input
    from builders.engine.plan import Plan
    from builders.topology.document import Radii
    from store.crystal import Crystal

SECONDS_EACH: Final = 0.02
"""What one document takes on one core, s: for estimates only."""


class TopologyBuilder(PairBuilder):
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

    @classmethod
    def inputs(cls) -> tuple[Input, ...]:
        """Read the primitive cells, and the percolation radii of the channels if they are there."""
        return (PairInput(target=cls.COLLECTION), _channels())

    def roles(self) -> tuple[Input, ...]:
        """Read the primitive cells of the pairs that are wanted."""
        return (PairInput(self.ions(), target=self.COLLECTION), _channels())

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
        ions = self.ions()
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
