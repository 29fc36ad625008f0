"""All derived collections -> ``candidates``: one flat document a material, all that can be asked for."""
