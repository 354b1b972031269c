"""Lambda Cloud: its instance types as offers, its instances as nodes."""
