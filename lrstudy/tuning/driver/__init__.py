"""The driver's side of a study: what runs next, and what becomes of its results."""
