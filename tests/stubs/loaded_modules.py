# SPDX-License-Identifier: Apache-2.0
"""Imports what commands and servers need, once, in the process from which they are forked (`forked_process.py`)."""

from __future__ import annotations

import atexit
import gc
import importlib
import pkgutil

import pyarrow as pa

import pilothouse

__all__: list[str] = []

LEFT_OUT = (
    "pilothouse.__main__",
    "pilothouse.interfaces.http.otlp_grpc",  # gRPC must not be loaded before a fork
    "pilothouse.ledger.migrations",  # run by Alembic, not imported
    "pilothouse.runtime.taps.site",  # changes the process that imports it
)

LOADED_LATE = ("alembic.command", "uvicorn.protocols.http.httptools_impl", "uvloop")
"""What our modules load only when they run."""


def _load(package):
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if not found.name.startswith(LEFT_OUT):
            module = importlib.import_module(found.name)
            if found.ispkg:
                _load(module)


_load(pilothouse)
for _name in LOADED_LATE:
    importlib.import_module(_name)
# pyarrow looks for pandas once, and finds none (`forked_process.py` says why).
pa.table({"a": [1]})
# What is here stays: no forked process looks through it again, which would copy every page of it.
gc.collect()
gc.freeze()
atexit.register(gc.unfreeze)
