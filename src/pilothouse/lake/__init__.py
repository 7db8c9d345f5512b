# SPDX-License-Identifier: Apache-2.0
"""Telemetry in bulk: spans and tasks in Delta tables, queried by DuckDB."""
