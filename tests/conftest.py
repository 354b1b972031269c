"""What all tests share: the public contract suite, loaded as a third party loads it."""

pytest_plugins = ("hetops.plugin.testing",)
