"""jsonargparse's parser, which reads each setting once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, cast

from jsonargparse import ArgumentParser, Namespace, _common

PLAIN = (str, bool, int, float)
"""The types of settings are these, or subclasses of them."""
READS_ONCE = version("jsonargparse").startswith("4.53.")
"""Whether `Parser` was tried with this version of jsonargparse. With any other it is slower, and reads the same."""


@dataclass(frozen=True)
class Seen:
    """What one reading has found so far: by parser of a class, its defaults, and settings that need no more reading.

    Args:
        defaults: of classes.
        complete: settings as jsonargparse gives them, with all defaults.
        valid: those of them that were checked.
        single: numbers, texts and truth values as jsonargparse gives them, each with the action that reads it.
    """

    defaults: dict[Any, Namespace] = field(default_factory=dict)
    complete: set[Any] = field(default_factory=set)
    valid: set[Any] = field(default_factory=set)
    single: set[Any] = field(default_factory=set)


_seen: ContextVar[Seen | None] = ContextVar("seen", default=None)


@contextmanager
def once() -> Iterator[None]:
    """Inside the block, a `Parser` leaves out what it has read already. A block is for one reading: settings depend on
    files, folders and classes, which may change."""
    token = _seen.set(Seen() if READS_ONCE else None)
    try:
        yield
    finally:
        _seen.reset(token)


class Parser(ArgumentParser):
    """Reads the settings of a class; jsonargparse makes another one for each class inside it.

    jsonargparse reads the settings of a class three times or more to complete them, and again to check them, each time
    with all classes inside: the work is multiplied at each depth. Reading its own results changes nothing, so inside
    `once` they are completed once and checked once.
    """

    def parse_object(self, obj: Any, *args: Any, **kwargs: Any) -> Namespace:
        """Return the settings `obj`, laid over those in `namespace`, read and, where defaults are asked for, complete.
        Where jsonargparse is not lenient, it only checks and has no use for the result."""
        seen = _seen.get()
        if seen is None or args or kwargs.keys() - {"namespace", "defaults"}:
            return cast(Namespace, super().parse_object(obj, *args, **kwargs))
        before, defaults = kwargs.get("namespace"), kwargs.get("defaults", True)
        lenient = bool(_common.lenient_check.get())
        whole = obj
        if before and _within(obj, before):
            whole, obj = before, Namespace()  # type: ignore[no-untyped-call]  # it adds nothing: one reading less
        elif before and ((lenient and not defaults) or not _within(before, obj)):  # without defaults, in another order
            whole = None
        key = (self, _key(whole))
        if key in seen.complete:
            if not lenient and key not in seen.valid:
                try:
                    self.validate(_copied(whole))
                except (TypeError, KeyError) as error:  # as jsonargparse does
                    self.error(str(error), error)
                seen.valid.add(key)
            return cast(Namespace, _copied(whole))
        found: Namespace = super().parse_object(obj, namespace=before, defaults=defaults)
        if lenient and defaults:
            seen.complete.add((self, _key(found)))
        return found

    def validate(self, *args: Any, **kwargs: Any) -> None:
        """Raise an error for unknown settings and, where jsonargparse is not lenient, for wrong and missing ones."""
        if _seen.get() is not None and _common.lenient_check.get():
            known = {action.dest for action in self._actions if hasattr(action, "_check_type")}
            if vars(args[0]).keys() <= known:  # jsonargparse looks up each, and all inside
                return
        super().validate(*args, **kwargs)

    def _check_value_key(self, *args: Any, **kwargs: Any) -> Any:
        """Return the value of one setting, read and checked."""
        seen = _seen.get()
        if seen is None or kwargs.get("append"):
            return super()._check_value_key(*args, **kwargs)
        action, value = args[:2]
        if isinstance(value, PLAIN) and (action, type(value), value) in seen.single:
            return value
        found = super()._check_value_key(*args, **kwargs)
        if isinstance(found, PLAIN):
            seen.single.add((action, type(found), found))
        return found

    def get_defaults(self, *args: Any, **kwargs: Any) -> Namespace:
        """Return the defaults of all settings."""
        seen = _seen.get()
        if seen is None:
            return super().get_defaults(*args, **kwargs)
        key = (self, _common.lenient_check.get(), args, *kwargs.items())
        if key not in seen.defaults:
            seen.defaults[key] = super().get_defaults(*args, **kwargs)
        return cast(Namespace, _copied(seen.defaults[key]))


def _within(part: Any, whole: Any) -> bool:
    """Whether settings say nothing but what others say."""
    if type(part) is Namespace and type(whole) is Namespace:
        there = vars(whole)
        return all(name in there and _within(one, there[name]) for name, one in vars(part).items())
    return bool(_key(part) == _key(whole))


def _key(value: Any) -> Any:
    """Return what stands for a value in sets: equal for values of equal types in equal order alone, 1 is not True. A
    value that cannot stand in sets is like no other."""
    try:
        return _frozen(value)
    except TypeError:
        return object()


def _frozen(value: Any) -> Any:
    kind = type(value)
    if kind is Namespace or kind is dict:
        items = vars(value) if kind is Namespace else value
        return kind, tuple([(_frozen(name), _frozen(one)) for name, one in items.items()])
    if kind is list or kind is tuple:
        return kind, tuple(map(_frozen, value))
    hash(value)
    return kind, repr(value) if kind is float else value  # 0.0 is not -0.0


def _copied(value: Any) -> Any:
    """Return settings in containers of their own: jsonargparse changes those that it gets in place."""
    kind = type(value)
    if kind is Namespace:
        new = Namespace()  # type: ignore[no-untyped-call]
        vars(new).update({name: _copied(one) for name, one in vars(value).items()})
        return new
    if kind is dict:
        return {name: _copied(one) for name, one in value.items()}
    return kind(map(_copied, value)) if kind is list or kind is tuple else value
