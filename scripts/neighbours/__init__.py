"""What runs other servers' own clients, unmodified, against this one.

`environment` makes the environment of each; `triton_client` and `kserve_client` run in theirs, and
know nothing of digitserve but its address.
"""
