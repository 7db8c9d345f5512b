# SPDX-License-Identifier: Apache-2.0
"""`python -m pilothouse` is the command line."""

from __future__ import annotations

from pilothouse.app import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
