# SPDX-License-Identifier: Apache-2.0
"""What labels prove: the quality of production, thresholds of confidence, the judge's card, the queue's own truth."""
