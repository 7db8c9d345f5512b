# SPDX-License-Identifier: Apache-2.0
"""How an agent moves: phases, rollout, additions to its scope, freezes, and what a verdict takes back."""
