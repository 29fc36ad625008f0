from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes import snapshot as snapshot_module
from indexes.snapshot import Snapshot, SnapshotStore
from store.errors import BuildRunning, DataFolderError, SnapshotDamaged, SnapshotMissing, UsageError

ROOT = Path(__file__).resolve().parents[2]
Contents = dict[str, tuple[tuple[float, ...], bytes]]


def row(number: float) -> tuple[list[float], bytes]:
    return [number, number / 2], bytes([int(number) % 256]) * 16


def contents(snapshot: Snapshot) -> Contents:
    rows = zip(snapshot.ids, snapshot.vectors, snapshot.hashes, strict=True)
    return {identifier: (tuple(vector.tolist()), digest.tobytes()) for identifier, vector, digest in rows}


def expected(rows: dict[str, float]) -> Contents:
    return {name: (tuple(row(number)[0]), row(number)[1]) for name, number in rows.items()}


def publish(store: SnapshotStore, rows: dict[str, float], **more: str) -> None:
    store.publish(
        list(rows),
        np.array([row(number)[0] for number in rows.values()], dtype=np.float32).reshape(-1, 2),
        [row(number)[1] for number in rows.values()],
        model="m",
        dimension=2,
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "indexes", "try")


def test_what_is_published_is_loaded(store: SnapshotStore) -> None:
    ids = ["mp-1", "ünï", "with\nline", 'quote"', "", "mp-2"]
    random_rows = np.random.default_rng(0).standard_normal((6, 290)).astype(np.float32)
    hashes = [bytes([number]) * 16 for number in range(6)]
    written = store.publish(ids, random_rows, hashes, model="m/1", metric="cosine", revision="db:7")
    loaded = store.load()
    assert loaded.ids == ids
    assert loaded.vectors.tobytes() == random_rows.tobytes()
    assert isinstance(loaded.vectors, np.memmap)
    assert [digest.tobytes() for digest in loaded.hashes] == hashes
    manifest = loaded.manifest
    assert manifest == written == store.manifest()
    assert (manifest.name, manifest.model, manifest.metric, manifest.revision) == ("try", "m/1", "cosine", "db:7")
    assert (manifest.dimension, manifest.count, manifest.generation) == (290, 6, 1)
    assert store.hashes()[1] == dict(zip(ids, hashes, strict=True))


def test_the_manifest_is_plain_json(store: SnapshotStore) -> None:
    publish(store, {"a": 1, "b": 2})
    raw = json.loads((store.root / "g00000001" / "manifest.json").read_text())
    assert raw["format_version"] == 1
    assert raw["count"] == 2
    files = raw["segments"][0]["files"]
    assert set(files) == {"vectors.npy", "hashes.npy", "ids.json"}
    assert files["vectors.npy"]["size"] == (store.root / "g00000001" / "vectors.npy").stat().st_size
    assert np.load(store.root / "g00000001" / "vectors.npy", mmap_mode="r").tolist() == [[1, 0.5], [2, 1]]


def test_nothing_published(store: SnapshotStore) -> None:
    for read in (store.load, store.manifest, store.hashes, lambda: store.apply({"a": row(1)})):
        with pytest.raises(SnapshotMissing, match="ionatlas build"):
            read()
    assert store.token() is None


def test_an_empty_index(store: SnapshotStore) -> None:
    publish(store, {})
    assert store.load().vectors.shape == (0, 2)
    store.apply({"a": row(1)})
    assert contents(store.load()) == expected({"a": 1})
    store.apply({}, removed=["a"])
    assert contents(store.load()) == {}


def test_a_change_writes_a_delta_and_not_the_base(store: SnapshotStore) -> None:
    n = 20_000
    vectors = np.random.default_rng(0).standard_normal((n, 290)).astype(np.float32)
    store.publish([f"mp-{number}" for number in range(n)], vectors, [bytes(16)] * n, model="m")
    token = store.token()
    store.apply({"mp-5": (np.ones(290), b"5" * 16), "new": (np.zeros(290), b"n" * 16)}, removed=["mp-7", "not there"])
    assert store.token() != token
    size = sum(path.stat().st_size for path in (store.root / "g00000002").iterdir())
    assert size < 8000
    loaded = store.load()
    assert loaded.manifest.count == n
    assert loaded.vectors[5].tolist() == [1.0] * 290
    assert "mp-7" not in loaded.ids
    assert loaded.ids[-1] == "new"
    untouched = [5, 7]
    assert (np.delete(loaded.vectors[:-1], 5, axis=0) == np.delete(vectors, untouched, axis=0)).all()
    # The file of the base is as it was.
    assert np.load(store.root / "g00000001" / "vectors.npy").tobytes() == vectors.tobytes()


def test_a_revision_alone_writes_a_manifest_alone(store: SnapshotStore) -> None:
    publish(store, {"a": 1}, revision="1")
    segments = store.manifest().segments
    store.apply({}, revision="2")
    assert store.manifest().revision == "2"
    assert store.manifest().segments == segments
    assert [path.name for path in (store.root / "g00000002").iterdir()] == ["manifest.json"]
    generation = store.manifest().generation
    store.apply({}, revision="2")
    assert store.manifest().generation == generation, "nothing changed, so nothing was published"


@given(
    st.dictionaries(st.sampled_from("abcdefghij"), st.integers(0, 99), max_size=10),
    st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from("abcdefghijklmnop"), st.integers(0, 99), max_size=3),
            st.sets(st.sampled_from("abcdefghijklmnop"), max_size=3),
        ),
        max_size=14,
    ),
    st.sampled_from([0.0, 0.5, 1e9]),
    st.sampled_from([1, 3, 8]),
)
@settings(max_examples=40, deadline=None)
def test_changes_add_up(
    tmp_path_factory: pytest.TempPathFactory,
    first: dict[str, float],
    changes: list[tuple[dict[str, float], set[str]]],
    share: float,
    deltas: int,
) -> None:
    """Whatever is written as delta, folded or compacted: the contents are those of a plain dictionary."""
    store = SnapshotStore(tmp_path_factory.mktemp("changes"), "try")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)  # many small writes; durability is tested below
        patch.setattr(snapshot_module, "LARGEST_SHARE", share)
        patch.setattr(snapshot_module, "MOST_DELTAS", deltas)
        model = dict(first)
        publish(store, model)
        for changed, removed in changes:
            gone = removed - changed.keys()
            store.apply({name: row(number) for name, number in changed.items()}, gone)
            model = {name: number for name, number in model.items() if name not in gone} | changed
            loaded = store.load()
            assert contents(loaded) == expected(model)
            assert loaded.manifest.count == len(model)
            assert store.hashes()[1] == {name: digest for name, (_, digest) in expected(model).items()}
            assert len(loaded.manifest.segments) <= deltas + 1


def test_old_generations_go_and_the_previous_one_stays(store: SnapshotStore) -> None:
    for number in range(5):
        publish(store, {"a": number})
    assert sorted(path.name for path in store.root.iterdir()) == ["CURRENT", "g00000004", "g00000005", "lock"]
    # The previous generation is whole: pointing back at it is enough to read it.
    store.apply({"b": row(7)})
    assert {path.name for path in store.root.glob("g*")} == {"g00000005", "g00000006"}


def test_discard(store: SnapshotStore) -> None:
    publish(store, {"a": 1})
    store.discard()
    with pytest.raises(SnapshotMissing):
        store.load()
    assert not list(store.root.glob("g*"))
    publish(store, {"b": 2})
    assert contents(store.load()) == expected({"b": 2})


@pytest.mark.parametrize("name", ["vectors.npy", "hashes.npy", "ids.json", "removed.json", "manifest.json", "CURRENT"])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone", "garbage"])
def test_damage_is_found_and_named(store: SnapshotStore, name: str, damage: str) -> None:
    publish(store, {f"m{number}": number for number in range(50)})
    store.apply({"m5": row(77)}, removed=["m6"])
    folder = store.root if name == "CURRENT" else store.root / "g00000002"
    for path in (folder / name, store.root / "g00000001" / name):
        if not path.exists() or (path.parent.name == "g00000001" and name == "manifest.json"):
            continue  # the manifest of generation 1 is not needed any more
        kept = path.read_bytes()
        if damage == "flip":
            path.write_bytes(kept[:-3] + bytes([kept[-3] ^ 1]) + kept[-2:])
        elif damage == "cut":
            path.write_bytes(kept[: len(kept) // 2])
        elif damage == "empty":
            path.write_bytes(b"")
        elif damage == "garbage":
            path.write_bytes(os.urandom(len(kept)))
        else:
            path.unlink()
        error = SnapshotMissing if (name, damage) == ("CURRENT", "gone") else SnapshotDamaged
        for read in (store.load, store.hashes):
            with pytest.raises(error, match="ionatlas build") as raised:
                read()
        if error is SnapshotDamaged and not (name == "CURRENT" and damage == "flip"):
            assert name in raised.value.message
        path.write_bytes(kept)
        assert store.load().manifest.count == 49


def test_a_publication_mends_damage(store: SnapshotStore) -> None:
    publish(store, {"a": 1})
    (store.root / "CURRENT").write_bytes(b"\x00")
    with pytest.raises(SnapshotDamaged):
        store.apply({"b": row(2)})
    publish(store, {"b": 2})
    assert contents(store.load()) == expected({"b": 2})


def test_a_manifest_of_a_later_format_is_not_misread(store: SnapshotStore) -> None:
    publish(store, {"a": 1})
    path = store.root / "g00000001" / "manifest.json"
    raw = json.loads(path.read_text()) | {"format_version": 2}
    path.write_text(json.dumps(raw))
    import hashlib

    pointer = {"generation": "g00000001", "manifest_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    (store.root / "CURRENT").write_text(json.dumps(pointer))
    with pytest.raises(SnapshotDamaged, match="format version 2"):
        store.load()


@pytest.mark.parametrize(
    ("ids", "vectors", "hashes", "message"),
    [
        (["a", "a"], [[1, 2], [3, 4]], [bytes(16)] * 2, "'a' was given twice"),
        (["a"], [[1, 2], [3, 4]], [bytes(16)] * 2, "1 and 2"),
        (["a", "b"], [[1, 2], [3, float("nan")]], [bytes(16)] * 2, "row 1"),
        (["a"], [[1, 2]], [bytes(15)], "16 bytes"),
        (["a"], [[1, 2]], [bytes(32)], "16 bytes"),
        (["a"], [1, 2], [bytes(16)], "dimension"),
    ],
)
def test_unfit_rows_are_refused(
    store: SnapshotStore, ids: list[str], vectors: object, hashes: list[bytes], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        store.publish(ids, vectors, hashes, model="m")  # type: ignore[arg-type]
    assert store.token() is None


def test_unfit_changes_are_refused(store: SnapshotStore) -> None:
    publish(store, {"a": 1, "b": 2})
    with pytest.raises(UsageError, match="2 components"):
        store.apply({"c": ([1, 2, 3], bytes(16))})
    with pytest.raises(UsageError, match="both"):
        store.apply({"a": row(1)}, removed=["a"])
    with pytest.raises(UsageError, match="finite"):
        store.apply({"a": ([1, float("inf")], bytes(16))})
    assert contents(store.load()) == expected({"a": 1, "b": 2})


@pytest.mark.parametrize("name", ["", "..", "a/b"])
def test_names_that_are_no_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        SnapshotStore(tmp_path, name)


def test_a_second_writer_waits_and_then_says_so(tmp_path: Path) -> None:
    first = SnapshotStore(tmp_path, "try")
    second = SnapshotStore(tmp_path, "try", lock_seconds=0.2)
    publish(first, {"a": 1})
    with first.writing():
        publish(first, {"a": 2})  # the holder itself may write
        with pytest.raises(BuildRunning, match="try"):
            publish(second, {"a": 3})
        assert contents(second.load()) == expected({"a": 2}), "readers wait for nobody"
    publish(second, {"a": 4})
    assert contents(first.load()) == expected({"a": 4})


def test_writers_in_threads_and_readers_all_the_while(tmp_path: Path) -> None:
    publish(SnapshotStore(tmp_path, "try"), {"base": 0})
    stop = threading.Event()
    problems: list[BaseException] = []
    seen: list[list[int]] = [[], []]

    def write(writer: int) -> None:
        store = SnapshotStore(tmp_path, "try")
        for number in range(12):
            store.apply({f"{writer}-{number}": row(number)})

    def read(counts: list[int]) -> None:
        store = SnapshotStore(tmp_path, "try")
        while not stop.is_set():
            try:
                loaded = store.load()
                assert loaded.manifest.count == len(loaded.ids)
                counts.append(loaded.manifest.count)
            except BaseException as error:
                problems.append(error)

    readers = [threading.Thread(target=read, args=(counts,)) for counts in seen]
    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert not problems
    for counts in seen:
        assert counts == sorted(counts), "a reader never goes back"
    assert SnapshotStore(tmp_path, "try").load().manifest.count == 1 + 36


def run_python(arguments: list[str], **more: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, timeout=120, **more
    )


@pytest.mark.parametrize("action", ["publish", "apply", "touch"])
@pytest.mark.parametrize("start", ["nothing", "base", "base and delta"])
def test_a_crash_at_any_step_leaves_a_snapshot(tmp_path: Path, action: str, start: str) -> None:
    if start == "nothing" and action != "publish":
        pytest.skip("there is nothing to apply a change to")
    folder = tmp_path / "indexes"
    folder.mkdir()
    store = SnapshotStore(folder, "index")
    if start != "nothing":
        publish(store, {"a": 1, "b": 2, **{f"m{number}": number for number in range(30)}})
    if start == "base and delta":
        store.apply({"b": row(3), "c": row(4)})
    done = run_python([str(Path(__file__).parent / "crash_at_each_step.py"), str(folder), action])
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 8


KILLED = """
import sys, itertools
from pathlib import Path
from indexes.snapshot import SnapshotStore
store = SnapshotStore(Path(sys.argv[1]), "index")
first = int(sys.argv[2])
for number in itertools.count(first):
    vector, digest = [number, number / 2], bytes([number % 256]) * 16
    if number % 5 == 0:
        store.publish(["n"], [vector], [digest], model=str(number))
    else:
        store.apply({"n": (vector, digest), f"m{number}": (vector, digest)}, removed=[f"m{number - 3}"], model=str(number))
    print(number, flush=True)
"""


def test_kill_at_random_moments_loses_nothing_acknowledged(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path, "index")
    store.publish(["n"], [[0, 0]], [bytes(16)], model="0")
    chance = random.Random(4)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    number = 0
    for _ in range(20):
        writer = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path), str(number + 1)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert writer.stdout is not None
        acknowledged = int(writer.stdout.readline())
        time.sleep(chance.uniform(0, 0.08))
        writer.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, writer.stdout.read().split())])
        writer.wait()
        writer.stdout.close()
        loaded = store.load()
        number = int(loaded.manifest.model)
        assert acknowledged <= number <= acknowledged + 1
        assert loaded.vectors[loaded.ids.index("n")].tolist() == [number, number / 2]
    store.apply({"n": row(1)})
    assert not list(store.root.glob(".tmp*"))


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from indexes.snapshot import SnapshotStore
from store.errors import DataFolderError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
store = SnapshotStore(Path(sys.argv[1]), "try")
try:
    store.publish([str(n) for n in range(9000)], np.ones((9000, 4)), [bytes(16)] * 9000, model="too large")
except DataFolderError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_last_snapshot(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the full disk: writing fails half-way in the same manner."""
    store = SnapshotStore(tmp_path, "try")
    publish(store, {"a": 1})
    done = run_python(["-c", FULL, str(tmp_path)])
    assert "cannot be written" in done.stdout, done.stderr
    assert "last published snapshot is untouched" in done.stdout
    assert contents(store.load()) == expected({"a": 1})
    assert not list(store.root.glob(".tmp*"))


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "indexes").write_text("a file stands here")
    with pytest.raises(DataFolderError, match="IONATLAS_HOME"):
        publish(SnapshotStore(tmp_path / "indexes", "try"), {"a": 1})
