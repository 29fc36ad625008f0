"""Make the scaler of the composition statistics: ``python -m builders.embeddings.fit_scaler STRUCTURES``.

STRUCTURES is a file of gzip'ed JSON Lines with one structure a line (``structure.species`` names the element of each
site). Rows of one composition count once. Nothing of the data is kept but 290 means and standard deviations and the
model card that says what they were made from.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import zipfile
from collections import Counter
from datetime import UTC, datetime
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from builders.embeddings.composition import (
    MODEL,
    VERSION,
    composition_statistics,
    feature_names,
    scaler_hash,
)
from builders.embeddings.elements import element_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

DATA = Path(__file__).parent / "data"


def read_compositions(path: Path) -> tuple[list[dict[str, int]], int]:
    """Read the distinct compositions (one formula unit each) of a structures file, in the file's order.

    Returns
    -------
    list of dict
        ``{element: amount}``.
    int
        Rows read.
    """
    seen: dict[tuple[tuple[str, int], ...], None] = {}
    rows = 0
    with gzip.open(path, "rb") as file:
        for line in file:
            amounts = Counter(orjson.loads(line)["structure"]["species"])
            divisor = gcd(*amounts.values())
            seen[tuple(sorted((symbol, amount // divisor) for symbol, amount in amounts.items()))] = None
            rows += 1
    return [dict(key) for key in seen], rows


def fit(compositions: list[dict[str, int]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation (ddof=1; 1 where nothing varies) of the 290 statistics.

    Examples
    --------
    >>> mean, std = fit([{"Li": 2, "O": 1}, {"Na": 1, "Cl": 1}])
    >>> mean.shape, float(mean[0].round(3))
    ((290,), 9.333)
    """
    statistics = composition_statistics(compositions)
    std = statistics.std(axis=0, ddof=1)
    # Summation noise of a constant column is not variation.
    constant = std <= 1e-12 * np.abs(statistics).max(axis=0)
    return statistics.mean(axis=0), np.where(constant, 1.0, std)


def write(folder: Path, mean: NDArray[np.float64], std: NDArray[np.float64], card: dict[str, Any]) -> None:
    """Write scaler and card; the same numbers give the same bytes (no dates inside the archive)."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: Iterable[tuple[str, Any]] = (
        ("mean", mean.astype("<f8")),
        ("std", std.astype("<f8")),
        ("table_sha256", np.array(element_table().sha256)),
    )
    with zipfile.ZipFile(folder / "composition_scaler.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays:
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, buffer.getvalue())
    text = orjson.dumps(card, option=orjson.OPT_INDENT_2) + b"\n"
    (folder / "composition_scaler.json").write_bytes(text)


def make_card(
    path: Path, rows: int, count: int, mean: NDArray[np.float64], std: NDArray[np.float64], *, source: str, licence: str
) -> dict[str, Any]:
    """Describe where the scaler comes from."""
    table = element_table().sha256
    return {
        "model": MODEL,
        "version": VERSION,
        "what": "Mean and standard deviation of the 290 composition statistics, to z-score them.",
        "data": source,
        "data_file": path.name,
        "data_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "data_licence": licence,
        "rows": rows,
        "count": count,
        "counted": "distinct compositions, one formula unit each (amounts divided by their greatest common divisor)",
        "ddof": 1,
        "dimension": len(feature_names()),
        "element_table": "XenonPy elements_completed (BSD-3-Clause), as carried by elementembeddings (MIT)",
        "element_table_sha256": table,
        "sha256": scaler_hash(mean, std, table),
        "licence": "BSD-3-Clause",
        "script": "python -m builders.embeddings.fit_scaler",
        "seed": None,
        "date": datetime.now(UTC).date().isoformat(),
    }


def main(arguments: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Make the scaler of the composition statistics.")
    parser.add_argument("structures", type=Path, help="gzip'ed JSON Lines, one structure a line")
    parser.add_argument("--out", type=Path, default=DATA, help="folder to write to (the package's own data folder)")
    parser.add_argument(
        "--source",
        default="Materials Project 2025.02, entries on the convex hull with at most 52 atoms "
        "(Jain et al., APL Mater. 1, 011002, 2013, https://doi.org/10.1063/1.4812323)",
        help="what the data is, for the card",
    )
    parser.add_argument("--licence", default="CC-BY-4.0", help="licence of the data, for the card")
    given = parser.parse_args(arguments)
    compositions, rows = read_compositions(given.structures)
    mean, std = fit(compositions)
    card = make_card(given.structures, rows, len(compositions), mean, std, source=given.source, licence=given.licence)
    write(given.out, mean, std, card)
    print(f"{len(compositions)} compositions from {rows} rows; scaler {card['sha256'][:16]} in {given.out}")


if __name__ == "__main__":
    main()
