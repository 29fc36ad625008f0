"""Write data/elements.json: crystal radii and bond-valence parameters as pymatgen carries them.

Importing pymatgen's bond-valence module takes seconds, reading this file a millisecond. Run it again after pymatgen changed:

    python -m builders.barriers.derive_elements
"""

from __future__ import annotations

import json
import warnings
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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = {str(int(state)): float(radius) for state, radius in element.ionic_radii.items()}
        if found and element.symbol not in {"D", "T"}:
            radii[element.symbol] = found
    valence = {str(element): [float(each["r"]), float(each["c"])] for element, each in BV_PARAMS.items()}
    about = {
        "radii": "Shannon's crystal radii, six neighbours, Å, by oxidation state; Acta Cryst. A 32, 751 (1976); from pymatgen",
        "bond_valence": "r (Å) and c of O'Keeffe and Brese, J. Am. Chem. Soc. 113, 3226 (1991); from pymatgen",
    }
    return {"about": about, "radii": radii, "bond_valence": dict(sorted(valence.items()))}


if __name__ == "__main__":
    text = json.dumps(derive(), indent=1, ensure_ascii=False).replace("[\n   ", "[").replace(",\n   ", ", ")
    (Path(__file__).parent / "data" / "elements.json").write_text(text.replace("\n  ]", "]") + "\n", encoding="utf-8")
