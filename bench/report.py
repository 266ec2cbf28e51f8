"""The table: a row for each step, a column for each server, the ratio to the best peer, the aim and whether it is met."""

from dataclasses import dataclass

from measure import CPU_UNITS

OURS = "roadstead"
MEMORY_AIM_MIB = 200


@dataclass(frozen=True)
class Aim:
    """times: so many times the speed of `of` ("best": of the best peer), or at_most: a figure in the step's unit."""

    times: float = 1.0
    of: str = "best"
    at_most: float | None = None

    def __str__(self) -> str:
        if self.at_most is not None:
            return f"≤ {self.at_most:g}"
        return f"≥ {self.times:g}× {self.of}"


AIMS = {
    "manifest_get_tag": Aim(of="olareg"),
    "manifest_get_digest": Aim(of="olareg"),
    "manifest_head_tag": Aim(of="olareg"),
    "manifest_get_tag_1k": Aim(3.0),
    "blob_get_1k": Aim(of="olareg"),
    "blob_head_1k": Aim(0.7, "olareg"),
    "blob_get_256m_c1": Aim(0.95, "nginx"),
    "blob_get_256m_c8": Aim(0.95, "nginx"),
    "image_push_small_c8": Aim(4.0, "distribution"),
    "tags_list_10k_n100": Aim(at_most=1.0),
    "gcr_list_10k": Aim(at_most=50.0),
}


def show(run: dict) -> str:
    if run.get("accounts"):
        return "\n\n".join((_rates(run), _cpu(run), _shares(run), _account_aims(run), _account_notes(run)))
    parts = [_speed(run), _cpu(run), _memory(run), _notes(run)]
    return "\n\n".join(part for part in parts if part)


def _step(run: dict, server: str, step: str) -> dict:
    return run["servers"][server]["steps"].get(step, {})


def _peers(run: dict) -> list[str]:
    return [name for name in run["servers"] if name not in (OURS, "nginx")]


def _ratio(run: dict, step: str, other: str) -> float | None:
    """How many times as fast as other we are; "best": as the best peer."""
    ours = _step(run, OURS, step).get("median") if OURS in run["servers"] else None
    more_is_better = run["units"][step].endswith("/s")
    names = _peers(run) if other == "best" else [other] if other in run["servers"] else []
    theirs = [value for name in names if (value := _step(run, name, step).get("median"))]
    if not ours or not theirs:
        return None
    return ours / max(theirs) if more_is_better else min(theirs) / ours


def _verdict(run: dict, step: str) -> str:
    aim = AIMS.get(step, Aim())
    if aim.at_most is not None:
        ours = _step(run, OURS, step).get("median")
        return _met(None if ours is None else ours <= aim.at_most)
    ratio = _ratio(run, step, aim.of)
    return _met(None if ratio is None else ratio >= aim.times)


def _met(met: bool | None) -> str:
    return "not measured" if met is None else "meets" if met else "short"


def _speed(run: dict) -> str:
    names, ours = list(run["servers"]), OURS in run["servers"]
    head = ["step", "unit", *names] + (["× best peer", "× nginx", "aim", ""] if ours else [])
    rows = []
    for step, unit in run["units"].items():
        row = [step, unit, *(_shown(_step(run, name, step)) for name in names)]
        if ours:
            times, ceiling = _ratio(run, step, "best"), _ratio(run, step, "nginx")
            row += [_times(times), _times(ceiling), str(AIMS.get(step, Aim())), _verdict(run, step)]
        rows.append(row)
    return _table(head, rows, left=2)


def _cpu(run: dict) -> str:
    names = list(run["servers"])
    rows = []
    for step, unit in run["units"].items():
        if unit in CPU_UNITS:
            rows.append([step, CPU_UNITS[unit], *(_number(_step(run, name, step).get("cpu")) for name in names)])
    return "CPU time of the server for each piece of work\n" + _table(["step", "unit", *names], rows, left=2) if rows else ""


OPEN, BEARER, BY_PASSWORD, PEER = "open", "registry token", "password", "distribution"
BEARER_AIM, PASSWORD_AIM = 0.95, 10.0


def _rates(run: dict) -> str:
    names = list(run["servers"])
    rows = [[step, unit, *(_shown(_step(run, name, step)) for name in names)] for step, unit in run["units"].items()]
    return _table(["step", "unit", *names], rows, left=2)


def _share(run: dict, way: str, step: str, of: str, key: str = "median") -> float | None:
    """How many times the rate; with key "cpu": how many times as little CPU time."""
    ours, theirs = _step(run, way, step).get(key), _step(run, of, step).get(key)
    if not ours or not theirs:
        return None
    return theirs / ours if key == "cpu" else ours / theirs


def _shares(run: dict) -> str:
    names = [name for name in run["servers"] if name not in (OPEN, PEER)]
    rows = []
    for step in run["units"]:
        for key, what in (("median", "rate"), ("cpu", "by CPU time")):
            shares = [_share(run, name, step, OPEN, key) for name in names]
            if any(shares):
                rows.append([step, what, *(_times(share) for share in shares)])
    return "Share of the open rate that is kept\n" + _table(["step", "", *names], rows, left=2)


def _account_aims(run: dict) -> str:
    rows = []
    for step in run["units"]:
        for way, of, aim in ((BEARER, OPEN, BEARER_AIM), (BY_PASSWORD, PEER, PASSWORD_AIM)):
            rate, cpu = _share(run, way, step, of), _share(run, way, step, of, "cpu")
            if rate is not None and cpu is not None:
                rows.append([step, f"{way} ≥ {aim:g}× {of}", _times(rate), _met(rate >= aim), _times(cpu), _met(cpu >= aim)])
    return _table(["step", "aim", "rate", "", "by CPU time", ""], rows, left=2)


def _account_notes(run: dict) -> str:
    lines = [
        "open, header: with an Authorization header that is not looked at. nobody: what allUsers may pull. ? = disturbed in each round."
    ]
    lines += [
        f"{name}, {step}: {found['error']}"
        for name, server in run["servers"].items()
        for step, found in server["steps"].items()
        if "error" in found
    ]
    return "\n".join(lines)


def _memory(run: dict) -> str:
    names = [name for name in run["servers"] if run["servers"][name]["memory"]]
    if not names:
        return ""
    keys = ("processes", "idle_rss_mib", "idle_pss_mib", "after_rss_mib", "after_pss_mib", "peak_rss_mib")
    rows = [[key, *(_number(run["servers"][name]["memory"].get(key)) for name in names)] for key in keys]
    text = "Memory of all processes together, MiB (RSS counts what they share once for each of them, PSS once)\n" + _table(
        ["", *names], rows, left=1
    )
    if OURS in names:
        after = run["servers"][OURS]["memory"]["after_pss_mib"]
        text += f"\naim: after the load ≤ {MEMORY_AIM_MIB} MiB (PSS): {_met(after <= MEMORY_AIM_MIB)}"
    return text


def _notes(run: dict) -> str:
    lines = ["Synced to disk before a push is answered:"]
    lines += [f"  {name}: {server['note']}" for name, server in run["servers"].items() if server["note"]]
    lines += [
        f"{name} stored {server['tags_per_s']:,.0f} tags/s while it was prepared"
        for name, server in run["servers"].items()
        if server["tags_per_s"]
    ]
    lines.append("Ratios above 1 mean faster (for ms and s too). ? = no undisturbed round: do not trust it. Medians of undisturbed rounds.")
    lines += [
        f"{name}, {step}: {found['error']}"
        for name, server in run["servers"].items()
        for step, found in server["steps"].items()
        if "error" in found
    ]
    return "\n".join(lines)


def _shown(found: dict) -> str:
    if found.get("median") is None:
        return "failed" if "error" in found else ""
    return _number(found["median"]) + ("" if found["undisturbed_rounds"] else "?")


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}".rstrip("0").rstrip(".")


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _table(head: list[str], rows: list[list[str]], left: int) -> str:
    """Markdown that also reads well as plain text: the first `left` columns to the left, the others to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(cells: list[str]) -> str:
        padded = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (width + 2) if column < left else "-" * (width + 1) + ":" for column, width in enumerate(widths)) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])
