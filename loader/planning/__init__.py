"""Plans large loads: servers, memory, time, network and disk, from measured figures."""
