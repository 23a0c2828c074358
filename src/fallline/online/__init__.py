"""Learning from rows that are seen once: in pieces of any size and order, with no learning rate to guess.

Squared loss is exact (exact.py): one triangular factor stands for all rows. Other losses keep a sample of the rows that
stands for all, and what it lacks of their gradient (sampled.py).
"""
