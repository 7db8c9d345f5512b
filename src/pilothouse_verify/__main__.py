# SPDX-License-Identifier: Apache-2.0
"""`python -m pilothouse_verify FILE`: how a copy of this folder is started, which brings no program along."""

from __future__ import annotations

from pilothouse_verify.command import main

if __name__ == "__main__":
    main()
