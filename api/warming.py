"""What the first questions to a server would wait for, loaded before they come."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from store.errors import IonatlasError

if TYPE_CHECKING:
    from api.service import Service

GROUPED: Final = ("crystal_system", "nelements", "elements", "li_channel_dimension")
COUNTED: Final = ("energy_above_hull", "band_gap", "density")
INDEXES: Final = ("composition", "structure", "learned")


def warm(service: Service) -> None:
    """Load the fields that pages count by, and the indexes (see :meth:`api.service.Service.warm`)."""
    for field in GROUPED:
        with contextlib.suppress(IonatlasError):  # the question itself will tell
            service.aggregate(group_by=field)
    for field in COUNTED:
        with contextlib.suppress(IonatlasError):
            service.aggregate(histogram=field)
    for name in INDEXES:
        with contextlib.suppress(IonatlasError):
            service.index(name).prepare()
