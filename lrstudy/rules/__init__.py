"""Rules that several sides keep and none of them owns. Standard library and numpy only."""
