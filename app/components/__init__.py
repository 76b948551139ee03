"""Pieces of pages: each draws one thing from plain values and returns what the user did with it."""
