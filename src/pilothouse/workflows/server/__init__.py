# SPDX-License-Identifier: Apache-2.0
"""The server as a whole: its recurring work, its health, its copy."""
