# SPDX-License-Identifier: Apache-2.0
"""What was measured or signed: the records a verdict rests on."""
