"""Packed arrays come back as they were, and bytes that are no packed arrays are told so."""

from __future__ import annotations

import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from store import arrays
from store.arrays import MAGIC, pack, smallest, unpack
from store.errors import ArraysDamaged

kinds = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
)
any_array = kinds.flatmap(
    lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
)


@given(st.dictionaries(st.text(max_size=8), any_array, max_size=4))
def test_arrays_come_back_bit_for_bit(given_arrays: dict[str, np.ndarray]) -> None:
    again = unpack(pack(given_arrays))
    assert list(again) == list(given_arrays)
    for name, array in given_arrays.items():
        assert again[name].shape == array.shape
        assert again[name].dtype == array.dtype.newbyteorder("<")
        assert again[name].tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes()
        assert again[name].flags.writeable


def test_the_order_in_memory_is_no_part_of_the_bytes() -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    turned = np.asfortranarray(array)
    swapped = array.astype(">i2")
    assert pack({"a": array}) == pack({"a": turned}) == pack({"a": swapped})
    assert unpack(pack({"a": array[:, ::-1, ::2]}))["a"].tolist() == array[:, ::-1, ::2].tolist()


def test_the_layout_is_the_documented_one() -> None:
    packed = pack({"r": np.array([[1.5, -2.0]], dtype=np.float32), "n": np.array([7], dtype=np.uint8)})
    payload = zlib.decompress(packed.removeprefix(b"IAA1"))
    (length,) = struct.unpack("<I", payload[:4])
    assert json.loads(payload[4 : 4 + length]) == [["r", "<f4", [1, 2]], ["n", "|u1", [1]]]
    assert payload[4 + length :] == struct.pack("<ff", 1.5, -2.0) + b"\x07"


@pytest.mark.parametrize("bad", [np.array(["Li"]), np.array([None]), np.array([1j]), np.zeros(2, dtype=[("a", "f4")])])
def test_what_is_no_number_is_not_packed(bad: np.ndarray) -> None:
    with pytest.raises(TypeError, match="'bad' holds"):
        pack({"bad": bad})


@given(st.binary(max_size=60))
def test_any_bytes_are_either_refused_or_arrays(given_bytes: bytes) -> None:
    for bytes_ in (given_bytes, MAGIC + given_bytes, MAGIC + zlib.compress(given_bytes)):
        with pytest.raises(ArraysDamaged, match=r"cannot be read: .+"):
            unpack(bytes_)


@given(st.data())
def test_a_cut_or_a_changed_byte_is_noticed(data: st.DataObject) -> None:
    packed = pack({"r": np.linspace(0, 1, 50, dtype=np.float32), "n": np.arange(20, dtype=np.int8)})
    place = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(ArraysDamaged):
        unpack(packed[:place])
    changed = bytearray(packed)
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        again = unpack(bytes(changed))
    except ArraysDamaged:
        return
    # Some bits of a compressed stream say nothing (its level): then nothing may differ.
    assert pack(again) == packed


def forged(header: object, body: bytes = b"") -> bytes:
    told = json.dumps(header).encode()
    return MAGIC + zlib.compress(struct.pack("<I", len(told)) + told + body)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (forged([["a", "<f4", [2]]], b"\0" * 4), "'a' should have 8 bytes, and 4 follow"),
        (forged([["a", "<f4", [1]]], b"\0" * 8), "4 bytes stand behind the last array"),
        (forged([["a", "|O", [1]]], b"\0" * 8), "type '|O'"),
        (forged([["a", "<f4", [-1]]]), "shape"),
        (forged([["a", "<f4", [2**40, 2**40]]]), "shape"),
        (forged([["a", "<f4", [0.5]]]), "shape"),
        (forged([["a", "|b1", [0]], ["a", "|b1", [0]]]), "two arrays have one name"),
        (forged([["a", "<f4", [0, 2**30, 2**30]]]), "shape"),
        (MAGIC + zlib.compress(struct.pack("<I", 200_000) + b"[" * 200_000), "no list of names"),
        (forged({"a": 1}), "no list of names"),
        (forged(7), "no list of names"),
        (forged([["a", "<f4", [1]]], b"\0" * 4) + b"more", "4 bytes stand behind the compressed stream"),
        (b"", "begin with"),
        (b"PK\x03\x04", "begin with"),
    ],
)
def test_a_wrong_header_is_told(bad: bytes, why: str) -> None:
    with pytest.raises(ArraysDamaged) as caught:
        unpack(bad)
    assert why in str(caught.value)


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "LARGEST", 1000)
    with pytest.raises(ArraysDamaged, match="unpack to more than"):
        unpack(MAGIC + zlib.compress(b"\0" * 2000))
    with pytest.raises(ValueError, match="MiB"):
        pack({"a": np.zeros(2000, dtype=np.int8)})


@given(hnp.arrays(np.int64, hnp.array_shapes(min_side=0)))
def test_the_smallest_type_holds_every_value(array: np.ndarray) -> None:
    small = smallest(array)
    assert (small == array).all()
    if small.dtype != np.int8:
        limits = np.iinfo(f"i{small.dtype.itemsize // 2}")
        assert array.min() < limits.min or array.max() > limits.max
