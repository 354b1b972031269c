"""The Pulumi resource provider `hetops`: any plugin's `NodeDriver` as a resource with preview, diff, refresh and adoption."""
