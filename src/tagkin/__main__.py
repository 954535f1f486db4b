"""``python -m tagkin``."""

from tagkin.cli.main import run

if __name__ == "__main__":
    run()
