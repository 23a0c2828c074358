"""``python -m fallline``: the command line."""

from fallline.cli import main

main(prog_name="fallline")
