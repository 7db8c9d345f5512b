# SPDX-License-Identifier: Apache-2.0
"""The tool layer: every tool call passes contract, permission, resilience and record."""
