#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""report.py FOLDER [--docs]: sums up what the parts of `make bench` have measured.

Reads about.json and the parts' files in FOLDER, those that are there; writes bench.json,
bench.txt (Markdown tables) and SVG plots beside them. --docs: puts the tables into
docs/performance.md, between its markers, and the plots into docs/plots/.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
MARKS = ("<!-- bench: begin -->", "<!-- bench: end -->")
SVG_MOST = 60000  # bytes of a plot that is committed
DISTURBED = 0.97  # less CPU time than that, for each second: others had the processor too
SCENES = {
    "pod": "pod → ClusterIP, by packets",
    "node": "node → ClusterIP, by sockets",
    "outside": "outside → NodePort, endpoint here",
    "away": "outside → NodePort, endpoint on another node",
}
WHATS = {"new": "new connections", "rr": "requests, kept connections", "stream": "bytes"}


def lines(folder, name):
    path = "%s/%s.json" % (folder, name)
    if not os.path.exists(path):
        return []
    with open(path, encoding="ascii") as text:
        return [json.loads(line) for line in text if line.strip()]


def spread_of(values):
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def table(head, rows):
    rule = ["---"] * len(head)
    return "".join("| %s |\n" % " | ".join(str(c) for c in row) for row in [head, rule] + rows) + "\n"


# ---- paths

def rate(run):
    """Connections, requests or bytes for each second of CPU time."""
    return (run["bytes"] or run["ok"]) / run["cpuNs"] * 1e9


def sum_paths(records):
    """Medians over the rounds, of each round's ratio to its direct measurement."""
    about = next((r for r in records if "about" in r), None)
    by = {}
    for r in records:
        if "scene" in r:
            by.setdefault((r["scene"], r["what"], r["contender"]), {})[r["round"]] = r["run"]
    rows = []
    for (scene, what, who), runs in by.items():
        direct = by[scene, what, "direct"]
        both = sorted(set(runs) & set(direct))
        row = {"scene": scene, "what": what, "contender": who, "rounds": len(both),
               "ok": sum(r["ok"] for r in runs.values()), "bytes": sum(r["bytes"] for r in runs.values()),
               "failed": sum(r["failed"] for r in runs.values()),
               "stalled": sum(r["stalled"] for r in runs.values()),
               "ratio": spread_of([rate(runs[i]) / rate(direct[i]) for i in both]),
               "perCpuSecond": spread_of([rate(r) for r in runs.values()]),
               "perSecond": spread_of([rate(r) * r["cpuNs"] / r["wallNs"] for r in runs.values()])}
        if what in ("new", "latency", "rr"):
            row["p50Us"] = statistics.median(r["p50Ns"] for r in runs.values()) / 1e3
            row["p99Us"] = statistics.median(r["p99Ns"] for r in runs.values()) / 1e3
        rows.append(row)
    shares = [(r["run"]["cpuNs"] - r["run"]["softirqNs"]) / r["run"]["wallNs"] for r in records if "scene" in r]
    return {"about": about, "rows": rows, "cpuShare": statistics.median(shares)} if rows else None


def ratio_text(row):
    r = row["ratio"]
    return "%.3f (%.2f–%.2f)" % (r["median"], r["min"], r["max"])


def text_paths(paths):
    about = paths["about"]
    out = ["%d Services × %d endpoints for each contender, %s; %d rounds, ratios to the direct way in the same "
           "round: median (min–max). `again` is the direct way measured once more.\n\n" % (
               about["services"], about["endpoints"], about["iptables"], about["rounds"])]
    for scene, title in SCENES.items():
        rows = [r for r in paths["rows"] if r["scene"] == scene]
        contenders = list(dict.fromkeys(r["contender"] for r in rows))
        cells = {(r["what"], r["contender"]): r for r in rows}
        body = []
        for who in contenders:
            new, late = cells["new", who], cells["latency", who]
            body.append([who] + [ratio_text(cells[what, who]) for what in WHATS] +
                        ["%.0f" % new["perCpuSecond"]["median"],
                         "%.0f / %.0f" % (late["p50Us"], late["p99Us"]),
                         "%.2f %%" % (100 * (new["stalled"] + late["stalled"]) / (new["ok"] + late["ok"]))])
        out.append("**%s**\n\n" % title)
        out.append(table(["by"] + list(WHATS.values()) + ["connections a CPU second", "latency p50 / p99, µs", "SYN sent again"], body))
    return "".join(out)


def plot_paths(paths, folder):
    names = ["shunt", "shunt-xdp", "shunt-tc", "nftables", "iptables"]
    cells = {(r["scene"], r["what"], r["contender"]): r["ratio"] for r in paths["rows"]}
    data = []
    for scene in SCENES:
        values = [cells.get((scene, "new", n)) for n in names]
        data.append('"%s" %s' % (scene, " ".join("%.4f %.4f %.4f" % (v["median"], v["min"], v["max"])
                                                 if v else "NaN NaN NaN" for v in values)))
    series = ", ".join("$data using %d:%d:%d:xtic(1) title '%s'" % (2 + 3 * i, 3 + 3 * i, 4 + 3 * i, name)
                       for i, name in enumerate(names))
    gnuplot(folder, "paths", """
set title 'New connections, CPU time: share of the direct path (1 = no cost)'
set style data histograms
set style histogram errorbars gap 1 lw 1
set style fill solid 0.7
set yrange [0.6:1.1]
set key outside bottom center horizontal
plot %s, 1 with lines lc black dt 2 notitle""" % series, data)


# ---- cost

def sum_cost(points):
    return {"points": points} if points else None


def cost_series(points, axis, path):
    for point in points:
        if point["axis"] != axis:
            continue
        for row in point["rows"]:
            if row["path"] == path:
                yield (row["flows"] if axis == "flows" else point["x"]), row["net"]


def text_cost(cost):
    out = []
    for axis in ("services", "endpoints"):
        new = dict(cost_series(cost["points"], axis, "new-here-fill-10"))
        rows = [[x, "%.1f" % net["median"], "%.0f" % new[x]["median"]]
                for x, net in cost_series(cost["points"], axis, "established-here")]
        head = axis if axis == "services" else "endpoints of each of 100 Services, half of them here"
        out.append(table([head, "known flow, net ns", "new flow, net ns"], rows))
    flows = sorted(dict(cost_series(cost["points"], "flows", "established-here")).items())
    out.append(table(["known flows, in turn", "net ns"], [[x, "%.1f" % net["median"]] for x, net in flows]))
    return "".join(out)


def plot_cost(cost, folder):
    for axis, label in (("services", "Services"), ("endpoints", "endpoints of a Service"), ("flows", "flows")):
        blocks, series = [], []
        for path, title in (("established-here", "known flow"), ("new-here-fill-10", "new flow")):
            values = sorted(dict(cost_series(cost["points"], axis, path)).items())
            if values:
                blocks.append("\n".join("%d %.3f %.3f %.3f" % (x, n["median"], n["min"], n["max"])
                                        for x, n in values))
                series.append("$data index %d using 1:2:3:4 with yerrorlines title '%s'" % (len(blocks) - 1, title))
        if series:
            gnuplot(folder, "cost-" + axis, """
set title 'XDP, IPv4: net ns of a packet'
set logscale xy
set xlabel '%s'
set key left top
plot %s""" % (label, ", ".join(series)), ["\n\n\n".join(blocks)])


# ---- control

def sum_control(rows):
    return {"rows": rows} if rows else None


def text_control(control):
    def cell(value, form):
        return form % value if value is not None else "-"

    rows = [[r["services"], r["who"], "%.2f" % r["loadS"] if "loadS" in r else "> %d" % r["overS"],
             cell(r.get("rssMb"), "%.0f"), cell(r.get("ownMb"), "%.0f"),
             cell(r.get("changeP50Ms"), "≤ %g" if r["who"] == "shunt" else "%.0f"),
             cell(r.get("changeP99Ms"), "≤ %g")] for r in control["rows"]]
    return table(["Services × 10", "who", "load, s", "resident, MB", "its own, MB", "a change, ms: p50", "p99"], rows)


def plot_control(control, folder):
    blocks, series = [], []
    for who in ("shunt", "nftables", "iptables"):
        values = [r for r in control["rows"] if r["who"] == who and "loadS" in r]
        if not values:
            continue
        blocks.append("\n".join("%d %.5f %.5f" % (r["services"], r["loadS"], r["changeP50Ms"] / 1e3) for r in values))
        at = len(blocks) - 1
        series.append("$data index %d using 1:2 with linespoints lw 2 title '%s: load'" % (at, who))
        series.append("$data index %d using 1:3 with linespoints dt 2 title '%s: change'" % (at, who))
    gnuplot(folder, "control", """
set title 'Load all, and change one endpoint'
set logscale xy
set xlabel 'Services, ten endpoints each'
set ylabel 'seconds'
set key outside bottom center horizontal
plot %s""" % ", ".join(series), ["\n\n\n".join(blocks)])


# ---- spread

def sum_spread(rows):
    return {"rows": [dict(r["run"], name=r["name"]) for r in rows]} if rows else None


def text_spread(spread):
    return table(["weights", "algorithm", "busiest / mean", "variation"],
                 [r["name"].split("/") + ["%.3f" % r["maxOverMean"], "%.3f" % r["variation"]]
                  for r in spread["rows"]])


def plot_spread(spread, folder):
    blocks, series = [], []
    for r in spread["rows"]:
        kind, algorithm = r["name"].split("/")
        weights = sum(b["weight"] for b in r["backends"])
        of = sorted(b["live"] / (b["weight"] / weights * r["live"]) for b in r["backends"])
        blocks.append("\n".join("%d %.4f" % (i + 1, v) for i, v in enumerate(of)))
        series.append("$data index %d using 1:2 with linespoints %s title '%s, %s'" % (
            len(blocks) - 1, "" if kind == "equal" else "dt 2", algorithm, kind))
    gnuplot(folder, "spread", """
set title 'Live connections of a backend, over its fair share'
set xlabel 'backends, from the least to the most'
set yrange [0:2]
set key outside bottom center horizontal
plot %s""" % ", ".join(series), ["\n\n\n".join(blocks)])


# ---- the others

def sum_first(rows):
    return rows[0] if rows else None


def sum_cores(rows):
    return {"rows": rows} if rows else None


def text_scale(scale):
    run, bench = scale["run"], scale["bench"]
    rows = [["Services, endpoints that `shunt apply` loaded", "%d, %d" % (scale["services"], scale["endpoints"])],
            ["in s, of them CPU; resident at most", "%.1f, %.1f; %.0f MB" % (
                scale["apply"]["seconds"], scale["apply"]["cpuSeconds"], scale["apply"]["maxRssKb"] / 1024)],
            ["memory of all maps, with room for %d flows" % scale["flows"], "%.0f MB" % (scale["mapBytes"] / 2 ** 20)],
            ["connections by a Service, a CPU second", "%.0f, %d failed" % (rate(run), run["failed"])],
            ["`get flows`, %d of them" % scale["flows"], "%.2f s" % scale["listFlowsS"]],
            ["`shunt bench` over as much, resident at most", "%.0f MB" % (bench["maxRssKb"] / 1024)]]
    rows += [["known flow of %d, net" % r["flows"], "%.1f ns" % r["net"]["median"]] for r in bench["rows"]]
    rows += [["too little room by %s" % r["option"], "`%s`" % r["said"]] for r in scale["refused"]]
    return table(["", ""], rows)


def text_cores(cores):
    return table(["two processors, the same Service", "rates together / alone", "ns alone", "ns together"],
                 [[r["name"], "%.3f (%.2f–%.2f)" % (r["median"], r["min"], r["max"]), "%.1f" % r["aloneNs"],
                   "%.1f" % r["togetherNs"]] for r in cores["rows"]])


# ---- the whole

def gnuplot(folder, name, commands, data):
    path = "%s/%s.svg" % (folder, name)
    script = "set terminal svg size 720,420 font 'sans,12' background 'white'\nset output '%s'\nset grid\n" % path
    script += "$data << EOD\n%s\nEOD\n%s\n" % ("\n".join(data), commands)
    if shutil.which("gnuplot") is None:
        sys.exit("report.py: gnuplot is missing: apt-get install gnuplot-nox")
    subprocess.run(["gnuplot"], input=script.encode(), check=True)
    with open(path, encoding="utf-8") as svg:
        text = [line.rstrip() for line in svg]
    with open(path, "w", encoding="utf-8") as svg:
        svg.write("\n".join(text).strip() + "\n")


PARTS = (("paths", "Whole paths", sum_paths, text_paths, plot_paths, ["paths"]),
         ("control", "Loading and changing", sum_control, text_control, plot_control, ["control"]),
         ("cost", "Cost against size", sum_cost, text_cost, plot_cost,
          ["cost-services", "cost-flows", "cost-endpoints"]),
         ("scale", "Scale", sum_first, text_scale, None, []),
         ("cores", "Two processors", sum_cores, text_cores, None, []),
         ("spread", "How even the load is", sum_spread, text_spread, plot_spread, ["spread"]))


def machine_text(about, paths):
    text = "Linux %s, %s, %d processors, %d GB; commit %s.\n" % (
        about["kernel"], about["cpu"], about["cpus"], about["memoryMb"] / 1024, about["commit"])
    if paths and paths["cpuShare"] < DISTURBED:
        text += ("**Other work ran on this machine meanwhile**: the measuring thread had %.0f %% of its processor. "
                 "Rates and ratios are by CPU time; latencies and seconds include what others took.\n"
                 % (100 * paths["cpuShare"]))
    if about["quick"]:
        text += "**A quick run**: few and short measurements, which only show that all of it works.\n"
    return text + "\n"


def write_docs(folder, plots, text):
    page = ROOT + "/docs/performance.md"
    with open(page, encoding="utf-8") as old:
        before, rest = old.read().split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    os.makedirs(ROOT + "/docs/plots", exist_ok=True)
    for name in plots:
        svg = "%s/%s.svg" % (folder, name)
        if os.path.getsize(svg) > SVG_MOST:
            sys.exit("report.py: %s is larger than %d bytes" % (svg, SVG_MOST))
        shutil.copyfile(svg, "%s/docs/plots/%s.svg" % (ROOT, name))
    with open(page, "w", encoding="utf-8") as new:
        new.write("%s%s\n\n%s%s%s" % (before, MARKS[0], text, MARKS[1], after))


def main():
    folder = sys.argv[1]
    with open(folder + "/about.json", encoding="ascii") as text:
        whole = {"kind": "BenchReport", "about": json.load(text)}
    body, plots = "", []
    for name, title, sum_up, to_text, plot, files in PARTS:
        whole[name] = sum_up(lines(folder, name))
        if not whole[name]:
            continue
        body += "### %s\n\n%s" % (title, to_text(whole[name]))
        if plot:
            plot(whole[name], folder)
        plots += files
        body += "".join("![%s](plots/%s.svg)\n" % (f, f) for f in files) + ("\n" if files else "")
    body = machine_text(whole["about"], whole["paths"]) + body
    with open(folder + "/bench.json", "w", encoding="ascii") as out:
        json.dump(whole, out, indent=1)
    with open(folder + "/bench.txt", "w", encoding="utf-8") as out:
        out.write(body)
    if "--docs" in sys.argv[2:]:
        write_docs(folder, plots, body)


if __name__ == "__main__":
    main()
