"""The control proxy: replay and breakpoints, in line, off the fast path."""
