"""Markdown tables of what run_all.py kept: medians over the rounds, and each peer's time divided by ours."""
from measure import markdown, median


def by_contender(rows):
    """{name: its rows}, failed rounds apart: a contender that failed in every round keeps only its error."""
    groups = {}
    for row in rows:
        groups.setdefault(row["name"], []).append(row)
    return {name: [r for r in group if "seconds" in r] or group[-1:] for name, group in groups.items()}


def ms(seconds):
    return f"{seconds * 1e3:.{2 if seconds < 1 else 0}f}"


def line(name, rows, reference):
    if "error" in rows[0]:
        return [name, rows[0]["error"].replace("|", "/"), "", "", "", "", ""]
    seconds = [r["seconds"] for r in rows]
    tokens = [r["tokens_per_s"] for r in rows if "tokens_per_s" in r]
    return [
        name,
        ms(median(seconds)),
        ms(min(seconds)),
        f"{median(seconds) / reference:.2f}",
        f"{median(tokens):.0f}" if tokens else "",
        f"{median([r['cpu_share'] for r in rows]):.0%}",
        str(len(rows)),
    ]


def memory(groups):
    """Resident memory of training: the peak over the steps, which is what a step needs, and over the whole process, where
    `mfa bench` has also measured the machine with large buffers and torch.compile has run a compiler. Ours is set against
    16 bytes a parameter plus the activations that it lists."""
    rows = []
    for name, group in groups.items():
        if "error" in group[0]:
            continue
        peak, whole = (median([r[key] for r in group]) for key in ("steady_peak_bytes", "peak_bytes"))
        row = [name, f"{peak / 1e6:.0f}", f"{whole / 1e6:.0f}", "", "", ""]
        if "activation_bytes" in group[0]:
            least = 16 * group[0]["parameters"] + group[0]["activation_bytes"]
            row[3:] = [f"{16 * group[0]['parameters'] / 1e6:.0f}", f"{group[0]['activation_bytes'] / 1e6:.0f}", f"{peak / least:.2f}"]
        rows.append(row)
    return markdown(["resident memory, MB", "peak of the steps", "of the process", "16 B x parameters", "activations", "steps / sum"], rows)


def render(document):
    m = document["machine"]
    text = [
        f"{document['date']}, {m['cpu']} ({m['cpu_path']}), {m['threads']} threads: reads {m['read_gb_per_s']:.1f} GB/s, "
        f"products {m['gemm_f32_gflop_per_s']:.0f} GFLOP/s f32, {m['gemm_bf16_gflop_per_s']:.0f} bf16"
    ]
    for section, cases in document["sections"].items():
        for case, rows in cases.items():
            groups = by_contender(rows)
            ours = next((g for g in groups.values() if g[0].get("ours")), None)
            if not ours:
                continue
            reference = median([r["seconds"] for r in ours])
            header = [f"{section}: {case}", "median ms", "best ms", "time / ours", "tokens/s", "CPU share", "rounds"]
            text.append(markdown(header, [line(name, group, reference) for name, group in groups.items()]))
            if section == "train":
                text.append(memory(groups))
    return "\n\n".join(text)
