# SPDX-License-Identifier: Apache-2.0
"""What workflows need from the outside, one Protocol each; they know nothing else of it.

Each port is imported from its own module, so that a command loads the records it works with and no others.
"""
