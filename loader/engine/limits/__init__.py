"""What holds a load back, so that it does not disturb others. docs/pace.md describes the limits."""
