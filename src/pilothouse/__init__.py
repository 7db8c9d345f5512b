# SPDX-License-Identifier: Apache-2.0
"""Pilothouse takes one narrow AI agent from pilot to production, on evidence."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
