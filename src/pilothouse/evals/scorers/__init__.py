# SPDX-License-Identifier: Apache-2.0
"""Judgements of results: computed, or asked of a model."""
