"""What the command `digitserve-server` is made of, beside serving itself."""
