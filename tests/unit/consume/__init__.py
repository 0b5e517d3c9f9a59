"""Parts of the synthetic consumer."""
