"""The HTTP relay: forwards every byte, records every exchange, does nothing else."""
