"""Where in a run's folder do networks and their weights lie?"""

NETWORK, WEIGHTS = "network.json", "weights.safetensors"
BEST, WINNER = "best", "winner"
BEST_NETWORK, BEST_WEIGHTS = f"{BEST}/{NETWORK}", f"{BEST}/{WEIGHTS}"
"""Of the best network of the search."""
WINNER_NETWORK, WINNER_WEIGHTS = f"{WINNER}/{NETWORK}", f"{WINNER}/{WEIGHTS}"
"""Of the winner of the finals."""
