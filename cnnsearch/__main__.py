"""`python -m cnnsearch`: which commands are there?"""

COMMANDS = {
    "study": "search for the best network, and hold its finals",
    "evaluate": "hold the finals of a run later, or others",
    "explain": "what is each block of the winner worth?",
    "export": "the winner as files that work without cnnsearch",
    "report": "make a run's page again",
    "dashboard": "look at a run by optuna-dashboard",
    "check": "what is this network, space or plan, or what is wrong in it?",
}

if __name__ == "__main__":
    for name, words in COMMANDS.items():
        print(f"python -m cnnsearch.{name:<10} {words}")
    print("\nEach says more by --help.")
