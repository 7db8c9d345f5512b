# SPDX-License-Identifier: Apache-2.0
"""What the gateway must obey, and what it saw: keys, prices, windows, refused connections."""
