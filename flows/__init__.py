"""Orchestration with Prefect: one short file a stage, and `capstone` for the whole loop."""
