"""Files of the lake: segments, fold, seal, snapshot, compaction.

Importing this package loads no data-frame library.
"""
