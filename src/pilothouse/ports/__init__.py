# SPDX-License-Identifier: Apache-2.0
"""What the inside needs from outside, one Protocol each; workflows know only these.

Each port is imported from its own module, so that a command loads the records it works with and no others.
"""
