"""Sign-in: its pages, the limits on guessing passwords, and password confirmation."""
