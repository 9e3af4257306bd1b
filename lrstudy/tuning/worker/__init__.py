"""The worker's side of a study: the loop inside a Ray process and its checkpoints."""
