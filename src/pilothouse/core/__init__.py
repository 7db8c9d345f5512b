# SPDX-License-Identifier: Apache-2.0
"""Pure decisions: charter + evidence → verdict → plan.

May import `errors`, numpy, scipy and pydantic, and nothing that reads a file, a clock, a socket or the environment: moments and
random generators are arguments.
"""
