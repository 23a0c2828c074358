"""From a table, wherever it is and however large, to rows that the loop can train on."""

from fallline.tables.asked import Asked
from fallline.tables.prepare import Prepared, prepare

__all__ = ["Asked", "Prepared", "prepare"]
