# SPDX-License-Identifier: Apache-2.0
"""A deliberately flawed agent pilot that anyone can run offline."""
