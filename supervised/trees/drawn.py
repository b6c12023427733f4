"""Trees as pictures: what was found at each node in a box, the words below the leaves, mistakes in red."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw

from lab.training.captions import INK, PAPER, RED, font

Colour = tuple[int, int, int]

LETTERS, GAP, EDGE, BOX, STEP = 14, 10, 12, 22, 50
"""Pixels: height of letters, between columns, around all, height of a box, and from one depth to the next."""
LINE, GREY = (170, 170, 170), (120, 120, 120)


class Node(NamedTuple):
    """A node to be drawn.

    Args:
        parent: its place among the nodes, counted from 1; 0 for the root.
        word: that stands below it; "" for none.
        found: what was predicted of it; "" for no box.
        true: what it is; "" where nothing is known.
        colour: of its box.
    """

    parent: int
    word: str
    found: str
    true: str = ""
    colour: Colour = PAPER

    @property
    def wrong(self) -> bool:
        """Whether it is known that the prediction is wrong."""
        return bool(self.found and self.true and self.found != self.true)

    @property
    def told(self) -> str:
        """What stands in its box."""
        return f"{self.found}, true {self.true}" if self.wrong else self.found


def forest(trees: Sequence[Sequence[Node]], heading: str) -> Image.Image:
    """Draw trees, one below the other, with a heading on top. Each node comes after its parent, and leaves are in the
    order of their words."""
    drawn = [_tree(nodes) for nodes in trees]
    wide = max([math.ceil(_width(heading)) + 2 * EDGE, *(one.width for one in drawn)])
    sheet = Image.new("RGB", (wide, LETTERS + 3 * EDGE + sum(one.height for one in drawn)), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((EDGE, EDGE), heading, INK, font(LETTERS))
    top = LETTERS + 3 * EDGE
    for one in drawn:
        draw.line((EDGE, top - EDGE // 2, wide - EDGE, top - EDGE // 2), (225, 225, 225))
        sheet.paste(one, (0, top))
        top += one.height
    return sheet


def _tree(nodes: Sequence[Node]) -> Image.Image:
    """Draw one tree. Each leaf has a column as wide as its word and box, and an inner node is in the middle of its
    children: so no two boxes of one depth overlap."""
    children: list[list[int]] = [[] for _ in nodes]
    depths: list[int] = []
    for place, node in enumerate(nodes):
        depths.append(depths[node.parent - 1] + 1 if node.parent else 0)
        if node.parent:
            children[node.parent - 1].append(place)
    widest = max(_width(node.told) for node in nodes) + GAP
    middle, right = [0.0] * len(nodes), float(EDGE)
    for place, node in enumerate(nodes):
        if not children[place]:
            column = max(widest, _width(node.word)) + GAP
            middle[place] = right + column / 2
            right += column
    for place in reversed(range(len(nodes))):
        if own := children[place]:
            middle[place] = (middle[own[0]] + middle[own[-1]]) / 2
    height = EDGE + (max(depths) + 1) * STEP + LETTERS
    sheet = Image.new("RGB", (math.ceil(right) + EDGE, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for place, node in enumerate(nodes):
        if node.parent:
            above = node.parent - 1
            bottom = EDGE + depths[above] * STEP + BOX + (LETTERS + 2 if nodes[above].word else 0)
            draw.line((middle[above], bottom, middle[place], EDGE + depths[place] * STEP), LINE)
    for place, node in enumerate(nodes):
        _box(draw, node, middle[place], EDGE + depths[place] * STEP)
    return sheet


def _box(draw: ImageDraw.ImageDraw, node: Node, middle: float, top: float) -> None:
    """Draw what was found at a node, and its word below that."""
    if node.found:
        half = (_width(node.told) + GAP) / 2
        edge, thick = (RED, 2) if node.wrong else (GREY, 1)
        draw.rounded_rectangle((middle - half, top, middle + half, top + BOX), 5, node.colour, edge, thick)
        draw.text((middle, top + BOX / 2), node.told, RED if node.wrong else INK, font(LETTERS), anchor="mm")
        top += BOX
    if node.word:
        draw.text((middle, top + 3), node.word, INK, font(LETTERS), anchor="ma")


def _width(text: str) -> float:
    return font(LETTERS).getlength(text)
