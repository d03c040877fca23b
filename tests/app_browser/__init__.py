"""The web page as people use it: a real browser, a real server, generated songs."""
