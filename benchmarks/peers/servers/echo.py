"""The floor: the bare echo of `make bench`, on the port that the runner chose."""

import argparse
import asyncio

from benchmarks.echo import Echo, serve

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("grpc", type=int)
    asyncio.run(serve(Echo(), parser.parse_args().grpc))
