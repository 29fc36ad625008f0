"""Named arrays in one binary field: a document of a few kB instead of nested lists of tens of kB.

Layout, so that any program can read it::

    bytes 0-3    b"IAA1"
    from byte 4  one zlib stream (RFC 1950) of
                   4 bytes   length of the header, unsigned, little-endian
                   header    UTF-8 JSON: [[name, dtype, [length of each axis]], ...]
                   arrays    one after the other in the header's order, C order, without gaps

A dtype is NumPy's short form with its byte order: ``<f4`` float32, ``<f8`` float64, ``|i1`` ``<i2`` ``<i4`` ``<i8``
integers with a sign, ``|u1`` ``<u2`` ``<u4`` ``<u8`` without, ``|b1`` true or false in a byte. All are little-endian.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from store.errors import ArraysDamaged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

MAGIC: Final = b"IAA1"
LEVEL: Final = 6
LARGEST: Final = 256 * 2**20
"""Bytes that packed arrays may unpack to; a document of 16 MiB that claims more is no array of ours."""

_LENGTH: Final = struct.Struct("<I")
_DTYPES: Final = frozenset(f"<{kind}{size}" for kind in "iuf" for size in (2, 4, 8)) | {"|i1", "|u1", "|b1"}
_INTEGERS: Final = (np.int8, np.int16, np.int32, np.int64)


def pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Write named arrays as one string of bytes; the same arrays give the same bytes.

    Parameters
    ----------
    arrays : mapping
        Name to array of numbers or truth values; any shape, empty ones included, any byte order and memory layout.
        Kept as they are: see :func:`smallest` for integers and use float32 where that is enough.

    Returns
    -------
    bytes

    Raises
    ------
    TypeError
        An array holds something else than real numbers or truth values.
    ValueError
        Together they are larger than 256 MiB.

    Examples
    --------
    >>> packed = pack({"radii": np.array([1.5, 2.0], dtype=np.float32), "cells": np.zeros((2, 3), dtype=np.int8)})
    >>> {name: array.tolist() for name, array in unpack(packed).items()}
    {'radii': [1.5, 2.0], 'cells': [[0, 0, 0], [0, 0, 0]]}
    """
    header, parts = [], []
    for name, given in arrays.items():
        array = np.ascontiguousarray(given, dtype=given.dtype.newbyteorder("<")).reshape(given.shape)
        if array.dtype.str not in _DTYPES:
            raise TypeError(f"The array {name!r} holds {given.dtype}; real numbers or truth values can be packed.")
        header.append([name, array.dtype.str, list(array.shape)])
        parts.append(array.tobytes())
    told = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    payload = b"".join((_LENGTH.pack(len(told)), told, *parts))
    if len(payload) > LARGEST:
        raise ValueError(
            f"The arrays take {len(payload) / 2**20:.0f} MiB, and at most {LARGEST / 2**20:.0f} are packed."
        )
    return MAGIC + zlib.compress(payload, LEVEL)


def unpack(packed: bytes) -> dict[str, NDArray[Any]]:
    """Read what :func:`pack` wrote.

    Returns
    -------
    dict
        Name to a writable array of its own, little-endian, C order.

    Raises
    ------
    ArraysDamaged
        The bytes are no packed arrays, or were cut or changed; the message says where they stop making sense.

    Examples
    --------
    >>> unpack(b"IAA1 and then nonsense")
    Traceback (most recent call last):
    ...
    store.errors.ArraysDamaged: Packed arrays cannot be read: ...
    """
    payload = _inflate(bytes(packed))
    if len(payload) < _LENGTH.size:
        raise _damaged(f"{len(payload)} bytes are too few for the length of the header")
    (length,) = _LENGTH.unpack_from(payload)
    place = _LENGTH.size + length
    if place > len(payload):
        raise _damaged(f"the header should have {length} bytes, and {len(payload) - _LENGTH.size} follow")
    arrays: dict[str, NDArray[Any]] = {}
    for name, dtype, shape in _header(payload[_LENGTH.size : place]):
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if place + size > len(payload):
            raise _damaged(f"{name!r} should have {size} bytes, and {len(payload) - place} follow")
        values = np.frombuffer(payload, dtype, math.prod(shape), place) if size else np.empty(0, dtype)
        arrays[name] = values.reshape(shape).copy()
        place += size
    if place != len(payload):
        raise _damaged(f"{len(payload) - place} bytes stand behind the last array")
    return arrays


def smallest(array: NDArray[np.integer[Any]]) -> NDArray[np.signedinteger[Any]]:
    """Return integers in the smallest type with a sign that holds them all.

    Examples
    --------
    >>> smallest(np.array([-1, 127])).dtype, smallest(np.array([128])).dtype
    (dtype('int8'), dtype('int16'))
    """
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    for kind in _INTEGERS:
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max:
            return array.astype(kind)
    raise ValueError(f"{high} is larger than any integer that is packed.")


def _inflate(packed: bytes) -> bytes:
    if packed[: len(MAGIC)] != MAGIC:
        raise _damaged(f"they begin with {packed[: len(MAGIC)]!r} and not with {MAGIC!r}")
    stream = zlib.decompressobj()
    try:
        payload = stream.decompress(packed[len(MAGIC) :], LARGEST + 1)
    except zlib.error as error:
        raise _damaged(str(error)) from None
    if len(payload) > LARGEST:
        raise _damaged(f"they unpack to more than {LARGEST / 2**20:.0f} MiB")
    if not stream.eof:
        raise _damaged("the compressed stream is cut off")
    if stream.unused_data:
        raise _damaged(f"{len(stream.unused_data)} bytes stand behind the compressed stream")
    return payload


def _header(told: bytes) -> list[tuple[str, str, tuple[int, ...]]]:
    try:
        rows = [(name, dtype, tuple(shape)) for name, dtype, shape in json.loads(told)]
    except (ValueError, TypeError, RecursionError) as error:
        raise _damaged(f"the header is no list of names, types and shapes ({error})") from None
    for name, dtype, shape in rows:
        lengths = len(shape) <= 32 and all(type(each) is int and each >= 0 for each in shape)
        lengths = lengths and math.prod(max(1, each) for each in shape) <= LARGEST
        if not isinstance(name, str) or not isinstance(dtype, str) or dtype not in _DTYPES or not lengths:
            raise _damaged(f"the header names an array {name!r} of type {dtype!r} and shape {list(shape)}")
    if len({name for name, _, _ in rows}) < len(rows):
        raise _damaged("two arrays have one name")
    return rows


def _damaged(why: str) -> ArraysDamaged:
    return ArraysDamaged(
        f"Packed arrays cannot be read: {why}.", mend="ionatlas build makes the document again once it is deleted"
    )
