# SPDX-License-Identifier: Apache-2.0
"""The one door to the outside: every tool call goes through contract, permission, resilience and record."""
