"""Runs pairbox and what it is measured beside, one after the other, over the same data and load."""
