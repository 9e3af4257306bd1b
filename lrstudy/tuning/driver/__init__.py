"""The driver's side of a study: the choice of the next trials, and the recording of their results."""
