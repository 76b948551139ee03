"""Structure from the wire: who called, with which tool, on whose behalf."""
