"""Why this network? Each block of the winner is taken away, halved and doubled, and all is trained again."""
