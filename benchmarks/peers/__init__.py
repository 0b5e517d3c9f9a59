"""The contestants' own programs: other clients doing the loader's job, each as its users would write it."""
