# SPDX-License-Identifier: Apache-2.0
"""Use cases: load, decide, act; they know ports, never vendors."""
