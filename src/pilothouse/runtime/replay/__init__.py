# SPDX-License-Identifier: Apache-2.0
"""Play a recorded run again: match its calls, name the first divergence, keep the world out."""
