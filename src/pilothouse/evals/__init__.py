# SPDX-License-Identifier: Apache-2.0
"""Run an agent on cases, score what it answered, and keep every trial: datasets, targets, scorers, journal, runner."""
