"""Files that start a Ray cluster, checked without one: a launcher's, KubeRay's, Slurm's."""
