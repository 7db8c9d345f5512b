# SPDX-License-Identifier: Apache-2.0
"""Charter and evidence into a verdict, kept, dated and explained."""
