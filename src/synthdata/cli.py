"""The `synthdata` command."""


def main() -> None:
    """Run the command line."""
