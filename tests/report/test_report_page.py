"""The page in Debian's Chromium, opened from the disk without a network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.report.page.page import page as render
from lab.report.review.findings import Finding
from lab.runs.select import choose
from tests.support.recorded import BEGIN, PUBLISHED, picture, recorded

playwright_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install '.[test]'")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
HOSTILE = "</script><img src=x onerror=\"document.title='taken'\"><b>bold</b>%{x}"
PHONE, DESK = (390, 844), (1440, 900)

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Debian's Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two groups of three seeds of one task, one run of another task, and a failed run with a hostile name."""
    folder = tmp_path_factory.mktemp("report")
    runs = folder / "runs"
    clip = {"episode.gif": picture(folder, ".gif"), "samples.png": picture(folder, size=(300, 200))}
    for seed in range(3):
        recorded(runs, "ppo-a", seed, media=clip)
        missed = PUBLISHED | {"verdict": "missed"}
        recorded(runs, "dqn-a", seed, metrics={"eval/return_mean": 300.0 + seed}, reference=missed)
    rows = [{"time": BEGIN + i, "axis": "epoch", "epoch": i, "val/loss": 1 / i} for i in range(1, 9)]
    recorded(runs, "cnn", rows=rows, dataset={"name": "mnist"}, reference={}, metrics={"test/loss": 0.5})
    recorded(
        runs, HOSTILE, status="failed", error=f"it broke {HOSTILE}", metrics={}, descriptions={HOSTILE: HOSTILE},
        rows=[
            {"time": BEGIN, "axis": "env_steps", "env_steps": 2000, "eval/return_mean": 9.0},
            {"time": BEGIN, "axis": HOSTILE, HOSTILE: 1, HOSTILE + "/x": 9.0},
        ],
    )  # fmt: skip
    chosen = choose([], runs)
    text = f"Is it `lab run {HOSTILE}`? To settle it: two more."
    finding = Finding("one seed only", text, (chosen[0].record.run_id,))
    file = folder / "a report.html"
    file.write_text(render(chosen, [finding], title=f"A title {HOSTILE}", command="lab report"), encoding="utf-8")
    return file


@pytest.fixture
def opened(browser: Any, report: Path) -> Iterator[Any]:
    """Opens the report. The test fails if the page reports an error or requests anything else."""
    contexts = []
    complaints: list[str] = []

    def open_(size: tuple[int, int] = DESK, scheme: str = "light", file: Path = report) -> Any:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, offline=True, has_touch=size == PHONE
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: _only_the_page(request.url, file, complaints))
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def _only_the_page(url: str, file: Path, complaints: list[str]) -> None:
    if url.split("#")[0] != file.as_uri() and not url.startswith(("data:", "blob:")):
        complaints.append(f"asked for {url}")


def curve(page: Any, metric: str = "eval/return_mean") -> Any:
    """A chart that has been drawn."""
    card = page.locator("figure.card", has=page.get_by_text(metric, exact=True)).first
    card.evaluate("(one) => { const around = one.closest('details'); if (around) around.open = true; }")
    card.scroll_into_view_if_needed()
    card.locator(".main-svg").first.wait_for()
    return card.locator(".plot")


def lines(chart: Any) -> int:
    return int(chart.locator(".scatterlayer .trace.scatter").count())


def press(page: Any, chart: Any, name: str) -> None:
    """Press a switch, and wait until the chart is drawn again."""
    page.get_by_role("button", name=name).click()
    chart.scroll_into_view_if_needed()
    page.wait_for_timeout(300)


def shown(page: Any, selector: str) -> int:
    return int(page.locator(selector).locator("visible=true").count())


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        pytest.param(PHONE, "light", id="light phone"),
        pytest.param(DESK, "dark", id="dark desk"),
        pytest.param(PHONE, "dark", id="dark phone", marks=pytest.mark.slow),
        pytest.param(DESK, "light", id="light desk", marks=pytest.mark.slow),
    ],
)
def test_page_opens_everywhere(opened: Any, size: tuple[int, int], scheme: str) -> None:
    page = opened(size, scheme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    for chart in page.locator("[data-curve], [data-strip], .shares").all():
        chart.scroll_into_view_if_needed()
        chart.locator(".main-svg").first.wait_for()
        assert chart.bounding_box()["height"] > 80
    width, ink, paper = page.evaluate(
        "[document.documentElement.scrollWidth, getComputedStyle(document.body).color,"
        " getComputedStyle(document.body).backgroundColor]"
    )
    wide = page.evaluate(
        "[...document.querySelectorAll('body *')].filter((one) => !one.closest('.scroll, nav, svg')"
        " && one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 80))"
    )
    assert width == size[0], f"the page is wider than the screen: {wide[:5]}"
    assert (brightness(ink) < brightness(paper)) == (scheme == "light")


def brightness(colour: str) -> int:
    return sum(int(part) for part in colour.removeprefix("rgb(").rstrip(")").split(","))


def test_theme_can_be_switched(opened: Any) -> None:
    page = opened()
    chart = curve(page)
    label = chart.locator(".xtick text").first
    before = label.evaluate("(one) => getComputedStyle(one).fill")
    page.click("#theme")
    chart.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    assert page.get_attribute("html", "data-theme") == "dark"
    assert brightness(label.evaluate("(one) => getComputedStyle(one).fill")) > brightness(before)


def test_names_stay_text(opened: Any) -> None:
    page = opened()
    assert page.title().startswith("A title </script>")
    curve(page)
    curve(page, HOSTILE + "/x")
    assert page.title() != "taken"
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("b").get_by_text("bold", exact=True).count() == 0
    legend = curve(page).locator(".legendtext").all_text_contents()
    assert legend[-1].startswith("</script><img src=x onerror="), legend
    page.locator(".run", has=page.locator(".badge.failed")).locator("summary").first.click()
    assert "it broke </script><img" in page.locator(".error").inner_text()


def test_charts_send_nothing(opened: Any) -> None:
    buttons = curve(opened()).locator(".modebar-btn").evaluate_all("(all) => all.map((one) => one.dataset.title)")
    assert buttons == ["Download plot as a PNG", "Zoom", "Pan", "Zoom in", "Zoom out", "Reset axes"]


def test_legend_hides_a_group(opened: Any) -> None:
    page = opened()
    chart = curve(page)
    before = lines(chart)
    chart.locator(".legendtoggle").first.click()
    page.wait_for_timeout(600)  # Plotly waits for a second click
    assert lines(chart) < before
    press(page, chart, "Time")
    assert lines(chart) < before, "what was hidden stays hidden when the axis changes"


def test_axis_can_be_switched(opened: Any) -> None:
    page = opened()
    chart = curve(page)
    assert chart.locator(".xtitle").text_content() == "env_steps"
    press(page, chart, "Time")
    chart.locator(".xtitle", has_text="wall-clock time since the start, s").wait_for()
    press(page, chart, "Log y")
    press(page, chart, "Steps")
    chart.locator(".xtitle", has_text="env_steps").wait_for()


def test_each_seed_can_be_drawn(opened: Any) -> None:
    page = opened()
    chart = curve(page)
    before = lines(chart)
    press(page, chart, "Each seed")
    assert lines(chart) == before + 6
    press(page, chart, "Each seed")
    assert lines(chart) == before


def test_pointer_shows_values(opened: Any) -> None:
    page = opened()
    chart = curve(page)
    chart.scroll_into_view_if_needed()
    box = chart.locator(".nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    hover = chart.locator(".hoverlayer")
    hover.get_by_text("mean of 3").first.wait_for()
    assert "env_steps" in hover.text_content()


def test_tables_sort(opened: Any) -> None:
    page = opened()
    table = page.locator("#verdicts table")

    def column() -> list[str]:
        return [str(text) for text in table.locator("tbody tr td:nth-child(2)").all_text_contents()]

    head = table.locator("thead th").nth(1)
    head.get_by_role("button").click()
    upwards = column()
    assert head.get_attribute("aria-sort") == "ascending"
    assert [text.split(" ")[0] for text in upwards] == ["0.5", "301.0", "485", "\N{EN DASH}"]
    head.get_by_role("button").click()
    assert column() == [*upwards[2::-1], upwards[3]], "what has no figure comes last either way"


def test_filters_act_on_everything(opened: Any) -> None:
    page = opened()
    chart = curve(page)
    assert (shown(page, ".run"), shown(page, "#verdicts tbody tr"), shown(page, "main .task")) == (8, 4, 2)
    both = lines(chart)
    page.fill("#search", "PPO-A seed 1")
    assert (shown(page, ".run"), shown(page, "#verdicts tbody tr"), shown(page, "main .task")) == (1, 1, 1)
    assert page.inner_text("#shown") == "1 of 8 runs"
    assert shown(page, ".pairs") == 0
    assert shown(page, "#system tbody tr") == 1
    chart.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    assert lines(chart) < both
    page.click("#reset")
    page.select_option("#verdict", "missed")
    assert shown(page, ".run") == 3
    page.select_option("#status", "failed")
    assert shown(page, ".run") == 0
    page.click("#reset")
    page.click("#group-menu summary")
    page.locator("#group-menu label", has_text="cnn").click()
    assert (shown(page, ".run"), shown(page, "main .task")) == (7, 1)
    page.click("#reset")
    page.get_by_role("button", name="show only this run").click()
    assert shown(page, ".run") == 1
    page.click("#reset")
    assert (shown(page, ".run"), page.inner_text("#shown")) == (8, "8 runs")


def test_finding_links_to_run(opened: Any) -> None:
    page = opened()
    page.locator(".findings .links a").first.click()
    run = page.locator(".run:target")
    run.locator("dl").wait_for()
    assert run.get_attribute("open") is not None
    assert run.bounding_box()["y"] < DESK[1]


def test_media_are_chosen_by_run(opened: Any) -> None:
    page = opened()
    media = page.locator(".media").first
    media.scroll_into_view_if_needed()
    film = media.locator("img[src^='data:image/gif']").first
    film.wait_for()
    assert film.evaluate("(one) => one.decode().then(() => one.naturalWidth)") == 40
    assert film.evaluate("(one) => one.width % one.naturalWidth") == 0
    assert film.evaluate("(one) => getComputedStyle(one).imageRendering") == "pixelated"
    assert shown(page, ".medium") == 2
    media.get_by_label("runs").select_option("all")
    assert shown(page, ".medium") == 6
    media.get_by_label("runs").select_option("seed 2")
    assert shown(page, ".medium") == 2
    assert "seed 2" in page.locator(".medium").locator("visible=true").first.inner_text()
    page.locator(".medium .zoom").locator("visible=true").first.click()
    page.locator("#large[open] img").wait_for()
    page.keyboard.press("Escape")
    assert shown(page, "#large") == 0


def test_film_plays(opened: Any, tmp_path: Path) -> None:
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="needs the extra video")
    film = tmp_path / "film.mp4"
    writer = imageio_ffmpeg.write_frames(str(film), (64, 48))
    writer.send(None)
    for shade in range(0, 250, 10):
        writer.send(bytes([shade]) * (64 * 48 * 3))
    writer.close()
    recorded(tmp_path / "runs", media={"film.mp4": film.read_bytes()})
    file = tmp_path / "film.html"
    file.write_text(render(choose([], tmp_path / "runs"), [], title="A film", command="lab report"), encoding="utf-8")
    page = opened(file=file)
    video = page.locator("video")
    video.scroll_into_view_if_needed()
    page.locator("video[src^='data:video/mp4']").wait_for()
    assert video.evaluate("(one) => one.play().then(() => [one.videoWidth, one.videoHeight])") == [64, 48]


def test_single_run_has_a_page(opened: Any, tmp_path: Path) -> None:
    recorded(tmp_path / "runs", metrics={"eval/return_mean": 400.0})
    file = tmp_path / "one.html"
    file.write_text(render(choose([], tmp_path / "runs"), [], title="One", command="lab report"), encoding="utf-8")
    for size in (PHONE, DESK):
        page = opened(size, file=file)
        assert lines(curve(page)) == 3, "its line, and the two edges of the interval that it logged"
        assert shown(page, ".run[open]") == 1
        assert shown(page, ".pairs") == 0
