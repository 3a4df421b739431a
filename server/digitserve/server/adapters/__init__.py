"""Protocols of other servers, so that their clients can ask this one: a small package for each.

An adapter makes images of its protocol's messages, and its messages of what came of them.  How an
image is run, who may ask and what is counted is the services' business, whoever asks.
"""
