"""What forms send: read with care, and told in words where it cannot be meant."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

LARGEST_FIELD: Final = 2_000


class Form(NamedTuple):
    """What a form sent.

    Attributes
    ----------
    fields : dict
        Texts.
    upload : tuple or None
        Name and content of the file.
    """

    fields: dict[str, str]
    upload: tuple[str, bytes] | None

    def text(self, name: str) -> str | None:
        """A text; None where it is empty."""
        return self.fields.get(name, "").strip() or None

    def flag(self, name: str) -> bool:
        """Whether a box is ticked."""
        return self.fields.get(name) == "1"

    def whole(self, name: str, low: int, high: int, default: int | None = None) -> int | None:
        """A whole number."""
        text = self.text(name)
        if text is None:
            return default
        if not (text.isdecimal() and text.isascii() and len(text) < 8 and low <= int(text) <= high):
            raise UsageError(f"{name} is a whole number from {low} to {high}; {text[:40]!r} was given.", mend=f"{low}")
        return int(text)

    def amount(self, name: str, low: float, high: float) -> float | None:
        """A number."""
        text = self.text(name)
        if text is None:
            return None
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not low < number < high:
            raise UsageError(f"{name} is a number between {low:g} and {high:g}; {text[:40]!r} was given.", mend="1.7")
        return number

    def crystal(self) -> tuple[str | None, tuple[str, bytes] | None]:
        """The id or the file that is asked about.

        Raises
        ------
        UsageError
            Neither, or both.
        """
        id = self.text("id")
        if id is not None and self.upload is not None:
            raise UsageError("An id and a file were given.", mend="empty one of them")
        if id is None and self.upload is None:
            raise UsageError(
                "A crystal is wanted.", mend="give the id of a material, or choose a file (CIF, POSCAR, JSON)"
            )
        return id, self.upload


async def read_form(request: Request) -> Form:
    """Read a form: what was sent, or what stands in the address."""
    if request.method != "POST":
        return Form(_short(dict(request.query_params)), None)
    fields: dict[str, Any] = {}
    upload = None
    try:
        async with request.form(max_files=1, max_fields=40) as form:
            for name, value in form.multi_items():
                if isinstance(value, str):
                    fields[name] = value
                elif value.filename:
                    upload = (value.filename, await value.read())
    except Exception as error:  # a broken multipart body raises one of many
        if type(error).__name__ not in (
            "MultiPartException",
            "HTTPException",
            "FormParserError",
            "MultipartParseError",
        ):
            raise
        raise UsageError("The form cannot be read.", mend="fill it in again and send it") from None
    return Form(_short(fields), upload)


def _short(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value)[:LARGEST_FIELD] for name, value in fields.items()}


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Call what waits (for MongoDB, for the sandbox) beside the event loop."""
    from starlette.concurrency import run_in_threadpool

    return await run_in_threadpool(function, *args)
