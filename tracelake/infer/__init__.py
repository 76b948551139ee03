"""Structure from the wire: who called, with which tool, on whose behalf."""

from tracelake.infer.inference import Inference
from tracelake.infer.scope import process_key

__all__ = ["Inference", "process_key"]
