"""What people see: the terminal, the figure, the notebook."""
