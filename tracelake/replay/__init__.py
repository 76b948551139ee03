"""Recorded runs: launch a program with a run record, run it again from any step, compare."""
