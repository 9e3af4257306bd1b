"""Trials in progress: a training, lanes of trainings, a range test. No Ray, no disk, no printing."""
