"""Triangle meshes of balls and tubes, for pages that are drawn by a graphics card."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SIDES = 10


class Mesh(NamedTuple):
    """Triangles.

    Attributes
    ----------
    vertices : numpy.ndarray
        shape=(n_vertices, 3).
    faces : numpy.ndarray
        shape=(n_faces, 3), int.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Put meshes into one.

    Examples
    --------
    >>> one = Mesh(np.eye(3), np.array([[0, 1, 2]]))
    >>> joined([one, one]).faces.tolist()
    [[0, 1, 2], [3, 4, 5]]
    """
    if not meshes:
        return Mesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64))
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    return Mesh(
        np.vstack([mesh.vertices for mesh in meshes]),
        np.vstack([mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)]),
    )


def spheres(centres: NDArray[np.float64], radii: NDArray[np.float64], detail: int) -> Mesh:
    """Mesh of balls, each with as many vertices.

    Examples
    --------
    >>> body = spheres(np.zeros((2, 3)), np.ones(2), 1)
    >>> body.vertices.shape, body.faces.shape
    ((84, 3), (160, 3))
    """
    ball = _unit_sphere(detail)
    count = len(ball.vertices)
    vertices = (centres[:, None, :] + radii[:, None, None] * ball.vertices).reshape(-1, 3)
    faces = (ball.faces[None] + count * np.arange(len(centres))[:, None, None]).reshape(-1, 3)
    return Mesh(vertices, faces)


@lru_cache(maxsize=4)
def _unit_sphere(detail: int) -> Mesh:
    """An icosahedron whose triangles are divided into four ``detail`` times."""
    from scipy.spatial import ConvexHull

    golden = (1 + 5**0.5) / 2
    corners = [(0.0, one, two * golden) for one in (-1, 1) for two in (-1, 1)]
    vertices = np.array([np.roll(corner, turn) for corner in corners for turn in range(3)])
    vertices /= np.linalg.norm(vertices[0])
    for _ in range(detail):
        faces = ConvexHull(vertices).simplices
        edges = np.unique(np.sort(faces[:, [[0, 1], [1, 2], [0, 2]]].reshape(-1, 2), axis=1), axis=0)
        middles = vertices[edges].mean(axis=1)
        vertices = np.vstack([vertices, middles / np.linalg.norm(middles, axis=1)[:, None]])
    return Mesh(vertices, _outward(vertices, ConvexHull(vertices).simplices))


def _outward(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> NDArray[np.int64]:
    one, two, three = (vertices[faces[:, k]] for k in range(3))
    inward = np.einsum("ij,ij->i", np.cross(two - one, three - one), one) < 0
    return np.where(inward[:, None], faces[:, ::-1], faces)


def cylinders(ends: NDArray[np.float64], radii: NDArray[np.float64]) -> tuple[Mesh, NDArray[np.int64]]:
    """Mesh of tubes with closed, slightly pointed ends, and to which tube each vertex belongs.

    Parameters
    ----------
    ends : numpy.ndarray
        shape=(n, 2, 3).
    radii : numpy.ndarray
        shape=(n,).

    Examples
    --------
    >>> body, owner = cylinders(np.array([[[0, 0, 0], [0, 0, 2.0]]]), np.array([0.2]))
    >>> body.vertices.shape, bool(abs(body.vertices[:, 0]).max() <= 0.2 + 1e-12)
    ((22, 3), True)
    """
    along = ends[:, 1] - ends[:, 0]
    along = along / np.maximum(np.linalg.norm(along, axis=1), 1e-12)[:, None]
    helper = np.where(np.abs(along[:, :1]) < 0.9, np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 1.0, 0.0]]))
    across = np.cross(along, helper)
    across = across / np.maximum(np.linalg.norm(across, axis=1), 1e-12)[:, None]
    third = np.cross(along, across)
    angles = np.linspace(0.0, 2 * np.pi, _SIDES, endpoint=False)
    ring = np.cos(angles)[None, :, None] * across[:, None, :] + np.sin(angles)[None, :, None] * third[:, None, :]
    ring = ring * radii[:, None, None]
    caps = 0.8 * radii[:, None] * along
    tips = np.stack([ends[:, 0] - caps, ends[:, 1] + caps], axis=1)
    vertices = np.concatenate([ends[:, :1] + ring, ends[:, 1:] + ring, tips], axis=1)
    faces = []
    for k in range(_SIDES):
        after = (k + 1) % _SIDES
        faces += [[k, after, _SIDES + after], [k, _SIDES + after, _SIDES + k]]
        faces += [[after, k, 2 * _SIDES], [_SIDES + k, _SIDES + after, 2 * _SIDES + 1]]
    count = vertices.shape[1]
    every = (np.array(faces)[None] + count * np.arange(len(ends))[:, None, None]).reshape(-1, 3)
    return Mesh(vertices.reshape(-1, 3), every), np.repeat(np.arange(len(ends)), count)
