"""The stages of scripts/gpu-check.sh, which bounds their time and keeps what they print.

    python scripts/gpu_check.py stage models DIR OUT     # one of doctor, ops, models, fiber, speed, table1
    python scripts/gpu_check.py speed DIR OUT --models avmnist/inter-lf mimic/i2m2 --rounds 1
    python scripts/gpu_check.py summary OUT              # OUT/README.md from what the stages found

DIR is what `gpu-check.sh prepare` made. Every finding is a line of JSON in OUT/<stage>.jsonl, with the build and the GPU that it
is about. A stage skips what these already have (a failure of the program itself is tried again). Exit codes: 0 all that
was asked for is there and right, 1 something failed, 3 time was up before the end.
"""

import argparse
import contextlib
import datetime
import functools
import hashlib
import json
import math
import os
import select
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from compare_pytorch import BATCH, MODELS

ROOT = Path(__file__).resolve().parent.parent
STAGES = "doctor ops models fiber speed table1".split()
ROWS = 10 * BATCH
WARM_UP = 20
# How far ops, and models after their steps, may be from the CPU: the doctor's own limits for f32.
OP_LIMIT, MODEL_LIMIT = 1e-5, 1e-3
# How far what comes out of the small FIBER may be from the CPU, and its gradients.
FIBER_LIMITS = 1e-4, 1e-3
# What a model may need at most, beside what was measured of the one before: below it no other model is begun.
LEAST_SECONDS = 20
# What table 1 keeps of its time for the gate and the export.
AFTER_TRAINING = 30


def real(x):
    """A number of a finding, in which JSON has nothing for infinity."""
    return math.inf if x is None else x


def say(text=""):
    print(text, flush=True)


# ---------------------------------------------------------------------------------------------------- findings


@functools.cache
def build(folder):
    """Which program is checked: a commit, and the program's digest if that commit is not all of it."""
    digest = hashlib.sha256((folder / "i2m2").read_bytes()).hexdigest()[:12]
    commit, state = (folder / "commit").read_text().split()
    return commit if state == "clean" else f"{commit} ({state} tree, binary {digest})"


@functools.cache
def gpu(folder):
    """The GPU in a line, as its driver names it."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,clocks.max.sm", "--format=csv,noheader"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        answer = subprocess.run(query, capture_output=True, text=True, timeout=60)
        lines = answer.stdout.splitlines()
        if answer.returncode == 0 and lines and lines[0].count(",") == 3:
            return lines[0]
    # No nvidia-smi, or a stand-in: ask the program.
    arguments = ["--stage", "models", "--model", "mimic/static", "--steps", "1"]
    for line in doctor(folder, arguments, show=False)[0]:
        if line.get("gpus"):
            first = line["gpus"][0]
            return f"{first['name']}, {line['driver']}, {first['memory'] >> 20} MiB, {first['clock']} MHz"
    return "no GPU"


def lines_of(out, stage):
    """Findings of a stage; a line that was cut off is none."""
    with contextlib.suppress(FileNotFoundError):
        for line in (out / f"{stage}.jsonl").read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                yield json.loads(line)


def here(line, a):
    return line.get("build") == build(a.dir) and line.get("gpu") == gpu(a.dir)


def keep(a, stage, finding):
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    line = {"date": now, "build": build(a.dir), "gpu": gpu(a.dir), **finding}
    path = a.out / f"{stage}.jsonl"
    whole = not path.exists() or path.read_bytes()[-1:] in (b"", b"\n")
    with path.open("a") as file:
        file.write(("" if whole else "\n") + json.dumps(line) + "\n")


# ------------------------------------------------------------------------------------------------- our program


@functools.cache
def environment(folder):
    """Ours: with NVRTC, and with compiled kernels kept in the bundle."""
    changed = dict(os.environ)
    changed.setdefault("I2M2_KERNEL_CACHE", str(folder / "kernels"))
    names = ("libnvrtc.so.13", "libnvrtc.so.12")
    named = [Path(path) for path in changed.get("LD_LIBRARY_PATH", "").split(":") if path]
    has = lambda path: any((path / name).exists() for name in names)
    known = ""
    for ldconfig in ("ldconfig", "/sbin/ldconfig"):
        with contextlib.suppress(OSError):
            known += subprocess.run([ldconfig, "-p"], capture_output=True, text=True).stdout
    if any(map(has, named)) or any(name in known for name in names):
        return changed
    for site in filter(None, sys.path):
        for inside in ("nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib"):
            if has(found := Path(site) / inside):
                say(f"NVRTC: {found}")
                changed["LD_LIBRARY_PATH"] = ":".join([*map(str, named), str(found)])
                return changed
    say("NVRTC is neither known to ldconfig nor among the packages of this python; pip install nvidia-cuda-nvrtc")
    return changed


def doctor(folder, arguments, show=True):
    """What the doctor found, its exit code, and the seconds it took."""
    command = [folder / "i2m2", "doctor", "--device", "cuda:0", *arguments, "--json"]
    begun, found = time.monotonic(), []
    errors = None if show else subprocess.DEVNULL
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment(folder), cwd=ROOT
    ) as process:
        for line in process.stdout:
            with contextlib.suppress(json.JSONDecodeError):
                found.append(json.loads(line))
                if show and "case" in found[-1]:
                    case = found[-1]
                    bits = "repeats bit for bit" if case["repeats"] else "DOES NOT REPEAT"
                    say(f"{case['case']}: {real(case['largest']):.1e} apart, {bits}")
    return found, process.returncode, time.monotonic() - begun


def with_key(found, key):
    return next((line for line in found if key in line), None)


def stage_doctor(a):
    command = [a.dir / "i2m2", "doctor", "--device", "cuda:0"]
    begun = time.monotonic()
    code = subprocess.run(command, env=environment(a.dir), cwd=ROOT).returncode
    keep(a, "doctor", {"exit_code": code, "seconds": time.monotonic() - begun})
    return int(code != 0)


def stage_ops(a):
    found, code, seconds = doctor(a.dir, ["--stage", "ops"])
    finding = {
        "cases": [line for line in found if "case" in line],
        "complete": with_key(found, "failed") is not None,
        "libraries": with_key(found, "gpus"),
        "exit_code": code,
        "seconds": seconds,
    }
    keep(a, "ops", finding)
    say(f"{len(finding['cases'])} cases, exit code {code}, {seconds:.1f} s")
    return int(code != 0)


def model_by_model(a, stage, fits, measure):
    """Measures and keeps models that were not, while there is time."""
    failed, longest, missing = 0, LEAST_SECONDS, []
    done = {} if a.again else {line["model"]: line for line in lines_of(a.out, stage) if here(line, a) and fits(line)}
    for name in a.models:
        if name in done:
            say(f"{name}: is there already (--again repeats it)")
            failed += not done[name].get("holds", True)
            continue
        if time.monotonic() - a.begun + longest > a.limit:
            missing.append(name)
            continue
        begun = time.monotonic()
        finding = measure(name)
        keep(a, stage, {"model": name, **finding})
        failed += not finding.get("holds", True)
        longest = max(longest, time.monotonic() - begun)
    if missing:
        say(f"time is up; left: {' '.join(missing)}. The same call goes on from here")
    return 1 if failed else 3 if missing else 0


def stage_models(a):
    def measure(name):
        found, code, seconds = doctor(a.dir, ["--stage", "models", "--model", name, "--steps", str(a.steps)])
        line = with_key(found, "recorded_like_plain")
        if line is None:
            say(f"FAILED {name}: exit code {code}, nothing found")
            return {"broken": True, "holds": False, "exit_code": code, "seconds": seconds}
        step = line["step"]
        say(
            f"{'ok    ' if code == 0 else 'FAILED'} {name}: {line['steps']} steps, losses {real(line['apart']['loss']):.1e} apart from "
            f"the CPU's, weights {real(line['apart']['weight']):.1e}, {'repeats' if line['repeats'] else 'DOES NOT REPEAT'}, "
            f"recorded {'as' if line['recorded_like_plain'] else 'NOT AS'} sent one by one, "
            f"{step['launches'] if step else 'no recorded'} launches, {seconds:.1f} s"
        )
        return {**line, "holds": code == 0, "exit_code": code, "seconds": seconds}

    return model_by_model(a, "models", lambda line: not line.get("broken") and line["steps"] == a.steps, measure)


def stage_fiber(a):
    """The small FIBER against the CPU; then the published one, timed, unless this is the emulator."""
    found, code, seconds = doctor(a.dir, ["--stage", "fiber", "--model", "tiny"])
    line, worst, speeds = with_key(found, "foreign_launches"), code, []
    if line:
        say(
            f"FIBER, small: {real(line['forward']):.1e} apart from the CPU's, gradients {real(line['gradient']):.1e}, "
            f"{'repeats' if line['repeats'] else 'DOES NOT REPEAT'}, {line['launches']} launches a step"
        )
    for precision in () if code != 0 or "emulator" in gpu(a.dir) else ("f32", "tf32"):
        arguments = ["--stage", "fiber", "--model", "base", "--precision", precision, "--seconds", str(a.seconds)]
        answer, base_code, _ = doctor(a.dir, arguments)
        worst = worst or base_code
        if speed := with_key(answer, "forward_per_second"):
            speeds.append({"precision": precision, **speed})
            say(
                f"FIBER, published, {precision}: {speed['forward_per_second']:.1f} examples/s forward, "
                f"{speed['gradients_per_second']:.1f} with gradients"
            )
    keep(a, "fiber", {"parity": line, "speeds": speeds, "exit_code": worst, "seconds": seconds})
    return int(worst != 0)


# ----------------------------------------------------------------------------------------------------- PyTorch


def pytorch_steps(name, device):
    """Two closures that take a training step of a model, eager and compiled; neither waits for the GPU."""
    import torch
    from torch.nn import functional as F

    from reference_models import avmnist, mimic

    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True  # sizes never change, so PyTorch may look for its fastest convolutions
    if name.startswith("avmnist/"):
        experts, dims, classes = avmnist()[MODELS[name]](), [[1, 28, 28], [1, 112, 112]], 10
    else:
        experts, dims, classes = mimic(slope=0.2)[MODELS[name]](), [[5], [24, 12]], 6
    experts = experts.to(device).train()
    if name.startswith("avmnist/"):
        optimizer = torch.optim.SGD(experts.parameters(), lr=0.05, weight_decay=1e-4)
    else:
        optimizer = torch.optim.RMSprop(experts.parameters(), lr=1e-3)
    data = [torch.rand(ROWS, *d, device=device) for d in dims]
    labels = torch.randint(classes, (ROWS,), device=device)
    # Batches are drawn beforehand, so that a step only picks its rows.
    orders = torch.stack([torch.randperm(ROWS)[:BATCH] for _ in range(100)]).to(device)
    used = [m for m in (0, 1) if any(getattr(e, "modality", m) == m for e in experts.values())]
    parameters = list(experts.parameters())
    taken = 0

    def loss_of(inputs, labels):
        return F.nll_loss(experts(inputs), labels)

    def step(loss_of):
        nonlocal taken
        rows = orders[taken % len(orders)]
        taken += 1
        # What no expert looks at is not picked, as with ours.
        inputs = [data[m].index_select(0, rows) if m in used else None for m in (0, 1)]
        optimizer.zero_grad(set_to_none=True)
        loss_of(inputs, labels.index_select(0, rows)).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 8.0)
        optimizer.step()

    compiled = torch.compile(loss_of)
    return lambda: step(loss_of), lambda: step(compiled)


def worker(name, device):
    """Measures on demand: a line on stdin asks for `eager|compiled seconds`, a line of JSON on stdout answers."""
    # Libraries that print must not come between.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(value):
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    try:
        import torch
    except ImportError as error:
        return answer({"problem": f"there is no PyTorch: {error}"})
    if device.startswith("cuda") and not torch.cuda.is_available():
        return answer({"problem": f"PyTorch {torch.__version__} finds no GPU"})
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    eager, compiled = pytorch_steps(name, device)
    on = torch.cuda.get_device_name() if device.startswith("cuda") else device
    answer({"version": torch.__version__, "on": on})
    for line in sys.stdin:
        mode, seconds = line.split()
        step = eager if mode == "eager" else compiled
        try:
            for _ in range(WARM_UP):
                step()
            wait()
            steps, start = 0, time.perf_counter()
            while time.perf_counter() - start < float(seconds):
                step()
                steps += 1
            wait()
            answer({"rate": steps / (time.perf_counter() - start)})
        except Exception as error:  # of a compiler, any
            answer({"problem": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]})


class PyTorch:
    """A worker process of one model."""

    def __init__(self, name, device):
        command = [sys.executable, __file__, "worker", name, device]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        # A group of its own, as compilers start processes.
        self.process = subprocess.Popen(command, start_new_session=True, **pipes)
        self.about = self.answer(120)

    def answer(self, limit):
        """The next answer, or what is wrong; the worker must not be used after a problem of time."""
        if not select.select([self.process.stdout], [], [], limit)[0]:
            return {"problem": f"took over {limit:g} s"}
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"problem": f"its process ended ({self.process.wait()})"}

    def measure(self, mode, seconds, limit):
        try:
            self.process.stdin.write(f"{mode} {seconds}\n")
            self.process.stdin.flush()
        except OSError:
            return {"problem": "its process ended"}
        return self.answer(limit + float(seconds))

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def stage_speed(a):
    def measure(name):
        begun = time.monotonic()
        pytorch = PyTorch(name, a.torch_device)
        try:
            rates = {"ours": [], "eager": [], "compiled": []}
            problems, line, ceiling = {}, None, None
            if problem := pytorch.about.get("problem"):
                problems = {"eager": problem, "compiled": problem}
            elif a.no_compile:
                problems = {"compiled": "not asked for"}
            for round in range(a.rounds):
                found, code, _ = doctor(a.dir, ["--stage", "speed", "--model", name, "--seconds", str(a.seconds)])
                if (line := with_key(found, "steps_per_second")) is None or code != 0:
                    problems["ours"] = f"exit code {code}"
                    break
                ceiling = with_key(found, "bytes_per_second")
                rates["ours"].append(line["steps_per_second"])
                for mode in ("eager", "compiled"):
                    if mode in problems:
                        continue
                    # The first round compiles, or looks for convolutions.
                    answer = pytorch.measure(mode, a.seconds, a.compile_limit)
                    if "rate" in answer:
                        rates[mode].append(answer["rate"])
                    else:
                        problems[mode] = answer["problem"]
                        if mode == "compiled":  # what is left of its compiler must not disturb the others
                            problems[mode] = f"does not compile: {answer['problem']}"
                            pytorch.close()
                            pytorch = PyTorch(name, a.torch_device)
        finally:
            pytorch.close()
        medians = {key: statistics.median(values) if values else None for key, values in rates.items()}
        finding = {
            "rounds": a.rounds,
            "seconds_each": a.seconds,
            "rates": rates,
            "medians": medians,
            "problems": problems,
            "pytorch": pytorch.about.get("version"),
            "pytorch_on": pytorch.about.get("on"),
            "ours": line,
            "ceilings": ceiling,
            "holds": "ours" not in problems,
            "seconds": time.monotonic() - begun,
        }
        say(f"{name}: " + ", ".join(words_of_speed(finding)))
        return finding

    fits = lambda line: line["holds"] and line["rounds"] >= a.rounds and line["seconds_each"] >= a.seconds
    return model_by_model(a, "speed", fits, measure)


def words_of_speed(finding):
    ours, problems = finding["medians"]["ours"], finding["problems"]
    yield f"ours {ours:.0f} steps/s" if ours else f"ours: {problems['ours']}"
    if ours and finding["ours"]:
        yield f"{finding['ours']['launches']} launches a step"
        yield f"{100 * finding['ours']['share_of_ceiling']:.1f} % of the multiply-adds' ceiling"
    for mode in ("eager", "compiled"):
        if rate := finding["medians"][mode]:
            yield f"{mode} {rate:.0f} steps/s" + (f" (ratio {ours / rate:.2f})" if ours else "")
        else:
            yield f"{mode}: {problems.get(mode, 'not run')}"


# ----------------------------------------------------------------------------------------------------- table 1


def stage_table1(a):
    if a.tier != "smoke" and not (a.dir / "data" / "avmnist" / "manifest.json").exists():
        say("table1: the bundle has no data/avmnist; give `prepare` --data")
        return 1
    # A folder for each build, so that no time counts runs that another one trained.
    results = a.dir / "results" / hashlib.sha256(f"{build(a.dir)} {gpu(a.dir)}".encode()).hexdigest()[:12]
    if a.again and results.exists():
        shutil.rmtree(results)
    attempt = time.time_ns()
    earlier = [line for line in lines_of(a.out, "table1") if here(line, a) and line.get("results") == results.name]
    if earlier and results.exists():
        attempt = earlier[-1]["attempt"]
    elif results.exists():
        say(f"table1: {results} is there, but the times of its calls are not; beginning again")
        shutil.rmtree(results)
    selection = ["--tier", a.tier, "--device", "cuda:0", "--out", results]
    if a.tier != "smoke":
        selection += ["--data", a.dir / "data"]
    if a.seeds:
        selection += ["--seeds", str(a.seeds)]
    if a.only:
        selection += ["--only", a.only]

    def call(part, arguments, limit=None, stdout=None):
        begun = time.monotonic()
        process = subprocess.Popen(
            [a.dir / "i2m2", *arguments], stdout=stdout, text=True, env=environment(a.dir), cwd=ROOT
        )
        try:
            text, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()  # it goes on bit for bit from its last epoch
            text, _ = process.communicate()
            say(f"{part}: time is up; the same call goes on from here")
        seconds = time.monotonic() - begun
        finding = {"part": part, "attempt": attempt, "results": results.name, "tier": a.tier, "jobs": a.jobs}
        finding |= {"whole": not a.seeds and not a.only, "exit_code": process.returncode, "seconds": seconds}
        keep(a, "table1", finding)
        say(f"{part}: exit code {process.returncode}, {seconds:.1f} s")
        return process.returncode, text

    limit = max(30, a.limit - AFTER_TRAINING - (time.monotonic() - a.begun))
    code, _ = call("reproduce", ["reproduce", "table1", *selection, "--jobs", str(a.jobs)], limit)
    expected = ["--expected", ROOT / "snapshots" / "expected", "--format", "markdown"]
    _, text = call("check", ["check", "table1", *selection, *expected], 60, subprocess.PIPE)
    say(text)
    (a.out / "table1-check.md").write_text(text)
    store = a.out / "table1-store"
    if store.exists():
        shutil.rmtree(store)
    call("export", ["store", "export", store, "--without-weights", "--out", results], 60)
    for frames in results.glob(f"table1.{a.tier}*"):
        shutil.copytree(frames, a.out / frames.name, dirs_exist_ok=True)
    return {0: 0, -signal.SIGKILL: 3}.get(code, 1)


# ----------------------------------------------------------------------------------------------------- summary


def table(head, rows):
    line = lambda cells: "| " + " | ".join(map(str, cells)) + " |"
    return "\n".join([line(head), "|" + "---|" * len(head), *map(line, rows)])


def verdict(found, right, wanted):
    """Of targets that ask something of several things."""
    if not found:
        return "not run"
    if wrong := [name for name in found if not right[name]]:
        return f"**missed**: {', '.join(wrong)}"
    if missing := [name for name in wanted if name not in found]:
        return f"not run in full; held by {len(found)} of {len(wanted)}, left: {', '.join(missing)}"
    return "held"


def number(value, form):
    return "" if value is None else format(value, form)


def summary(out):
    all_lines = {stage: list(lines_of(out, stage)) for stage in STAGES}
    latest = max((line for lines in all_lines.values() for line in lines), key=lambda line: line["date"], default=None)
    if latest is None:
        (out / "README.md").write_text("# GPU check\n\nNothing was run.\n")
        return
    key = lambda line: (line["build"], line["gpu"])
    others = {key(line) for lines in all_lines.values() for line in lines} - {key(latest)}
    lines = {stage: [line for line in found if key(line) == key(latest)] for stage, found in all_lines.items()}
    emulated = "emulator" in latest["gpu"]

    doctors, ops = lines["doctor"], lines["ops"]
    op = next((line for line in reversed(ops) if line["complete"]), ops[-1] if ops else None)
    models = {line["model"]: line for line in lines["models"] if not line.get("broken")}
    broken = {line["model"] for line in lines["models"]} - set(models)
    speeds = {line["model"]: line for line in lines["speed"]}
    training = [line for line in lines["table1"] if line["part"] == "reproduce"]

    targets = []
    cases = {case["case"]: case for case in op["cases"]} if op else {}
    wanted = list(cases) if op and op["complete"] else [*cases, "the rest"]
    right = {name: real(case["largest"]) <= OP_LIMIT for name, case in cases.items()}
    targets.append((f"every op within {OP_LIMIT:g} of the CPU", verdict(cases, right, wanted)))
    if op and not op["complete"]:
        targets[-1] = (targets[-1][0], f"**missed**: the program ended early (exit code {op['exit_code']})")

    long = [name for name in MODELS if name in broken or (name in models and models[name]["steps"] >= 100)]
    apart = lambda line: max(real(line["apart"][part]) for part in ("loss", "weight")) <= MODEL_LIMIT
    right = {name: name not in broken and apart(models[name]) for name in long}
    targets.append((f"every model within {MODEL_LIMIT:g} of the CPU over 100 steps", verdict(long, right, MODELS)))
    same = lambda line: line["repeats"] and line["recorded_like_plain"]
    found = {**{name: case["repeats"] for name, case in cases.items()}}
    found |= {name: name not in broken and same(models[name]) for name in MODELS if name in models or name in broken}
    targets.append(("bit-identity: ops and models repeat, recorded as not", verdict(found, found, [*wanted, *MODELS] if op else ["ops", *MODELS])))

    fiber = lines["fiber"][-1] if lines["fiber"] else None
    parity = fiber and fiber["parity"]
    near = parity and real(parity["forward"]) <= FIBER_LIMITS[0] and real(parity["gradient"]) <= FIBER_LIMITS[1]
    said = "held" if near and parity["repeats"] else "**missed**" if fiber else "not run"
    limits = "what comes out within {:g} of the CPU, gradients within {:g}".format(*FIBER_LIMITS)
    targets.append((f"the small FIBER: {limits}; repeats", said))

    ratio = lambda name, mode: (
        speeds[name]["medians"]["ours"] / speeds[name]["medians"][mode]
        if name in speeds and speeds[name]["medians"]["ours"] and speeds[name]["medians"][mode]
        else None
    )
    # A ratio to PyTorch on another device says nothing.
    on_cuda = lambda name: name in speeds and speeds[name]["pytorch_on"] not in (None, "cpu")
    for name, factor in (("avmnist/inter-lf", 10), ("avmnist/i2m2-lf", 10), ("mimic/i2m2", 15)):
        found = ratio(name, "eager") if on_cuda(name) else None
        said = "not run" if found is None else f"{'held' if found >= factor else '**missed**'}: {found:.2f}"
        targets.append((f"{name}: at least {factor} times PyTorch eager", said))

    calls = [line for line in training if line["tier"] == "paper" and line["whole"]]
    calls = [line for line in calls if line["attempt"] == calls[-1]["attempt"]]
    ended = next((i for i, line in enumerate(calls) if line["exit_code"] == 0), None)
    spent = sum(line["seconds"] for line in calls[: len(calls) if ended is None else ended + 1])
    if not calls:
        said = "not run"
    elif spent > 600:
        said = f"**missed**: {spent:.0f} s" + ("" if ended is not None else " and not at its end")
    elif ended is None:
        said = f"not run in full: {spent:.0f} s so far"
    else:
        said = f"held: {spent:.0f} s in {ended + 1} calls"
    targets.append(("Table 1 (paper tier, five seeds) within 10 minutes", said))
    if emulated:
        targets = [(name, "not run" if said == "not run" else f"not run on a GPU; emulator: {said}") for name, said in targets]

    parts = [
        "# GPU check",
        f"{latest['date']}, written by `scripts/gpu-check.sh`; what the stages printed is in the `.txt` files.",
        f"- GPU (name, driver, memory, highest clock): {latest['gpu']}\n- commit: {latest['build']}",
    ]
    if libraries := op and op["libraries"]:
        parts[-1] += f"\n- {libraries['driver']}, NVRTC {libraries['compiler']}"
    if emulated:
        parts.append("**This is the emulator, not a GPU: times mean nothing.**")
    if others:
        parts.append(f"There are also lines of {len(others)} other builds or GPUs in the `.jsonl` files, which are not shown.")
    parts += ["## Targets", table(("target", "result"), targets), "## Doctor"]
    parts.append(f"Exit code {doctors[-1]['exit_code']}, {doctors[-1]['seconds']:.1f} s." if doctors else "Not run.")

    parts.append("## Ops against the CPU")
    rows = [(c["case"], f"{real(c['largest']):.1e}", c["array"], "yes" if c["repeats"] else "**no**") for c in cases.values()]
    parts.append(table(("op", "apart", "in", "repeats"), rows) if rows else "Not run.")

    parts.append("## Models against the CPU")
    rows = []
    for name in MODELS:
        if line := models.get(name):
            yes = lambda value: "yes" if value else "**no**"
            cells = (f"{real(line['apart']['loss']):.1e}", f"{real(line['apart']['weight']):.1e}", yes(line["repeats"]))
            step = line["step"]
            kind = f"{step['launches']}, {'one graph' if step['graph'] else 'single'}" if step else f"**{line['refused']}**"
            rows.append((name, line["steps"], *cells, yes(line["recorded_like_plain"]), kind, yes(line["holds"])))
        elif name in broken:
            rows.append((name, *[""] * 6, "**no**: ended early"))
    head = ("model", "steps", "losses apart", "weights apart", "repeats", "recorded as plain", "launches", "holds")
    parts.append(table(head, rows) if rows else "Not run.")

    parts.append("## FIBER")
    if parity:
        parts.append(
            f"Small, against the CPU: what comes out {real(parity['forward']):.1e} apart, gradients {real(parity['gradient']):.1e} (in "
            f"{parity['array']}), {'repeats' if parity['repeats'] else '**does not repeat**'}; {parity['launches']} launches a step, not "
            f"recorded: {parity['refused']}."
        )
    else:
        parts.append("**Ended early.**" if fiber else "Not run.")
    rows = [
        (s["precision"], f"{s['forward_per_second']:.1f}", f"{s['gradients_per_second']:.1f}", f"{100 * s['share_of_ceiling']:.1f} %", s["batch"], s["side"])
        for s in (fiber["speeds"] if fiber else [])
    ]
    head = ("published, in", "examples/s forward", "with gradients", "share of multiply-adds' ceiling (f32)", "batch", "pixels")
    if rows:
        parts.append(table(head, rows))

    parts.append("## Training steps per second")
    rows = []
    for name in MODELS:
        if line := speeds.get(name):
            m, ours = line["medians"], line["ours"]
            theirs = lambda mode: number(m[mode], ".0f") or line["problems"].get(mode, "not run")
            cells = [number(m["ours"], ".0f") or line["problems"]["ours"], theirs("eager"), theirs("compiled")]
            cells += [number(ratio(name, mode), ".2f") for mode in ("eager", "compiled")]
            spread = f"{min(line['rates']['ours']) / m['ours']:.2f} to {max(line['rates']['ours']) / m['ours']:.2f}" if m["ours"] else ""
            cells += [ours["launches"], f"{100 * ours['share_of_ceiling']:.1f} %"] if ours else ["", ""]
            rows.append((name, *cells, spread))
    head = ("model", "ours", "eager", "compiled", "ours / eager", "ours / compiled", "launches a step", "share of multiply-adds' ceiling", "ours / its median")
    if rows:
        any_line = next(iter(speeds.values()))
        versions = {f"PyTorch {l['pytorch']} on {l['pytorch_on']}" for l in speeds.values() if l["pytorch"]} or {"no PyTorch"}
        parts.append(
            f"Medians of {any_line['rounds']} alternating rounds of {any_line['seconds_each']:g} s; {', '.join(sorted(versions))}. Batch {BATCH}, f32 "
            "on both sides (no TF32), all data on the GPU, a step's rows picked there, waiting for the GPU only at the end of a "
            "measurement; PyTorch looks for its fastest convolutions (`cudnn.benchmark`), and *compiled* is `torch.compile` of "
            "forward and loss."
        )
        if ceilings := any_line["ceilings"]:
            parts.append(
                f"Ceilings measured: {ceilings['multiply_adds_per_second'] / 1e12:.2f} T multiply-adds/s, "
                f"{ceilings['bytes_per_second'] / 1e9:.0f} GB/s."
            )
    parts.append(table(head, rows) if rows else "Not run.")

    parts.append("## Table 1")
    rows = [(l["part"], l["tier"] + ("" if l["whole"] else ", a part"), l["jobs"], l["exit_code"], f"{l['seconds']:.1f}") for l in lines["table1"]]
    parts.append(table(("call", "tier", "jobs", "exit code", "seconds"), rows) if rows else "Not run.")
    if rows:
        parts.append("Exit code -9: time was up, the next call went on. `check`: 0 pass, 1 a number moved, 3 not measured or inconclusive.")
        for frames in sorted(out.glob(f"table1.{lines['table1'][-1]['tier']}*/table.md")):
            parts.append(frames.read_text().strip())
    (out / "README.md").write_text("\n\n".join(parts) + "\n")


# -------------------------------------------------------------------------------------------------------- main


def finished(a, stage):
    """Whether there is nothing left to do in a stage (for `all`)."""
    lines = [line for line in lines_of(a.out, stage) if here(line, a)]
    if stage == "table1":
        return any(line["part"] == "export" and line["exit_code"] == 0 for line in lines) and any(
            line["part"] == "reproduce" and line["exit_code"] == 0 for line in lines
        )
    return bool(lines) and lines[-1]["exit_code"] == 0


def arguments_of(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    models = lambda text: [name for name in text.replace(",", " ").split() if name]
    folder = lambda path: Path(path).resolve()
    stage = commands.add_parser("stage", help="one stage")
    stage.add_argument("stage", choices=STAGES)
    speed = commands.add_parser("speed", help="the stage speed")
    speed.set_defaults(stage="speed")
    for options in (stage, speed):
        options.add_argument("dir", type=folder, metavar="DIR")
        options.add_argument("out", type=folder, metavar="OUT")
        options.add_argument("--models", type=models, nargs="+", default=[list(MODELS)], help="by commas; default all")
        options.add_argument("--steps", type=int, default=100, help="of a model against the CPU")
        options.add_argument("--seconds", type=float, default=2.0, help="of a measurement of speed")
        options.add_argument("--rounds", type=int, default=3, help="of measurements of speed")
        options.add_argument("--torch-device", default="cuda", help="cpu: for tests of this script")
        options.add_argument("--no-compile", action="store_true", help="leaves torch.compile out")
        options.add_argument("--compile-limit", type=float, default=120.0, help="seconds")
        options.add_argument("--jobs", type=int, default=6, help="runs of table 1 side by side")
        options.add_argument("--tier", default="paper", choices=("smoke", "reduced", "paper"), help="of table 1")
        options.add_argument("--seeds", type=int, help="of table 1; default the tier's")
        options.add_argument("--only", metavar="PATTERN", help="cells of table 1")
        options.add_argument("--again", action="store_true", help="also what is there already")
        options.add_argument("--unless-finished", action="store_true", help="nothing if the whole stage is there already")
        options.add_argument("--limit", type=float, default=470.0, help="seconds after which nothing more is begun")
    commands.add_parser("summary", help="OUT/README.md").add_argument("out", type=folder, metavar="OUT")
    hidden = commands.add_parser("worker", help="for the stage speed")
    hidden.add_argument("name")
    hidden.add_argument("device")
    a = parser.parse_args(argv)
    if hasattr(a, "models"):
        a.models = [name for names in a.models for name in names]
        if unknown := set(a.models) - set(MODELS):
            parser.error(f"no model {', '.join(sorted(unknown))}; there are {', '.join(MODELS)}")
    return a


def main():
    a = arguments_of(sys.argv[1:])
    if a.command == "worker":
        return worker(a.name, a.device)
    if a.command == "summary":
        return summary(a.out)
    # So that workers are closed when time is up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    a.begun = time.monotonic()
    a.out.mkdir(parents=True, exist_ok=True)
    once = a.stage in ("doctor", "ops", "fiber", "table1")  # the others know themselves
    if a.unless_finished and once and not a.again and finished(a, a.stage):
        say(f"{a.stage}: is there already (--again repeats it)")
        return 0
    stages = dict(doctor=stage_doctor, ops=stage_ops, models=stage_models, fiber=stage_fiber, speed=stage_speed, table1=stage_table1)
    return stages[a.stage](a)


if __name__ == "__main__":
    sys.exit(main())
