"""How the network of the task ``artefacts`` is made: pictures and defects by seed, training, and measuring on other sources."""
