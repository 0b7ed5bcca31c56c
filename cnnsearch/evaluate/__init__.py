"""The finals: the best few are trained again, the winner is named, and only then the test images are read."""
