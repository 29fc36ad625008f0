"""The HTTP face: versioned JSON under ``/v1``, made from :mod:`api.usecases`; OPTIMADE and the pages stand beside it."""
