"""The Ray cluster of a study: its connection, its jobs, and checks of its nodes."""
