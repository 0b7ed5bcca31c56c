"""A real browser that asks no network for anything of its own; tests that need one are skipped where there is none."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

ARGUMENTS = (
    *("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--no-first-run", "--disable-gpu", "--disable-dev-shm-usage"),
)
LISTEN = """
window.seen = {ran: [], refused: []};
for (const name of ["alert", "confirm", "prompt", "print", "open"])
  window[name] = what => window.seen.ran.push(`${name} ${what}`);
document.addEventListener("securitypolicyviolation", event =>
  window.seen.refused.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""
LOOK = """
async () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  for (const plot of document.querySelectorAll(".js-plotly-plot"))
    try { Plotly.Fx.hover(plot, [{curveNumber: 0, pointNumber: 0}]); } catch (error) {}
  await new Promise(resolve => setTimeout(resolve, 300));
  const links = [...document.querySelectorAll("a[href], form[action], iframe, object, embed, base")];
  const target = link => link.getAttribute("href") || link.getAttribute("action") || "";
  const strange = links.filter(link => !/^(https?:|#|\\/)/.test(target(link)));
  return {...window.seen, strange: strange.map(link => link.outerHTML.slice(0, 200))};
}
"""


class Seen(NamedTuple):
    """What happened while a page was looked at."""

    ran: list[str]
    """Scripts of a text that ran."""
    refused: list[str]
    """What the page's policy refused: a text got as far as that."""
    strange: list[str]
    """Links to something else than a page."""
    asked: list[str]
    """Addresses outside of the page's own."""
    errors: list[str]
    """Scripts of the page's own that failed."""


def chromium() -> str:
    """Give the path of a browser, or say why there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return found or ""


def missing() -> str:
    """Say what is missing for a test with a browser; nothing where all is there."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "the extra `browser` is not installed"
    return "" if chromium() else "no Chromium is installed"


@contextmanager
def browser() -> Generator[Any]:
    """Start a browser for the length of a `with`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), headless=True, args=list(ARGUMENTS))
        yield running
        running.close()


def look(running: Any, url: str, until: str = "") -> Seen:  # noqa: ANN401 (playwright's own)
    """Open a page until it shows a text, open what is folded up, hover over its figures, and tell what happened."""
    page = running.new_page()
    asked: list[str] = []
    errors: list[str] = []
    own = url.split("/", 3)[:3]
    page.on("request", lambda request: asked.append(request.url) if request.url.split("/", 3)[:3] != own else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script(LISTEN)
    page.goto(url, wait_until="networkidle", timeout=120_000)
    page.wait_for_function("text => document.body.innerText.includes(text)", arg=until, timeout=120_000)
    told = page.evaluate(LOOK)
    page.close()
    asked = [address for address in asked if not address.startswith(("data:", "blob:"))]
    return Seen(told["ran"], told["refused"], told["strange"], asked, errors)
