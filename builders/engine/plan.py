"""The plan: which documents are missing, stale and why, failed, orphaned or fresh. Reads, and touches nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from store.provenance import join_hashes, read_recipe, split_hashes, write_recipe

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Mapping, Sequence

    from builders.engine.inputs import Input, StampRow, StampTables

TRANSIENT = frozenset({"WorkerDied", "TimeLimit", "MemoryLimit", "MemoryError"})
"""Failures that may be the machine's fault and not the item's: tried again by later builds, three times in all."""

TRANSIENT_ATTEMPTS = 3


class FailureRow(NamedTuple):
    """What ``build_state`` holds of one failed item, as far as a plan needs it."""

    version: int
    params: str
    inputs: str
    error_type: str
    attempts: int


@dataclass
class Plan:
    """What a build of one collection would do.

    Attributes
    ----------
    missing : list of str
        Keys that have inputs and no document.
    stale : dict of str to list of str
        Keys by cause: ``version``, ``parameters``, or ``input <role>``.
    failed : list of str
        Keys that failed with this very stamp and are left alone.
    orphans : list of str
        Keys that have a document and no inputs any more.
    fresh : int
        Documents up to date.
    inputs : dict of str to str
        Joined input hashes of every key to be built.
    known_failures : set of str
        Keys with an entry in ``build_state``.
    targets : int
        Documents in the collection now.
    expected : int
        Keys that have inputs.
    restricted : bool
        Only a part of the keys was looked at: orphans are not known then.
    all_keys : collection of str
        Every key that has inputs.
    """

    missing: list[str] = field(default_factory=list)
    stale: dict[str, list[str]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    fresh: int = 0
    inputs: dict[str, str] = field(default_factory=dict)
    known_failures: set[str] = field(default_factory=set)
    targets: int = 0
    expected: int = 0
    restricted: bool = False
    all_keys: Collection[str] = ()

    @property
    def todo(self) -> list[str]:
        """Keys to build, in order."""
        return list(self.inputs)


def join_inputs(roles: Sequence[Input], tables: StampTables) -> dict[str, str]:
    """Join, for each key that can be built, the hashes of all its inputs.

    The keys are those of the first input; a key without one of the other required inputs cannot be built yet.
    """
    columns: list[tuple[Input, Mapping[str, str]]] = [(role, role.hashes(tables)) for role in roles]
    first, hashes = columns[0]
    if len(columns) == 1:
        name = first.role + "="
        return {key: name + value for key, value in hashes.items()}
    needed = [column for role, column in columns if role.required]
    joined = {}
    for key in hashes:
        if all(key in column for column in needed):
            joined[key] = join_hashes({role.role: column.get(key) for role, column in columns})
    return joined


def _cause(recipe: str, version: int, params: str, inputs: str) -> str:
    """Say why a document whose recipe differs is stale."""
    if not recipe:
        return "version"
    old_version, old_params, old_inputs = read_recipe(recipe)
    if old_version != version:
        return "version"
    if old_params != params:
        return "parameters"
    before, now = split_hashes(old_inputs), split_hashes(inputs)
    changed = [role for role in now if now[role] != before.get(role)]
    return "input " + "+".join(changed or sorted(set(before) - set(now)))


def _left_alone(failure: FailureRow | None, version: int, params: str, inputs: str) -> bool:
    if failure is None or (failure.version, failure.params, failure.inputs) != (version, params, inputs):
        return False
    return failure.error_type not in TRANSIENT or failure.attempts >= TRANSIENT_ATTEMPTS


def make_plan(
    expected: Mapping[str, str],
    targets: Mapping[str, StampRow],
    failures: Mapping[str, FailureRow],
    *,
    version: int,
    params: str,
    only: Container[str] | None = None,
    retry_failed: bool = False,
) -> Plan:
    """Compare what should be with what is.

    Parameters
    ----------
    expected : mapping
        Key to joined input hashes (:func:`join_inputs`).
    targets : mapping
        Key to what the target collection holds.
    failures : mapping
        Key to what ``build_state`` holds.
    version, params
        Of the builder now.
    only : container of str, optional
        Look at these keys alone.
    retry_failed : bool
        Try failed items again although nothing changed.

    Examples
    --------
    >>> from builders.engine.inputs import StampRow
    >>> plan = make_plan({"a": "sources=1", "b": "sources=2"}, {"b": StampRow("h", "1|p|sources=1")}, {},
    ...                  version=1, params="p")
    >>> plan.missing, plan.stale
    (['a'], {'input sources': ['b']})
    """
    plan = Plan(
        known_failures=set(failures),
        targets=len(targets),
        expected=len(expected),
        restricted=only is not None,
        all_keys=expected.keys(),
    )
    head = write_recipe(version, params, "")
    for key, inputs in expected.items():
        if only is not None and key not in only:
            continue
        row = targets.get(key)
        if row is not None and row.recipe == head + inputs:
            plan.fresh += 1
            continue
        cause = "missing" if row is None else _cause(row.recipe, version, params, inputs)
        if not retry_failed and _left_alone(failures.get(key), version, params, inputs):
            plan.failed.append(key)
        else:
            plan.inputs[key] = inputs
            if cause == "missing":
                plan.missing.append(key)
            else:
                plan.stale.setdefault(cause, []).append(key)
    if only is None:
        plan.orphans = [key for key in targets if key not in expected]
    return plan


def read_failures(state: Any, builder: str) -> dict[str, FailureRow]:
    """Read the failures of one builder from ``build_state``."""
    projection = {"key": 1, "version": 1, "params": 1, "inputs": 1, "error.type": 1, "attempts": 1}
    return {
        row["key"]: FailureRow(row["version"], row["params"], row["inputs"], row["error"]["type"], row["attempts"])
        for row in state.find({"builder": builder}, projection)
    }
