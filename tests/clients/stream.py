"""stream.py URL UPDATES: prints each event as a line of JSON until so many updates were seen (httpx-sse)."""

import json
import sys

import httpx
from httpx_sse import connect_sse


def main(url: str, updates: int) -> None:
    with httpx.Client(timeout=httpx.Timeout(10, read=60), trust_env=False) as client:
        with connect_sse(client, "GET", url) as source:
            for event in source.iter_sse():
                print(json.dumps({"event": event.event, "id": event.id, "data": event.data}), flush=True)
                updates -= event.event == "metric-update"
                if updates == 0:
                    return


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
