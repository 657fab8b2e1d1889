"""prometheus_api.py URL TIME [TOKEN]: reads with prometheus-api-client and prints what it got as one line of JSON."""

import json
import sys
from datetime import datetime, timezone

from prometheus_api_client import PrometheusConnect


def main(url: str, time: int, token: str | None = None) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else None
    client = PrometheusConnect(url=url, headers=headers)
    start, end = (datetime.fromtimestamp(at, timezone.utc) for at in (time - 300, time))
    by_gpu = "max by (gpu) (DCGM_FI_DEV_GPU_UTIL)"
    print(
        json.dumps(
            {
                "connected": client.check_prometheus_connection(),
                "metrics": sorted(client.all_metrics()),
                "labels": sorted(client.get_label_names()),
                "values": sorted(client.get_label_values("gpu")),
                "instant": client.custom_query(by_gpu, params={"time": time}),
                "range": client.custom_query_range(by_gpu, start_time=start, end_time=end, step="60s"),
                "data": client.get_metric_range_data("container_memory_bytes", start_time=start, end_time=end),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
