"""Exchanges in, span events out; seals the lake."""
