# SPDX-License-Identifier: Apache-2.0
"""Telemetry as it comes in, is answered about, is kept and is reconciled."""
