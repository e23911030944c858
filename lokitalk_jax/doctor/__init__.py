"""Looks a data folder over before hours of training are spent on it."""
