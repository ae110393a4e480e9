"""Programs as text and bytes, their validation and their run, held against the kernel through a real socket."""

import random
import socket
import struct

import pytest

from rawproto.errors import FilterError
from rawproto.wire.bpf import Ancillary, BPFProgram, Instruction, assemble
from rawproto.wire.bpf.check import check
from rawproto.wire.bpf.instruction import ALLOWED, ALU_NAMES

CODES = sorted(ALLOWED)
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27


class KernelFilter:
    """The kernel's verdict: a program on one end of a pair of AF_UNIX sockets, which needs no privilege."""

    def __init__(self):
        self.sender, self.receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.receiver.setblocking(False)

    def attach(self, packed):
        import ctypes

        buffer = ctypes.create_string_buffer(packed, len(packed))
        fprog = struct.pack("HxxxxxxP", len(packed) // 8, ctypes.addressof(buffer))
        self.receiver.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)

    def accepts(self, packed):
        try:
            self.attach(packed)
        except OSError:
            return False
        self.receiver.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        return True

    def run(self, packet):
        """Bytes kept of ``packet``: 0 when it was dropped."""
        self.sender.send(packet)
        try:
            return len(self.receiver.recv(len(packet)))
        except BlockingIOError:
            return 0

    def close(self):
        self.sender.close()
        self.receiver.close()


@pytest.fixture
def kernel():
    pair = KernelFilter()
    yield pair
    pair.close()


def random_instruction(rng, room, wild=0.0):
    """Any allowed instruction, with operands that mean something; ``wild`` is the share of nonsense."""
    code = rng.choice(CODES)
    kind = code & 7
    small = rng.choice((0, 1, 2, 3, 4, 14, 20, rng.randrange(64)))
    constant = rng.choice((small, rng.getrandbits(8), rng.getrandbits(32), 0xFFFFFFFF, 0x80000000))
    jt = jf = 0
    k = constant
    if kind in (0, 1):
        k = rng.randrange(16) if code & 0xE0 == 0x60 else constant if code & 0xE0 == 0 else small
    elif kind in (2, 3):
        k = rng.randrange(16)
    elif kind == 4 and code in (0x64, 0x74):
        k = rng.randrange(32)
    elif kind == 4 and code in (0x34, 0x94):
        k = constant or 1
    elif kind == 5:
        reach = max(1, min(room, 255))
        if code == 5:
            k = rng.randrange(reach)
        else:
            jt, jf = rng.randrange(reach), rng.randrange(reach)
    if rng.random() < wild:
        code = rng.choice((code, code ^ 1 << rng.randrange(8), rng.getrandbits(16)))
        k = rng.choice((k, 16, 31, 32, 0, 0xFFFFF000 + rng.randrange(80), 0xFFFFFFFF))
        jt = rng.choice((jt, room, 255))
    return Instruction(code, jt, jf, k)


def random_program(rng, wild=0.0):
    length = rng.randrange(1, 24)
    body = [random_instruction(rng, length - place, wild) for place in range(length)]
    # Half of them begin with stores, so that loads from memory are allowed.
    start = [Instruction(2, 0, 0, slot) for slot in range(16)] if rng.random() < 0.5 else []
    last = rng.choice((Instruction(6, 0, 0, rng.choice((0, 5, 0xFFFFFFFF))), Instruction(0x16, 0, 0, 0)))
    if wild and rng.random() < wild / 4:
        return [*start, *body]
    return [*start, *body, last]


def checked(program):
    try:
        check(program)
    except FilterError:
        return False
    return True


def valid_programs(rng, count):
    found = 0
    while found < count:
        program = random_program(rng)
        if checked(program):
            found += 1
            yield BPFProgram(program)


def compare_runs(kernel, seed, programs, packets):
    rng = random.Random(seed)
    verdicts = set()
    for program in valid_programs(rng, programs):
        kernel.attach(bytes(program))
        for _ in range(packets):
            packet = rng.randbytes(rng.choice((1, 2, 3, 7, 20, 40, rng.randrange(1, 80))))
            ours = min(program.run(packet), len(packet))
            verdicts.add(bool(ours))
            theirs = kernel.run(packet)
            assert ours == theirs, (
                f"kernel keeps {theirs}, run() says {ours} of {packet.hex()}\n{program.disassemble()}"
            )
    assert verdicts == {True, False}


def test_the_interpreter_agrees_with_the_kernel(kernel):
    compare_runs(kernel, seed=1, programs=500, packets=10)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_interpreter_agrees_with_the_kernel_at_length(kernel):
    compare_runs(kernel, seed=2, programs=20_000, packets=10)


def compare_checks(kernel, seed, count):
    rng = random.Random(seed)
    verdicts = {True: 0, False: 0}
    for _ in range(count):
        program = random_program(rng, wild=0.05)
        ours = checked(program)
        packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
        assert kernel.accepts(packed) == ours, program
        verdicts[ours] += 1
    assert min(verdicts.values()) > count / 20


def test_validation_agrees_with_the_kernel(kernel):
    compare_checks(kernel, seed=3, count=3_000)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_validation_agrees_with_the_kernel_at_length(kernel):
    compare_checks(kernel, seed=4, count=100_000)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ([], "1 to 4096"),
        ([(6, 0, 0, 0)] * 4097, "1 to 4096"),
        ([(0x28, 0, 0, 12)], "last instruction"),
        ([(0x60, 0, 0, 0), (6, 0, 0, 0)], "slot 0 is read before"),
        ([(0x60, 0, 0, 16), (6, 0, 0, 0)], "slot 16"),
        ([(0x34, 0, 0, 0), (6, 0, 0, 0)], "division by zero"),
        ([(0x64, 0, 0, 32), (6, 0, 0, 0)], "shift by 32"),
        ([(0x05, 0, 0, 1), (6, 0, 0, 0)], "behind the end"),
        ([(0x15, 0, 1, 1), (6, 0, 0, 0)], "behind the end"),
        ([(0xFF, 0, 0, 0), (6, 0, 0, 0)], "unknown code 0xff"),
        ([(0x20, 0, 0, 0xFFFFF001), (6, 0, 0, 0)], "no ancillary"),
        ([(0x15, 256, 0, 0), (6, 0, 0, 0)], "out of range"),
        ([(0x00, 0, 0, 1 << 32), (6, 0, 0, 0)], "out of range"),
    ],
)
def test_what_the_kernel_would_refuse_is_refused_with_the_reason(program, words):
    with pytest.raises(FilterError, match=words):
        BPFProgram(program)


EXAMPLE = """
; ARP or IPv4 with protocol 253, from the kernel's own documentation style
        ldh [12]
        jeq #0x806, keep, next
next:   jne #0x800, drop
        ldb [23]
        jeq #253, keep
drop:   ret #0
keep:   ret #-1
"""


def test_the_assembler_reads_the_kernels_syntax():
    program = assemble(EXAMPLE)
    assert program == BPFProgram(
        [
            (0x28, 0, 0, 12),
            (0x15, 4, 0, 0x806),
            (0x15, 0, 2, 0x800),
            (0x30, 0, 0, 23),
            (0x15, 1, 0, 253),
            (0x06, 0, 0, 0),
            (0x06, 0, 0, 0xFFFFFFFF),
        ]
    )
    ethernet = bytes(12)
    assert program.run(ethernet + b"\x08\x06") == 0xFFFFFFFF
    assert program.run(ethernet + b"\x08\x00" + bytes(9) + b"\xfd") == 0xFFFFFFFF
    assert program.run(ethernet + b"\x08\x00" + bytes(9) + b"\xfc") == 0
    assert program.run(ethernet) == 0


@pytest.mark.parametrize(
    ("line", "code", "k"),
    [
        ("ld [4]", 0x20, 4),
        ("ldh [x + 6]", 0x48, 6),
        ("ldb [x]", 0x50, 0),
        ("ldb [%x+0x10]", 0x50, 16),
        ("ld #7", 0x00, 7),
        ("ldi #7", 0x00, 7),
        ("ld len", 0x80, 0),
        ("ld #len", 0x80, 0),
        ("ldx len", 0x81, 0),
        ("ldx #-1", 0x01, 0xFFFFFFFF),
        ("ldxb 4*([14]&0xf)", 0xB1, 14),
        ("ldx 4 * ( [0] & 0x0f )", 0xB1, 0),
        ("ld mark", 0x20, 0xFFFFF014),
        ("ld [-4096]", 0x20, 0xFFFFF000),
        ("st M[3]", 0x02, 3),
        ("stx M[15]", 0x03, 15),
        ("add x", 0x0C, 0),
        ("mod #3", 0x94, 3),
        ("xor #1", 0xA4, 1),
        ("neg", 0x84, 0),
        ("tax", 0x07, 0),
        ("txa", 0x87, 0),
        ("ret a", 0x16, 0),
        ("RET #1", 0x06, 1),
        ("ret\t#010", 0x06, 8),
        ("add#0b101", 0x04, 5),
        ("ST m [2]", 0x02, 2),
        ("Ld Vlan_Pr", 0x20, 0xFFFFF030),
        ("and X", 0x5C, 0),
    ],
)
def test_each_form_of_instruction(line, code, k):
    program = assemble(f"{line}\nret #0")
    assert program[0] == (code, 0, 0, k)


def test_jumps_that_name_the_way_not_taken():
    program = assemble("jle #5, out\njlt x, out\njneq #1, out\nret #1\nout: ret #0")
    assert [tuple(instruction) for instruction in program[:3]] == [
        (0x25, 0, 3, 5),
        (0x3D, 0, 2, 0),
        (0x15, 0, 1, 1),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nop", "line 1"),
        ("ret #0\nld [zebra]", "line 2"),
        ("/* two\nlines */ ldh #5", "line 2"),
        ("ret #0x1ffffffff", "32 bits"),
        ("jeq #1", "labels"),
        ("jeq #1, a, b, c", "labels"),
        ("ja 5", "no label"),
        ("ja nowhere\nret #0", "nowhere"),
        ("a: ret #0\na: ret #1", "two places"),
        ("back: ld #1\njeq #1, back\nret #0", "backwards"),
        ("neg #1", "no operand"),
        ("#5", "1 to 4096"),  # what begins with "#" is a comment
        ("ret #08", "no octal number"),
        ("[12]", "unknown instruction"),
        ("st M[16]\nret #0", "slot 16"),
        ("", "1 to 4096"),
    ],
)
def test_text_that_is_no_program_is_refused_with_its_line(text, words):
    with pytest.raises(FilterError, match=words):
        assemble(text)


def test_disassembled_programs_assemble_to_themselves():
    rng = random.Random(5)
    for program in valid_programs(rng, 500):
        # Operands that an instruction does not use have no place in the text; all else comes back.
        again = assemble(program.disassemble())
        assert again.disassemble() == program.disassemble()
        assert assemble(again.disassemble()) == again
        packet = rng.randbytes(60)
        assert again.run(packet) == program.run(packet)


def test_disassembly_reads_well():
    text = assemble(
        "ldx 4*([0]&0xf)\nldh [x + 2]\njeq #53, keep, drop\nkeep: ret #-1\ndrop: ret #0"
    ).disassemble()
    assert text.splitlines() == [
        "    ldx  4*([0]&0xf)",
        "    ldh  [x + 2]",
        "    jeq  #0x35, L3, L4",
        "L3: ret  #0xffffffff",
        "L4: ret  #0x0",
    ]


def test_packed_programs_come_back():
    program = assemble(EXAMPLE)
    assert len(bytes(program)) == 8 * len(program)
    assert BPFProgram.from_bytes(bytes(program)) == program
    with pytest.raises(FilterError, match="whole number"):
        BPFProgram.from_bytes(bytes(9))


def test_far_jumps_get_help():
    middle = "add #1\n" * 600
    program = assemble(
        f"ld len\njeq #3, near, far\nnear: jeq #4, far, far2\n{middle}far: ret #1\nfar2: ret #2"
    )
    assert program.run(b"abcd") == 1
    assert program.run(b"abc") == 2
    both = assemble(f"ld len\njeq #3, one, two\n{middle}one: ret #1\ntwo: ret #2")
    assert [both.run(bytes(size)) for size in (3, 4)] == [1, 2]


def test_ancillary_and_header_relative_loads_come_from_arguments():
    program = assemble("ld mark\nret a")
    assert program.run(b"", ancillary={Ancillary.MARK: 7}) == 7
    with pytest.raises(FilterError, match="MARK"):
        program.run(b"")
    network = assemble("ldb [-1048567]\nret a")  # network header + 9: the protocol of IPv4
    assert network.run(b"payload", network=bytes(9) + b"\x11") == 17
    assert network.run(b"payload") == 0
    link = assemble("ldh [-2097140]\nret a")  # link-layer header + 12: the Ethernet type
    assert link.run(b"", link=bytes(12) + b"\x08\x00") == 0x0800
    assert assemble("ldb [-2147483648]\nret #1").run(bytes(10)) == 0
    assert assemble("ld #6\nldx #3\nld xor_x\nret a").run(b"") == 5


def test_every_alu_operation_is_covered_by_the_random_programs():
    rng = random.Random(1)
    codes = {instruction.code for program in valid_programs(rng, 500) for instruction in program}
    assert {4 | operation | source for operation in ALU_NAMES.values() for source in (0, 8)} <= codes
