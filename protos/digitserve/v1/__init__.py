"""The wire contract `digitserve.v1`: messages and stubs, generated from the `.proto` files here."""
