# SPDX-License-Identifier: Apache-2.0
"""What every use case stands on: the opened parts, the charter in force, tasks as they are read, and recurring work."""
