"""The base of every builder: maggma's four verbs with staleness decided by content.

A builder names its inputs and computes one document from them; everything else (what is stale, in which process the work
is done, how it is written, what a failure leaves behind) is here and in the modules beside it. It runs under ``ionatlas
build`` and under maggma's ``mrun``.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from maggma.core import Builder

from builders.engine.inputs import StampTables
from builders.engine.plan import Plan, join_inputs, make_plan, read_failures
from builders.engine.targets import Target, make_target
from builders.engine.work import BuilderSpec, Outcome, WorkItem, environment_packages, process
from store.errors import ItemsFailed
from store.provenance import content_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence

    from pymongo.database import Database

    from builders.engine.inputs import Input

_TOOLS: dict[tuple[type, str], Any] = {}


class IncrementalBuilder(Builder):
    """Build one collection from others, incrementally.

    Subclasses set the class attributes, give :meth:`inputs` and :meth:`compute` (or :meth:`compute_many`), and raise
    ``VERSION`` by hand when their results change.

    Attributes
    ----------
    NAME : str
        Name in stamps, commands and messages.
    VERSION : int
        Part of every stamp: a change makes all documents of this builder stale.
    COLLECTION : str
        The target collection.
    PREFIX : str
        Prefix of this builder's keys where several builders share a collection.
    PACKAGES : tuple of str
        Packages whose versions are recorded (not compared).
    PUBLISH : {"in_place", "generation"}
        Whether documents change one by one or the collection is switched as a whole.
    ITEM_SECONDS : float
        Time limit of one item, s; then its process is killed and the failure recorded.
    BATCH : int
        Items computed together.

    Parameters
    ----------
    uri, database : str, optional
        Where the collections are; by default the settings (:mod:`store.settings`) say.
    params : dict, optional
        Values of ``Params``; part of every stamp.
    keys : list of str, optional
        Only these target keys (maggma's distributed mode hands them out).
    selection : dict, optional
        Values of ``Selection``; no part of any stamp.
    chunk_size : int
        Documents a write under ``mrun``.

    Examples
    --------
    See :class:`builders.engine.testing.Doubler`, the smallest builder there is.
    """

    NAME: ClassVar[str]
    VERSION: ClassVar[int]
    COLLECTION: ClassVar[str]
    PREFIX: ClassVar[str] = ""
    PACKAGES: ClassVar[tuple[str, ...]] = ()
    PUBLISH: ClassVar[Literal["in_place", "generation"]] = "in_place"
    ITEM_SECONDS: ClassVar[float] = 60.0
    BATCH: ClassVar[int] = 1

    @dataclass(frozen=True)
    class Params:
        """Parameters; every one is part of the stamp."""

    @dataclass(frozen=True)
    class Selection:
        """Which of the documents that could be made are wanted: no part of the stamp, so another choice makes none stale."""

    def __init__(
        self,
        uri: str | None = None,
        database: str | None = None,
        params: dict[str, Any] | None = None,
        keys: list[str] | None = None,
        chunk_size: int = 500,
        selection: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(sources=[], targets=[], chunk_size=chunk_size)
        self.uri = uri
        self.database = database
        self.params = dict(params or {})
        self.keys = keys
        self.selection = dict(selection or {})
        self.wanted = self.Selection(**self.selection)
        self.settings = self.Params(**self.params)
        self.params_hash = content_hash(asdict(self.settings))
        self._target: Target | None = None
        self._plan: Plan | None = None
        self._failed = 0

    # ------------------------------------------------------------------------------------------- what subclasses say

    @classmethod
    @abstractmethod
    def inputs(cls) -> tuple[Input, ...]:
        """Name the inputs; the first gives the keys."""

    def roles(self) -> tuple[Input, ...]:
        """Return the inputs as this builder's selection asks for them; builders with a ``Selection`` override this."""
        return self.inputs()

    def remarks(self, plan: Plan) -> list[str]:
        """Say what a plan's numbers leave open, such as what a selection leaves out or how long a first build takes."""
        return []

    def compute(self, key: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Make one document from its decoded inputs. Pure: no database, no files, no clock.

        Parameters
        ----------
        key : str
            The target's key.
        inputs : dict
            Document, list of documents (of a group) or None by role.

        Returns
        -------
        dict
            The document without ``_id``, ``hash`` and ``stamp``.

        Raises
        ------
        Exception
            Anything: recorded as this item's failure.
        """
        raise NotImplementedError(f"{type(self).__name__} gives neither compute nor compute_many")

    def compute_many(self, keys: Sequence[str], inputs: Sequence[dict[str, Any]]) -> list[dict[str, Any] | Exception]:
        """Make several documents; builders whose kernel is vectorised override this."""
        results: list[dict[str, Any] | Exception] = []
        for key, each in zip(keys, inputs, strict=True):
            try:
                results.append(self.compute(key, each))
            except Exception as error:
                results.append(error)
        return results

    def setup(self) -> Any:
        """Load what is loaded once a process (models, tables); :meth:`tools` gives it to ``compute``."""
        return None

    # --------------------------------------------------------------------------------------------------- for workers

    def tools(self) -> Any:
        """Return what :meth:`setup` loaded, once a process however often the builder itself is unpickled."""
        name = (type(self), self.params_hash)
        if name not in _TOOLS:
            _TOOLS[name] = self.setup()
        return _TOOLS[name]

    def packages(self) -> dict[str, str]:
        """Versions of the packages that do the work."""
        return environment_packages(self.PACKAGES)

    def spec(self) -> BuilderSpec:
        """Describe this builder for a worker."""
        return BuilderSpec(type(self), tuple(sorted(self.params.items())))

    # ------------------------------------------------------------------------------------------------------ planning

    def bind(self, database: Database[Any], call: Callable[[Callable[[], Any]], Any] | None = None) -> Target:
        """Work on a database; ``call`` repeats operations after a lost connection."""
        self._failed = 0
        self._target = make_target(self, database, call or (lambda operation: operation()))
        return self._target

    def plan(
        self,
        tables: StampTables,
        *,
        only: Container[str] | None = None,
        retry_failed: bool = False,
    ) -> Plan:
        """Find out what a build would do; touches nothing."""
        target = self.target
        name = target.readable()
        rows = tables.derived(name, prefix=self.PREFIX) if name else {}
        self._plan = make_plan(
            join_inputs(self.roles(), tables),
            rows,
            target.call(lambda: read_failures(target.database["build_state"], self.NAME)),
            version=self.VERSION,
            params=self.params_hash,
            only=self.keys if only is None else only,
            retry_failed=retry_failed,
        )
        return self._plan

    @property
    def target(self) -> Target:
        """The target that :meth:`bind` opened."""
        if self._target is None:
            raise RuntimeError(f"{type(self).__name__} was not bound to a database")
        return self._target

    def fetch(self, keys: Sequence[str], joined: dict[str, str]) -> list[WorkItem]:
        """Read the inputs of some keys, one query a role. A key whose document vanished meanwhile is left out."""
        target = self.target
        roles = self.roles()
        columns = {role.role: target.call(partial(role.fetch, target.database, keys)) for role in roles}
        first = columns[roles[0].role]
        return [
            WorkItem(key, joined[key], {name: column.get(key) for name, column in columns.items()})
            for key in keys
            if first.get(key) is not None
        ]

    # ------------------------------------------------------------------------------------------------- maggma's verbs

    def connect(self) -> None:
        """Open the database and the maggma stores (``mrun`` calls this)."""
        from maggma.stores import MongoStore

        from store.connection import connect, retry_on_disconnect
        from store.schema import migrate
        from store.server import ensure_server
        from store.settings import load_settings

        given = {"mongodb_uri": self.uri, "database": self.database}
        settings = load_settings().model_copy(update={name: value for name, value in given.items() if value})
        database = connect(settings)
        migrate(database)
        uri = settings.mongodb_uri or ensure_server(settings).uri

        def store(name: str) -> MongoStore:
            return MongoStore.from_uri(uri, name, database=database.name, key="_id")

        self.sources = [store(role.collection) for role in self.inputs()]
        self.targets = [store(self.COLLECTION)]
        super().connect()
        self.bind(database, lambda operation: retry_on_disconnect(lambda _: operation(), settings))

    def get_items(self) -> Iterator[WorkItem]:
        """Yield what is missing or stale."""
        target = self.target
        plan = self.plan(StampTables(target.database, target.call))
        target.begin(plan)
        self.total = len(plan.inputs)
        todo = plan.todo
        for start in range(0, len(todo), self.chunk_size):
            yield from self.fetch(todo[start : start + self.chunk_size], plan.inputs)

    def process_item(self, item: WorkItem) -> Outcome:
        """Compute one item; a failure is part of the outcome, so no runner can lose it."""
        return process(self, [item])[0]

    def update_targets(self, items: list[Outcome]) -> None:
        """Write documents and failures, acknowledged by the majority and the journal."""
        self._failed += len(self.target.write(items))

    def finalize(self) -> None:
        """Remove orphans (guarded), publish, close.

        Raises
        ------
        ItemsFailed
            Some items failed: under ``mrun`` too the run must not look well then.
        """
        target = self.target
        if self._plan is not None:
            if not self._plan.restricted:
                target.remove_orphans(self._plan, share=0.2, insist=False)
            target.publish(self._plan)
        self.disconnect()
        if self._failed:
            raise ItemsFailed(
                f"{self._failed} items of {self.NAME} failed; each is recorded in build_state with its reason.",
                mend="ionatlas status",
            )

    def disconnect(self) -> None:
        """Close the maggma stores with their clients (those that :meth:`connect` opened)."""
        for store in [*self.sources, *self.targets]:
            if getattr(store, "_coll", None) is not None:
                store.close()

    def prechunk(self, number_splits: int) -> Iterable[dict[str, list[str]]]:
        """Divide the work for maggma's distributed mode: each part holds its own keys."""
        if self._target is None:
            self.connect()
        plan = self.plan(StampTables(self.target.database, self.target.call))
        todo = plan.todo
        size = max(1, -(-len(todo) // number_splits))
        return [{"keys": todo[start : start + size]} for start in range(0, len(todo), size)]
