"""`python -m searchplat` is the command `searchplat`."""

from searchplat.cli import main

if __name__ == "__main__":
    main()
