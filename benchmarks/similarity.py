"""Exact similarity search and index snapshots at 147,000 x 290, against plain NumPy, SciPy and FAISS alone.

    python benchmarks/similarity.py [--rows 147033] [--store]

With ``--store`` the indexes of the store that the settings name are asked too, beside FAISS alone on the same vectors.

No data folder is needed: the vectors are embeddings of random compositions, and, as the worst case, random numbers that differ
in all directions alike. One in ten equals another, as those of polymorphs do.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import report

DIMENSION = 290
K = 10
FAISS_ALONE = "FAISS IndexFlatL2 alone (float32, no ids, ties by chance)"


def seconds(call: Callable[..., Any], *arguments: Any, **more: Any) -> float:
    """Wall time of one call, s."""
    started = time.perf_counter()
    call(*arguments, **more)
    return time.perf_counter() - started


def make_vectors(rows: int) -> np.ndarray:
    """Random vectors, one in ten equal to another."""
    random = np.random.default_rng(0)
    return with_polymorphs(random.standard_normal((rows, DIMENSION), dtype=np.float32), random)


def with_polymorphs(vectors: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The same, one in ten equal to another."""
    rows = len(vectors)
    polymorphs = random.choice(rows, rows // 10, replace=False)
    vectors[polymorphs] = vectors[random.choice(rows, rows // 10)]
    return vectors


def embedding(count: int) -> tuple[np.ndarray, float]:
    """Embeddings of so many compositions of two to five elements, and the seconds that took."""
    from builders.embeddings.composition import embed
    from builders.embeddings.elements import element_table

    random = np.random.default_rng(1)
    symbols = np.array(element_table().symbols)
    compositions = [
        dict(zip(random.choice(symbols, n, replace=False).tolist(), random.integers(1, 9, n).tolist(), strict=True))
        for n in random.integers(2, 6, count)
    ]
    embed(compositions[:10])
    started = time.perf_counter()
    vectors = embed(compositions)
    return with_polymorphs(vectors, random), time.perf_counter() - started


def peers(vectors: np.ndarray, queries: np.ndarray) -> dict[str, list[float]]:
    """The same search by others, one query at a time."""
    import faiss
    from scipy.spatial.distance import cdist

    alone = faiss.IndexFlatL2(DIMENSION)
    alone.add(vectors)
    faiss.omp_set_num_threads(1)
    norms = np.einsum("ij,ij->i", vectors, vectors)

    def by_numpy(query: np.ndarray) -> np.ndarray:
        return np.argpartition(norms - 2 * (vectors @ query), K)[:K]

    def by_scipy(query: np.ndarray) -> np.ndarray:
        return np.argpartition(cdist(query[None], vectors)[0], K)[:K]

    return {
        FAISS_ALONE: [seconds(alone.search, query[None], K) for query in queries],
        "NumPy, expanded square (float32)": [seconds(by_numpy, query) for query in queries],
        "SciPy cdist (float64)": [seconds(by_scipy, query) for query in queries[:5]],
    }


def stored(name: str) -> dict[str, Any]:
    """An index of the store, by id, and FAISS's flat index on its vectors; seconds."""
    import faiss

    from indexes.registry import similarity_index
    from store.settings import load_settings

    index = similarity_index(name, load_settings())
    current = index._current().index
    vectors = np.array(current._rows())
    asked = np.random.default_rng(3).choice(current.ids(), 104).tolist()
    times = [seconds(index.similar, identifier, K) for identifier in asked]
    flat = faiss.IndexFlatIP if current.metric == "inner_product" else faiss.IndexFlatL2
    alone = flat(vectors.shape[1])
    alone.add(vectors)
    faiss.omp_set_num_threads(1)
    peer = [seconds(alone.search, current.vector(identifier)[None], K) for identifier in asked]
    kept = current._projection.index.d if current._projection else None
    return {"rows": len(vectors), "dimension": vectors.shape[1], "kept": kept, "ours_s": times[4:], "faiss_s": peer[4:]}


def milliseconds(times: list[float]) -> str:
    """Median and 95th percentile, to print."""
    ordered = sorted(times)
    return f"p50 {1e3 * statistics.median(ordered):.1f} ms, p95 {1e3 * ordered[int(0.95 * (len(ordered) - 1))]:.1f} ms"


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rows", type=int, default=147_033)
    parser.add_argument("--store", action="store_true", help="ask the indexes of the store too")
    arguments = parser.parse_args()
    count = arguments.rows
    import faiss

    from indexes.faiss_flat import FaissFlat
    from indexes.similarity import SimilarityIndex
    from indexes.snapshot import SnapshotStore

    vectors, embed_s = embedding(count)
    ids = [f"mp-{number}" for number in range(count)]
    hashes = np.zeros((count, 16), dtype=np.uint8)
    values: dict[str, Any] = {"rows": count, "dimension": DIMENSION, "k": K, "embed_s": embed_s}
    with tempfile.TemporaryDirectory(prefix="ionatlas-bench-") as folder:
        store = SnapshotStore(Path(folder), "bench")
        values["publish_s"] = seconds(store.publish, ids, vectors, hashes, model="m")
        index = SimilarityIndex(store)
        values["load_s"] = seconds(len, index)
        asked = np.random.default_rng(2).choice(count, 50, replace=False)
        values["projection_s"] = sum(seconds(index.similar, f"mp-{number}", K) for number in range(4))
        by_id = [seconds(index.similar, f"mp-{number}", K) for number in asked]
        half = set(ids[::2])
        filtered = [seconds(index.similar, f"mp-{number}", K, allowed_ids=half) for number in asked[:10]]
        change = {"mp-5": (vectors[7], bytes(16))}
        values["change_s"] = statistics.median(seconds(store.apply, change) for _ in range(5))
        values["change_bytes"] = sum(path.stat().st_size for path in max(store.root.glob("g*")).iterdir())
        whole = faiss.IndexFlatL2(DIMENSION)
        whole.add(vectors)
        path = str(Path(folder) / "whole")
        values["rewrite_s"] = statistics.median(seconds(faiss.write_index, whole, path) for _ in range(3))
        values["rewrite_bytes"] = Path(path).stat().st_size
    others = peers(vectors, vectors[asked])
    worst = FaissFlat(DIMENSION)
    isotropic = make_vectors(count)
    worst.add(ids, isotropic)
    for number in range(4):
        worst.search(isotropic[number], K)
    hard = [seconds(worst.search, isotropic[number], K) for number in asked]
    values["similar_s"], values["similar_half_allowed_s"], values["peers_s"] = by_id, filtered, others
    values["similar_worst_s"] = hard
    ratio = statistics.median(others[FAISS_ALONE]) / statistics.median(by_id)
    values["stored"] = {name: stored(name) for name in ("composition", "structure", "learned") if arguments.store}
    rows_of_store = [
        (
            f"stored index {name}: {each['rows']:,} x {each['dimension']}, {each['kept']} kept",
            milliseconds(each["ours_s"]),
            f"FAISS alone {milliseconds(each['faiss_s'])}",
        )
        for name, each in values["stored"].items()
    ]
    report(
        "similarity",
        [
            (f"embed {count} compositions", f"{values['embed_s']:.2f} s", "under 6 s, one core"),
            ("publish from scratch", f"{values['publish_s']:.2f} s", "a few seconds"),
            ("load, checksums and FAISS included", f"{values['load_s']:.2f} s", "under 2 s"),
            ("apply one changed vector", f"{values['change_s']:.3f} s, {values['change_bytes']} bytes", "under 0.5 s"),
            (
                "  peer: faiss.write_index (not atomic)",
                f"{values['rewrite_s']:.3f} s, {values['rewrite_bytes']} bytes",
                "",
            ),
            ("first four questions (a projection is made)", f"{values['projection_s']:.2f} s", ""),
            (f"similar, exact, k={K}, warm", milliseconds(by_id), f"under 20 ms; {ratio:.1f} times FAISS alone"),
            ("  among an allowed half", milliseconds(filtered), ""),
            ("  vectors that differ in all directions alike", milliseconds(hard), ""),
            *((f"  peer: {name}", milliseconds(times), "") for name, times in others.items()),
            *rows_of_store,
        ],
        values,
    )


if __name__ == "__main__":
    main()
