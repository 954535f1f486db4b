"""Which backbone suits a machine and a collection, and what a job will cost."""
