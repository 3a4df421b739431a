"""gRPC over HTTP/2, on nothing but asyncio."""
