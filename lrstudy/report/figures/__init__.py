"""Figures as data: computed here from the Summary, drawn elsewhere."""
