"""What hetops keeps on disk: where each file lies, who holds a deployment, what was up when, which nodes were begun."""
