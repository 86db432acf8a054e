"""How fast it is, as ratios to what git, Docker and Python need by themselves, all measured in one run."""
