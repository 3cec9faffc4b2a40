"""The main job without a browser: real processes, real pages, a real JupyterLab. `make journey` runs it.

A founder signs up, applies, is reviewed and admitted, gets credits, opens JupyterLab, computes through a crash of the
hub, stops, and reads a statement that an independent witness confirms to the second. A student enrols and opens the
course's lab, paid by the course. Then the locks are tried, and the ledger is verified.
Ends with "journey: ok" and a table; non-zero when anything is off.
"""

import os
import re
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from portal.core.quantities import charge_ucr, decimal_credits
from tests.journeys import buying, locks, programme
from tests.journeys.browser import Browser
from tests.journeys.notebook import Notebook
from tests.journeys.people import Launched, launch, launched, person_slug, server_url, sign_in, stop, wait_until_open, wait_until_settled
from tests.journeys.statement import Charge, charge_of
from tests.journeys.witness import Witness
from tests.journeys.world import World, running_world

PROFILE = "h100-slice-10"
RATE_UCR = 4_000_000
COMPUTE = "total = sum(i * i for i in range(100_000)); print(total)"
PROBE = Path(__file__).with_name("probe.py")


@dataclass
class Journey:
    """The steps so far."""

    world: World
    rows: list[tuple[str, str, float]] = field(default_factory=list)

    def step(self, name: str, work: Callable[[], str]) -> None:
        """Do one step, print it with its time, and keep what was checked."""
        started = time.monotonic()
        checked = work()
        self.rows.append((name, checked, time.monotonic() - started))
        print(f"  {self.rows[-1][2]:7.2f} s  {name}: {checked}", flush=True)


@dataclass
class Run:
    """A session under way, and what is known of it."""

    browser: Browser
    session: Launched
    notebook: Notebook
    witness: Witness
    person: str
    charge: Charge | None = None


def main() -> int:
    """Run the journey and return the exit status."""
    if os.environ.get("ENGINE", "local") != "local":
        print("journey: only ENGINE=local exists so far; Slurm comes with the pool's engines")
        return 2
    with tempfile.TemporaryDirectory(prefix="journey-", dir="/tmp") as folder:
        started = time.monotonic()
        try:
            with running_world(Path(folder)) as world:
                journey = Journey(world, [("start", "portal, hub API, four workers, proxy, hub, demo world", time.monotonic() - started)])
                print(f"  {journey.rows[0][2]:7.2f} s  start: {journey.rows[0][1]}", flush=True)
                go(journey)
        except Exception:
            traceback.print_exc()
            for log in sorted(Path(folder).glob("log/*.log")):
                print(f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-25:]))
            print("journey: failed")
            return 1
    _print_table(journey.rows)
    print("journey: ok")
    return 0


def go(journey: Journey) -> None:
    """All steps in order."""
    world = journey.world
    founder = programme.Founder(world)
    journey.step("sign up", founder.sign_up)
    journey.step("apply", founder.apply)
    journey.step("assign reviewers", lambda: programme.assign(world, founder))
    journey.step("review twice", lambda: programme.review(world, founder))
    journey.step("decide and award", lambda: programme.decide(world, founder))
    journey.step("read the award", founder.read_award)
    run = _founder_session(journey, founder)
    journey.step("kill -9 of the hub", lambda: _kill_hub(world, run))
    journey.step("stop", lambda: _stop(run))
    journey.step("statement", lambda: _statement(run, founder.project, RATE_UCR))
    _student_lab(journey)
    journey.step("locks", lambda: locks.try_all(world, founder.browser, run.session, run.person))
    journey.step("buy credits by card", lambda: buying.buy(world, founder))
    journey.step("refund them", lambda: buying.refund(world, founder))
    journey.step("ledger verify", lambda: _verify(world))


def _founder_session(journey: Journey, founder: "programme.Founder") -> Run:
    browser = founder.browser
    sessions: list[Run] = []

    def start() -> str:
        browser.get(f"/sessions/new?profile={PROFILE}&hours=1&project={founder.project}")
        for shown in ("4.00", "Energy", "Balance", "Free"):
            assert shown in browser.text, f"the offer does not show {shown!r}: {browser.text[:800]}"
        session = launch(browser, profile=PROFILE, project=founder.project, label="Journey")
        witness = Witness(f"/{session.server}/")
        address = wait_until_open(browser, session)
        notebook = Notebook(browser, server_url(address, session)).open()
        sessions.append(Run(browser, session, notebook, witness, person_slug(address)))
        return f"{session.server} of {person_slug(address)} open, single sign-on through the portal"

    journey.step("launch JupyterLab", start)
    journey.step("compute", lambda: _compute(sessions[0]))
    journey.step("look around from inside", lambda: _probe(journey.world, sessions[0]))
    return sessions[0]


def _compute(run: Run) -> str:
    printed = run.notebook.run(COMPUTE).strip()
    assert printed == "333328333350000", printed
    return f"kernel answered {printed}"


def _probe(world: World, run: Run) -> str:
    """Run the probe inside the session: it tries to reach what it must not, and says what it reached."""
    secrets_file = world.var_dir / "secrets" / "development.json"
    targets = {
        "homes": str(world.var_dir / "hub" / "homes"),
        "spool": str(world.var_dir / "hub" / "spool"),
        "database socket": str(world.var_dir / "postgres"),
        "secrets": str(secrets_file),
        "portal's files": str(world.var_dir),
    }
    for path in targets.values():
        assert Path(path).exists(), f"the probe would prove nothing: {path} is not there"
    printed = run.notebook.run(
        PROBE.read_text() + f"\nprint(report({targets!r}, hidden_pids={[world.process.pid, world.pid_of('portal'), world.pid_of('hub')]!r}))", timeout_s=90
    )
    assert printed.strip() == "reached nothing", printed
    return "no other home, spool, database, secret or process is in reach"


def _kill_hub(world: World, run: Run) -> str:
    before = world.pid_of("hub")
    message = run.notebook.start("import time\nfor i in range(12):\n    time.sleep(0.5)\nprint('still here')")
    os.kill(before, signal.SIGKILL)
    printed = run.notebook.finish(message, timeout_s=60).strip()
    assert printed == "still here", printed
    deadline = time.monotonic() + 60
    while world.pid_of("hub") == before and time.monotonic() < deadline:
        time.sleep(0.1)
    after = world.pid_of("hub")
    assert after != before, "the hub was not started again"
    _wait_for_hub(world)
    page = run.browser.get(run.session.path)
    assert page.links(containing=f"/{run.session.server}/"), "the session is not open any more"
    return f"hub {before} died, {after} took over; the cell ran on over the same connection"


def _wait_for_hub(world: World) -> None:
    browser = Browser(world.hub_url)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            browser.get("/hub/health")
        except Exception:
            time.sleep(0.2)
        else:
            return
    raise AssertionError("the hub did not come back")


def _stop(run: Run) -> str:
    run.notebook.close()
    stop(run.browser, run.session)
    wait_until_settled(run.browser, run.session)
    seen_s = run.witness.seconds()
    return f"the witness saw the server live {seen_s:.2f} s"


def _statement(run: Run, project: str, rate_ucr: int) -> str:
    charge = charge_of(run.browser, project, run.session)
    seen_s = run.witness.seconds()
    assert abs(charge.seconds - seen_s) <= 1, f"statement {charge.seconds} s, witness {seen_s:.2f} s"
    assert charge.amount_ucr == charge_ucr(rate_ucr, charge.seconds), f"{charge} is not the formula's {charge_ucr(rate_ucr, charge.seconds)}"
    assert charge.lines == 1, f"the session stands {charge.lines} times on the statement"
    assert charge.adds_up, "opening, lines and closing do not add up"
    return f"{charge.seconds} s (witness {seen_s:.2f} s), {decimal_credits(charge.amount_ucr)} credits, once, and the statement adds up"


def _student_lab(journey: Journey) -> None:
    from portal.demo.people import STUDENT

    world = journey.world
    browser = sign_in(world, STUDENT)
    runs: list[Run] = []

    def lesson() -> str:
        browser.get("/courses/").follow(containing="/courses/gpu-from-zero")
        browser.follow(containing="/lessons/")
        assert len(browser.text) > 2000
        return f"{browser.path}, {len(browser.html) // 1000} kB of HTML"

    def lab() -> str:
        browser.get("/courses/gpu-from-zero").follow(containing="/labs/")
        browser.submit(action="/launch")
        session = launched(browser)
        witness = Witness(f"/{session.server}/")
        address = wait_until_open(browser, session)
        notebook = Notebook(browser, server_url(address, session)).open()
        runs.append(Run(browser, session, notebook, witness, person_slug(address)))
        path = re.sub(r"^.*/lab/tree/", "", urlsplit(address).path)
        cells = [cell["source"] for cell in notebook.contents(path)["content"]["cells"] if cell["cell_type"] == "code"]
        for source in cells:
            notebook.run(source if isinstance(source, str) else "".join(source), timeout_s=120)
        return f"{path} in place; its {len(cells)} code cells ran"

    def settle() -> str:
        run = runs[0]
        before = _stop(run)
        text = run.browser.get(run.session.path).text
        assert "GPU" in text
        return f"{before}; paid by the course's project"

    journey.step("read a lesson", lesson)
    journey.step("open the lab", lab)
    journey.step("settle the lab", settle)


def _verify(world: World) -> str:
    done = world.command("ledger", "verify")
    print("\n".join(f"           {line}" for line in done.stdout.splitlines()))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def _print_table(rows: list[tuple[str, str, float]]) -> None:
    width = max(len(name) for name, _, _ in rows)
    print(f"\n{'step':<{width}}  seconds  checked")
    for name, checked, seconds in rows:
        print(f"{name:<{width}}  {seconds:7.2f}  {checked}")
    print(f"{'all':<{width}}  {sum(seconds for _, _, seconds in rows):7.2f}")


if __name__ == "__main__":
    sys.exit(main())
