# SPDX-License-Identifier: Apache-2.0
"""The tables of the journal."""

from __future__ import annotations

from typing import Final

__all__ = ["SCHEMA", "SCHEMA_VERSION"]

SCHEMA_VERSION: Final = 1
"""Form of the file; a newer one is refused, an older one is brought forward."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS config (
  digest TEXT PRIMARY KEY, version TEXT NOT NULL, address TEXT NOT NULL, environment TEXT NOT NULL, at TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS config_version ON config (version);
CREATE TABLE IF NOT EXISTS run (
  id TEXT PRIMARY KEY, dataset TEXT NOT NULL, candidate TEXT NOT NULL, plan TEXT NOT NULL, at TEXT NOT NULL, verdict TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trial (
  key TEXT PRIMARY KEY, config TEXT NOT NULL, case_id TEXT NOT NULL, input_hash TEXT NOT NULL, k INTEGER NOT NULL,
  attempt INTEGER NOT NULL, status TEXT NOT NULL, reply TEXT, blob TEXT, latency_s REAL, cost_usd REAL, error TEXT,
  run TEXT
);
CREATE TABLE IF NOT EXISTS score (
  trial TEXT NOT NULL, case_hash TEXT NOT NULL, version TEXT NOT NULL, name TEXT NOT NULL, value REAL, why TEXT,
  reason TEXT NOT NULL, cost_usd REAL, PRIMARY KEY (trial, case_hash, version),
  CHECK ((value IS NULL) = (why IS NOT NULL))
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS look (
  run TEXT NOT NULL, number INTEGER NOT NULL, document TEXT NOT NULL, PRIMARY KEY (run, number)
) WITHOUT ROWID;
"""
"""A score without a value says why: the database holds to it too."""
