"""The name that `lab.training.Model` had in version 0.1.0, so that code written for it still works."""

from lab.training.model import Model, ModelFactory

__all__ = ["Model", "ModelFactory"]
