# SPDX-License-Identifier: Apache-2.0
"""MCP servers for agents."""
