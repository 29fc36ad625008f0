"""What was worked out about the candidates, kept in this process until they change.

A rebuild is written aside and then becomes the present generation; a handful of changes goes into the present one. The
engine counts up a revision with every write, also with those aside. So generation, number of documents, and the revision
as long as nothing is being written aside, name a state of what readers see.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from pymongo.database import Database

    from api.service import Service

T = TypeVar("T")

_MOST: Final = 512
_WITHIN: Final = threading.local()


class Kept:
    """Answers by question, for one state of the candidates; the least lately used go first.

    Threads may share it: what several ask at once is looked for by one of them, while the others wait.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._answers: OrderedDict[Hashable, Any] = OrderedDict()
        self._state: Hashable = None
        self._lock = threading.Lock()
        self._looked_for: dict[Hashable, threading.Lock] = {}

    def answer(self, service: Service, question: Hashable, find: Callable[[], T]) -> T:
        """Return what is kept about a question, or find it and keep it."""
        # The state is read before the answer is found: a write in between makes the answer one of a state that is past.
        outer: Hashable = getattr(_WITHIN, "state", None)
        state = service.call(state_of) if outer is None else outer
        found: T | None = self._known(state, question)
        if found is not None:
            return found
        with self._lock:
            mine = self._looked_for.setdefault((state, question), threading.Lock())
        try:
            with mine:
                found = self._known(state, question)
                if found is not None:
                    return found
                _WITHIN.state = state  # what an answer is made of is of one state with it
                return self._keep(state, question, find())
        finally:
            _WITHIN.state = outer
            with self._lock:
                self._looked_for.pop((state, question), None)

    def peek(self, service: Service, question: Hashable) -> Any:
        """Return what is kept about a question; None where nothing is."""
        outer: Hashable = getattr(_WITHIN, "state", None)
        return self._known(service.call(state_of) if outer is None else outer, question)

    def _known(self, state: Hashable, question: Hashable) -> Any:
        with self._lock:
            if state != self._state:
                self._answers.clear()
                self._state = state
            if question in self._answers:
                self._answers.move_to_end(question)
            return self._answers.get(question)

    def _keep(self, state: Hashable, question: Hashable, found: T) -> T:
        with self._lock:
            if state == self._state and found is not None:  # None: it took too long this time
                self._answers[question] = found
                while len(self._answers) > self._most:
                    self._answers.popitem(last=False)
        return found


def state_of(database: Database[dict[str, Any]]) -> tuple[Hashable, ...]:
    """Name the state of ``candidates`` (module docstring)."""
    there = {each["name"]: each for each in database.list_collections(filter={"name": {"$regex": "^candidates(_g|$)"}})}
    generation = _viewed(there.get("candidates"))
    wanted = ["revision/candidates", "staging/candidates"]
    notes = {each["_id"]: each for each in database["meta"].find({"_id": {"$in": wanted}})}
    aside = notes.get("staging/candidates", {}).get("name")
    written_aside = aside is not None and aside in there
    change = _identity(there, str(aside)) if written_aside else str(notes.get("revision/candidates"))
    count = database[generation].estimated_document_count()
    return (database.name, generation, _identity(there, generation), change, count)


def generation_of(database: Database[dict[str, Any]]) -> str:
    """Name the collection behind ``candidates``; it may be a collection itself."""
    return _viewed(next(iter(database.list_collections(filter={"name": "candidates"})), None))


def _viewed(described: Any) -> str:
    return str(((described or {}).get("options") or {}).get("viewOn") or "candidates")


def _identity(there: dict[str, Any], name: str) -> str:
    """A dropped collection's name may be given again, its identity is not."""
    return str(((there.get(name) or {}).get("info") or {}).get("uuid"))
