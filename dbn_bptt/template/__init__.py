"""One time slice: its variables and parameters, their equations, and the slices on which these hold."""
