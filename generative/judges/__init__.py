"""What measures generative models: classifiers and distances between distributions."""
