"""What corresponds to what in BPTT, dynamic programming and inference: a table that is computed, and could fail."""

from dbn_bptt import link

table = link.correspondences(cell="lstm", seed=1)
print(table)
for row in table.rows:
    print(f"- {row.network} / {row.inference}: {row.source}")
assert table.ok
