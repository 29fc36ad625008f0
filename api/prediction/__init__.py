"""Crystal structures predicted for a composition, from templates: those of the store, and those you bring.

from ionatlas import predict_structure

found = predict_structure("LiNiPO4", top=5)
found.candidates[0].probability, found.candidates[0].space_group_symbol, found.structure(1)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.prediction.report import StructurePrediction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from api.service import Service
    from builders.templates.query import Query
    from indexes.templates.library import TemplateLibrary
    from store.crystal import Crystal


def predict_structure(
    formula: str | Mapping[str, float],
    top: int = 10,
    *,
    exclude_formula: bool = False,
    space_group: int | None = None,
    templates: Sequence[str | Path] | Mapping[str, Crystal] | TemplateLibrary = (),
    only_templates: bool = False,
    energies: bool = False,
    relax: bool = False,
    service: Callable[[], Service] | None = None,
) -> StructurePrediction:
    """Predict which crystal structures a composition may take.

    Parameters
    ----------
    formula : str or mapping
        Such as ``"LiNiPO4"`` or ``{"Li": 1, "Ni": 1, "P": 1, "O": 4}``; the number of formula units in the cell is found.
    top : int
        Most candidates, 1 to 100.
    exclude_formula : bool
        Do not use structures of this very formula: what would be predicted if it were unknown.
    space_group : int, optional
        Only candidates of this space group.
    templates : sequence of path, mapping of str to Crystal, or TemplateLibrary, optional
        Structures that take part beside those of the store, at once; a whole library replaces the store's.
    only_templates : bool
        Use these alone; no store is needed.
    energies : bool
        Order by the energies of an interatomic potential too (extra ``potential``).
    relax : bool
        Relax the candidates briefly by that potential; implies ``energies``.
    service : callable, optional
        Opens the store (:class:`api.service.Service`); by default the one that the settings name.

    Returns
    -------
    StructurePrediction

    Raises
    ------
    UsageError
        The formula cannot be read; no template file can be.
    SnapshotMissing
        The template library of the store is not built.
    MissingExtra
        Energies need the extra ``potential``.

    Examples
    --------
    >>> found = predict_structure("LiNiPO4", exclude_formula=True)                # doctest: +SKIP
    >>> found.candidates[0].space_group_symbol, found.candidates[0].mapping["Ni"]  # doctest: +SKIP
    ('Pnma', 'Fe')
    """
    answers = predict_structures(
        [formula],
        top,
        exclude_formula=exclude_formula,
        space_group=space_group,
        templates=templates,
        only_templates=only_templates,
        energies=energies,
        relax=relax,
        service=service,
    )
    return next(answers)


def predict_structures(
    formulas: Iterable[str | Mapping[str, float] | Query],
    top: int = 10,
    *,
    exclude_formula: bool = False,
    space_group: int | None = None,
    templates: Sequence[str | Path] | Mapping[str, Crystal] | TemplateLibrary = (),
    only_templates: bool = False,
    energies: bool = False,
    relax: bool = False,
    service: Callable[[], Service] | None = None,
) -> Iterator[StructurePrediction]:
    """Predict the structures of many compositions, one after the other; arguments as in :func:`predict_structure`.

    Yields
    ------
    StructurePrediction
        In the order of ``formulas``.

    Raises
    ------
    UsageError, SnapshotMissing, MissingExtra
        As :func:`predict_structure`; a formula that cannot be read ends the iteration.
    """
    from api.prediction.energies import Energies
    from api.prediction.library import gather
    from indexes.templates.predict import predict

    gathered = gather(templates, only_templates, service)
    asked = Energies(relax) if energies or relax else None
    for formula in formulas:
        found = predict(
            gathered.library,
            formula,
            top,
            exclude_own=exclude_formula,
            space_group=space_group,
            energies=None if asked is None else asked.of,
        )
        yield StructurePrediction.of(found if asked is None else asked.finished(found), gathered.notes)


__all__ = ["StructurePrediction", "predict_structure", "predict_structures"]
