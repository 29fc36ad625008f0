"""Estimators by the conventions of scikit-learn: parameters in ``__init__``, learned state ends in ``_``."""
