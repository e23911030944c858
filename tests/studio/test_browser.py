"""The pages in Chromium: no error, nothing from elsewhere, everything has an effect."""

import time

import numpy as np
import pytest
import tiny_folder
from web_page import until


def test_four_steps_lead_from_a_file_to_a_video(page, studio, scripts, tmp_path):
    import video_files

    pictures = [video_files.blob(40 + at, 30) for at in range(4)]
    clip = video_files.encode(tmp_path / "x.mp4", pictures, np.arange(4) / 25)
    scripts["prepare"] = (
        "report('frames', 2, 4, 1.0); time.sleep(1.5); report('frames', 4, 4, 0.0)"
    )
    page.goto(studio.address)
    page.fill("#who", "an na")
    page.set_input_files("input[type=file]", clip)
    page.get_by_text("The name an na cannot be used").wait_for()
    page.fill("#who", "anna")
    page.get_by_role("button", name="Send it again").click()
    page.get_by_role("button", name="Prepare").click()
    page.get_by_text("1 s left").wait_for()
    page.reload()  # nothing is lost
    page.get_by_text("Preparing: done").wait_for()
    tiny_folder.write(studio.root / "data" / "anna")  # as the command would
    page.get_by_text("What to know about this clip").wait_for()
    page.get_by_role("button", name="Use it").click()
    start = page.get_by_role("button", name="Start training")
    assert start.is_disabled()
    page.check("#consent")
    scripts["train"] = "sys.exit('lokitalk train: the disk is full')"
    start.click()
    page.get_by_text("The disk is full.").wait_for()
    assert page.evaluate("location.hash") == "#anna/train"


def test_a_file_names_the_person_and_no_name_is_taken_twice(page, studio, tmp_path):
    import video_files

    pictures = [video_files.blob(40 + at, 30) for at in range(4)]
    clip = video_files.encode(tmp_path / "Ann (1).mp4", pictures, np.arange(4) / 25)
    page.goto(studio.address)
    page.get_by_role("button", name="Record one").click()
    page.get_by_text("Give the person a name first.").wait_for()
    page.set_input_files("input[type=file]", clip)
    page.get_by_role("heading", name="Prepare Ann_1").wait_for()
    page.goto(f"{studio.address}/#")
    page.get_by_text("Make a talking portrait").wait_for()
    page.set_input_files("input[type=file]", clip)
    page.get_by_text("Ann_1 is here already").wait_for()


def test_a_clip_that_does_not_work_gives_way_to_another(
    page, studio, scripts, tmp_path
):
    import video_files

    pictures = [video_files.blob(40 + at, 30) for at in range(4)]
    clip = video_files.encode(tmp_path / "ann.mp4", pictures, np.arange(4) / 25)
    scripts["prepare"] = "sys.exit('lokitalk prepare: ann.mp4 shows nobody')"
    page.goto(studio.address)
    page.set_input_files("input[type=file]", clip)
    page.get_by_role("button", name="Prepare", exact=True).click()
    page.get_by_text("Ann.mp4 shows nobody.").wait_for()
    page.get_by_role("button", name="Take another clip").click()
    scripts["prepare"] = "report('frames', 4, 4)"
    page.set_input_files("input[type=file]", clip)
    page.get_by_role("button", name="Prepare", exact=True).click()
    page.get_by_text("Preparing: done").wait_for()


def test_files_that_cannot_be_used_are_refused_in_words(
    page, studio, tmp_path, monkeypatch
):
    from lokitalk_jax.studio import uploads

    (tmp_path / "x.mp4").write_text("this is no video", "utf-8")
    page.goto(studio.address)
    page.set_input_files("input[type=file]", tmp_path / "x.mp4")
    page.get_by_role("alert").filter(has_text="The file is not a video").wait_for()
    monkeypatch.setattr(uploads, "MOST_BYTES", 10)
    page.get_by_role("button", name="Send it again").click()
    page.get_by_role("alert").filter(has_text="The file is larger than").wait_for()


def test_a_page_without_its_server_says_so_until_it_is_back(browser, scripts, tmp_path):
    import served_studio

    page = browser.new_page()
    with served_studio.serving(tmp_path) as studio:
        page.goto(studio.address)
        page.get_by_text("Make a talking portrait").wait_for()
    lost = page.get_by_text("The studio does not answer")
    lost.wait_for()
    with served_studio.serving(tmp_path, port=studio.port):
        lost.wait_for(state="hidden")
    page.close()


def test_two_tabs_show_and_stop_the_same_job(page, studio, scripts):
    tiny_folder.write(studio.root / "data" / "anna")
    scripts["train"] = "report('training', 3, 10, 90.0); time.sleep(60)"
    other = page.context.browser.new_page()
    for tab in page, other:
        tab.goto(f"{studio.address}/#anna/train")
        tab.check("#consent")
    # What the second one shows is a second old at most, and the server knows better.
    page.get_by_role("button", name="Start training").click()
    page.get_by_text("Training …").wait_for()
    other.get_by_text("Training …").wait_for()
    other.get_by_text("2 min left").wait_for()
    other.get_by_role("button", name="Stop and keep").click()
    for tab in page, other:
        tab.get_by_text("Training: stopped").wait_for()
    other.close()


def test_start_shows_when_it_works(page, studio):
    held = []
    page.route("**/api/state", lambda route: held.append(route))
    page.goto(f"{studio.address}/viewer.html")
    until(page, "document.readyState === 'complete'")
    while not held:
        page.wait_for_timeout(50)
    assert page.locator("#start").is_hidden()
    held[0].continue_()
    page.get_by_text("There is no avatar yet").wait_for()
    assert page.locator("#start").is_hidden()


@pytest.mark.heavy
def test_every_control_changes_the_picture_and_the_microphone_is_heard(
    page, studio, spoken_run
):
    (studio.root / "runs" / "me").symlink_to(spoken_run.workdir)
    page.goto(f"{studio.address}/viewer.html?run=me&identity={spoken_run.name}&size=32")
    page.click("#start")
    until(page, "document.querySelectorAll('fieldset').length >= 5", 180)
    page.get_by_role("button", name="Still").click()

    def picture():
        pixels = page.evaluate(
            """() => {
              const face = document.querySelector('#face');
              const paper = face.getContext('2d');
              return Array.from(
                paper.getImageData(0, 0, face.width, face.height).data
              ).filter((_, at) => at % 397 === 0);
            }"""
        )
        return np.array(pixels, float)

    def settled():
        """The picture, when it has not changed for a while."""
        last = picture()
        while True:
            page.wait_for_timeout(600)
            if np.array_equal(last, now := picture()):
                return now
            last = now

    def changed(before, what):
        end = time.monotonic() + 60
        while np.array_equal(before, picture()):
            assert time.monotonic() < end, f"{what} changes nothing"
            page.wait_for_timeout(50)
        return settled()

    page.wait_for_timeout(3000)
    before = settled()
    sliders = page.locator(".panel input[type=range]:visible")
    names = page.locator(".panel .slider:visible > span").all_inner_texts()
    assert len(names) == sliders.count() >= 12
    still = ("Lips", "Eyes", "Head", "Torso")  # gains, of what does not move
    for number, name in enumerate(names):
        if name in still:
            continue
        low = sliders.nth(number).get_attribute("min")
        sliders.nth(number).evaluate(
            "(e, v) => { e.value = v; e.dispatchEvent(new Event('input')); }", low
        )
        before = changed(before, name)
    page.get_by_role("button", name="Green").click()
    before = changed(before, "the background")
    page.get_by_role("button", name="Depth").click()
    changed(before, "the map")
    page.get_by_role("button", name="Reset").click()

    page.get_by_role("button", name="Microphone").click()
    page.wait_for_timeout(3000)
    drawn = page.evaluate("portrait.playing.drawn")
    page.wait_for_timeout(2000)
    assert page.evaluate("portrait.playing.drawn") > drawn + 5
    offsets = np.array(page.evaluate("portrait.playing.offsets"))
    assert abs(np.median(offsets)) < 0.02
    until(page, "document.querySelector('#status').innerText.includes('behind')")
