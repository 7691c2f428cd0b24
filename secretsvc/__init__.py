"""ksecret: encrypts the data fields of Kubernetes Secret manifests.

The import package of the distribution `secretsvc`, whose command is `ksecret`. The library is what `__all__` names
(docs/library.md):

    from secretsvc import Keyring, decrypt, encrypt

    keyring = Keyring.from_environ()
    sealed = encrypt(data, keyring, to=["age:age1…"])
    assert decrypt(sealed, keyring) == data

Each name is imported when it is first used (PEP 562), so that a start pays for what it uses and no more.
"""

__version__ = "0.2.0"
"""The only place where it is written."""

_HOMES = {
    "library": (
        "Keyring",
        "check",
        "decrypt",
        "encrypt",
        "generate",
        "inspect",
        "rewrap",
        "rotate",
        "set_values",
        "verify",
    ),
    "keyref": ("KeyRef", "Recipients"),
    "errors": (
        "AlreadySealedError",
        "AlteredError",
        "BackendError",
        "BackendUnavailableError",
        "BoundError",
        "FileError",
        "InputError",
        "KeyNotHeldError",
        "KeyRefError",
        "KsecretError",
        "ManifestError",
        "NoKeyError",
        "NotSealedError",
        "NothingToSealError",
        "RepeatedError",
        "UsageError",
    ),
}
"""Module → the names of it that are the library's; `__init__.pyi` says the same to type checkers."""

__all__ = [name for names in _HOMES.values() for name in names]


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
