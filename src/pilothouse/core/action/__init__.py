# SPDX-License-Identifier: Apache-2.0
"""Verdicts become a proposed plan."""
