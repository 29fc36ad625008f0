"""What happens to items inside a worker process: read, compute, seal. No database here.

Items travel as BSON in both directions, so the process that talks to MongoDB neither decodes nor encodes them.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import bson
from bson.codec_options import CodecOptions

from store.errors import BuildError
from store.provenance import Stamp, content_hash, describe_error, package_versions, reject_non_finite, utc_now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builders.engine.builder import IncrementalBuilder
    from builders.engine.inputs import Fetched

LARGEST_DOCUMENT = 16 * 1024 * 1024 - 4096
"""MongoDB refuses documents over 16 MiB; said before sending, so that the other documents of a batch are not held up."""

SOFT_SECONDS = 1.0
"""A worker hands a chunk back after so long and leaves the rest to be sent again: chunks adapt to slow items."""

_OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)


@dataclass(frozen=True)
class WorkItem:
    """One target document to be made: its key, the joined hashes of its inputs, and the inputs by role as BSON."""

    key: str
    joined: str
    inputs: dict[str, Fetched]


@dataclass(frozen=True)
class Outcome:
    """What became of an item: a document as BSON, or an error."""

    key: str
    joined: str
    seconds: float
    document: bytes | None = None
    error: dict[str, str] | None = None


@dataclass(frozen=True)
class BuilderSpec:
    """A builder as it is sent to a worker: its class and what it is made with."""

    kind: type[IncrementalBuilder]
    params: tuple[tuple[str, Any], ...]


class SetupFailed(BuildError):
    """A builder could not be made ready in a worker: no item is to blame, so the build of it stops."""


def decode(fetched: Fetched) -> Any:
    """Decode one document or several."""
    if fetched is None:
        return None
    if isinstance(fetched, list):
        return [bson.decode(each, _OPTIONS) for each in fetched]
    return bson.decode(fetched, _OPTIONS)


def seal(builder: IncrementalBuilder, item: WorkItem, content: dict[str, Any], seconds: float) -> Outcome:
    """Give a computed document its key, hash and stamp, and encode it.

    Raises
    ------
    FeatureError
        A number is not finite.
    BuildError
        The document is larger than MongoDB takes.
    """
    reject_non_finite(content)
    stamp = Stamp(
        builder=builder.NAME,
        version=builder.VERSION,
        params=builder.params_hash,
        inputs=item.joined,
        made_at=utc_now(),
        seconds=round(seconds, 6),
        packages=builder.packages(),
    )
    engine = {"hash": content_hash(content), "recipe": stamp.recipe, "stamp": stamp.to_document()}
    document = {"_id": item.key, **content, **engine}
    encoded = bson.encode(document)
    if len(encoded) > LARGEST_DOCUMENT:
        raise BuildError(
            f"The document made for {item.key} has {len(encoded) / 2**20:.1f} MiB, and MongoDB takes at most 16 MiB."
        )
    return Outcome(item.key, item.joined, seconds, document=encoded)


def process(builder: IncrementalBuilder, items: Sequence[WorkItem]) -> list[Outcome]:
    """Compute some items together; a failure touches its own item only."""
    started = time.perf_counter()
    inputs: list[dict[str, Any]] = []
    broken: dict[int, Exception] = {}
    for place, item in enumerate(items):
        try:
            inputs.append({role: decode(fetched) for role, fetched in item.inputs.items()})
        except Exception as error:
            inputs.append({})
            broken[place] = error
    good = [place for place in range(len(items)) if place not in broken]
    try:
        results = builder.compute_many([items[place].key for place in good], [inputs[place] for place in good])
    except Exception as error:
        results = [error] * len(good)
    contents: dict[int, Any] = {**broken, **dict(zip(good, results, strict=True))}
    each = (time.perf_counter() - started) / max(1, len(items))
    return [_outcome(builder, item, contents[place], each) for place, item in enumerate(items)]


def _outcome(builder: IncrementalBuilder, item: WorkItem, result: Any, seconds: float) -> Outcome:
    if not isinstance(result, Exception):
        try:
            return seal(builder, item, result, seconds)
        except Exception as error:
            result = error
    return Outcome(item.key, item.joined, seconds, error=describe_error(result))


# ---------------------------------------------------------------------------------------------- in a worker process

_BUILDERS: dict[BuilderSpec, IncrementalBuilder] = {}


def _builder(spec: BuilderSpec) -> IncrementalBuilder:
    """Make the builder once a process and builder, never once an item."""
    if spec not in _BUILDERS:
        try:
            builder = spec.kind(params=dict(spec.params))
            builder.tools()
        except Exception as error:
            raise SetupFailed(
                f"The builder {spec.kind.NAME} could not be made ready: {type(error).__name__}: {error}"
            ) from error
        _BUILDERS[spec] = builder
    return _BUILDERS[spec]


def run_chunk(spec: BuilderSpec, items: Sequence[WorkItem], soft_seconds: float = SOFT_SECONDS) -> list[Outcome]:
    """Work on a chunk until it is done or the soft time is over; what is left is simply not in the answer."""
    builder = _builder(spec)
    started = time.perf_counter()
    outcomes: list[Outcome] = []
    while len(outcomes) < len(items) and (not outcomes or time.perf_counter() - started < soft_seconds):
        place = len(outcomes)
        outcomes += process(builder, items[place : place + builder.BATCH])
    return outcomes


def prepare_worker(memory_bytes: int, parent: int) -> None:
    """Make a fresh worker process behave: limits, signals, and no life after the parent's death."""
    import resource

    # Ctrl-C is the parent's business: it stops the pool after what is finished was written.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()


def environment_packages(names: tuple[str, ...]) -> dict[str, str]:
    """Versions of packages, read once a process."""
    if names not in _PACKAGES:
        _PACKAGES[names] = package_versions(names)
    return _PACKAGES[names]


_PACKAGES: dict[tuple[str, ...], dict[str, str]] = {}
