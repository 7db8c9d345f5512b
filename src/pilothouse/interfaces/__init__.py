# SPDX-License-Identifier: Apache-2.0
"""Where people and machines come in: command line, HTTP, MCP and pages, which never import each other.

May import workflows and everything below; decides nothing, and gets what it needs from `app`.
"""
