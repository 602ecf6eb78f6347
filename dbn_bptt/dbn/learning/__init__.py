"""Learning networks: their numbers by expectation maximisation or gradient, and their structure."""
