"""Rows of the whole prediction, as users get it: derived templates, and single points of a potential."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from csp_common import DEPTHS

from builders.templates.energies import load_energy_model, single_points
from indexes.templates.library import TemplateLibrary
from indexes.templates.predict import predict
from store.crystal import Crystal

EnergiesOf = Callable[[Sequence[Crystal]], np.ndarray]


def _key(crystal: Crystal) -> bytes:
    return crystal.lattice.tobytes() + crystal.frac_coords.tobytes() + ",".join(crystal.species).encode()


def energies_of(name: str) -> EnergiesOf:
    """Single points of a potential; a crystal that is asked for again is remembered."""
    potential = load_energy_model(name, threads=1)
    known: dict[bytes, float] = {}

    def ask(crystals: Sequence[Crystal]) -> np.ndarray:
        keys = [_key(crystal) for crystal in crystals]
        for key, crystal in zip(keys, crystals, strict=True):
            if key not in known:
                known[key] = float(single_points([crystal], potential)[0, 0])
        return np.array([known[key] for key in keys])

    return ask


def predicted(
    library: TemplateLibrary, formula: str, *, energies: EnergiesOf | None, derived: bool | None
) -> list[tuple[object, Crystal]]:
    """Candidates of :func:`indexes.templates.predict.predict`, the formula's own structures left out."""
    found = predict(library, formula, DEPTHS[-1], exclude_own=True, energies=energies, derived=derived)
    return [(_key(each.crystal), each.crystal) for each in found.candidates]
