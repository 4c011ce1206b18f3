"""Losses as plain functions of tensors; the objectives weigh them."""
