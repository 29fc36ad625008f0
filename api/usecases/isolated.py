"""Use-cases in the sandbox: the function that its workers call."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api.usecases.registry import Answer, Upload


def answer_isolated(name: str, ask: str, upload: Upload | None = None) -> Answer:
    """Answer a use-case in a worker (:meth:`api.sandbox.Sandbox.run`).

    Parameters
    ----------
    name : str
        Of the use-case.
    ask : str
        What is asked with, as JSON.
    upload : Upload, optional

    Returns
    -------
    Answer
        With plain data: nothing in it needs our classes' kernels to be read back.
    """
    import orjson

    from api.sandbox import worker_service
    from api.usecases import load_use_cases

    case = load_use_cases()[name]
    answer = case.answer(worker_service(), case.ask.model_validate_json(ask), upload)
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z
    answer.data = orjson.loads(orjson.dumps(answer.data, option=options))
    return answer
