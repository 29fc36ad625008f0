"""The command ``ionatlas``: one small module a group of commands, nothing heavy at import."""
