# SPDX-License-Identifier: Apache-2.0
"""A deliberately flawed agent pilot that anyone can run offline; it types the product's own commands and signs by its own forms.

May import workflows and everything below; nothing imports it but `app`.
"""
