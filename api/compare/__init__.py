"""Models compared on measured conductivities: the automatic step of a study, as one table.

from api.compare import compare_conductivity

table = compare_conductivity("conductivity.jsonl.gz", features=[("composition", "topology")])
table.lines, table.headline()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from api.compare.processes import Progress
    from api.compare.report import Comparison
    from api.service import Service

DEFAULT_FEATURES = ("composition", "topology", "channels", "lattice")


def compare_conductivity(
    source: str | Path | None = None,
    *,
    features: Sequence[Sequence[str]] = (DEFAULT_FEATURES,),
    models: Sequence[str] | None = None,
    bounds: str = "keep",
    seed: int = 0,
    quick: bool = False,
    structures_only: bool = False,
    workers: int | None = None,
    service: Callable[[], Service] | None = None,
    progress: Progress | None = None,
    begun: Callable[[Comparison], None] | None = None,
) -> Comparison:
    """Compare models of the ionic conductivity at room temperature.

    Parameters
    ----------
    source : str or pathlib.Path, optional
        A file of conductivities in the layout of ``conductivity.jsonl.gz``; by default the store's ``conductivities``.
    features : sequence of sequences of str
        Sets of features (:data:`api.compare.features.SETS`); each combination is compared.
    models : sequence of str, optional
        Names of :func:`builders.learning.contenders.contenders`, and ``flaml``; by default all but FLAML.
    bounds : str
        What stands for a conductivity of which only an upper bound is known: ``keep`` (the bound), ``drop``, or ``benchmark``
        (1e-15 S/cm, as the OBELiX benchmark does).
    seed : int
        The same rows and seed give the same table.
    quick : bool
        Three folds instead of five, and fewer settings.
    structures_only : bool
        Only rows with a structure.
    workers : int, optional
        Processes; one a core by default.
    service : callable, optional
        Opens the store.
    progress : callable, optional
        Called with what is done, how much of it, and of how much.
    begun : callable, optional
        Called with the answer while it is still empty; it grows line by line, so that an interruption loses nothing.

    Returns
    -------
    Comparison

    Raises
    ------
    UsageError
        No such file, no conductivities in it, an unknown model or set of features.
    MissingExtra
        FLAML is wanted and not installed.

    Examples
    --------
    >>> compare_conductivity("conductivity.jsonl.gz", quick=True).lines[0].name   # doctest: +SKIP
    'lightgbm'
    """
    from api.compare.features import check_sets, matrix
    from api.compare.processes import run
    from api.compare.report import Comparison, Part
    from api.compare.rows import gather
    from builders.learning.comparison import FULL, QUICK, Task
    from builders.learning.contenders import contender, contenders

    combinations = [check_sets(each) for each in features]
    names = list(dict.fromkeys(models or contenders()))
    for name in names:
        contender(name)  # a name nobody knows is told before minutes of work
    rows = gather(source, bounds, structures_only=structures_only, service=service)
    effort = QUICK if quick else FULL
    comparison = Comparison(rows, seed, quick, effort, bounds)
    if begun is not None:
        begun(comparison)
    for sets in combinations:
        values = matrix(rows.records, sets, progress)
        task = Task.of(values, rows.target, rows.groups)
        part = Part(sets, task.features.shape[1])
        comparison.parts.append(part)
        run(names, task, effort, seed, part.lines.append, workers, progress, "+".join(sets))
    return comparison


__all__ = ["DEFAULT_FEATURES", "compare_conductivity"]
