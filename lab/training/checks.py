"""Settings that do not fit the model or the data, found before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lab.data.base import Batches
from lab.data.batch import Batch
from lab.encoders.base import Encoder
from lab.encoders.trained_on import TrainedOn, carried
from lab.errors import ConfigError, nearest
from lab.training.model import Model
from lab.training.restoring import averages_of
from lab.training.settings import TrainerSettings

TOO_SMALL = (
    "the batch norm {} needs at least 2 examples in every training batch, but one has 1; choose another "
    "data.batch_size, leave the last batch of an epoch out, or use another norm"
)


def require_optimization(settings: TrainerSettings, model: Model) -> None:
    """Raise ConfigError where the model's optimizers cannot be built or driven as the settings say."""
    name, by_hand = type(model).__name__, not model.automatic_optimization
    for setting, given in (("layer_rate", settings.layer_rate != 1), ("unfreeze_every", settings.unfreeze_every)):
        if given and not isinstance(getattr(model, "encoder", None), Encoder):
            raise ConfigError(f"trainer.{setting} is for models with an encoder, and {name} has none")
        if given and not any(one.requires_grad for one in model.encoder.parameters()):
            raise ConfigError(
                f"trainer.{setting} is for encoders that learn, and that of {name} does not: it is frozen"
            )
    try:
        optimizers = model.optimizers_of(settings)
        averages_of(settings)  # makes a step
    except (ValueError, TypeError, RuntimeError) as error:  # torch checks learning rates, betas, gradients
        raise ConfigError(f"trainer.optimizer: {error}") from error
    if by_hand and settings.accumulate > 1:
        raise ConfigError(
            f"trainer.accumulate must be 1 for {name}, which calls its optimizers itself; "
            f"received {settings.accumulate}"
        )
    if not by_hand and len(optimizers) != 1:
        raise ConfigError(
            f"{name} has parameter groups for {len(optimizers)} optimizers ({', '.join(optimizers)}); a model with "
            "other than one sets automatic_optimization to False and steps them in training_step"
        )


def carried_notes(model: Model) -> Sequence[str]:
    """Return what the user should know of an encoder that was trained before, one sentence each. Raises ConfigError
    where it was trained with another vocabulary."""
    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, Encoder):
        return []
    here = TrainedOn.of(encoder, model.spec, model.input_preparation)
    return carried(encoder, here, model.preparation_settings)


def require_fitting(
    settings: TrainerSettings, model: Model, training: Batches, validation: Batches | None, batch: Batch
) -> None:
    """Raise ConfigError where settings of the trainer do not fit the model or its batches; `batch` is any of them, of
    the validation where there is one."""
    require_metrics(settings, model, validation, batch)
    require_mixing(settings, model, batch)
    require_two_for_batch_norm(model, training, batch)


def require_mixing(settings: TrainerSettings, model: Model, batch: Batch) -> None:
    """Raise ConfigError where inputs, or their losses, cannot be mixed as `trainer.mixup` says; `batch` is any."""
    if not settings.mixup:
        return
    x, targets = batch
    if type(model).training_step is not Model.training_step:
        raise ConfigError(f"trainer.mixup is not for {type(model).__name__}, which trains in steps of its own")
    if not isinstance(x, Tensor) or not x.is_floating_point() or batch.mask is not None:
        raise ConfigError("trainer.mixup is for inputs of float32 and one length, such as images and rows of numbers")
    if not isinstance(targets, Tensor):
        raise ConfigError("trainer.mixup is for examples that have one target each")


def require_metrics(settings: TrainerSettings, model: Model, validation: Batches | None, batch: Batch) -> None:
    """Raise ConfigError where early stopping or `keep_best` names no figure of the validation; `batch` is of it."""
    stopping, keeping = settings.early_stopping, settings.keep_best
    wanted = {"trainer.early_stopping.metric": stopping.metric} if stopping else {}
    wanted |= {"trainer.keep_best.metric": keeping.metric} if keeping else {}
    if not wanted:
        return
    if validation is None:
        setting = next(iter(wanted)).rpartition(".")[0]
        raise ConfigError(f"{setting} needs validation examples, but the data holds none out")
    with model.at_rest(seed=0):
        metrics = {name: metric.to(model.device) for name, metric in model.metrics().items()}
        losses = model.measure(batch, metrics)
    names = [f"val/{name}" for name in (*losses, *metrics)]
    for setting, received in wanted.items():
        if received not in names:
            hint = nearest(received, names)
            raise ConfigError(f"{setting} must be one of {', '.join(names)}, received {received}{hint}")


def require_two_for_batch_norm(model: Model, training: Batches, batch: Batch) -> None:
    """Raise ConfigError where a training batch has one example, and a batch norm sees one value per example.

    `batch` is any other. Nothing is checked where the batches do not know the size of their smallest.
    """
    if getattr(training, "smallest", None) != 1:
        return
    found: list[str] = []

    def look(name: str, norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0].numel() == len(batch) * inputs[0].shape[1]:
            found.append(name)

    norms = [(name, part) for name, part in model.named_modules() if isinstance(part, _BatchNorm) and part.training]
    hooks = [norm.register_forward_pre_hook(partial(look, name)) for name, norm in norms]
    with model.at_rest(seed=0):
        model.losses(batch)
    for hook in hooks:
        hook.remove()
    if found:
        raise ConfigError(TOO_SMALL.format(found[0]))


@contextmanager
def batch_norm_errors() -> Iterator[None]:
    """Raise ConfigError for batches of one example that could not be foreseen; torch raises a ValueError."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ConfigError(TOO_SMALL.format("of the model")) from error
