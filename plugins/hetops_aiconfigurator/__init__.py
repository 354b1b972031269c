"""NVIDIA's aiconfigurator as an estimator. Its package is an extra, and large: nothing here needs it until it is asked."""
