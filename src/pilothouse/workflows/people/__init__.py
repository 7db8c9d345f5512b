# SPDX-License-Identifier: Apache-2.0
"""Who people are: what they may do, how they sign in, what they signed, and where they are reached."""
