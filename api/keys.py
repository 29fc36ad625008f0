"""Keys of the server's users: made, listed, revoked, checked.

A token is ``ia_<id>_<secret>``, the secret 256 random bits. The store keeps the id and the SHA-256 of the whole token, so a
copy of the database opens nothing; a random secret that long needs no slow hash.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from store.errors import UnknownId, UsageError
from store.key_documents import SCOPES
from store.provenance import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pymongo.database import Database

COLLECTION: Final = "api_keys"
_TOKEN: Final = re.compile(r"ia_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_KNOWN_SECONDS: Final = 10.0
"""How long a check is good for, s: so late, at most, a revoked key stops."""
_USED_SECONDS: Final = 60.0
"""How often the time of last use is written down, s."""
_MOST_KNOWN: Final = 10_000


@dataclass(frozen=True)
class Key:
    """A key, without its secret.

    Attributes
    ----------
    id, name : str
    scopes : tuple of str
    created_at, expires_at, last_used_at, revoked_at : datetime.datetime or None
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> str:
        """Tell whether it opens anything: valid, expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"

    def may(self, scope: str) -> bool:
        """Whether it is good for a scope; admin is good for all.

        Examples
        --------
        >>> from datetime import UTC
        >>> Key("0" * 12, "ann", ("read",), datetime(2026, 1, 1, tzinfo=UTC)).may("compute")
        False
        """
        return scope in self.scopes or "admin" in self.scopes


def create_key(
    database: Database[dict[str, Any]], name: str, scopes: Iterable[str] = ("read",), days: float | None = 365.0
) -> tuple[Key, str]:
    """Make a key.

    Parameters
    ----------
    database : pymongo.database.Database
    name : str
        Whose it is, or what for.
    scopes : iterable of str
        Of read, compute, export, admin.
    days : float or None
        Until it expires; None for never.

    Returns
    -------
    key : Key
    token : str
        What its user sends. It is told here and never again.

    Raises
    ------
    UsageError
        An unknown scope, no name, an impossible time.
    """
    from store.schema import migrate

    chosen = tuple(dict.fromkeys(scopes))
    wrong = [scope for scope in chosen if scope not in SCOPES]
    if wrong or not chosen:
        raise UsageError(f"There is no scope {(wrong or ['(none)'])[0]!r}.", mend=f"--scope {', '.join(SCOPES)}")
    if not 1 <= len(name.strip()) <= 100 or not name.isprintable():
        raise UsageError("A key has a name of 1 to 100 letters.", mend="ionatlas key create 'Ann, notebook'")
    if days is not None and not 0 < days <= 36_500:
        raise UsageError(f"A key cannot expire in {days:g} days.", mend="--days 365, or --days 0 for never")
    migrate(database)
    now = utc_now()
    id_ = secrets.token_hex(6)
    token = f"ia_{id_}_{secrets.token_urlsafe(32)}"
    key = Key(id_, name.strip(), chosen, now, None if days is None else now + timedelta(days=days))
    document = {"_id": id_, "name": key.name, "sha256": _hash(token), "scopes": list(chosen), "created_at": now}
    if key.expires_at is not None:
        document["expires_at"] = key.expires_at
    database[COLLECTION].insert_one(document)
    return key, token


def list_keys(database: Database[dict[str, Any]]) -> list[Key]:
    """List all keys, the oldest first."""
    return [_key(each) for each in database[COLLECTION].find({}, {"sha256": 0}, sort=[("created_at", 1), ("_id", 1)])]


def revoke_key(database: Database[dict[str, Any]], id_: str) -> Key:
    """Make a key open nothing any more; servers notice within ten seconds.

    Raises
    ------
    UnknownId
        There is no such key.
    """
    found = database[COLLECTION].find_one({"_id": str(id_)})
    if found is None:
        raise UnknownId(f"There is no key {id_!r}.", mend="ionatlas key list")
    if found.get("revoked_at") is None:
        found["revoked_at"] = utc_now()
        database[COLLECTION].update_one({"_id": found["_id"]}, {"$set": {"revoked_at": found["revoked_at"]}})
    return _key(found)


class Keyring:
    """Checks tokens; what was checked is remembered for ten seconds.

    Parameters
    ----------
    call : callable
        Runs a read on the database: :meth:`api.service.Service.call`.
    """

    def __init__(self, call: Callable[[Callable[[Database[dict[str, Any]]], Any]], Any]) -> None:
        self._call = call
        self._known: dict[str, tuple[float, Key | None]] = {}
        self._used: dict[str, float] = {}
        self._lock = threading.Lock()

    def known(self, token: str) -> tuple[bool, Key | None]:
        """What is remembered of a token: whether it was checked lately, and its key."""
        found = self._known.get(_hash(token))
        if found is None or time.monotonic() - found[0] > _KNOWN_SECONDS:
            return False, None
        return True, found[1]

    def check(self, token: str) -> Key | None:
        """Find the valid key of a token; None where there is none.

        Raises
        ------
        DatabaseError
        """
        checked, key = self.known(token)
        if not checked:
            key = self._look(token)
            with self._lock:
                if len(self._known) >= _MOST_KNOWN:
                    self._known.clear()
                self._known[_hash(token)] = (time.monotonic(), key)
        return key

    def _look(self, token: str) -> Key | None:
        matched = _TOKEN.fullmatch(token)
        if matched is None:
            return None
        document = self._call(lambda database: database[COLLECTION].find_one({"_id": matched[1]}))
        # The comparison is made where there is no such key too, so that its time tells nothing.
        right = hmac.compare_digest(_hash(token), document["sha256"] if document else "0" * 64)
        if not right or document is None:
            return None
        key = _key(document)
        if key.state(utc_now()) != "valid":
            return None
        self._note(key)
        return key

    def _note(self, key: Key) -> None:
        """Write the time of last use down, now and then; that it cannot be written hinders nobody."""
        import contextlib

        from store.errors import DatabaseError

        if time.monotonic() - self._used.get(key.id, -_USED_SECONDS) < _USED_SECONDS:
            return
        self._used[key.id] = time.monotonic()
        change = {"$set": {"last_used_at": utc_now()}}
        with contextlib.suppress(DatabaseError):
            self._call(lambda database: database[COLLECTION].update_one({"_id": key.id}, change))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _key(document: dict[str, Any]) -> Key:
    times = {name: document.get(name) for name in ("expires_at", "last_used_at", "revoked_at")}
    return Key(document["_id"], document["name"], tuple(document["scopes"]), document["created_at"], **times)
