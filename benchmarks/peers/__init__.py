"""Programs of the contestants: other clients that do the loader's job, each as its users would write it."""
