# SPDX-License-Identifier: Apache-2.0
"""Ways to run an agent on a case, whatever it is written with."""
