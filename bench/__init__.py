"""Benchmarks: each checks that results are right before it prints a figure."""
