"""Other words for fields, as people type them."""

from __future__ import annotations

from typing import Final

SYNONYMS: Final = {
    "spacegroup": "space_group_number",
    "space_group": "space_group_number",
    "sg": "space_group_number",
    "e_above_hull": "energy_above_hull",
    "ehull": "energy_above_hull",
    "e_hull": "energy_above_hull",
    "hull_distance": "energy_above_hull",
    "chemical_formula": "formula",
    "pretty_formula": "formula",
    "formula_pretty": "formula",
    "volume": "volume_per_atom",
    "conductivity": "li_conductivity",
    "hull": "energy_above_hull",
    "stability": "energy_above_hull",
    "gap": "band_gap",
    "bandgap": "band_gap",
    "e_form": "formation_energy_per_atom",
    "formation_energy": "formation_energy_per_atom",
    "chemsys": "chemical_system",
    "natoms": "nsites",
    "material_id": "id",
    "mineral": "name",
    "rho": "density",
    "system": "crystal_system",
    "percolation": "li_channel_dimension",
    "channels": "li_channel_dimension",
    "bottleneck": "li_path_r1",
    "r_chan": "li_path_r_chan1",
    "r_sd": "li_r_sd_min",
    "ions": "working_ions",
    "barrier": "li_migration_energy",
    "migration_barrier": "li_migration_energy",
    "activation_energy": "li_migration_energy",
    "ea": "li_migration_energy",
    "em": "li_migration_energy",
    "sigma": "li_conductivity",
    "ionic_conductivity": "li_conductivity",
    "layers": "li_topology_ion_layers",
}
"""Word in small letters to the name of the field that is meant."""
