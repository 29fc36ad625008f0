"""The search page: its state in the address, facets, table, figure."""
