# SPDX-License-Identifier: Apache-2.0
"""The watch: each finished day of each agent through its detectors once, and what follows."""
