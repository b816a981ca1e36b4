"""`python -m aeinfer` is the command `aeinfer`."""

from aeinfer.cli import run

if __name__ == "__main__":
    run()
