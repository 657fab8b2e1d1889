"""What Schemathesis is told that no schema can say: which texts are PromQL or cursors, what is configured, and which ticks are past."""
import schemathesis
from hypothesis import strategies as st

QUERIES = [
    "DCGM_FI_DEV_GPU_UTIL", "sum by (gpu) (DCGM_FI_DEV_POWER_USAGE)", "rate(DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION[1m])",
    "1", '"text"', "topk(3, DCGM_FI_DEV_GPU_TEMP)", "up", 'nothing{gpu="0"}',
]
SELECTORS = ["up", '{job="dcgm"}', 'DCGM_FI_DEV_GPU_UTIL{gpu=~"[0-3]"}']
CURSORS = ["1764000003007", "midc26ts.0.7ps.-", ""]
PAST = 1_764_000_000_000

schemathesis.openapi.format("promql", st.sampled_from(QUERIES))
schemathesis.openapi.format("promql-selector", st.sampled_from(SELECTORS))
schemathesis.openapi.format("cursor", st.sampled_from(CURSORS))
schemathesis.openapi.format("datasource", st.just("default"))


@schemathesis.hook
def before_call(_context, case, _kwargs):
    """Brings ticks that a client says to have seen into the past, and writes whole numbers as such."""
    body = case.body if isinstance(case.body, dict) else {}
    for listed in (body.get("subscriptions"), body.get("add")):
        for one in listed if isinstance(listed, list) else []:
            for name in ("after", "interval") if isinstance(one, dict) else ():
                number = one.get(name)
                if isinstance(number, float) and number.is_integer():
                    one[name] = int(number)
            if isinstance(one, dict) and type(one.get("after")) is int and one["after"] > PAST:
                one["after"] = PAST
