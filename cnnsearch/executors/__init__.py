"""Who runs a job? Nothing is imported here: the local executor starts workers before anything slow is loaded."""
