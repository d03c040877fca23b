"""End-to-end tests of the web page, with a real browser, a real server and generated songs."""
