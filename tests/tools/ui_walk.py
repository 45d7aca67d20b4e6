#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Walks through the agent's web page as a user with a keyboard would, and says what is wrong.

The Services and the traffic are those of tests/system/test_agent_ui.sh.
"""
import argparse
import json
import os
import sys

sys.dont_write_bytecode = True
from chromium import Browser, BrowserError  # pylint: disable=wrong-import-position

LINES = """[...document.querySelectorAll('#picture path.flow')].map(p => ({
    to: p.dataset.to, rate: Number(p.dataset.rate), width: Number(p.getAttribute('stroke-width')),
    state: p.classList[1] }))"""


def expect(true, what):
    """What has to hold."""
    if not true:
        raise BrowserError(what)


def names(page):
    """Of the Services in the list."""
    return page.js("[...document.querySelectorAll('#list tbody a')].map(a => a.textContent)")


def search(page, text):
    """By keyboard, from wherever the focus is."""
    page.js("document.activeElement.blur()")
    page.key("/")
    expect(page.js("document.activeElement.id") == "search", "/ doesn't lead to the search")
    page.js("document.activeElement.select()")
    page.type(text)


def open_service(page, name):
    """By keyboard alone. Until its picture has been drawn from two rounds."""
    search(page, name)
    page.wait(f"document.querySelector('#list tbody a')?.textContent === '{name}'")
    page.key("ArrowDown")
    expect(page.js("document.activeElement.textContent") == name, "the arrow didn't reach the list")
    page.key("Enter")
    page.wait(f"document.querySelector('#detail-title').textContent === 'default/{name}'")
    expect(page.js("document.activeElement.id") == "detail-title", "the Service has no focus")
    page.wait("document.querySelectorAll('#picture path.flow').length > 0")


def the_list(page, want):
    """All Services; searched, sorted."""
    page.wait(f"document.querySelectorAll('#list tbody tr').length === {len(want)}")
    expect(names(page) == sorted(want), f"Services: {names(page)}")
    search(page, "here")
    page.wait("document.querySelectorAll('#list tbody tr').length === 2")
    expect(names(page) == ["here", "there"], f"searched: {names(page)}")
    search(page, "nothing-like-this")
    page.wait("document.querySelectorAll('#list tbody tr').length === 0")
    page.js("document.activeElement.select()")
    page.key("1")
    page.wait(f"document.querySelectorAll('#list tbody tr').length === {len(want)}")
    page.js("document.querySelectorAll('#list th button')[1].focus()")
    page.key("Enter")
    expect(names(page) == sorted(want, reverse=True), f"sorted: {names(page)}")
    expect(page.js("document.activeElement.closest('th').getAttribute('aria-sort')") ==
           "descending", "aria-sort")
    page.key("Enter")


def the_picture(page, sticky_to):
    """Lines follow traffic; colours have words beside them."""
    open_service(page, "sticky")
    page.wait(f"{LINES}.some(l => l.rate > 0)")
    lines = page.js(LINES)
    busy = [line for line in lines if line["rate"]]
    expect([line["to"] for line in busy] == [sticky_to], f"not {sticky_to} alone: {lines}")
    expect(busy[0]["width"] == 14, f"the busiest line is not the thickest: {busy}")
    expect(all(line["width"] == 1 for line in lines if not line["rate"]), f"idle: {lines}")
    page.key("Escape")
    expect(page.js("document.querySelector('#detail').hidden"), "Escape doesn't close")
    expect(page.js("document.activeElement.textContent") == "sticky", "the focus is lost")

    open_service(page, "web")
    # A line each, wherever it is, of its share.
    page.wait(f"{LINES}.filter(l => l.rate > 0).length >= 4")
    lines = page.js(LINES)
    most = max(line["rate"] for line in lines)
    for line in lines:
        want = 1 + 13 * line["rate"] / most if line["rate"] else 1
        expect(abs(line["width"] - want) < 0.02, f"{line} of {most}")
    open_service(page, "mixed")
    page.wait("document.querySelectorAll('#backends tbody tr').length >= 4")
    states = page.js("[...document.querySelectorAll('#backends td.state')].map(t => t.textContent)")
    for state in ("● ready", "◔ draining", "○ not-ready"):
        expect(state in states, f"no {state} in {states}")
    said = page.js("document.querySelector('#picture').textContent")
    for state in ("ready", "draining", "not-ready"):
        expect(state in said, f"no {state} in the picture: {said}")


def the_drops(page):
    """What is refused is in the chart, and at its Service."""
    page.wait("document.querySelector('#chart-key').textContent.includes('no-backend')")
    page.wait("[...document.querySelectorAll('#chart polyline')].some(p => "
              "new Set(p.getAttribute('points').split(' ').map(q => q.split(',')[1])).size > 1)")
    open_service(page, "empty")
    page.wait(f"{LINES}.some(l => l.state === 'dropped' && l.to === 'no-backend' && l.rate > 0)")


def the_trace(page, cases):
    """The form, by keyboard: the same as the command line says."""
    for case in cases:
        page.js("document.querySelector('#verdict').dataset.verdict = ''")
        for name in ("from", "proto"):
            page.js(f"document.querySelector('#{name}').value = '{case[name]}'")
        for name in ("src", "dst"):
            page.js(f"document.querySelector('#{name}').focus();"
                    f"document.querySelector('#{name}').select()")
            if case[name]:
                page.type(case[name])
            else:
                page.js(f"document.querySelector('#{name}').value = ''")
        page.js("document.querySelector('#dst').focus()")
        page.key("Enter")
        verdict = page.wait("document.querySelector('#verdict').dataset.verdict")
        expect(verdict == case["verdict"], f"{case}: {verdict}")
        steps = page.js("[...document.querySelectorAll('#steps b')].map(b => b.textContent)")
        expect(steps == case["steps"], f"{case}: {steps}")


def the_looks(page):
    """Narrow, dark, still, and with names for everything."""
    expect(page.js("[...document.querySelectorAll('input, select')].every(e => e.labels.length)"),
           "an input has no label")
    expect(page.js("[...document.querySelectorAll('button')].every(e => e.textContent.trim())"),
           "a button has no name")
    expect(page.js("[...document.querySelectorAll('svg[role=img]')].every("
                   "e => document.getElementById(e.getAttribute('aria-labelledby')))"),
           "a picture has no name")
    light = page.js("getComputedStyle(document.body).backgroundColor")
    page.media(prefers_color_scheme="dark", prefers_reduced_motion="reduce")
    expect(page.js("getComputedStyle(document.body).backgroundColor") != light, "no dark page")
    open_service(page, "web")
    expect(page.js("getComputedStyle(document.querySelector('path.flow')).transitionDuration") ==
           "0s", "it moves")
    page.media(prefers_color_scheme="light")
    page.size(360, 740)
    page.js("window.dispatchEvent(new Event('resize'))")
    wide = page.js("document.documentElement.scrollWidth")
    expect(wide <= 360, f"{wide} px wide on a screen of 360")
    if os.environ.get("UI_WALK_SHOT"):
        page.shot(os.environ["UI_WALK_SHOT"])


def shots(page, folder):
    """For docs/ui.md."""
    page.size(1000, 1000)
    page.media(prefers_color_scheme="light")
    open_service(page, "mixed")
    search(page, "1")
    page.js("document.activeElement.blur()")
    page.wait(f"{LINES}.filter(l => l.rate > 0).length >= 2")
    page.js("window.scrollTo(0, 0); new Promise(done => setTimeout(done, 1000))")
    page.shot(os.path.join(folder, "ui-light.png"))
    page.size(1000, 1150)
    page.media(prefers_color_scheme="dark")
    page.js("document.querySelector('#drops').scrollIntoView();"
            "new Promise(done => setTimeout(done, 1000))")
    page.shot(os.path.join(folder, "ui-dark.png"))


def main():
    """Exit status 1: something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("expected", help="a JSON file: services, stickyTo, traces")
    parser.add_argument("--shots", metavar="FOLDER", help="and take screenshots")
    options = parser.parse_args()
    with open(options.expected, encoding="utf-8") as file:
        expected = json.load(file)
    page = Browser()
    try:
        page.size(1280, 900)
        page.go(options.url)
        the_list(page, expected["services"])
        the_picture(page, expected["stickyTo"])
        the_drops(page)
        the_trace(page, expected["traces"])
        the_looks(page)
        if options.shots:
            shots(page, options.shots)
        expect(not page.complaints, f"the console: {page.complaints}")
        own = options.url.split("#", 1)[0]
        foreign = [url for url in page.requests if not url.startswith(own)]
        expect(not foreign, f"asked for from elsewhere: {foreign}")
    except BrowserError as error:
        print(f"ui_walk: {error}", *page.complaints, sep="\n", file=sys.stderr)
        page.shot(os.environ.get("UI_WALK_SHOT", "/dev/null"))
        sys.exit(1)
    finally:
        page.close()


main()
