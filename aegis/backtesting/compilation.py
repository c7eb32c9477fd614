"""Compiling functions once for all processes.

Belongs here: how machine code is kept on disk and when it is stale. numba looks only at the file of the function that
is called: after a change of a function that it calls, in another file, it would go on running the old code. Here the
code belongs to the text of all compiled sources of this package, and to the strategy's own file. It stands apart from
the kernel because the cost models are compiled too, and the kernel imports them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.ccallback import CFunc

_SOURCES = Path(__file__).parent
_MARK = b"aegis.backtesting.compilation"
_TABLES = (
    *(_SOURCES / "kernel" / f"{name}.py" for name in ("codes", "records", "vocabulary")),
    *(_SOURCES.parent / "execution" / f"{name}.py" for name in ("order_terms", "whole_lots")),
)
"""Sources that do not name this module: compiled code has their layouts and tables as constants, or is made of them."""

Function = Callable[..., Any]


def compiled(function: Function) -> Any:
    """Compile a function for the arguments that it is first called with, and keep the code on disk."""
    return _kept(njit()(function))


def inlined(function: Function) -> Any:
    """Compile a function into the compiled functions that call it: for what every order goes through.

    LLVM leaves functions of this size as calls, which cost an order a quarter of its time from the strategy to its
    fill. Each caller holds a copy, so what is rarely on that way, or has many callers, is :func:`compiled`.
    """
    return _kept(njit(forceinline=True)(function))


def compiled_for(signature: Any) -> Callable[[Function], Any]:
    """Compile a function for one signature now, or load its code from disk; Python's lock is given up while it runs."""

    def compile_now(function: Function) -> Any:
        dispatcher = _kept(njit(nogil=True)(function))
        dispatcher.compile(signature)
        dispatcher.disable_compile()
        return dispatcher

    return compile_now


def callback(signature: Any) -> Callable[[Function], Any]:
    """Compile a function that compiled code can call by its address, or load its code from disk."""

    def compile_now(function: Function) -> Any:
        parts = (signature.args, signature.return_type)
        native = _kept(CFunc(function, parts, locals={}, options={}))
        native.compile()
        return native

    return compile_now


def _kept(native: Any) -> Any:
    """Keep a function's code on disk, stamped with all sources that it can be made of."""
    native.enable_caching()
    # numba offers no other way to say what else the code depends on.
    file = native._cache._cache_file
    file._source_stamp = (file._source_stamp, source_stamp())
    _forget_what_is_damaged(file)
    return native


def _forget_what_is_damaged(file: Any) -> None:
    """Let code on disk that cannot be read be compiled anew, where numba would end the process's import with it."""
    load = file.load

    def load_or_forget(key: Any) -> Any:
        try:
            return load(key)
        except Exception:  # noqa: BLE001 - damaged bytes unpickle to any error
            file.flush()
            return None

    file.load = load_or_forget


@cache
def source_stamp() -> str:
    """Return the SHA-256 of every source file that compiled code is made of: functions, records, codes and tables."""
    digest = hashlib.sha256()
    for file in sorted({*_SOURCES.rglob("*.py"), *_TABLES}):
        text = file.read_bytes()
        if _MARK in text or file in _TABLES:
            digest.update(file.name.encode() + text)
    return digest.hexdigest()
