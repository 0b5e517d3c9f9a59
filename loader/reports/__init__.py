"""What is made of the JSON reports of loads: conditions, comparisons, and pages to look at."""
