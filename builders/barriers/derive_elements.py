"""Write data/elements.json: crystal radii and bond-valence parameters as pymatgen carries them.

Importing pymatgen's bond-valence module takes seconds, reading this file a millisecond. Run it again after pymatgen changed:

    python -m builders.barriers.derive_elements
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def derive() -> dict[str, Any]:
    """Collect the tables.

    Examples
    --------
    >>> derive()["radii"]["Li"]
    {'1': 0.9}
    """
    from pymatgen.analysis.bond_valence import BV_PARAMS
    from pymatgen.core.periodic_table import Element

    radii = {}
    for element in Element:
        if element.symbol not in {"D", "T"}:
            states = element.data.get("Shannon radii") or {}
            found = {str(int(state)): _six_neighbours(table) for state, table in states.items() if state.strip()}
            if found:
                radii[element.symbol] = dict(sorted(found.items(), key=lambda pair: int(pair[0])))
    valence = {str(element): [float(each["r"]), float(each["c"])] for element, each in BV_PARAMS.items()}
    about = {
        "radii": "Shannon's crystal radii, six neighbours, Å, by oxidation state; Acta Cryst. A 32, 751 (1976); from pymatgen",
        "bond_valence": "r (Å) and c of O'Keeffe and Brese, J. Am. Chem. Soc. 113, 3226 (1991); from pymatgen",
    }
    return {"about": about, "radii": radii, "bond_valence": dict(sorted(valence.items()))}


_ROMAN = {
    "I": 1,
    "II": 2,
    "III": 3,
    "IV": 4,
    "V": 5,
    "VI": 6,
    "VII": 7,
    "VIII": 8,
    "IX": 9,
    "X": 10,
    "XI": 11,
    "XII": 12,
    "XIV": 14,
}


def _six_neighbours(table: dict[str, Any]) -> float:
    """Radius among six neighbours, or the number nearest to it; of two spin states the high one."""
    numbers = {name: _ROMAN[name.rstrip("PYSQ")] for name in table}
    nearest = min(table, key=lambda name: (abs(numbers[name] - 6), numbers[name], name))
    spins = table[nearest]
    spin = next((name for name in ("", "High Spin") if name in spins), next(iter(spins)))
    return float(spins[spin]["crystal_radius"])


if __name__ == "__main__":
    text = json.dumps(derive(), indent=1, ensure_ascii=False).replace("[\n   ", "[").replace(",\n   ", ", ")
    (Path(__file__).parent / "data" / "elements.json").write_text(text.replace("\n  ]", "]") + "\n", encoding="utf-8")
