# SPDX-License-Identifier: Apache-2.0
"""The release gate: cases, runs and looks, volume, judges, and the verdict on a candidate."""
