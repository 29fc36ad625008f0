"""Use-cases: each question to the store once, with what it is asked with and what it answers, for all faces.

A room adds its questions in a module of this folder and names the module in :data:`api.usecases.registry.MODULES`; REST
routes, the OpenAPI document and the listing for programs follow from that.
"""

from api.usecases.registry import USE_CASES, Answer, Upload, UseCase, load_use_cases, register

__all__ = ["USE_CASES", "Answer", "Upload", "UseCase", "load_use_cases", "register"]
