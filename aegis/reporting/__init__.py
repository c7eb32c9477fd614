"""Reports of what happened: figures assembled once, printed as HTML, PDF and CSV."""
