# SPDX-License-Identifier: Apache-2.0
"""Intervals, tests and detectors that make a verdict valid."""
