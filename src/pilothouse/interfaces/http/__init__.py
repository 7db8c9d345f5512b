# SPDX-License-Identifier: Apache-2.0
"""The doors of machines: OTLP, the model gateway, MCP over HTTP, feedback, and the server that joins them with the pages."""
