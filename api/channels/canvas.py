"""A sheet on which bodies are painted from back to front with matplotlib.

matplotlib's own 3D axes order whole objects by one depth each; here everything is cut into small flat pieces first, so that a
channel passes behind one atom and before another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from api.channels.scene import Scene

WHITE: Final = np.ones(3)
BLACK: Final = np.zeros(3)


@dataclass
class Canvas:
    """Flat pieces with their depth and paint, painted from back to front."""

    scene: Scene
    colours: dict[str, tuple[float, float, float]]
    pieces: list[NDArray[np.float64]] = field(default_factory=list)
    depths: list[float] = field(default_factory=list)
    faces: list[Any] = field(default_factory=list)
    edges: list[Any] = field(default_factory=list)
    lines: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        depth = (self.scene.corners @ self.scene.view.T)[:, 2]
        self.low, self.high = float(depth.min()), float(depth.max())

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Places on the sheet and depths (larger is nearer) of points, shape=(..., 3)."""
        projected: NDArray[np.float64] = points @ self.scene.view.T
        return projected

    def fog(self, depth: float) -> float:
        """How much of the background shows through, 0 in front to 0.5 at the back."""
        return 0.5 * float(np.clip((self.high - depth) / max(self.high - self.low, 1e-9), 0.0, 1.0))

    def add(
        self,
        piece: NDArray[np.float64],
        depth: float,
        face: Any,
        alpha: float = 1.0,
        edge: Any = None,
        line: float = 0.0,
    ) -> None:
        """Add a flat piece, shape=(n, 2); ``edge`` is painted as strongly as the face."""
        fog = self.fog(depth)
        self.pieces.append(piece)
        self.depths.append(depth)
        self.faces.append((*mix(face, WHITE, fog), alpha))
        self.edges.append((0, 0, 0, 0) if edge is None else (*mix(edge, WHITE, fog), min(1.0, alpha + 0.2)))
        self.lines.append(line)

    def disc(
        self, centre: NDArray[np.float64], radius: float, colour: Any, alpha: float = 1.0, *, edge: Any = None
    ) -> None:
        """Add a ball: discs that shrink towards the light at the upper left."""
        colour = np.asarray(colour, dtype=float)
        rim = mix(colour, BLACK, 0.55) if edge is None else edge
        depth = float(centre[2]) + radius
        steps = np.linspace(0.0, 1.0, 7) if alpha > 0.99 else np.linspace(0.0, 1.0, 3)
        for number, share in enumerate(steps):
            shade = mix(mix(colour, BLACK, 0.22 * (1 - share)), WHITE, 0.55 * share**2)
            middle = centre[:2] + 0.3 * radius * share * np.array([-1.0, 1.0])
            own = alpha if number == 0 or alpha > 0.99 else 0.5 * alpha
            ring = _CIRCLE * radius * (1 - 0.82 * share) + middle
            self.add(ring, depth + 1e-4 * number, shade, own, rim if number == 0 else None, 0.6 if number == 0 else 0.0)

    def stroke(self, start: NDArray[np.float64], end: NDArray[np.float64], radius: float, colour: Any) -> None:
        """Add a tube: pieces at their own depths, each with a dark rim and a light ridge."""
        length = float(np.linalg.norm(end - start))
        count = max(2, int(np.ceil(length / 0.3)))
        along = (end - start)[:2]
        size = float(np.linalg.norm(along))
        along = along / size if size > 1e-9 else np.array([1.0, 0.0])
        across = np.array([-along[1], along[0]])
        across = across if across @ np.array([-1.0, 1.0]) >= 0 else -across
        points = start + np.linspace(0.0, 1.0, count + 1)[:, None] * (end - start)
        layers = ((1.0, 0.0, 0.35, BLACK), (0.8, 0.0, 0.0, BLACK), (0.42, 0.2, 0.3, WHITE), (0.16, 0.3, 0.6, WHITE))
        for one, other in pairwise(points):
            depth = float(one[2] + other[2]) / 2 + radius
            lap = 0.02 * along
            for number, (wide, off, share, with_) in enumerate(layers):
                half, middle = across * radius * wide, across * radius * off
                quad = np.array(
                    [one[:2] - lap - half, other[:2] + lap - half, other[:2] + lap + half, one[:2] - lap + half]
                )
                self.add(quad + middle, depth + 1e-4 * number, mix(colour, with_, share))

    def line(
        self, start: NDArray[np.float64], end: NDArray[np.float64], colour: Any, width: float, alpha: float = 1.0
    ) -> None:
        """Add a thin line, in pieces at their own depths; ``width`` in points."""
        count = max(2, int(np.ceil(float(np.linalg.norm(end - start)) / 0.5)))
        points = start + np.linspace(0.0, 1.0, count + 1)[:, None] * (end - start)
        for one, other in pairwise(points):
            depth = float(one[2] + other[2]) / 2
            self.add(np.array([one[:2], other[:2]]), depth, colour, alpha, colour, width)

    def paint(self, axes: Any) -> None:
        """Put everything on the axes in one go."""
        from matplotlib.collections import PolyCollection

        order = np.argsort(self.depths, kind="stable").tolist()
        axes.add_collection(
            PolyCollection(
                [self.pieces[k] for k in order],
                facecolors=[self.faces[k] for k in order],
                edgecolors=[self.edges[k] for k in order],
                linewidths=[self.lines[k] for k in order],
                closed=True,
                capstyle="round",
                joinstyle="round",
            )
        )
        points = np.vstack(self.pieces)
        low, high = points.min(axis=0), points.max(axis=0)
        pad = 0.03 * float((high - low).max())
        axes.set_xlim(low[0] - pad, high[0] + pad)
        axes.set_ylim(low[1] - pad, high[1] + pad)
        axes.set_aspect("equal")
        axes.set_axis_off()


_ANGLES = np.linspace(0.0, 2 * np.pi, 28, endpoint=False)
_CIRCLE: Final = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)


def mix(colour: Any, other: Any, share: float) -> NDArray[np.float64]:
    """Mix a share of another colour into one."""
    mixed: NDArray[np.float64] = np.asarray(colour, dtype=float) * (1 - share) + np.asarray(other, dtype=float) * share
    return mixed
