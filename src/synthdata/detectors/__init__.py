"""Detectors behind one Protocol, each training in a process of its own."""
