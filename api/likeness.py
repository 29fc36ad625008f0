"""Similarity: what is like a material or a formula."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.results import IndexStatus, QueryResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.service import Service


def similar(
    service: Service,
    id_or_formula: str,
    k: int,
    *,
    by: str,
    filter_text: str | None,
    fields: Sequence[str] | str | None,
) -> QueryResult:
    raise NotImplementedError


def index_status(service: Service) -> IndexStatus:
    return IndexStatus("composition", 0, None, "missing")
