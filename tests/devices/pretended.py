"""A CUDA device that this process pretends to have, for finding on a CPU what a GPU would refuse.

A tensor "on cuda:0" is a wrapper around one on the CPU, which computes. As on a GPU, operations refuse tensors of
different devices, `.numpy()` refuses the device's, and a generator draws only for its own device. What needs a real GPU
is left out: kernels with their speed and rounding, streams, graphs, memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache
from types import SimpleNamespace
from typing import Any, ClassVar, cast
from unittest.mock import patch
from weakref import WeakValueDictionary

import torch
import torch._dynamo  # loaded here, since it looks at what is replaced below
from torch import Tensor, nn
from torch.optim import optimizer
from torch.utils import _foreach_utils
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.devices import graphs
from tests.devices.rules import refuse

aten = torch.ops.aten
CPU, META, CUDA = torch.device("cpu"), torch.device("meta"), torch.device("cuda", 0)
OWN = ("cuda", "meta")
"""Both names of the device: torch's C++ takes its tensors for `meta` ones."""


class OnDevice(Tensor):
    """A tensor on the pretended device, which the CPU holds in `held`."""

    held: Tensor
    device = property(lambda self: CUDA)
    is_cuda, is_meta = True, False
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, held: Tensor) -> OnDevice:
        # A view of an ordinary wrapper must be an ordinary one.
        with torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext():
            return Tensor._make_wrapper_subclass(
                cls,
                held.shape,
                strides=held.stride(),
                storage_offset=held.storage_offset(),
                dtype=held.dtype,
                device=META,  # torch's C++ has no CUDA device here, and this has no rules of its own that matter
            )

    def __init__(self, held: Tensor) -> None:
        self.held = held

    def __deepcopy__(self, memo: dict[int, Any]) -> OnDevice:
        if not self.is_leaf:
            raise RuntimeError("Only Tensors created explicitly by the user support the deepcopy protocol")
        copied = OnDevice(self.held.clone())
        vars(copied).update({name: value for name, value in vars(self).items() if name != "held"})
        memo[id(self)] = copied
        return copied.requires_grad_(self.requires_grad)  # type: ignore[return-value]

    def tolist(self) -> Any:
        return self.held.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        if force:
            return self.held.detach().numpy()
        raise TypeError(f"can't convert {CUDA} device type tensor to numpy. Use Tensor.cpu() to copy it first.")

    def __format__(self, spec: str) -> str:
        return format(self.held.detach(), spec)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return run(func, args, kwargs or {})


class _Everywhere(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Also sees operations without a tensor of the device: those that make one."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.is_inference_mode_enabled() and _is_composite(func):  # else autograd has taken it apart
            with self:
                return func.decompose(*args, **kwargs or {})
        return run(func, args, kwargs or {})

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch's compiler would be loaded


class Numbers(torch.Generator):
    """A generator that knows its pretended device."""

    known: ClassVar[WeakValueDictionary[int, Numbers]] = WeakValueDictionary()
    """By their place in memory: operations see other objects for them."""

    place: torch.device
    _cdata: int

    def __new__(cls, device: Any = CPU) -> Numbers:
        made: Numbers = super().__new__(cls, CPU)  # type: ignore[call-arg]
        made.place = CUDA if torch.device(device).type == "cuda" else CPU
        cls.known[made._cdata] = made
        return made

    device = property(lambda self: self.place)


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an operation as the device would, or raise the RuntimeError with which CUDA refuses it."""
    found: list[Tensor] = []
    given: dict[int, OnDevice] = {}

    def held(value: Any) -> Any:
        if isinstance(value, OnDevice):
            given[id(value.held)] = value
            found.append(value)
            return value.held
        if isinstance(value, Tensor):
            found.append(value)
        elif type(value) in (list, tuple):
            return type(value)(map(held, value))
        return value

    inner, settings = [held(arg) for arg in args], {name: held(value) for name, value in kwargs.items()}
    device = settings.get("device")
    if device is not None:
        settings["device"] = CPU if device.type in OWN else device
    on = device.type in OWN if device is not None else bool(given)
    if given:
        refuse(func, args, found)
    value: Any
    for value in (*args, *kwargs.values()):
        if isinstance(value, torch._C.Generator):  # of which `torch.Generator` is a subclass here
            known, place = Numbers.known.get(cast(Any, value)._cdata), CUDA if on else CPU
            if (known.place if known else CPU) != place:
                raise RuntimeError(f"Expected a '{place.type}' device type for generator but found another ({func})")
    graph = graphs.capturing()
    if graph is None or not (found or on):
        result = func(*inner, **settings)
    else:
        result = graph.note(func, inner, settings, crosses=not on or not all(isinstance(x, OnDevice) for x in found))
    if torch.Tag.inplace_view in func.tags and isinstance(args[0], OnDevice):
        with no_dispatch():  # the wrapper takes the new shape too
            func(*args, **kwargs)
        return args[0]

    def wrapped(value: Any) -> Any:
        if isinstance(value, Tensor):
            own = given.get(id(value))  # an operation in place returns what it was given
            return OnDevice(value) if own is None else own
        return type(value)(map(wrapped, value)) if type(value) in (list, tuple) else value

    if func.overloadpacket is aten.copy_:
        return args[0]
    return wrapped(result) if on else result


@cache
def _is_composite(func: Any) -> bool:
    """Whether an operation consists of others on every device."""
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")


def _swapped(one: Tensor, other: Tensor) -> None:
    """Give each of two tensors what the other is. torch's function refuses where a graph holds one of them."""
    one.__class__, other.__class__ = other.__class__, one.__class__
    one.__dict__, other.__dict__ = other.__dict__, one.__dict__
    torch._C._swap_tensor_impl(one, other)


SAID: dict[str, Any] = {
    "is_available": lambda: True,
    "is_initialized": lambda: True,
    "device_count": lambda: 1,
    "current_device": lambda: 0,
    "set_device": lambda *_: None,
    "get_device_name": lambda *_: "pretended",
    "get_device_capability": lambda *_: (9, 0),
    "get_device_properties": lambda *_: SimpleNamespace(name="pretended", total_memory=2**36, major=9, minor=0),
    "mem_get_info": lambda *_: (2**35, 2**36),
    "memory_reserved": lambda *_: 0,
    "memory_allocated": lambda *_: 0,
    "synchronize": lambda *_: None,
    "empty_cache": lambda: None,
    "manual_seed": lambda _: None,
    "manual_seed_all": lambda _: None,
    "get_rng_state": lambda *_: torch.get_rng_state(),
    "set_rng_state": lambda state, *_: torch.set_rng_state(state),
    "is_bf16_supported": lambda *_: True,
    "_lazy_init": lambda: None,
}
"""What `torch.cuda` answers. The device draws from the CPU's generator."""


@contextmanager
def pretended_cuda() -> Iterator[None]:
    """Inside the block, this process has the device `cuda:0`."""
    apply, compatible = cast(Any, nn.Module._apply), torch._has_compatible_shallow_copy_type

    def moved(module: nn.Module, *args: Any, **settings: Any) -> nn.Module:
        before = torch.__future__.get_swap_module_params_on_conversion()
        torch.__future__.set_swap_module_params_on_conversion(True)
        try:
            return cast(nn.Module, apply(module, *args, **settings))
        finally:
            torch.__future__.set_swap_module_params_on_conversion(before)

    def same_kind(one: Tensor, other: Tensor) -> bool:
        return isinstance(one, OnDevice) == isinstance(other, OnDevice) and compatible(one, other)

    with ExitStack() as stack:
        for place, name, value in (
            *((torch.cuda, name, value) for name, value in (SAID | graphs.SAID).items()),
            (torch, "Generator", Numbers),
            (torch, "_has_compatible_shallow_copy_type", same_kind),
            (torch.accelerator, "current_accelerator", lambda **_: CUDA),
            (torch.accelerator, "current_stream", graphs.Stream),
            (torch.backends.cudnn, "is_acceptable", lambda _: False),
            (torch.utils, "swap_tensors", _swapped),
            (nn.Module, "_apply", moved),
        ):
            stack.enter_context(patch.object(place, name, value))
        stack.enter_context(patch.object(torch._C, "_cuda_clearCublasWorkspaces", lambda: None, create=True))
        lists: list[list[Any]] = [_foreach_utils._foreach_supported_types, optimizer._foreach_supported_types]
        for listed in lists:
            if OnDevice not in listed:  # they may be one list
                listed.append(OnDevice)
                stack.callback(listed.remove, OnDevice)
        torch._C._set_only_lift_cpu_tensors(True)  # so that `torch.tensor(1, device="cuda:0")` is seen when it is moved
        stack.callback(torch._C._set_only_lift_cpu_tensors, False)
        stack.enter_context(torch.autograd.set_multithreading_enabled(False))
        stack.enter_context(_Everywhere())  # type: ignore[no-untyped-call]
        yield
