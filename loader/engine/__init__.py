"""Engine: runs a load in this process, or shares its shards out to several."""
