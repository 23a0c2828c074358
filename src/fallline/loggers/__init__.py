"""Where the curve of a run can go: one place per file. Give one as ``callback=`` of a fit."""
