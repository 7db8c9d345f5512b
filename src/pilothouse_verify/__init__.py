# SPDX-License-Identifier: Apache-2.0
"""The offline verifier of audit bundles: imports nothing of Pilothouse and can be copied alone."""
