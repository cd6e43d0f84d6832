"""The line for an image editor: whose left, which way, and only what differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wan_prep
from wan_prep.analyzers.edit_prompt import edit_prompt, facing
from wan_prep.evidence import Evidence
from wan_prep.pose.skeleton import HEAD, Joint

KEEP = "Keep the face, hair, clothes, colours and background as they are."
ELBOWS_OUT = {"LEFT_ELBOW": (0.5, -0.5, 0.0), "LEFT_WRIST": (0.5, -0.75, 0.0)}
MIRROR = np.array([-1.0, 1.0, 1.0])


def posed(make: Any, places: dict[str, tuple[float, float, float]], *, turn: float = 0.0,
          both: bool = False, **more: Any) -> Any:  # fmt: skip
    """The adult with some joints elsewhere (m, camera axes), then turned about the vertical.

    both: the other side alike. The person's left is on the picture's right, as for everybody who
    faces the camera.
    """
    world = make.adult()
    for name, place in places.items():
        world[Joint[name]] = place
        if both:
            world[Joint[name.replace("LEFT", "RIGHT")]] = MIRROR * place
    return make.body(world @ make.rotation("y", turn).T, **{"px_per_m": 400.0, **more})


def prompt(make: Any, target: Any, image: Any = "adult", **changes: Any) -> str | None:
    """Asked of a picture of `image` for a clip that begins with `target`."""
    still = image if isinstance(image, Evidence) else make.image(image)
    return edit_prompt(make.pair(still, make.video([target] * 4), **changes))


def test_a_pair_that_agrees_asks_for_nothing(make: Any) -> None:
    assert prompt(make, "adult") is None


# ------------------------------------------------------------------ whose left


def test_left_is_the_persons_own_and_right_in_the_picture(make: Any) -> None:
    """The person's left arm is stretched to x = +0.75 m, the right of the picture."""
    target = posed(make, {"LEFT_ELBOW": (0.5, -0.5, 0.0), "LEFT_WRIST": (0.75, -0.5, 0.0)})
    assert target.keypoints_xy[Joint.LEFT_WRIST, 0] > target.keypoints_xy[Joint.NOSE, 0]
    assert prompt(make, target) == (
        "Change the pose of the person, the person's left arm (on the right of the picture) "
        f"stretched out to the side. {KEEP}"
    )


def test_right_is_the_persons_own_and_left_in_the_picture(make: Any) -> None:
    target = posed(make, {"RIGHT_ELBOW": (-0.5, -0.5, 0.0), "RIGHT_WRIST": (-0.75, -0.5, 0.0)})
    assert prompt(make, target) == (
        "Change the pose of the person, the person's right arm (on the left of the picture) "
        f"stretched out to the side. {KEEP}"
    )


def test_from_behind_left_is_left_in_the_picture(make: Any) -> None:
    """The same pose, the back turned: the arm is on the other side of the picture."""
    target = posed(
        make, {"LEFT_ELBOW": (0.5, -0.5, 0.0), "LEFT_WRIST": (0.75, -0.5, 0.0)}, turn=180.0
    )
    assert target.keypoints_xy[Joint.LEFT_WRIST, 0] < target.keypoints_xy[Joint.NOSE, 0]
    assert prompt(make, target) == (
        "Turn the person to be seen from behind, the person's left arm (on the left of the "
        f"picture) stretched out to the side. {KEEP}"
    )


@pytest.mark.parametrize(
    ("turn", "nearer"),
    # Whoever faces the picture's left shows the viewer their own left.
    [(90.0, "nearer to the camera"), (-90.0, "farther from the camera")],
)
def test_from_the_side_an_arm_is_nearer_or_farther(make: Any, turn: float, nearer: str) -> None:
    target = posed(
        make, {"LEFT_ELBOW": (0.2, -0.8, 0.0), "LEFT_WRIST": (0.2, -1.05, 0.0)}, turn=turn
    )
    z = target.world_xyz[[Joint.LEFT_SHOULDER, Joint.RIGHT_SHOULDER], 2]
    assert bool(z[0] < z[1]) is (nearer == "nearer to the camera")
    said = prompt(make, target)
    assert said is not None
    assert f"the person's left arm ({nearer}) stretched straight up." in said


# ------------------------------------------------------------------ which way


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (0.0, "to face the camera"),
        (15.0, "to face the camera"),
        # A turn by +40 about y, which points down, brings the chest (-z) to -x: to the left.
        (40.0, "to face about 40 degrees away from the camera, towards the left of the picture"),
        (-40.0, "to face about 40 degrees away from the camera, towards the right of the picture"),
        (90.0, "to be seen from the side, facing the left of the picture"),
        (-90.0, "to be seen from the side, facing the right of the picture"),
        (150.0, "to be seen from behind"),
        (180.0, "to be seen from behind"),
    ],
)
def test_the_way_the_chest_points_is_the_viewers(make: Any, turn: float, words: str) -> None:
    target = make.framed(make.body(make.turned("y", turn)))
    chest_x = (make.rotation("y", turn) @ [0.0, 0.0, -1.0])[0]
    assert facing(target.subject.view_matrix) == words
    if "the left of" in words:
        assert chest_x < -0.5
    if "the right of" in words:
        assert chest_x > 0.5


def test_somebody_from_the_side_is_turned_to_the_camera(make: Any) -> None:
    assert prompt(make, "adult", make.body(make.turned("y", 70.0))) == (
        f"Turn the person to face the camera. {KEEP}"
    )


def test_what_no_word_tells_apart_is_no_turn(make: Any) -> None:
    """16 deg apart, and both face the camera."""
    said = prompt(make, posed(make, ELBOWS_OUT, both=True), make.body(make.turned("y", 16.0)))
    assert said is not None
    assert said.startswith("Change the pose of the person, both arms")


def test_a_head_is_turned_as_a_head(make: Any) -> None:
    said = prompt(make, make.head(yaw=50.0), make.image(make.head()))
    assert said is not None
    assert said.startswith("Turn the head to face about 50 degrees away from the camera, towards ")
    assert "arm" not in said


# ------------------------------------------------------------------ arms and legs


@pytest.mark.parametrize(
    ("elbow", "wrist", "words"),
    [
        ((0.2, -0.2, 0.0), (0.2, 0.05, 0.0), None),  # as in the picture
        ((0.2, -0.8, 0.0), (0.2, -1.05, 0.0), "stretched straight up"),
        ((0.2, -0.5, -0.3), (0.2, -0.5, -0.55), "stretched forward"),
        ((0.2, -0.5, 0.3), (0.2, -0.5, 0.55), "stretched backward"),
        ((0.41, -0.29, 0.0), (0.59, -0.11, 0.0), "stretched down and out to the side"),
        ((0.35, -0.29, -0.15), (0.5, -0.08, -0.3), "stretched down, forward and out to the side"),
        ((0.41, -0.71, 0.0), (0.59, -0.89, 0.0), "raised and stretched out to the side"),
        ((0.41, -0.5, -0.21), (0.59, -0.5, -0.39), "stretched forward and out to the side"),
        ((0.2, -0.2, 0.0), (0.2, -0.2, -0.25), "elbow at the side, forearm pointing forward"),
        ((0.5, -0.5, 0.0), (0.5, -0.75, 0.0), "elbow out to the side, forearm pointing up"),
        ((0.5, -0.5, 0.0), (0.5, -0.25, 0.0), "elbow out to the side, forearm pointing down"),
        ((0.2, -0.5, -0.3), (-0.05, -0.5, -0.3), "elbow forward, forearm pointing across the body"),
        ((0.2, -0.8, 0.0), (-0.05, -0.8, 0.0), "elbow raised, forearm pointing across the body"),
    ],
)  # fmt: skip
def test_arms(make: Any, elbow: Any, wrist: Any, words: str | None) -> None:
    said = prompt(make, posed(make, {"LEFT_ELBOW": elbow, "LEFT_WRIST": wrist}))
    if words is None:
        assert said is None
        return
    assert said is not None
    how = f"bent ({words})" if words.startswith("elbow") else words
    assert f"the person's left arm (on the right of the picture) {how}. Keep" in said


@pytest.mark.parametrize(
    ("knee", "ankle", "words"),
    [
        ((0.45, 0.34, 0.0), (0.75, 0.67, 0.0), "stretched out to the side"),
        ((0.15, 0.1, -0.44), (0.15, 0.55, -0.44), "bent at the knee (thigh raised forward)"),
        ((0.15, 0.45, 0.0), (0.15, 0.45, 0.45), "bent at the knee"),
        ((0.15, 0.1, -0.44), (0.15, 0.2, -0.88), "stretched forward"),
    ],
)
def test_legs(make: Any, knee: Any, ankle: Any, words: str) -> None:
    said = prompt(make, posed(make, {"LEFT_KNEE": knee, "LEFT_ANKLE": ankle}))
    assert said is not None
    assert f"the person's left leg (on the right of the picture) {words}. Keep" in said


def test_what_both_arms_do_is_said_once(make: Any) -> None:
    said = prompt(make, posed(make, ELBOWS_OUT, both=True))
    assert said == (
        "Change the pose of the person, both arms bent (elbows out to the sides, forearms pointing "
        f"up). {KEEP}"
    )


def test_arms_come_before_legs_and_only_those_that_differ(make: Any) -> None:
    places = {
        "LEFT_ELBOW": (0.5, -0.5, 0.0),
        "LEFT_WRIST": (0.75, -0.5, 0.0),
        "RIGHT_KNEE": (-0.15, 0.45, 0.0),
        "RIGHT_ANKLE": (-0.15, 0.45, 0.45),
    }
    said = prompt(make, posed(make, places))
    assert said == (
        "Change the pose of the person, the person's left arm (on the right of the picture) "
        "stretched out to the side, the person's right leg (on the left of the picture) bent at "
        f"the knee. {KEEP}"
    )


def test_the_other_way_round_the_arm_is_let_down(make: Any) -> None:
    image = posed(make, {"LEFT_ELBOW": (0.5, -0.5, 0.0), "LEFT_WRIST": (0.75, -0.5, 0.0)})
    assert prompt(make, "adult", image) == (
        "Change the pose of the person, the person's left arm (on the right of the picture) "
        f"hanging down at the side. {KEEP}"
    )


def test_of_a_body_whose_depth_is_unknown_no_arm_is_described(make: Any) -> None:
    """Its sides were exchanged, because the network took its back for its front."""
    body = posed(make, ELBOWS_OUT, turn=180.0)
    assert "left arm" in str(prompt(make, make.subject(body)))
    assert prompt(make, make.subject(body, turned=True)) == (
        f"Turn the person to be seen from behind. {KEEP}"
    )


def test_a_view_that_is_hardly_seen_is_no_turn(make: Any) -> None:
    """Two of ten looks agree in it."""
    from_the_side = make.subject(make.body(make.turned("y", 70.0)))
    assert prompt(make, "adult", from_the_side) is not None
    doubtful = make.subject(make.body(make.turned("y", 70.0)), agreement=0.2)
    assert prompt(make, "adult", doubtful) is None


# ------------------------------------------------------------------ what is shown


def test_what_the_picture_does_not_show_is_asked_for(make: Any) -> None:
    """A bust against a whole body: its arms and legs are not in the picture, and are described."""
    bust = make.image(make.body(hips=(360.0, 1500.0), px_per_m=1300.0))
    said = prompt(make, "adult", bust)
    assert said is not None
    assert said.endswith(f"both legs straight. Show the whole body. {KEEP}")


def test_what_the_first_frame_does_not_show_is_not_described(make: Any) -> None:
    bust = make.body(hips=(360.0, 1500.0), px_per_m=1300.0)
    assert prompt(make, bust) is None


@pytest.mark.parametrize("side", ["image", "video"])
def test_where_nobody_is_there_is_nothing_to_ask_for(make: Any, side: str) -> None:
    image = make.image(None) if side == "image" else make.image()
    assert edit_prompt(make.pair(image, make.video([None] * 4 if side == "video" else []))) is None
    assert edit_prompt(make.pair(image, make.unreadable("video"))) is None


@pytest.mark.parametrize("seed", range(40))
def test_it_is_one_line_of_plain_text_for_any_body(make: Any, seed: int) -> None:
    random = np.random.default_rng(seed)
    world = make.adult()
    moved = [j for j in range(33) if j not in HEAD]
    world[moved] += random.normal(0.0, 0.25, (len(moved), 3))
    body = make.body(world @ make.rotation("y", random.uniform(-180, 180)).T, px_per_m=400.0)
    said = prompt(make, body)
    assert said is None or (said.isprintable() and said.endswith(KEEP) and "  " not in said)


# ------------------------------------------------------------------ real pictures


@pytest.mark.model
def test_a_jumping_man_has_both_arms_up(network: Any) -> None:
    """The fixtures: a man stands with his arms down; 0.6 s into the clip they are above his head,
    and he faces the camera in both."""
    fixtures = Path(__file__).parents[2] / "fixtures"
    seen = [
        wan_prep.observe(fixtures / "reference.png", estimator=network),
        wan_prep.observe(fixtures / "driving.mp4", start=0.6, end=1.0, estimator=network),
    ]
    report = wan_prep.check(*seen)
    (asked,) = [f.fix.prompt for f in report.findings if f.fix and f.fix.prompt]
    assert asked.startswith("Change the pose of the person, both arms bent (elbows raised, ")
    assert "forearms pointing up)" in asked
