# SPDX-License-Identifier: Apache-2.0
"""What becomes of an answer: cases, examples, rows for training, the way back to each, and its erasure."""
