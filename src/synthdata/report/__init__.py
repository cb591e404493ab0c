"""The verdict as HTML and on the terminal; reads metrics, computes nothing."""
