"""What is promised when the server or the playground goes away and comes back."""

import time
from contextlib import ExitStack

from playwright.sync_api import Playwright

from playground.browser import browsing, drawn, expect_text
from playground.drawing import screenshots
from playground.processes import free_address, playground_at, serve_at
from proving import expect


def restarts(playwright: Playwright) -> str:
    """Killed and started again, each in turn: the page says so, and then answers as before."""
    server, host = free_address(), free_address()
    with ExitStack() as open_:
        running = open_.enter_context(serve_at(server))
        playground = open_.enter_context(playground_at(host, server))
        pages = open_.enter_context(browsing(playwright, playground.url))
        page = open_.enter_context(pages.page())
        drawn(page, 6)
        running.process.kill()
        running.process.wait()
        expect_text(page, "#health[data-health=AWAY]", "away")
        expect_text(page, "#notice", "does not answer")
        screenshots(page, "away-desktop-light", full=False)
        open_.enter_context(serve_at(server))
        started = time.monotonic()
        expect_text(page, "#health[data-health=SERVING]", "serving")
        drawn(page, 2)
        server_back = time.monotonic() - started
        playground.process.kill()
        playground.process.wait()
        expect_text(page, "#notice", "No connection to the playground")
        open_.enter_context(playground_at(host, server))
        started = time.monotonic()
        expect_text(page, "#health[data-health=SERVING]", "serving", timeout_s=20)
        drawn(page, 8)
        playground_back = time.monotonic() - started
        complaints = pages.complaints
    return expect(
        not complaints,
        f"the server killed: told, and answered {server_back:.1f} s after it was there again; "
        f"the playground killed: {playground_back:.1f} s" + "".join(f"; {e}" for e in complaints),
    )
