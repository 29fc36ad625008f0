"""Pages with forms: a formula or a crystal in, an answer out."""
