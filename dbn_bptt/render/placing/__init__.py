"""Where things stand on the page, and how edges run round them."""
