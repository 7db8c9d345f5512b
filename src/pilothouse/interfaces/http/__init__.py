# SPDX-License-Identifier: Apache-2.0
"""HTTP for machines: OTLP, the model gateway, MCP, feedback, and the server that mounts them beside the pages."""
