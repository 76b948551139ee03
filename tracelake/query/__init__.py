"""Questions to the tables, written once for every engine."""
