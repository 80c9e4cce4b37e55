"""What a key check costs, beside the same view without one and beside other libraries: ``make bench``."""
