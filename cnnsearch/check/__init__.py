"""Says what a file is: a network, a space or a plan, or what is wrong in it."""
