# SPDX-License-Identifier: Apache-2.0
"""Telemetry in bulk: spans and tasks in Delta tables, queried by DuckDB.

May import core, ports and settings, and the vendors of its README; no other room beside it, and no vendor's exception leaves it.
"""
