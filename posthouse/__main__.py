"""The entrance: `posthouse ...` and `python -m posthouse ...`."""

from posthouse.operations.cli import main

if __name__ == "__main__":
    main()
