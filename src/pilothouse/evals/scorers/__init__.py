# SPDX-License-Identifier: Apache-2.0
"""Scorers: judgements of results, computed or by a model."""
