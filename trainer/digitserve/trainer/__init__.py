"""Data, network, training, model bundle.

    sources ─▶ dataset ─▶ networks ─▶ training ─▶ evaluation ─▶ compiled ─▶ bundle
                                          └──────▶ report         ▲
       a bare .keras file ─▶ foreign ─▶ input_range ─▶ conversion ─┘

`fit` walks the upper way for `digitserve-train`; `export` the lower one for the server, which
knows the trainer by that command and by the bundle on disk, and in no other way.
"""
