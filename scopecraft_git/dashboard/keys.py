"""Which keys do what, for those whose fingers know others."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from itertools import chain

from textual.binding import Binding, BindingType, Keymap
from textual.keys import KEY_ALIASES, Keys

from scopecraft_git.errors import InvalidSettingError

SETTING = "dashboard.keys"
_MODIFIERS = {"ctrl", "shift", "alt", "meta", "super", "hyper"}
_NAMES = {key.value for key in Keys} | set(KEY_ALIASES) | set(chain.from_iterable(KEY_ALIASES.values()))


def keymap(wanted: Mapping[str, str], *screens: Iterable[BindingType]) -> Keymap:
    """For `App.set_keymap`. The bindings of one screen are heard at once, so no two of them may have one key.

    Raises `InvalidSettingError` for a name that is none, for a key that is none, and for a key that is another's.
    """
    bound = [[binding for binding in screen if isinstance(binding, Binding) and binding.id] for screen in screens]
    names = [binding.id or "" for bindings in bound for binding in bindings]
    for name, keys in wanted.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            raise _invalid(name, f"the dashboard knows no such name{f'; did you mean {near[0]}?' if near else ''}")
        for key in _split(keys):
            if not is_key(key):
                raise _invalid(
                    name, f"there is no key {key!r}; keys are written like x, ctrl+x, f5, space, question_mark"
                )
    for bindings in bound:
        _refuse_doubles(wanted, bindings)
    return {name: ",".join(_split(keys)) for name, keys in wanted.items()}


def is_key(key: str) -> bool:
    *modifiers, name = key.split("+") if len(key) > 1 else [key]
    return set(modifiers) <= _MODIFIERS and (len(name) == 1 or name in _NAMES or key in _NAMES or _is_sign(name))


def _is_sign(name: str) -> bool:
    """Signs go by their names in Unicode, such as `question_mark`."""
    import unicodedata

    try:
        return bool(unicodedata.lookup(name.replace("_", " ")))
    except KeyError:
        return False


def _refuse_doubles(wanted: Mapping[str, str], bindings: list[Binding]) -> None:
    owners: dict[str, str] = {}
    for binding in bindings:
        name = binding.id or ""
        for key in map(_plain, _split(wanted.get(name, binding.key))):
            if (other := owners.setdefault(key, name)) != name:
                told = name if name in wanted else other
                raise _invalid(told, f"the key {key} is that of {other if told == name else name}")


def _split(keys: str) -> list[str]:
    """Several are separated by commas; a comma itself is written as its name."""
    return [key.strip() for key in keys.split(",")]


def _plain(key: str) -> str:
    from textual.keys import _character_to_key

    return _character_to_key(key) if len(key) == 1 else key


def _invalid(name: str, reason: str) -> InvalidSettingError:
    return InvalidSettingError(f"{SETTING}.{name}", "the configuration", reason)
