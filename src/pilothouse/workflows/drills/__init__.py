# SPDX-License-Identifier: Apache-2.0
"""Faults planted on purpose: whether the alert fires and people are reached."""
