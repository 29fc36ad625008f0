"""Where a document comes from: content hashes, stamps, failure records.

A derived document is stale when the builder's version, its parameters or the content of any input differs from its
stamp. Timestamps and package versions are recorded and decide nothing.
"""

from __future__ import annotations

import hashlib
import math
import re
import traceback
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from store.errors import FeatureError

if TYPE_CHECKING:
    from collections.abc import Iterable

HASH_LENGTH = 32
"""Characters of a content hash: 16 bytes of BLAKE2b in hexadecimal."""


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return "bytes:" + hashlib.blake2b(value, digest_size=16).hexdigest()
    if isinstance(value, set | frozenset):
        return sorted(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no canonical form; give numbers, strings, bytes, lists and mappings.")


def content_hash(content: Any) -> str:
    """Hash any JSON-like content: the same content gives the same hash, whatever the order of its keys.

    Parameters
    ----------
    content : object
        Numbers, strings, bytes, None, datetimes, NumPy arrays, lists and mappings with string keys of these.
        NaN and None hash alike: keep NaN out (:func:`reject_non_finite`).

    Returns
    -------
    str
        32 hexadecimal characters (BLAKE2b, 16 bytes).

    Examples
    --------
    >>> content_hash({"a": 1, "b": [2.5, b"x"]}) == content_hash({"b": [2.5, b"x"], "a": 1})
    True
    """
    encoded = orjson.dumps(
        content,
        default=_plain,
        option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z,
    )
    return hashlib.blake2b(encoded, digest_size=16).hexdigest()


def reject_non_finite(content: Any, path: str = "") -> None:
    """Raise if a NaN or an infinity stands anywhere in a document: MongoDB would store it and no query would find it.

    Raises
    ------
    FeatureError
        Naming the place.

    Examples
    --------
    >>> reject_non_finite({"density": 5.3, "cell": [[1.0, 0.0]]})
    """
    if isinstance(content, float):
        if not math.isfinite(content):
            raise FeatureError(
                f"The value of {path or 'the document'} is {content}, and only finite numbers are stored."
            )
    elif isinstance(content, dict):
        for key, value in content.items():
            reject_non_finite(value, f"{path}.{key}" if path else str(key))
    elif isinstance(content, list | tuple):
        if _all_finite(content):
            return
        for place, value in enumerate(content):
            reject_non_finite(value, f"{path}[{place}]")


def _all_finite(values: list[Any] | tuple[Any, ...]) -> bool:
    """Whether a list is a block of finite numbers, seen at once: coordinates are most of a document."""
    first = values[0] if values else None
    if not isinstance(first, float) and not (isinstance(first, list | tuple) and first and isinstance(first[0], float)):
        return False
    try:
        block = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return bool(np.isfinite(block).all())


def join_hashes(hashes: dict[str, str | None]) -> str:
    """Write the hashes of a document's inputs as one string that still tells them apart.

    Examples
    --------
    >>> join_hashes({"structures": "ab", "duplicates": None})
    'structures=ab;duplicates=-'
    """
    return ";".join(f"{role}={value or '-'}" for role, value in hashes.items())


def split_hashes(joined: str) -> dict[str, str]:
    """Read what :func:`join_hashes` wrote; an absent input has the hash ``-``.

    Examples
    --------
    >>> split_hashes("structures=ab;duplicates=-")
    {'structures': 'ab', 'duplicates': '-'}
    """
    return dict(part.split("=", 1) for part in joined.split(";") if part)


def package_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Installed versions of packages, for the record (they never make a document stale)."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def write_recipe(version: int, params: str, inputs: str) -> str:
    """Write what staleness depends on as one string: equal recipes mean fresh.

    It stands at the top of a document beside its stamp, so that one covered index answers for a whole collection.

    Examples
    --------
    >>> write_recipe(2, "ab", "sources=cd")
    '2|ab|sources=cd'
    """
    return f"{version}|{params}|{inputs}"


def read_recipe(recipe: str) -> tuple[int, str, str]:
    """Read what :func:`write_recipe` wrote: version, hash of the parameters, joined hashes of the inputs.

    Examples
    --------
    >>> read_recipe("2|ab|sources=cd")
    (2, 'ab', 'sources=cd')
    """
    version, params, inputs = recipe.split("|", 2)
    return int(version), params, inputs


@dataclass(frozen=True)
class Stamp:
    """What made a document.

    Attributes
    ----------
    builder : str
        Name of the builder.
    version : int
        ``VERSION`` of the builder's class: raised by hand when its results change.
    params : str
        Hash of the builder's parameters.
    inputs : str
        Hashes of the inputs by role, as :func:`join_hashes` writes them.
    made_at : datetime.datetime
        UTC.
    seconds : float
        Time spent on this document, s.
    packages : dict
        Versions of the packages that did the work (recorded only).
    """

    builder: str
    version: int
    params: str
    inputs: str
    made_at: datetime
    seconds: float
    packages: dict[str, str]

    def to_document(self) -> dict[str, Any]:
        """Make the ``stamp`` subdocument."""
        return asdict(self)

    @property
    def recipe(self) -> str:
        """What staleness depends on (:func:`write_recipe`)."""
        return write_recipe(self.version, self.params, self.inputs)


def utc_now() -> datetime:
    """Return the present time in UTC with the millisecond precision that MongoDB keeps."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def reason_kind(text: str) -> str:
    """Take out of an error's message what differs from item to item, so that equal reasons count as one.

    Quoted names, numbers and what follows a colon inside the message (the item's own contents) go.

    Examples
    --------
    >>> reason_kind("CoincidentAtoms: the sites 3 and 17 are 0.02 Å apart in 'mp-1'")
    'CoincidentAtoms: the sites … and … are … Å apart in …'
    >>> reason_kind("InvalidOccupancy: The occupancies of a site sum to 1.7, above 1: O 1.7.")
    'InvalidOccupancy: The occupancies of a site sum to … above …'
    """
    text = re.sub(r"'[^']*'", "…", text)
    text = re.sub(r"(?<![A-Za-z])[-+]?\d[\d.,]*(e[-+]?\d+)?", "…", text)
    kind, _, message = text.partition(": ")
    head, colon, _ = message.partition(": ")
    head, brace, _ = head.partition(" {")
    return f"{kind}: {head}" if colon or brace else text


def count_reasons(texts: Iterable[str], most: int | None = None) -> dict[str, int]:
    """Count reasons by kind, the most frequent first; of a kind with several members an example is told.

    Parameters
    ----------
    texts : iterable of str
        ``"Type: message"`` of each failure.
    most : int, optional
        Tell so many kinds.

    Examples
    --------
    >>> count_reasons(["A: site 1 is empty", "A: site 2 is empty", "B: broken"])
    {'A: site … is empty (e.g. site 1 is empty)': 2, 'B: broken': 1}
    """
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for text in texts:
        kind = reason_kind(text)
        counts[kind] += 1
        examples.setdefault(kind, text)
    told = {}
    for kind, count in counts.most_common(most):
        example = examples[kind]
        several = count > 1 and example != kind
        told[f"{kind} (e.g. {example.partition(': ')[2][:120]})" if several else example[:200]] = count
    return told


def describe_error(error: BaseException) -> dict[str, str]:
    """Record an exception: its type, message and traceback (the last 8,000 characters).

    Examples
    --------
    >>> describe_error(ValueError("no atoms"))["message"]
    'no atoms'
    """
    text = "".join(traceback.format_exception(error))
    message = str(error) or f"{type(error).__name__} without a message"
    return {"type": type(error).__name__, "message": message[:2000], "traceback": text[-8000:]}
