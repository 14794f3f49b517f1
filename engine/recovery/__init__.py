"""Repair from a few images: closed form first, so that training starts close; then distillation."""
