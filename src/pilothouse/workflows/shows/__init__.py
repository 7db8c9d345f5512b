# SPDX-License-Identifier: Apache-2.0
"""Gathers what the pages of an agent's boundary, people, data and runs show: ports → view models."""

from __future__ import annotations

__all__: list[str] = []
