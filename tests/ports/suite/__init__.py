"""The tests of the blog, as its authors wrote them."""
