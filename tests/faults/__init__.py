"""Kill every part under load, then check the logs and what clients saw.

python -m tests.faults [chat] [public] [feeds] [--long] [--seed N]
"""
