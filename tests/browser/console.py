"""An operator with a browser. Forth: a migration from start to commit by clicks alone, with a mismatch repaired and a
plugin swapped. Back: a takeover by a standby, a commit, and the way back. `cargo xtask browser` starts the clusters and
the hosts, runs this, and compares both clusters afterwards.

In each state: axe-core finds no serious violation, the page fits 400 pixels, no request leaves the host, and the
browser reports no error. With --pictures the states are written as pictures.
"""

import argparse
import os
import time

import pymongo
from playwright.sync_api import sync_playwright

WIDE, NARROW = {"width": 1280, "height": 1000}, {"width": 400, "height": 850}
PATIENCE = 60_000

parser = argparse.ArgumentParser()
for name in ["url", "source", "destination", "chromium", "axe"]:
    parser.add_argument(f"--{name}", required=True)
forth = parser.add_argument_group("forth", "two builds of a plugin")
forth.add_argument("--first")
forth.add_argument("--second")
parser.add_argument("--standby", help="back: the console of a second host")
parser.add_argument("--pictures")
arguments = parser.parse_args()

source = pymongo.MongoClient(arguments.source)
destination = pymongo.MongoClient(arguments.destination)


class Operator:
    """A browser window, and all that went wrong in it."""

    def __init__(self, browser):
        self.context = browser.new_context(viewport=WIDE)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.faults = []
        self.page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        self.page.on("console", self.heard)
        self.page.on("request", self.requested)

    def heard(self, message):
        # A refused form is shown with the status of its error; a host that hands over ends.
        expected = "status of 4" in message.text or (arguments.standby and "ERR_" in message.text)
        if message.type == "error" and not expected:
            self.faults.append(f"console: {message.text}")

    def requested(self, request):
        if not request.url.startswith((arguments.url, arguments.standby or arguments.url)):
            self.faults.append(f"request to {request.url}")

    def open(self, url=arguments.url):
        self.page.goto(url)

    def wait(self, heading):
        self.page.locator("#verdict h1", has_text=heading).wait_for()

    def press(self, section, name):
        self.page.locator(f"#{section}").get_by_role("button", name=name, exact=True).click()

    def unfold(self, section, name):
        self.page.locator(f"#{section} summary", has_text=name).click()

    def check(self, state):
        """Holds the page of a state to the rules, and takes its pictures."""
        self.page.evaluate("window.scrollTo(0, 0)")
        # The text itself: the page's policy forbids a script from elsewhere, so the tool goes through the debugger.
        self.page.evaluate(open(arguments.axe, encoding="utf-8").read())
        for scheme in ["light", "dark"]:
            self.page.emulate_media(color_scheme=scheme)
            found = self.page.evaluate("axe.run().then((result) => result.violations)")
            for violation in found:
                if violation["impact"] in ("serious", "critical"):
                    nodes = [node["html"][:160] for node in violation["nodes"][:3]]
                    self.faults.append(f"{state}, {scheme}: {violation['id']}: {nodes}")
            if arguments.pictures and (scheme == "light" or state == "running"):
                self.page.screenshot(path=f"{arguments.pictures}/{state}-{scheme}.png", full_page=True)
        self.page.emulate_media(color_scheme="light")
        self.page.set_viewport_size(NARROW)
        width = self.page.evaluate("document.scrollingElement.scrollWidth")
        if width > NARROW["width"]:
            self.faults.append(f"{state}: {width} pixels wide in a window of {NARROW['width']}")
        if arguments.pictures and state == "running":
            self.page.screenshot(path=f"{arguments.pictures}/{state}-narrow.png")
        self.page.set_viewport_size(WIDE)
        print(f"  {state}: checked", flush=True)

    def finish(self):
        self.context.close()
        assert not self.faults, "\n".join(self.faults)


def until(what, condition):
    deadline = time.monotonic() + PATIENCE / 1000
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE} ms: {what}"
        time.sleep(0.2)


def upload(operator, file):
    operator.unfold("plugins", "Upload a component")
    operator.page.locator("#plugins input[name=file]").set_input_files(file)
    operator.press("plugins", "Upload")
    operator.page.locator("#plugins [data-answer]", has_text="Stored").wait_for()
    operator.open()


def migrate(operator):
    operator.open()
    operator.wait("No sync has begun")
    operator.check("idle")
    upload(operator, arguments.first)

    print("start", flush=True)
    operator.page.locator("textarea[name=options]").fill('{ "plugins": [ { "component": "stamp" } ], "buildindexes": 1 }')
    operator.press("controls", "Start")
    operator.page.locator("#notice", has_text="UnknownField").wait_for()
    operator.page.get_by_role("link", name="Back to the console").click()
    operator.page.locator("textarea[name=options]").fill('{ "plugins": [ { "component": "stamp" } ] }')
    operator.press("controls", "Start")
    operator.wait("Safe to cut over: no")
    operator.check("copying")
    operator.wait("Safe to cut over: yes")
    operator.page.locator("#verdict .reason", has_text="are equal byte for byte").wait_for()
    operator.check("running")

    print("mismatch", flush=True)
    destination.shop.orders.update_one({"_id": 7}, {"$set": {"total": -1}})
    source.shop.orders.update_one({"_id": 8}, {"$set": {"touched": True}})
    if not found_soon(operator):
        # Without the right to read the destination's oplog a new comparison finds it.
        operator.press("verification", "Compare everything again")
    operator.wait("Safe to cut over: no")
    operator.page.locator("#verification tbody", has_text="shop.orders").wait_for()
    operator.check("mismatch")
    operator.press("verification", "Repair from the source")
    operator.wait("Safe to cut over: yes")
    until("repaired", lambda: destination.shop.orders.find_one({"_id": 7})["total"] != -1)

    print("swap", flush=True)
    upload(operator, arguments.second)
    operator.page.locator("select[name=onIncompatible]").select_option("recopy")
    operator.press("plugins", "Swap")
    operator.page.locator("#timeline", has_text="stamp of plugins[0] swapped").wait_for()
    until("stamped", lambda: destination.shop.orders.find_one({"_id": 7})["stamp"] == "other")

    print("pause and resume", flush=True)
    operator.press("controls", "Pause")
    operator.page.get_by_role("button", name="Resume").wait_for()
    operator.check("paused")
    operator.press("controls", "Resume")
    operator.wait("Safe to cut over: yes")
    operator.page.locator("select[name=level]").select_option("2")
    operator.press("controls", "Set")
    operator.page.locator("#notice", has_text="Load level: accepted").wait_for()

    print("commit", flush=True)
    confirm(operator, "Commit", "another sync")
    assert operator.page.url.rstrip("/") == arguments.url, "a wrong name was sent"
    operator.open()
    confirm(operator, "Commit")
    operator.wait("Cut over")
    operator.check("committed")


def confirm(operator, call, name=None):
    """Makes a call that asks for the sync's name."""
    operator.unfold("controls", f"{call}:")
    field = operator.page.locator("#controls input[name=sync]")
    field.fill(name or operator.page.locator("#verdict code").inner_text())
    operator.press("controls", call)


def take_over_and_return(operator):
    operator.open()
    print("start", flush=True)
    operator.page.locator("select[name=blocking]").select_option("sourceAndDestination")
    operator.page.locator("input[name=reversible]").check()
    operator.press("controls", "Start")
    operator.wait("Safe to cut over: yes")
    operator.open(arguments.standby)
    operator.wait("This host is a standby")
    operator.check("standby")
    operator.open()

    print("takeover", flush=True)
    operator.unfold("hosts", "Hand the sync over")
    operator.press("hosts", "Hand over and end this process")
    # The host ends with the call, and the browser shows a page of its own for that.
    time.sleep(3)
    operator.open(arguments.standby)
    operator.wait("Safe to cut over: yes")
    operator.page.locator("#timeline", has_text="handover").first.wait_for()

    print("commit", flush=True)
    confirm(operator, "Commit")
    operator.wait("Cut over: applications may write to cluster1")
    destination.shop.orders.insert_one({"_id": "since the cutover"})

    print("reverse", flush=True)
    confirm(operator, "Reverse")
    operator.wait("Safe to cut over: yes")
    until("the way back", lambda: source.shop.orders.find_one({"_id": "since the cutover"}))
    operator.check("reversed")
    confirm(operator, "Commit")
    operator.wait("Cut over: applications may write to cluster0")


def found_soon(operator):
    try:
        operator.page.locator("#verdict h1", has_text="Safe to cut over: no").wait_for(timeout=15_000)
        return True
    except Exception:  # A time-out is the answer.
        return False


def read_without_script(browser):
    """The page is complete without JavaScript."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(arguments.url)
    text = page.content()
    for wanted in ["Cut over", "shop.orders", "Timeline", "Verification"]:
        assert wanted in text, f"{wanted} is missing without JavaScript"
    context.close()


with sync_playwright() as playwright:
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    browser = playwright.chromium.launch(executable_path=arguments.chromium, args=sandbox)
    operator = Operator(browser)
    try:
        take_over_and_return(operator) if arguments.standby else migrate(operator)
    except BaseException:
        operator.page.screenshot(path="target/browser/failure.png", full_page=True)
        print("\n".join(operator.faults), flush=True)
        raise
    if not arguments.standby:
        read_without_script(browser)
    operator.finish()
    browser.close()
