"""command/qr.py: a ticket as a picture."""

from keymeld_client.command.qr import terminal_qr

TICKET = "keymeld:keymeld.example:8765#" + "Aa0_" * 34


def test_a_ticket_fits_into_a_small_terminal() -> None:
    lines = terminal_qr(TICKET).splitlines()
    assert len(lines) <= 30
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines[0]) <= 60


def test_it_is_drawn_with_half_blocks_and_nothing_else() -> None:
    assert set(terminal_qr(TICKET)) <= set("█▀▄ \n")
