"""``ionatlas build``: bring everything derived up to date, or say what that would do."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.output import message, print_table, to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.builds import PlanSummary
    from builders.engine.run import RunSummary


def build(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAMES]...", help="What to build; all by default.")
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes; one a core by default.", min=1)] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say what would be built and why; touch nothing.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try items again that failed.")] = False,
    limit: Annotated[int | None, typer.Option("--limit", help="Build at most so many documents each.", min=1)] = None,
    query: Annotated[
        str | None, typer.Option("--query", help="Only what depends on the structures that match this filter.")
    ] = None,
    ions: Annotated[
        list[str] | None, typer.Option("--ion", metavar="ION", help="Only what belongs to this ion; may be repeated.")
    ] = None,
    insert: Annotated[
        list[str] | None,
        typer.Option(
            "--insert", metavar="ION", help="Channels of this ion in what --query names, as hosts that hold none of it."
        ),
    ] = None,
    allow_orphans: Annotated[
        bool, typer.Option("--allow-orphans", help="Remove documents without a source, however many they are.")
    ] = False,
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for another build to end.", min=0)] = 0.0,
    cluster: Annotated[
        str | None, typer.Option("--cluster", help="Work on a dask scheduler: its address, or local:N.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Build what is missing or stale, in the order of dependence.

    \b
    ionatlas build --explain
    ionatlas build
    ionatlas build structures --workers 8
    ionatlas build channels --ion Li --ion Na
    ionatlas build channels --insert Li --query 'formula = "FePO4"'
    """  # noqa: D301  (\\b keeps the lines of the examples)
    from api.work import build_options
    from store.connection import connect
    from store.errors import UsageError
    from store.settings import load_settings

    settings = load_settings()
    database = connect(settings)
    materials = None
    if query is not None:
        from api.builds import matching_materials

        materials = matching_materials(database, query)
        message(f"{len(materials):,} structures match")
    chosen = build_options(
        settings,
        workers=workers,
        cluster=cluster,
        retry_failed=retry_failed,
        allow_orphans=allow_orphans,
        limit=limit,
        wait=wait,
        ions=ions,
        insert=insert,
        materials=materials,
    )
    by_ion = {"channels", "predictions", "topology", "conductivity_predictions"}
    if (ions or insert) and names and not by_ion & set(names):
        raise UsageError(
            f"--ion and --insert choose among channels, predictions and topology, and only {', '.join(names)} would be built.",
            mend="ionatlas build channels --ion Li",
        )
    if explain:
        from api.builds import explain_builds

        plans = explain_builds(database, settings, names or None, chosen)
        _print_plans(plans, as_json)
        return
    from api.builds import raise_for, run_builds
    from api.cli.progress import BuildProgress

    with BuildProgress() as progress:
        summaries = run_builds(database, settings, names or None, chosen, progress)
    _print_summaries(summaries, as_json)
    raise_for(summaries)


def _print_plans(plans: Sequence[PlanSummary], as_json: bool) -> None:
    if as_json:
        typer.echo(to_json([asdict(plan) for plan in plans], indent=True))
        return
    names = ("missing", "stale", "pending", "failed", "orphaned", "fresh")
    headings = [("builder", False), ("documents", True), *((name, True) for name in names), ("why stale", False)]
    rows = []
    for plan in plans:
        stale = sum(plan.stale.values())
        numbers = (plan.total, plan.missing, stale, plan.pending, plan.failed, plan.orphaned, plan.fresh)
        causes = ", ".join(f"{cause}: {count:,}" for cause, count in plan.stale.items())
        rows.append((plan.name, *(f"{number:,}" for number in numbers), causes))
    print_table(headings, rows)
    for plan in plans:
        for remark in plan.remarks:
            message(remark)
    todo = sum(plan.missing + sum(plan.stale.values()) + plan.pending for plan in plans)
    if any(plan.pending for plan in plans):
        message("pending: fresh as yet, and rebuilt if what it is made from comes out different")
    if not todo and not any(plan.total or plan.failed for plan in plans):
        message("There is nothing to build from yet. To fill the store: ionatlas ingest FILE")
    elif not todo and not any(plan.orphaned for plan in plans):
        message("Everything is up to date.")


def _print_summaries(summaries: Sequence[RunSummary], as_json: bool) -> None:
    if as_json:
        typer.echo(to_json([asdict(summary) for summary in summaries], indent=True))
        return
    headings = [(name, name != "builder") for name in ("builder", "built", "unchanged", "failed", "removed", "seconds")]
    rows = []
    for each in summaries:
        numbers = (each.built, each.unchanged, each.failed, each.removed)
        rows.append((each.name, *(f"{number:,}" for number in numbers), f"{each.seconds:.1f}"))
    print_table(headings, rows)
    for each in summaries:
        for reason, count in list(each.reasons.items())[:5]:
            message(f"{each.name}: {count:,} × {reason}")
        if each.known_failures:
            message(f"{each.name}: {each.known_failures:,} failed before and are left alone (--retry-failed)")
