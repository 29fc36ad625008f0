"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


def page_file(path: str | Path) -> Path:
    """Return the file of a page.

    Raises
    ------
    UsageError
        It is not named as one.

    Examples
    --------
    >>> page_file("salt.html").name
    'salt.html'
    """
    target = Path(path)
    if target.suffix.lower() not in (".html", ".htm"):
        raise UsageError(
            f"Pages are written as HTML, and {target.name} is named otherwise.", mend=f"--html {target.stem}.html"
        )
    return target


@contextlib.contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Lend a file beside the target to write to; it takes the target's place when all went well.

    A reader never sees a half, and a failure leaves the old file.

    Raises
    ------
    UsageError
        The folder does not exist, or it cannot be written there.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder, written_whole(Path(folder) / "a.txt") as part:
    ...     _ = part.write_text("all of it")
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(target)
    except BrokenPipeError:  # of another stream: nobody reads our standard output any more
        raise
    except OSError as error:
        raise UsageError(
            f"{target} cannot be written: {error.strerror or error}.",
            mend="name a file in a folder that can be written",
        ) from None
    finally:
        part.unlink(missing_ok=True)
