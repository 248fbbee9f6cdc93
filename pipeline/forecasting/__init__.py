"""03: models that predict Volume, and how they are judged."""
