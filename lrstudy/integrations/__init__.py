"""Frameworks that own the training loop, each in a module that is imported by the user's code alone."""
