"""The base of all models, under the name that users' classes import it by."""

from lab.training.model import Model, ModelFactory

__all__ = ["Model", "ModelFactory"]
