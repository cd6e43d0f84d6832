"""What pairs are compared by, of many subjects at once: one row each, everything an array.

The same quantities as in `measures`, which takes one subject at a time; a test holds them equal.
NaN stands for what `measures` has as None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from wan_prep.analyzers.subject import FORESHORTENED_EDGE_DEG
from wan_prep.geometry import FACING, Floats
from wan_prep.measures.confidence import TURNED
from wan_prep.measures.side import SubjectInFrame
from wan_prep.pose import skeleton
from wan_prep.pose.body import (
    FACE_IN_HEAD_WH,
    FRAME_EDGE,
    HEAD_SEEN,
    face_by_head,
    ramp,
    sight,
)
from wan_prep.pose.skeleton import LIMBS
from wan_prep.profile import Profile

NEAR, FAR = (np.array([ends[k] for ends in LIMBS.values()]) for k in (0, 1))
_LOWER = [*skeleton.HIPS, *skeleton.KNEES, *skeleton.ANKLES]
_BODY = list(skeleton.BODY)
Rows = slice | NDArray[np.intp] | NDArray[np.bool_]


@dataclass(frozen=True)
class Look:
    """K subjects as they are compared, as bodies or as heads.

    log_height: ln m that the content shows from top to bottom; log_face: ln of the face's span as a
    share of it; recognised: 0 … 1; anchor_xy (K, 2); view (K, 9), flattened; roll in deg;
    cuts (K, 4): how surely each edge cuts; sure_size, sure_place, sure_view: confidences 0 … 1.
    """

    log_height: Floats
    log_face: Floats
    recognised: Floats
    anchor_xy: Floats
    view: Floats
    roll: Floats
    cuts: Floats
    sure_size: Floats
    sure_place: Floats
    sure_view: Floats

    def __getitem__(self, rows: Rows) -> Look:
        return Look(*(getattr(self, field.name)[rows] for field in fields(self)))

    def column(self) -> Look:
        """With an axis for the other side behind the first one."""
        return Look(*(getattr(self, field.name)[:, None] for field in fields(self)))

    def row(self) -> Look:
        """With an axis for the other side in front."""
        return Look(*(getattr(self, field.name)[None] for field in fields(self)))


class Traits:
    """K subjects, each with its picture.

    is_head (K,); shot_level (K,), sure_shot (K,); limbs (K, L, 3) unit directions in the torso
    frame; limb_seen (K, L); known (K,): what a body's confidences in space are multiplied by;
    hidden (K,): share of the limbs in the picture that it hides or foreshortens, NaN where no limb
    lies in it; yaw (K,) of the torso in deg.
    """

    def __init__(self, subjects: Sequence[SubjectInFrame], profile: Profile) -> None:
        k = len(subjects)
        of = [s.subject for s in subjects]

        def column(values: list[float | None]) -> Floats:
            return np.array([np.nan if v is None else v for v in values], float)

        # Of many small arrays numpy makes one much faster end to end than as a stack.
        def stacked(arrays: list[Floats], *shape: int) -> Floats:
            return np.concatenate([a.reshape(-1) for a in arrays] or [np.zeros(0)]).reshape(
                k, *shape
            )

        self._xy = stacked([s.keypoints_xy for s in of], 33, 2)
        self._visibility = stacked([s.visibility for s in of], 33)
        self._world = stacked([s.world_xyz for s in of], 33, 3)
        unknown = np.full((3, 3), np.nan)
        self._view = stacked(
            [unknown if s.view_matrix is None else s.view_matrix for s in of], 3, 3
        )
        self._content = np.array([s.content for s in subjects]).reshape(k, 4)
        self._crown_y = column([s.crown_y for s in of])
        faces = [s.face for s in of]
        self._face_box = np.array(
            [face_by_head(s.keypoints_xy) if s.face is None else s.face.box for s in of]
        ).reshape(k, 4)
        self._face_turn = np.array(
            [
                (np.nan,) * 3
                if f is None or None in (f.yaw_deg, f.pitch_deg, f.roll_deg)
                else (f.yaw_deg, f.pitch_deg, f.roll_deg)
                for f in faces
            ],
            float,
        ).reshape(k, 3)
        self._recognised = column([0.0 if f is None else f.recognised for f in faces])
        self._placed = column(
            [
                0.0 if f is None else f.recognised if f.is_sure else min(f.confidence, HEAD_SEEN)
                for f in faces
            ]
        )
        self.is_head = np.array([s.is_head for s in of], bool)
        self.known = column([s.agreement * (TURNED if s.turned else 1.0) for s in of])
        height_px = np.array([s.size.height for s in subjects], float) * _height(self._content)
        with np.errstate(divide="ignore"):
            self._log_height = np.log(height_px / column([s.px_per_m for s in of]))
            spans = column([f.span_px if f and f.span_px else None for f in faces])
            self._log_face = np.log(spans / height_px)

        located = np.where(self.is_head[:, None], np.arange(33) < len(skeleton.HEAD), True)
        self._inside, self._shown = _in_frame(self._xy, self._content)
        self._inside &= located
        self._in_sight = sight(self._visibility) * self._shown
        self.shot_level = self._shot_level()
        self.sure_shot = self._sure_shot(profile)
        self.limb_seen = np.minimum(self._in_sight[:, NEAR], self._in_sight[:, FAR])
        along = self._world[:, FAR] - self._world[:, NEAR]
        in_torso = np.einsum("kji,klj->kli", self._view, along)
        length = np.linalg.norm(in_torso, axis=2, keepdims=True)
        self.limbs = in_torso / np.where(length > 1e-6, length, np.nan)
        self.hidden = self._hidden(along, profile.limit("foreshortened"))
        toward = -self._view[:, 2]
        self.yaw = np.degrees(np.arctan2(-toward[:, 0], toward[:, 2]))

    def __len__(self) -> int:
        return len(self.is_head)

    @cached_property
    def bodies(self) -> Look:
        seen = self._visibility * self._shown
        shoulders = seen[:, list(skeleton.SHOULDERS)].mean(axis=1)
        hips = seen[:, list(skeleton.HIPS)].mean(axis=1)
        joints = self._xy[:, _BODY]
        reach = np.concatenate([joints.min(axis=1), joints.max(axis=1)], axis=1)
        return self._look(
            self._view,
            self._xy[:, list(skeleton.SHOULDERS)].mean(axis=1),
            reach,
            sure_size=self._sure_joints,
            sure_place=shoulders,
            sure_view=(0.6 * shoulders + 0.4 * hips) * self.known,
        )

    @cached_property
    def heads(self) -> Look:
        box = self._face_box
        yaw, pitch, roll = self._face_turn.T
        view = _turns(2, roll) @ FACING @ _turns(0, pitch) @ _turns(1, yaw)
        return self._look(
            view,
            (box[:, :2] + box[:, 2:]) / 2.0,
            box,
            sure_size=np.where(self.is_head, self._recognised, self._sure_joints),
            sure_place=self._placed,
            sure_view=self._recognised,
        )

    @property
    def _sure_joints(self) -> Floats:
        seen = (self._visibility * self._shown)[:, _BODY].sum(axis=1)
        return np.asarray(1.0 - 0.5 ** (seen / 2.0))

    def _look(
        self,
        view: Floats,
        anchor_xy: Floats,
        reach: Floats,
        *,
        sure_size: Floats,
        sure_place: Floats,
        sure_view: Floats,
    ) -> Look:
        c = self._content
        extent = c[:, 2:] - c[:, :2]
        top = np.minimum(reach[:, 1], self._crown_y)
        beyond = np.stack(
            [
                (c[:, 1] - top) / extent[:, 1],
                (reach[:, 3] - c[:, 3]) / extent[:, 1],
                (c[:, 0] - reach[:, 0]) / extent[:, 0],
                (reach[:, 2] - c[:, 2]) / extent[:, 0],
            ],
            axis=1,
        )
        return Look(
            log_height=self._log_height,
            log_face=self._log_face,
            recognised=self._recognised,
            anchor_xy=(anchor_xy - c[:, :2]) / extent,
            view=view.reshape(-1, 9),
            roll=np.degrees(np.arctan2(view[:, 0, 1], -view[:, 1, 1])),
            cuts=ramp(beyond, 0.0, FRAME_EDGE),
            sure_size=_rounded(sure_size),
            sure_place=_rounded(sure_place),
            sure_view=_rounded(sure_view),
        )

    def _shot_level(self) -> Floats:
        level = np.zeros(len(self))
        pairs = (skeleton.SHOULDERS, skeleton.HIPS, skeleton.KNEES, skeleton.ANKLES)
        for number, pair in enumerate(pairs, start=1):
            share = self._in_sight[:, list(pair)].max(axis=1)
            level = share * number + (1.0 - share) * level
        return level

    def _sure_shot(self, profile: Profile) -> Floats:
        shown = self._inside[:, _LOWER]
        decided = np.abs(2.0 * self._visibility[:, _LOWER] - 1.0)
        count = shown.sum(axis=1)
        of_body = np.where(count, (decided * shown).sum(axis=1) / np.maximum(count, 1), 1.0)
        box = self._face_box
        least, full = profile.limit("body_room_min"), profile.limit("body_room_full")
        with np.errstate(divide="ignore", invalid="ignore"):
            heads = (self._content[:, 3] - box[:, 3]) / (_height(box) / FACE_IN_HEAD_WH[1])
        room = ramp(heads, (least + full) / 2.0, (full - least) / 2.0)
        return np.where(self.is_head, 1.0 - room, of_body)

    def _hidden(self, along: Floats, foreshortened_deg: float) -> Floats:
        shown = np.minimum(self._shown[:, NEAR], self._shown[:, FAR])
        seen = sight(np.minimum(self._visibility[:, NEAR], self._visibility[:, FAR]))
        length = np.linalg.norm(along, axis=2)
        with np.errstate(divide="ignore", invalid="ignore"):
            sine = np.where(length > 0, np.abs(along[:, :, 2]) / length, 0.0)
        out_deg = np.degrees(np.arcsin(np.minimum(1.0, sine)))
        hidden = shown * np.maximum(
            1.0 - seen, ramp(out_deg, foreshortened_deg, FORESHORTENED_EDGE_DEG)
        )
        total = shown.sum(axis=1)
        return np.where(total > 0, hidden.sum(axis=1) / np.maximum(1.0, total), np.nan)


def _rounded(confidences: Floats) -> Floats:
    """As `measures.pair.confidences` rounds them; numpy rounds ties otherwise."""
    return np.array([round(value, 4) for value in confidences.tolist()])


def _height(boxes: Floats) -> Floats:
    return np.asarray(np.maximum(0.0, boxes[:, 3] - boxes[:, 1]))


def _in_frame(xy: Floats, content: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """(K, 33) whether each point lies in its content, and the weights of `pose.body.sight_in`."""
    left, top, right, bottom = (content[:, None, k] for k in range(4))
    x, y = xy[:, :, 0], xy[:, :, 1]
    inside = np.asarray((x >= left) & (x <= right) & (y >= top) & (y <= bottom))
    across = np.minimum(x - left, right - x) / (right - left)
    margin = np.minimum(across, np.minimum(y - top, bottom - y) / (bottom - top))
    return inside, ramp(margin, FRAME_EDGE / 2.0, FRAME_EDGE / 2.0)


def _turns(axis: int, degrees: Floats) -> Floats:
    """(K, 3, 3) `geometry.axis_turn` for (K,) angles."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    before, after = (axis + 1) % 3, (axis + 2) % 3
    turns = np.zeros((len(degrees), 3, 3))
    turns[:, axis, axis] = 1.0
    turns[:, before, before], turns[:, before, after] = c, -s
    turns[:, after, before], turns[:, after, after] = s, c
    return turns
