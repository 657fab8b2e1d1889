"""What a PromQL expression asks for, by a parser of PromQL and not by its looks."""
import re

import promql_parser


def parsed(expression):
    """The tree, with the variables of dashboards put in as they put them in."""
    expression = expression.replace("$__rate_interval", "1m").replace("$__range", "1h")
    return promql_parser.parse(re.sub(r"\$\w+", ".*", expression))


def selectors(expression):
    """All vector selectors of a tree, wherever they are."""
    found, todo = [], [parsed(expression)]
    while todo:
        node = todo.pop()
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
            continue
        if isinstance(node, promql_parser.MatrixSelector):
            todo.append(node.vector_selector)
            continue
        if isinstance(node, promql_parser.Call):
            todo.extend(node.args)
        for part in ("expr", "lhs", "rhs", "param"):
            child = getattr(node, part, None)
            if child is not None and not isinstance(child, str):
                todo.append(child)
    return found


def metrics(expression):
    """The names of the metrics."""
    return {one.name for one in selectors(expression)}
