"""Rows: the one seam to data. Arrays, sparse matrices and (later) files and clusters differ only here."""
