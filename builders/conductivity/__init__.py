"""Ionic conductivity at room temperature, predicted from composition and, where it is known, structure."""
