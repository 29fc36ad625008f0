"""Targets: how finished documents reach their collection.

``InPlace`` replaces documents one by one. ``Generation`` fills a collection aside and switches a view in one step; a
handful of changes goes into the present generation in one transaction instead, which is as atomic and far cheaper.
A failed item never touches the last good document: its failure goes to ``build_state``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from bson.raw_bson import RawBSONDocument
from pymongo import DeleteMany, InsertOne, ReplaceOne, UpdateOne, WriteConcern
from pymongo.errors import BulkWriteError

from store import generations
from store.errors import BuildError, OrphanGuard
from store.provenance import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pymongo.database import Database

    from builders.engine.builder import IncrementalBuilder
    from builders.engine.plan import Plan
    from builders.engine.work import Outcome

DURABLE = WriteConcern(w="majority", j=True)
TRANSACTION_LIMIT = 400
"""Up to so many changed documents of a generation are applied in one transaction."""

_DUPLICATE_KEY = 11000
_INVALID_DOCUMENT = 121


class Target:
    """Write to a collection in place.

    Parameters
    ----------
    builder : IncrementalBuilder
    database : pymongo.database.Database
    call : callable
        Runs a database operation and repeats it after a lost connection.
    """

    def __init__(
        self, builder: IncrementalBuilder, database: Database[Any], call: Callable[[Callable[[], Any]], Any]
    ) -> None:
        self.builder = builder
        self.database = database
        self.call = call
        self._missing: set[str] = set()
        self._known_failures: set[str] = set()

    # ------------------------------------------------------------------------------------------------- what differs

    def readable(self) -> str | None:
        """Name of the collection against which to plan; None if there is none yet."""
        return self.builder.COLLECTION

    def writable(self) -> str:
        """Name of the collection to write into."""
        return self.builder.COLLECTION

    def publish(self, plan: Plan) -> None:
        """Make what was written visible (in place: it already is)."""

    def write_documents(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Write documents; return those that the database refused, as failures."""
        return self._bulk(self.writable(), outcomes)

    def delete(self, keys: Sequence[str]) -> None:
        """Remove documents."""
        name = self.writable()
        for start in range(0, len(keys), 1000):
            part = list(keys[start : start + 1000])
            self.call(partial(self._collection(name).delete_many, {"_id": {"$in": part}}))

    # ---------------------------------------------------------------------------------------------- what is the same

    def begin(self, plan: Plan) -> None:
        """Get ready to write what a plan names."""
        self._missing = set(plan.missing)
        self._known_failures = set(plan.known_failures)

    def write(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Write finished items, documents and failures; return the failures, those of the database's schema included.

        Documents come first and are acknowledged before a failure entry is cleared or set: a crash in between leaves at
        most an entry too many, which the next build clears.
        """
        done = [outcome for outcome in outcomes if outcome.document is not None]
        failed = [outcome for outcome in outcomes if outcome.document is None]
        if done:
            self._revise()
            failed += self.write_documents(done)
            self._revise()
        self._record(failed, {outcome.key for outcome in done} - {outcome.key for outcome in failed})
        return failed

    def remove_orphans(self, plan: Plan, *, share: float, insist: bool) -> int:
        """Remove documents whose inputs are gone; refuse when that looks like an accident.

        Raises
        ------
        OrphanGuard
            The source is empty, or more than ``share`` of the collection would go.
        """
        self._forget_failures(plan)
        if not plan.orphans:
            return 0
        name, count, total = self.builder.NAME, len(plan.orphans), plan.targets
        mend = f"if that is meant: ionatlas build {name} --allow-orphans"
        if not insist and plan.expected == 0:
            raise OrphanGuard(
                f"All {total} documents of {name} have lost their source, because the source is empty. Nothing was removed.",
                mend=mend,
            )
        if not insist and count > share * total:
            raise OrphanGuard(
                f"{count} of {total} documents of {name} have lost their source; more than {share:.0%} are not removed "
                "without being told. Nothing was removed.",
                mend=mend,
            )
        self._revise()
        self.delete(plan.orphans)
        self._revise()
        return count

    def _collection(self, name: str) -> Any:
        return self.database[name].with_options(write_concern=DURABLE)

    def _revise(self) -> None:
        """Count up the collection's revision, before and after a write: an index that saw the number saw the write."""
        name = f"revision/{self.builder.COLLECTION}"
        self.call(lambda: self.database["meta"].update_one({"_id": name}, {"$inc": {"n": 1}}, upsert=True))

    def _bulk(self, name: str, outcomes: Sequence[Outcome]) -> list[Outcome]:
        pending = list(outcomes)
        refused: list[Outcome] = []
        insert = True
        while pending:
            operations = [self._operation(outcome, insert=insert) for outcome in pending]
            try:
                self.call(partial(self._collection(name).bulk_write, operations, ordered=False))
                break
            except BulkWriteError as error:
                pending, newly = sort_out(error, pending)
                refused += newly
                insert = False  # what was there already (an earlier attempt, another build) is replaced
        return refused

    def _operation(self, outcome: Outcome, *, insert: bool) -> InsertOne[Any] | ReplaceOne[Any]:
        assert outcome.document is not None
        document: Any = RawBSONDocument(outcome.document)
        if insert and outcome.key in self._missing:
            return InsertOne(document)
        return ReplaceOne({"_id": outcome.key}, document, upsert=True)

    def _state_id(self, key: str) -> str:
        return f"{self.builder.NAME}/{key}"

    def _record(self, failed: Sequence[Outcome], succeeded: set[str]) -> None:
        operations: list[Any] = [self._failure(outcome) for outcome in failed]
        cleared = [self._state_id(key) for key in succeeded & self._known_failures]
        if cleared:
            operations.append(DeleteMany({"_id": {"$in": cleared}}))
        if operations:
            self.call(lambda: self._collection("build_state").bulk_write(operations, ordered=False))
        self._known_failures |= {outcome.key for outcome in failed}

    def _failure(self, outcome: Outcome) -> UpdateOne:
        now = utc_now()
        entry = {
            "builder": self.builder.NAME,
            "key": outcome.key,
            "status": "failed",
            "error": outcome.error,
            "version": self.builder.VERSION,
            "params": self.builder.params_hash,
            "inputs": outcome.joined,
            "seconds": float(outcome.seconds),
            "last_at": now,
        }
        return UpdateOne(
            {"_id": self._state_id(outcome.key)},
            {"$set": entry, "$inc": {"attempts": 1}, "$setOnInsert": {"first_at": now}},
            upsert=True,
        )

    def _forget_failures(self, plan: Plan) -> None:
        """Drop failure entries of keys that exist no more; a guarded empty source keeps them."""
        if plan.restricted or plan.expected == 0 or not plan.known_failures:
            return
        gone = [self._state_id(key) for key in plan.known_failures if key not in plan.all_keys]
        if gone:
            self.call(lambda: self._collection("build_state").delete_many({"_id": {"$in": gone}}))


class Generation(Target):
    """Write to a generation and switch."""

    def __init__(
        self, builder: IncrementalBuilder, database: Database[Any], call: Callable[[Callable[[], Any]], Any]
    ) -> None:
        super().__init__(builder, database, call)
        self._staging: str | None = None
        self._held: dict[str, Outcome] = {}
        self._removed: list[str] = []

    def readable(self) -> str | None:
        """Plan against the staging that an interrupted build left, or against the present generation."""
        name = self.builder.COLLECTION
        staged: str | None = self.call(lambda: generations.staged_generation(self.database, name))
        return staged or self.call(lambda: generations.current_generation(self.database, name))

    def writable(self) -> str:
        """Write into the staging."""
        assert self._staging is not None
        return self._staging

    def begin(self, plan: Plan) -> None:
        """Open a staging, unless the changes are few enough for one transaction."""
        super().begin(plan)
        name = self.builder.COLLECTION
        staged = self.call(lambda: generations.staged_generation(self.database, name))
        current = self.call(lambda: generations.current_generation(self.database, name))
        changes = len(plan.inputs) + len(plan.orphans)
        few = current is not None and changes <= TRANSACTION_LIMIT and self._knows_transactions()
        if staged is None and (changes == 0 or few):
            return
        self._staging = self.call(lambda: generations.open_staging(self.database, name))

    def _knows_transactions(self) -> bool:
        """Whether the server is a replica set or a router: a standalone one has no transactions."""
        said = self.call(lambda: self.database.client.admin.command("hello"))
        return "setName" in said or said.get("msg") == "isdbgrid"

    def write_documents(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Fill the staging, or hold for the transaction."""
        if self._staging is not None:
            return super().write_documents(outcomes)
        self._held.update({outcome.key: outcome for outcome in outcomes})
        return []

    def delete(self, keys: Sequence[str]) -> None:
        """Remove from the staging, or hold for the transaction."""
        if self._staging is not None:
            super().delete(keys)
        else:
            self._removed += keys

    def publish(self, plan: Plan) -> None:
        """Validate and switch, or commit the transaction."""
        if self._staging is None:
            self._commit()
            return
        staging = self._staging
        self._validate(plan, staging)
        self._revise()
        self.call(lambda: generations.switch(self.database, self.builder.COLLECTION, staging))
        self._revise()
        self._staging = None

    def _validate(self, plan: Plan, staging: str) -> None:
        count = self.call(lambda: self.database[staging].count_documents({}))
        least = plan.fresh
        if count < least:
            raise BuildError(
                f"The new generation of {self.builder.COLLECTION} holds {count} documents, fewer than the {least} that were "
                "up to date before. Readers keep the old one.",
                mend=f"ionatlas build {self.builder.NAME}",
            )

    def _commit(self) -> None:
        while self._held or self._removed:
            try:
                self.call(self._transaction)
            except BulkWriteError as error:
                kept = list(self._held.values())
                _, refused = sort_out(error, kept)
                if not refused:
                    raise
                for outcome in refused:
                    self._held.pop(outcome.key)
                self._record(refused, set())
                continue
            self._held = {}
            self._removed = []

    def _transaction(self) -> None:
        name = generations.current_generation(self.database, self.builder.COLLECTION)
        assert name is not None
        operations: list[Any] = [self._operation(outcome, insert=False) for outcome in self._held.values()]
        if self._removed:
            operations.append(DeleteMany({"_id": {"$in": self._removed}}))
        self._revise()
        with self.database.client.start_session() as session:
            session.with_transaction(
                lambda current: self.database[name].bulk_write(operations, session=current), write_concern=DURABLE
            )
        self._revise()


def sort_out(error: BulkWriteError, pending: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """Divide a refused bulk into what to write again (was there already) and what failed for good.

    Raises
    ------
    BulkWriteError
        The write failed for a reason that is no single document's fault.
    """
    from dataclasses import replace

    again, refused = [], []
    for problem in error.details.get("writeErrors", []):
        outcome = pending[problem["index"]] if problem["index"] < len(pending) else None
        if outcome is None or problem["code"] not in (_DUPLICATE_KEY, _INVALID_DOCUMENT):
            raise error
        if problem["code"] == _DUPLICATE_KEY and "_id_" in problem.get("errmsg", ""):
            again.append(outcome)
        else:
            rules = broken_rules(problem.get("errInfo", {}).get("details", {}))
            message = "The database refused the document: " + (
                "; ".join(rules) or problem.get("errmsg", "no reason given")
            )
            described = {"type": "SchemaError", "message": message, "traceback": ""}
            refused.append(replace(outcome, document=None, error=described))
    if not again and not refused:
        raise error
    return again, refused


def broken_rules(details: Any, place: str = "") -> list[str]:
    """Tell which fields of a refused document break which rules of the schema, from the server's own explanation.

    Examples
    --------
    >>> broken_rules({"propertyName": "density", "details": [{"operatorName": "minimum", "consideredValue": -1.0}]})
    ['density breaks minimum with -1.0']
    """
    if isinstance(details, list):
        return [rule for each in details for rule in broken_rules(each, place)]
    if not isinstance(details, dict):
        return []
    if "propertyName" in details:
        place = f"{place}.{details['propertyName']}".lstrip(".")
    for name, text in (("missingProperties", "is missing"), ("additionalProperties", "is no field")):
        if isinstance(details.get(name), list):
            return [f"{place}.{each} {text}".lstrip(".") for each in details[name]]
    if "consideredValue" in details or ("reason" in details and "operatorName" in details and place):
        value = str(details.get("consideredValue", ""))[:40]
        return [f"{place} breaks {details.get('operatorName')} with {value}"]
    inner = [
        rule
        for name in ("schemaRulesNotSatisfied", "propertiesNotSatisfied", "details")
        for rule in broken_rules(details.get(name), place)
    ]
    return list(dict.fromkeys(inner))


def make_target(
    builder: IncrementalBuilder, database: Database[Any], call: Callable[[Callable[[], Any]], Any]
) -> Target:
    """Open the target of a builder."""
    return (Generation if builder.PUBLISH == "generation" else Target)(builder, database, call)
