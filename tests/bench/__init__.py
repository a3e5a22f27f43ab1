"""Benchmarks: speed and memory as ratios within one run, ctxhub and its peer in turn."""
