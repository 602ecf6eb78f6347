"""Questions to a network and their answers: each is a sweep through its polynomial."""
