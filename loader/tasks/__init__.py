"""What a task is: its id, its options, how a record says them, and whose workers it is for."""
