"""The offline provider and the demo program."""
