"""`python -m musictag`."""

from musictag.cli.program import main

main()
