"""From a job to frames, renditions, signals and a manifest. Free of torch."""
