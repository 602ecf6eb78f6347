"""What the site derives from the package and the tree."""
