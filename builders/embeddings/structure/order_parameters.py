"""The 244 numbers by which CSPML and the Materials Project compare structures: local order parameters from CrystalNN.

For each site CrystalNN finds weighted neighbours; 61 order parameters (the weight of each coordination number, and how
well the neighbours fit its usual polyhedra) describe the site; their mean, standard deviation, minimum and maximum over
the sites describe the structure. Two structures are similar by CSPML's measure when the Euclidean distance of these
vectors is below 0.3.

Neighbours and order parameters are pymatgen's; how they are put together is matminer's (``CrystalNNFingerprint``, preset
"ops", with ``distance_cutoffs=None`` and ``x_diff_weight=0``), written anew, and the numbers are the same. It takes tens
of milliseconds a site. Sites that are equivalent by symmetry have the same order parameters, so one of each orbit is
computed and counted as often as the orbit has sites.

Sources: Ward et al., Comput. Mater. Sci. 152, 60 (2018), doi:10.1016/j.commatsci.2018.05.018 (matminer); Zimmermann,
Jain, RSC Adv. 10, 6063 (2020), doi:10.1039/C9RA07755C (order parameters); Pan et al., Inorg. Chem. 60, 1590 (2021),
doi:10.1021/acs.inorgchem.0c02996 (CrystalNN); Kusaba, Liu, Yoshida, Comput. Mater. Sci. 211, 111496 (2022),
doi:10.1016/j.commatsci.2022.111496 (CSPML).
"""

from __future__ import annotations

import warnings
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from store.errors import FeatureError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core.structure import Structure

    from store.crystal import Crystal

MODEL: Final = "crystalnn-order-parameters"
"""Name under which the vectors stand in the collection ``embeddings``."""
VERSION: Final = 1
"""Raised by hand when the same crystal gets another vector."""
STATISTICS: Final = ("mean", "std_dev", "minimum", "maximum")
DIMENSION: Final = 244
SIMILAR: Final = 0.3
"""Euclidean distance below which CSPML calls two structures similar."""
LARGEST_COORDINATION: Final = 24
MOTIFS: Final[dict[int, tuple[str, ...]]] = {
    1: ("sgl_bd",),
    2: ("L-shaped", "water-like", "bent 120 degrees", "bent 150 degrees", "linear"),
    3: ("trigonal planar", "trigonal non-coplanar", "T-shaped"),
    4: (
        "square co-planar",
        "tetrahedral",
        "rectangular see-saw-like",
        "see-saw-like",
        "trigonal pyramidal",
    ),
    5: ("pentagonal planar", "square pyramidal", "trigonal bipyramidal"),
    6: ("hexagonal planar", "octahedral", "pentagonal pyramidal"),
    7: ("hexagonal pyramidal", "pentagonal bipyramidal"),
    8: ("body-centered cubic", "hexagonal bipyramidal"),
    9: ("q2", "q4", "q6"),
    10: ("q2", "q4", "q6"),
    11: ("q2", "q4", "q6"),
    12: ("cuboctahedral", "q2", "q4", "q6"),
}
"""Order parameters that are looked at for each coordination number, by pymatgen's names."""
_SYMPREC: Final = 0.01


def model_identity() -> str:
    """Identity of the model, for stamps and manifests.

    Examples
    --------
    >>> model_identity()
    'crystalnn-order-parameters/1'
    """
    return f"{MODEL}/{VERSION}"


def names() -> tuple[str, ...]:
    """Names of the 61 order parameters, each of which stands for four columns of a vector.

    Examples
    --------
    >>> len(names()), names()[:3]
    (61, ('wt CN_1', 'sgl_bd CN_1', 'wt CN_2'))
    """
    return tuple(
        [
            f"{name} CN_{number}"
            for number in range(1, LARGEST_COORDINATION + 1)
            for name in ("wt", *MOTIFS.get(number, ()))
        ]
    )


@lru_cache(maxsize=1)
def _tools() -> tuple[Any, dict[int, list[Any]]]:
    """The neighbour finder, and the order parameters of each coordination number."""
    from pymatgen.analysis.local_env import CN_OPT_PARAMS, CrystalNN, LocalStructOrderParams

    tables: dict[int, list[Any]] = {}
    for number, motifs in MOTIFS.items():
        known: dict[str, list[Any]] = cast("dict[str, list[Any]]", CN_OPT_PARAMS.get(number, {}))
        # A motif is a type of order parameter and its parameters; q2, q4, q6 are types themselves.
        kinds = [known.get(motif, [motif]) for motif in motifs]
        tables[number] = [
            LocalStructOrderParams([kind[0]], parameters=[kind[1] if len(kind) > 1 else None]) for kind in kinds
        ]
    finder: Any = CrystalNN
    return finder(distance_cutoffs=None, x_diff_weight=0), tables


def _site_values(structure: Structure, site: int) -> list[float]:
    """The 61 order parameters of one site, each weighted by how likely its coordination number is."""
    finder, tables = _tools()
    found = finder.get_nn_data(structure, site)
    values: list[float] = []
    for number in range(1, LARGEST_COORDINATION + 1):
        weight = float(found.cn_weights.get(number, 0.0))
        values.append(weight)
        if weight == 0:
            values += [0.0] * len(MOTIFS.get(number, ()))
            continue
        around = [structure[site], *[each["site"] for each in found.cn_nninfo[number]]]
        for table in tables.get(number, ()):
            value = table.get_order_parameters(around, 0, indices_neighs=list(range(1, len(around))))[0]
            values.append(weight * (value or 0.0))
    return values


def order_parameters(crystal: Crystal) -> NDArray[np.float32]:
    """Compute the order parameters of a structure.

    Parameters
    ----------
    crystal : Crystal
        Validated and ordered.

    Returns
    -------
    numpy.ndarray
        shape=(244,), float32, no unit: for each of 61 order parameters its mean, standard deviation, minimum and maximum over
        the sites.

    Raises
    ------
    FeatureError
        Sites are partially occupied, or CrystalNN finds no neighbours.

    Examples
    --------
    >>> from store.crystal import Crystal
    >>> salt = Crystal.from_lists([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], ["Na", "Cl"], [[0, 0, 0], [.5, .5, .5]])
    >>> values = dict(zip(names(), order_parameters(salt)[::4], strict=True))  # the means
    >>> f"{values['wt CN_6']:.2f} {values['octahedral CN_6']:.2f}"
    '1.00 1.00'
    """
    from builders.structures.symmetry import find_symmetry

    if not crystal.is_ordered:
        raise FeatureError(
            "The order parameters of CrystalNN are for full sites; this structure has partially occupied ones."
        )
    orbits = Counter(find_symmetry(crystal, _SYMPREC).orbits)
    structure = crystal.to_pymatgen()
    values = []
    for site in orbits:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about oxidation states that it has no use for
            try:
                values.append(_site_values(structure, site))
            except (ValueError, RuntimeError, IndexError, ZeroDivisionError) as error:
                raise FeatureError(f"CrystalNN found no neighbours of site {site + 1}: {error}") from error
    return site_statistics(np.array(values, dtype=np.float64), np.array(list(orbits.values()), dtype=np.float64))


def site_statistics(values: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float32]:
    """Describe sites by mean, standard deviation, minimum and maximum of each of their values.

    Parameters
    ----------
    values : numpy.ndarray
        shape=(n_orbits, n_values).
    counts : numpy.ndarray
        shape=(n_orbits,), sites of each orbit.

    Returns
    -------
    numpy.ndarray
        shape=(4 n_values,), float32; the four statistics of the first value, then those of the next.

    Examples
    --------
    >>> site_statistics(np.array([[1.0], [5.0]]), np.array([3.0, 1.0])).tolist()[::2]
    [2.0, 1.0]
    """
    weights = counts / counts.sum()
    mean = weights @ values
    spread = np.sqrt(weights @ (values - mean) ** 2)
    return np.stack([mean, spread, values.min(axis=0), values.max(axis=0)], axis=1).ravel().astype(np.float32)
