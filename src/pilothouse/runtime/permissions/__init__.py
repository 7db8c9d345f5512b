# SPDX-License-Identifier: Apache-2.0
"""Allow, ask or deny: the boundary every tool call passes."""
