"""Fuzzing of whatever reads bytes of others: one harness for each parser, with its invariant."""
