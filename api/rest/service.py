"""The service as a server needs it: it does not wait long for a database that is away, and tells a time limit from a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from api.rest.problems import QueryTimeout
from api.service import SECONDS, Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymongo.database import Database

    from store.settings import Settings

T = TypeVar("T")
_WAIT: Final = 2.0
"""How long a question waits for a database that went away, s."""
_SERVER_SECONDS: Final = 5.0


class ServedService(Service):
    """Questions to one store, from a server."""

    def call(self, operation: Callable[[Database[dict[str, Any]]], T]) -> T:
        """Run a read, for a short while again if the connection was lost, and put MongoDB's refusals into words."""
        from pymongo.errors import ExecutionTimeout, PyMongoError

        from store.connection import connect, is_disconnect, retry_on_disconnect

        try:
            try:
                return operation(self.database)
            except PyMongoError as error:
                if not is_disconnect(error):
                    raise
                answer = retry_on_disconnect(operation, self.settings, seconds=_WAIT)
                self.database = connect(self.settings)
                return answer
        except ExecutionTimeout:
            raise QueryTimeout(
                f"The query took longer than {SECONDS:.0f} s and was stopped.",
                mend="narrow the filter, or filter and sort by fields with an index (/v1/fields shows them)",
            ) from None
        except (PyMongoError, UnicodeEncodeError) as error:
            raised: T = super().call(_raiser(error))
            return raised


def _raiser(error: Exception) -> Callable[[Any], Any]:
    def again(_: Any) -> Any:
        raise error

    return again


def serving(settings: Settings) -> Settings:
    """Settings of a server: a database that does not answer is given up on soon."""
    return settings.model_copy(update={"server_timeout": min(settings.server_timeout, _SERVER_SECONDS)})


def open_service(settings: Settings) -> ServedService:
    """Connect to the store.

    Raises
    ------
    DatabaseError
        Nobody answers.
    """
    from store.connection import connect

    patient = serving(settings)
    return ServedService(connect(settings), patient)
