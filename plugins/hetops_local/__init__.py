"""The local provider: this machine's cores and emulated GPUs, and the llama.cpp engine that serves on the cores."""
