"""A few dozen crystals of well-known kinds, with the numbers that a provider would give."""

from __future__ import annotations

from typing import Any

HOSTILE_NAME = '<script>alert("x")</script>'
HOSTILE_ID = 'h/<b>?"&#1'
OLIVINE = (("Li", (0, 0, 0)), ("Fe", (0.282, 0.25, 0.975)), ("P", (0.095, 0.25, 0.418)), ("O", (0.097, 0.25, 0.743)),
           ("O", (0.457, 0.25, 0.206)), ("O", (0.166, 0.046, 0.285)))  # fmt: skip


def _made(group: str, cell: tuple[float, float, float], sites: Any, gamma: float = 90.0) -> Any:
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure

    lattice = Lattice.from_parameters(*cell, 90.0, 90.0, gamma)
    return Structure.from_spacegroup(group, lattice, [name for name, _ in sites], [place for _, place in sites])


def _cubic(group: str, a: float, sites: Any) -> Any:
    return _made(group, (a, a, a), sites)


def _rock_salt(cation: str, anion: str, a: float) -> Any:
    return _cubic("Fm-3m", a, [(cation, (0, 0, 0)), (anion, (0.5, 0.5, 0.5))])


def _layered(ion: str, metal: str, a: float, c: float, z: float) -> Any:
    sites = [(ion, (0, 0, 0.5)), (metal, (0, 0, 0)), ("O", (0, 0, z))]
    return _made("R-3m", (a, a, c), sites, 120.0)


def _olivine(ion: str, metal: str, scale: float) -> Any:
    swapped = [({"Li": ion, "Fe": metal}.get(name, name), place) for name, place in OLIVINE]
    return _made("Pnma", (10.332 * scale, 6.010 * scale, 4.692 * scale), swapped)


def _spinel(one: str, two: str, anion: str, a: float, u: float) -> Any:
    return _cubic("Fd-3m", a, [(one, (0.125,) * 3), (two, (0.5,) * 3), (anion, (u,) * 3)])


def _structures() -> list[tuple[Any, float | None, float | None]]:
    """Structure, band gap in eV, energy above hull in eV/atom."""
    fluorite = [("Ca", (0, 0, 0)), ("F", (0.25, 0.25, 0.25))]
    found: list[tuple[Any, float | None, float | None]] = [
        (_rock_salt(cation, anion, a), gap, hull)
        for cation, anion, a, gap, hull in (
            ("Li", "F", 4.03, 8.8, 0.0), ("Li", "Cl", 5.13, 6.3, 0.0), ("Li", "Br", 5.50, 5.1, 0.0),
            ("Na", "F", 4.63, 6.3, 0.0), ("Na", "Cl", 5.64, 5.0, 0.0), ("Na", "Br", 5.97, 4.1, 0.0),
            ("K", "Cl", 6.29, 5.2, 0.0), ("Mg", "O", 4.21, 4.5, 0.0), ("Ca", "O", 4.81, 3.7, 0.0),
            ("Ni", "O", 4.17, 2.3, 0.02), ("Co", "O", 4.26, None, 0.06), ("Mn", "O", 4.44, 0.2, 0.09),
        )
    ]  # fmt: skip
    found += [
        (_cubic("Pm-3m", a, [("Cs", (0, 0, 0)), (x, (0.5,) * 3)]), 5.0, 0.0) for x, a in (("Cl", 4.12), ("Br", 4.29))
    ]
    found += [(_cubic("Fm-3m", 5.46, fluorite), 7.3, 0.0)]
    found += [
        (_cubic("Fm-3m", a, [(x, (0, 0, 0)), (ion, (0.25,) * 3)]), gap, 0.0)
        for ion, x, a, gap in (
            ("Li", "O", 4.62, 5.0),
            ("Na", "O", 5.55, 2.0),
            ("Li", "S", 5.71, 3.4),
            ("Li", "Se", 6.0, 2.9),
        )
    ]
    found += [
        (_cubic("Pm-3m", a, [(one, (0, 0, 0)), (two, (0.5,) * 3), (x, (0.5, 0.5, 0))]), gap, hull)
        for one, two, x, a, gap, hull in (
            ("Sr", "Ti", "O", 3.905, 1.8, 0.0), ("Ba", "Ti", "O", 4.0, 1.7, 0.01), ("K", "Mg", "F", 3.99, 7.0, 0.0)
        )
    ]  # fmt: skip
    found += [
        (_layered(ion, metal, a, c, z), gap, hull)
        for ion, metal, a, c, z, gap, hull in (
            ("Li", "Co", 2.816, 14.05, 0.26, 0.9, 0.0), ("Li", "Ni", 2.88, 14.19, 0.258, 0.3, 0.03),
            ("Na", "Co", 2.888, 15.6, 0.27, 0.4, 0.02), ("Li", "Cr", 2.90, 14.4, 0.26, 2.1, 0.0),
        )
    ]  # fmt: skip
    found += [
        (_spinel(one, two, x, a, u), gap, hull)
        for one, two, x, a, u, gap, hull in (
            ("Li", "Mn", "O", 8.24, 0.2632, 0.1, 0.01), ("Mg", "Al", "O", 8.08, 0.2624, 5.1, 0.0),
            ("Li", "Ti", "O", 8.40, 0.2628, 0.0, 0.04),
        )
    ]  # fmt: skip
    found += [
        (_olivine(ion, metal, scale), gap, hull)
        for ion, metal, scale, gap, hull in (
            ("Li", "Fe", 1.0, 3.5, 0.0), ("Li", "Mn", 1.013, 3.7, 0.0), ("Li", "Co", 0.985, 2.9, 0.01),
            ("Na", "Fe", 1.04, 3.2, 0.02),
        )
    ]  # fmt: skip
    nitride = [("Li", (0, 0, 0.5)), ("Li", (1 / 3, 2 / 3, 0)), ("N", (0, 0, 0))]
    found += [(_made("P6/mmm", (3.65, 3.65, 3.87), nitride, 120.0), 1.0, 0.0)]
    found += [(_cubic("Im-3m", 2.87, [("Fe", (0, 0, 0))]), 0.0, 0.0)]
    found += [(_cubic("F-43m", 5.41, [("Zn", (0, 0, 0)), ("S", (0.25,) * 3)]), 2.0, 0.0)]
    return found


def records() -> list[dict[str, Any]]:
    """Records as a file holds them: ``w-1`` is LiF; one is impossible, one repeats, one has a hostile name, one a hostile id."""
    rows = []
    for number, (structure, gap, hull) in enumerate(_structures(), start=1):
        rows.append(_record(f"w-{number}", structure, gap, hull))
    rows.append(_record("w-again", _rock_salt("Na", "Cl", 5.64), 5.0, 0.0))
    rows.append(_record("w-hostile", _rock_salt("K", "Br", 6.6), 4.3, 0.0) | {"source": "<i>nobody</i>"})
    rows.append(_record(HOSTILE_ID, _rock_salt("Rb", "Cl", 6.58), 5.0, 0.0))
    broken = {
        "lattice": [[3, 0, 0], [0, 3, 0], [0, 0, 3]],
        "species": ["Na", "Cl"],
        "frac_coords": [[0, 0, 0], [0, 0, 0.0001]],
    }
    rows.append({"id": "w-broken", "source": "test", "formula": "NaCl", "structure": broken})
    return rows


def hop_records() -> list[dict[str, Any]]:
    """A vacancy hop of lithium in 2x2x2 cells of LiF, which is ``w-1``, with its barrier."""
    structure = _rock_salt("Li", "F", 4.03) * (2, 2, 2)
    ions = [site for site in structure if site.specie.symbol == "Li"]
    others = [site for site in structure if site is not ions[0]]
    near = min(ions[1:], key=lambda site: float(ions[0].distance(site)))
    cell = {
        "lattice": structure.lattice.matrix.tolist(),
        "species": [site.specie.symbol for site in others if site is not near],
        "frac_coords": [site.frac_coords.tolist() for site in others if site is not near],
    }
    end = near.frac_coords + near.distance_and_image(ions[0])[1] * -1.0
    places = {"start_frac": ions[0].frac_coords.tolist(), "end_frac": end.tolist()}
    return [{"id": "h-1", "working_ion": "Li", "structure": cell, "barrier_eV": 0.62, "method": "DFT-NEB", **places}]


def conductivity_records() -> list[dict[str, Any]]:
    """Measured conductivities: of Li3N, and a bound."""
    return [
        {
            "id": "c-1",
            "source": "test",
            "formula": "Li3N",
            "log10_sigma": -3.0,
            "temperature_K": 298.15,
            "working_ion": "Li",
        },
        {
            "id": "c-2",
            "source": "test",
            "formula": "LiF",
            "sigma": "<1e-10",
            "unit": "S/cm",
            "temperature_K": 300,
            "working_ion": "Li",
        },
    ]


def _record(id: str, structure: Any, gap: float | None, hull: float | None) -> dict[str, Any]:
    cell = {
        "lattice": structure.lattice.matrix.tolist(),
        "species": [site.specie.symbol for site in structure],
        "frac_coords": structure.frac_coords.tolist(),
    }
    row = {"id": id, "source": "test", "formula": structure.composition.reduced_formula, "structure": cell}
    return row | ({} if gap is None else {"band_gap": gap}) | ({} if hull is None else {"energy_above_hull": hull})
