"""The parts of ``reexamine.py``: what is known of the paper's runs, numbers, figures and words."""
