"""Instructions with labels instead of distances, turned into a program; far conditional jumps get help from ``ja``."""

from __future__ import annotations

from typing import NamedTuple

from rawproto.errors import FilterError
from rawproto.wire.bpf.instruction import JA, JMP, MAX_JUMP, Instruction

__all__ = ["Code", "Label"]


class Label:
    """A place in a program, known by identity; the name is for messages."""

    __slots__ = ("name",)

    def __init__(self, name: str = "") -> None:
        self.name = name


class _Jump(NamedTuple):
    code: int
    k: int
    yes: Label | None
    """None goes on with the next instruction."""
    no: Label | None


class Code:
    """A program in the making."""

    def __init__(self) -> None:
        self._items: list[Instruction | _Jump | Label] = []

    def emit(self, code: int, k: int = 0) -> None:
        """Add an instruction that does not jump."""
        self._items.append(Instruction(code, 0, 0, k))

    def jump(self, code: int, k: int, yes: Label | None, no: Label | None) -> None:
        """Add a conditional jump; None stands for the next instruction."""
        self._items.append(_Jump(code, k, yes, no))

    def go(self, target: Label) -> None:
        """Add an unconditional jump."""
        self._items.append(_Jump(JMP | JA, 0, target, None))

    def place(self, label: Label) -> None:
        """Let ``label`` stand for the next instruction."""
        self._items.append(label)

    def finish(self, *, tidy: bool = True) -> list[Instruction]:
        """The instructions, distances filled in; ``tidy`` leaves out jumps to the very next instruction.

        Raises:
            FilterError: a label that was never placed, or a jump backwards.
        """
        if tidy:
            self._drop_idle_jumps()
        # Side (item, 0 or 1) of a conditional jump is far when its distance does not fit; each far side costs one
        # ``ja`` behind the jump, which can push others out of reach: repeat until nothing changes.
        far: set[tuple[int, int]] = set()
        while True:
            places, positions = self._lay_out(far)
            longer = {
                (index, side)
                for index, item in enumerate(self._items)
                if isinstance(item, _Jump) and item.code != JMP | JA
                for side, label in enumerate((item.yes, item.no))
                if label is not None
                and (index, side) not in far
                and self._distance(places, label, positions[index]) > MAX_JUMP
            }
            if not longer:
                break
            far |= longer
        program: list[Instruction] = []
        for index, item in enumerate(self._items):
            if isinstance(item, Instruction):
                program.append(item)
            elif isinstance(item, _Jump):
                program += self._resolve(index, item, places, positions[index], far)
        return program

    def _drop_idle_jumps(self) -> None:
        """Leave out unconditional jumps to the very next instruction."""
        kept: list[Instruction | _Jump | Label] = []
        following: set[Label] = set()
        for item in reversed(self._items):
            if isinstance(item, Label):
                following.add(item)
            elif isinstance(item, _Jump) and item.code == JMP | JA and item.yes in following:
                continue
            else:
                following = set()
            kept.append(item)
        self._items = kept[::-1]

    def _lay_out(self, far: set[tuple[int, int]]) -> tuple[dict[Label, int], list[int]]:
        """Position of each label and of each item."""
        places: dict[Label, int] = {}
        positions = []
        position = 0
        for index, item in enumerate(self._items):
            positions.append(position)
            if isinstance(item, Label):
                if item in places:
                    raise FilterError(f"label {item.name} stands at two places")
                places[item] = position
            else:
                position += 1 + ((index, 0) in far) + ((index, 1) in far)
        return places, positions

    @staticmethod
    def _distance(places: dict[Label, int], label: Label, position: int) -> int:
        if label not in places:
            raise FilterError(f"label {label.name} is nowhere in the program")
        distance = places[label] - position - 1
        if distance < 0:
            raise FilterError(f"the jump to label {label.name} goes backwards; the kernel takes no loops")
        return distance

    def _resolve(
        self, index: int, jump: _Jump, places: dict[Label, int], position: int, far: set[tuple[int, int]]
    ) -> list[Instruction]:
        if jump.code == JMP | JA:
            assert jump.yes is not None
            return [Instruction(jump.code, 0, 0, self._distance(places, jump.yes, position))]
        extra: list[Instruction] = []
        distances = []
        helpers = ((index, 0) in far) + ((index, 1) in far)
        for side, label in enumerate((jump.yes, jump.no)):
            if label is None:
                distances.append(helpers)
            elif (index, side) in far:
                distances.append(len(extra))
                distance = self._distance(places, label, position + 1 + len(extra))
                extra.append(Instruction(JMP | JA, 0, 0, distance))
            else:
                distances.append(self._distance(places, label, position))
        return [Instruction(jump.code, distances[0], distances[1], jump.k), *extra]
