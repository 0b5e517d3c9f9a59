"""What runs the shards of a load: this machine, or a cluster of workers. One module each."""
