# SPDX-License-Identifier: Apache-2.0
"""Provenance of the values of a call."""
