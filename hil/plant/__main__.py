"""``python -m hil.plant``: every figure of the model, with its unit and where it is from."""

from hil.plant.parameters import rows


def main() -> int:
    """Print the table."""
    for name, value, unit, source in rows():
        print(f"{name:26} {value:>10g} {unit:8} {source}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
