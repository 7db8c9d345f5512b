# SPDX-License-Identifier: Apache-2.0
"""Charter and evidence become verdicts, gates, phases and plans; `readiness.py` is where a reader begins.

May import `core.evidence`, `core.charter` and `core.statistics`; `core.action` stands above it.
"""
