"""What is drawn: a graph, a view of it, what is put on it, and the scene."""
