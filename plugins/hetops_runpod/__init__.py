"""RunPod: its GPU catalogue as offers, its pods as nodes. REST v2 only."""
