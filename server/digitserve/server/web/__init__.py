"""HTTP/1.1, for whoever cannot speak gRPC: browsers, curl.  Off unless `http` says where.

    uvicorn ─▶ guarding ─▶ Starlette ─┬─▶ grpc_web   the services as they are, in gRPC-Web's clothes
                                      └─▶ (adapters' own routes)

The extra `http` has what is needed; nothing of it is imported otherwise.
"""
