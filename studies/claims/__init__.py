"""The parts of ``paper_claims.py``: what the recorded runs and the kept studies say of each claim."""
