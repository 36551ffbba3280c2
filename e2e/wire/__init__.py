"""Raw bytes against the built binary: what SDKs never send and attackers do.

`cases.py` runs a table, `upstream.py` records what was forwarded, `h1.py` and `h2.py` are the
clients; the tables are in the files whose names begin with `h1_` and `h2_`.
"""
