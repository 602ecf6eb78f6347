"""`python -m dbn_bptt` is the command `dbn-bptt`."""

from dbn_bptt.app.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
