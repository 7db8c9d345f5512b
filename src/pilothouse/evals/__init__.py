# SPDX-License-Identifier: Apache-2.0
"""Run an agent on cases, score what it answered, and keep every trial: datasets, targets, scorers, journal, runner.

May import core, ports and settings; never lake or ledger. Verdicts on what it measured are `core/verdict/release*.py`.
"""
