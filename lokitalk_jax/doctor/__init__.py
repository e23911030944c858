"""Checks data folders before hours of training are spent on them."""
